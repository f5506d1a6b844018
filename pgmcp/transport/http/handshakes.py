"""TLS handshakes: counted as connections from the start, and with a time limit.

asyncio notifies a server of a TLS connection only after the handshake. A client that never finishes the
handshake would not be counted, so this module starts the handshake on a connection that is already counted.
"""

import asyncio
import ssl
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from pgmcp.transport.http.connections import LAST_REQUEST_TIMEOUT_S, BoundedConnection


class TlsHandshake(asyncio.Protocol):
    """A connection until its handshake is done; then a `BoundedConnection` takes over."""

    def __init__(
        self, context: ssl.SSLContext, create: Callable[[], BoundedConnection], state: ServerState
    ) -> None:
        """Wait for the connection.

        Args:
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
        if not self._next.places.make_room(len(self._connections)):
            transport.abort()
            return
        self._connections.add(self)
        self._next.places.note_silent(self)
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
        """Let the handshake and the first request end soon."""
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
        self._next.places.forget(self)


def use_tls(config: Config) -> None:
    """Make uvicorn's connections begin with the handshake of the configured certificate."""
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
