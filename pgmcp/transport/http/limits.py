"""Limits what one client can use, so that it cannot affect others."""

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
        header_timeout_s: timeout of the TLS handshake, and of a request's headers. It begins with the
            connection, and for a later request with its first byte.
        body_timeout_s: timeout of a request's body.
        write_timeout_s: a connection is closed if its client reads nothing of an answer for this long.
        keep_alive_s: how long idle connections stay open; longer than at proxies, so that proxies close
            first.
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
        """Maximum number of `subscriptions/listen` streams: half of the connections."""
        return self.max_connections // 2

    @property
    def max_requests_of_one(self) -> int:
        """Maximum number of one principal's concurrent requests and streams: a quarter of the connections."""
        return max(1, self.max_connections // SHARE_OF_ONE)

    @property
    def max_streams_of_one(self) -> int:
        """Maximum number of one principal's streams: a quarter of all streams."""
        return max(1, self.max_streams // SHARE_OF_ONE)


class Shares:
    """Counts the concurrent uses of each principal, so that no principal takes all places.

    Args:
        most: maximum number for one principal.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._used: Counter[str] = Counter()

    @contextmanager
    def use(self, principal: Principal | None) -> Iterator[bool]:
        """Count a use while the context is entered, and yield True; if there are too many, only yield False.

        Without a principal, nothing is counted, and True is yielded.
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
