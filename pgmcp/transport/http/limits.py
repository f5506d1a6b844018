"""Limits of one client, so that it cannot affect others."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Limits of sizes, numbers and durations.

    Attributes:
        max_body_bytes: of one request.
        max_connections: maximum number of open connections; further ones get 503.
        header_timeout_s: for a request's headers, from the connection's start or the end of the last answer's
            idle time.
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
