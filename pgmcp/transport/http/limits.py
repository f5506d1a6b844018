"""Bounds on what one client can take from the others."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """How much, how many and how slow.

    Attributes:
        max_body_bytes: of one request.
        max_connections: open at once; one more is answered 503.
        header_timeout_s: for a request's headers, from the connection's start or the end of the last answer's
            idle time.
        body_timeout_s: for a request's body.
        write_timeout_s: a client that reads nothing of its answer for this long is cut off.
        keep_alive_s: an idle connection is kept; longer than proxies keep theirs, so that they close first.
        stop_timeout_s: calls under way get this long when the server is stopped.
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
        """Streams of `subscriptions/listen`: they stay open, so half of the connections is left for calls."""
        return self.max_connections // 2
