"""Limits the number of uvicorn's HTTP/1.1 connections, and how long clients may be silent or slow.

    accepted ─▶ TlsHandshake, if TLS is used ─▶ BoundedConnection

If there are too many connections, one without a request is closed; if all have requests, the new one is
refused.

asyncio notifies a server of a TLS connection only after the handshake. A client that never finishes the
handshake would not be counted. `TlsHandshake` therefore starts the handshake on a connection that is already
counted.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Protocol

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle
from uvicorn.server import ServerState

from pgmcp.transport.http.limits import HttpLimits

LAST_REQUEST_TIMEOUT_S: Final = 1.0
"""Timeout for the first request of a connection that was opened just before the server was stopped."""

_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nConnection: close\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 21\r\n\r\ntoo many connections\n"
)


class Evictable(Protocol):
    """A connection without a request."""

    def evict(self) -> None:
        """Close the connection, because there is no room for it."""
        ...


class UnusedConnections:
    """The connections of one server that have no request, and can make room for new ones.

    Args:
        most: maximum number of open connections.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._new: dict[Evictable, None] = {}
        self._idle: dict[Evictable, None] = {}

    def make_room(self, count: int) -> bool:
        """Return whether there is room for one more connection; close an unused one if that is needed.

        Closes the oldest connection that never had a request; if there is none, the connection that has been
        idle for longest.

        Args:
            count: current number of connections.
        """
        if count < self._most:
            return True
        unused = self._new or self._idle
        if not unused:
            return False
        oldest = next(iter(unused))
        self.forget(oldest)
        oldest.evict()
        return True

    def note_new(self, connection: Evictable) -> None:
        """Remember a new connection."""
        self._new[connection] = None

    def note_idle(self, connection: Evictable) -> None:
        """Remember a connection whose request was answered."""
        self._idle.setdefault(connection)

    def forget(self, connection: Evictable) -> None:
        """Forget a connection that has a request, or is closed."""
        self._new.pop(connection, None)
        self._idle.pop(connection, None)


class BoundedConnection(H11Protocol):
    """A connection whose slowness cannot affect others.

        made ──▶ headers, header_timeout_s ──▶ request ──▶ answer ──▶ idle, uvicorn's keep-alive
                     ▲                                                  │
                     └────────── first byte of the next request ◀───────┘

    If the client does not read an answer, the connection is closed after write_timeout_s.
    """

    limits: HttpLimits
    unused: UnusedConnections

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection, or answer 503 if the limit is reached and all connections have requests."""
        self._headers_timer: asyncio.TimerHandle | None = None
        self._write_timer: asyncio.TimerHandle | None = None
        self._is_stopping = False
        if not self.unused.make_room(len(self.connections)):
            transport.write(_FULL)
            transport.close()
            self.transport = transport
            return
        self.unused.note_new(self)
        super().connection_made(_JoiningTransport(transport, self.loop))  # type: ignore[arg-type]
        self._await_headers()

    def data_received(self, data: bytes) -> None:
        """Process received bytes."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete:
            self._await_headers()
        else:
            self.unused.forget(self)
            self._stop_waiting_for_headers()
            if self._is_stopping:
                cycle.keep_alive = False

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        if self.cycle.response_complete and self in self.connections:
            self.unused.note_idle(self)

    def evict(self) -> None:
        """Close the connection, because there is no room for it."""
        self.transport.abort()

    def shutdown(self) -> None:
        """Close the connection after its answer; a new one has 1 s to send its first request."""
        if self.cycle is not None:
            super().shutdown()
            return
        self._is_stopping = True
        self._stop_waiting_for_headers()
        self._headers_timer = self.loop.call_later(LAST_REQUEST_TIMEOUT_S, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Remove the connection from the count."""
        self.unused.forget(self)
        self._stop_waiting_for_headers()
        self._stop_waiting_for_reader()
        if self in self.connections:
            super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Start the timeout for a client that does not read."""
        super().pause_writing()
        if self._write_timer is None:
            self._write_timer = self.loop.call_later(self.limits.write_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Continue writing, because the client reads again."""
        self._stop_waiting_for_reader()
        super().resume_writing()

    def _await_headers(self) -> None:
        if self._headers_timer is None:
            self._headers_timer = self.loop.call_later(self.limits.header_timeout_s, self.transport.abort)

    def _stop_waiting_for_headers(self) -> None:
        if self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None

    def _stop_waiting_for_reader(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None


class _JoiningTransport:
    """A transport that joins headers and body of a 200 answer in one write, if the body follows at once.

    uvicorn writes them one after the other, and each write is a system call that wakes the client.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held = b""

    def write(self, data: bytes) -> None:
        """Send data; headers of a 200 answer wait for the next write, or the next turn of the event loop."""
        if self._held:
            data, self._held = self._held + data, b""
        elif data.startswith(b"HTTP/1.1 200 "):
            self._held = data
            self._loop.call_soon(self._send_held)
            return
        self._transport.write(data)

    def close(self) -> None:
        """Close the connection after everything is sent."""
        self._send_held()
        self._transport.close()

    def _send_held(self) -> None:
        if self._held:
            data, self._held = self._held, b""
            self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


def connection_class(limits: HttpLimits) -> type[BoundedConnection]:
    """Return the class of connections with these limits, for uvicorn's `http` setting."""
    shared = {"limits": limits, "unused": UnusedConnections(limits.max_connections)}
    return type("BoundedConnection", (BoundedConnection,), shared)


class TlsHandshake(asyncio.Protocol):
    """A connection until its TLS handshake is complete; then a `BoundedConnection` takes over."""

    def __init__(
        self, context: ssl.SSLContext, create: Callable[[], BoundedConnection], state: ServerState
    ) -> None:
        """Wait for the connection.

        Args:
            context: the certificate and settings of TLS.
            create: creates the connection that takes over.
            state: counts the connections.
        """
        self._context = context
        self._next = create()
        self._connections: set[Any] = state.connections
        self._early = bytearray()
        self._is_lost = self._is_stopping = False
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin the handshake, or close the connection if there are too many."""
        self._transport = transport
        if not self._next.unused.make_room(len(self._connections)):
            transport.abort()
            return
        self._connections.add(self)
        self._next.unused.note_new(self)
        transport.pause_reading()  # until the handshake starts reading
        self._task = self._loop.create_task(self._secure())

    def data_received(self, data: bytes) -> None:
        """Keep data that arrives between the end of the handshake and the takeover."""
        self._early += data

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the handshake."""
        self._is_lost = True
        self._leave()

    def evict(self) -> None:
        """Close the connection, because there is no room for it."""
        self._transport.abort()

    def shutdown(self) -> None:
        """Give the handshake 1 s to finish, and after it the first request 1 s."""
        self._is_stopping = True
        self._loop.call_later(LAST_REQUEST_TIMEOUT_S, self._give_up)

    async def _secure(self) -> None:
        secured: asyncio.Transport | None = None
        try:
            with suppress(OSError):  # also ssl.SSLError, and the error of a timeout
                secured = await self._loop.start_tls(
                    self._transport,
                    self,
                    self._context,
                    server_side=True,
                    ssl_handshake_timeout=self._next.limits.header_timeout_s,
                )
        finally:
            self._leave()
        if secured is not None and not self._is_lost:
            self._hand_over(secured)

    def _hand_over(self, secured: asyncio.Transport) -> None:
        secured.set_protocol(self._next)
        self._next.connection_made(secured)
        if self._early:
            self._next.data_received(bytes(self._early))
        if self._is_stopping:
            self._next.shutdown()

    def _give_up(self) -> None:
        if self in self._connections:
            self._transport.abort()

    def _leave(self) -> None:
        self._connections.discard(self)
        self._next.unused.forget(self)


def use_tls(config: Config) -> None:
    """Make uvicorn's connections begin with a TLS handshake, if a certificate is configured."""
    config.load()
    context = config.ssl
    create_next: Any = config.http_protocol_class
    if context is None:
        return

    def create(**options: Any) -> TlsHandshake:
        return TlsHandshake(context, partial(create_next, **options), options["server_state"])

    connections: Any = create
    config.http_protocol_class = connections
    config.ssl = None  # or asyncio would begin the handshake itself
