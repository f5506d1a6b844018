"""Limits of one client, so that it cannot affect others."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from pgmcp.identity import Principal

SHARE_OF_ONE: Final = 4
"""One principal may use at most the total divided by this number."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of sizes, numbers and durations.

    Attributes:
        max_body_bytes: maximum size of one request's body.
        max_connections: maximum number of open connections; a further one takes the place of an unused one,
            or gets 503.
        header_timeout_s: for the TLS handshake; and for a request's headers, from the connection's start or
            the first byte of a later request.
        body_timeout_s: for a request's body.
        write_timeout_s: a connection is closed if its client reads nothing of an answer for this long.
        keep_alive_s: idle connections stay open; longer than those of proxies, so that proxies close first.
        stop_timeout_s: time for running calls to finish when the server is stopped.
    """

    max_body_bytes: int = 1 << 20
    max_connections: int = 1000
    header_timeout_s: float = 10.0
    body_timeout_s: float = 30.0
    write_timeout_s: float = 30.0
    keep_alive_s: int = 75
    stop_timeout_s: float = 20.0

    @property
    def max_streams(self) -> int:
        """Maximum of `subscriptions/listen` streams: half of the connections, because streams stay open."""
        return self.max_connections // 2

    @property
    def max_requests_of_one(self) -> int:
        """Maximum of one principal's requests at a time, streams included: a quarter of the connections."""
        return max(1, self.max_connections // SHARE_OF_ONE)

    @property
    def max_streams_of_one(self) -> int:
        """Maximum of one principal's streams: a quarter of all."""
        return max(1, self.max_streams // SHARE_OF_ONE)


class Shares:
    """Counts what each principal uses at a time, so that one cannot use all.

    Args:
        most: maximum for one principal.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._used: Counter[str] = Counter()

    @contextmanager
    def use(self, principal: Principal | None) -> Iterator[bool]:
        """Count one more use while the context is entered; yield False if the principal has no more left.

        Without a principal, nothing is counted.
        """
        if principal is None:
            yield True
            return
        if self._used[principal.id] >= self._most:
            yield False
            return
        self._used[principal.id] += 1
        try:
            yield True
        finally:
            self._used[principal.id] -= 1
            if not self._used[principal.id]:
                del self._used[principal.id]
