"""A server with one session for all connections, as pglite-socket has: a proxy in front of a real session.

Unlike PGlite, it reports the `backend_type` of a normal client, so pgmcp cannot recognise it by that.
"""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg

_HEAD_BYTES = 5
_SSL_REQUESTS = (80877103, 80877104)
_CANCEL_REQUEST = 80877102
_READY = b"Z\0\0\0\x05I"
_PARAMETERS = (
    *("server_version", "server_encoding", "client_encoding", "DateStyle", "IntervalStyle", "TimeZone"),
    *("is_superuser", "integer_datetimes", "standard_conforming_strings", "in_hot_standby"),
)


class OneSession:
    """Forwards the messages of one client at a time; the turn changes only outside a transaction."""

    def __init__(self, session: psycopg.Connection) -> None:
        self._pgconn = session.pgconn
        self._socket = socket.fromfd(self._pgconn.socket, socket.AF_INET, socket.SOCK_STREAM)
        self._turn = asyncio.Lock()
        self._clients: set[asyncio.Task[None]] = set()

    async def open(self) -> asyncio.Server:
        """Listen for clients; from now on, only they use the session."""
        self._socket.setblocking(False)
        self._reader, self._writer = await asyncio.open_connection(sock=self._socket)
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def close(self) -> None:
        for client in self._clients:
            client.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        await _close(self._writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            if await self._greet(reader, writer):
                await self._forward(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has disconnected, or the test is over
        finally:
            await _close(writer)

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer the messages that open a connection; return whether the client may use the session.

        A cancel request has no effect, as on PGlite.
        """
        while True:
            length, code = struct.unpack("!II", await reader.readexactly(8))
            await reader.readexactly(length - 8)
            if code == _CANCEL_REQUEST:
                return False
            if code not in _SSL_REQUESTS:
                break
            writer.write(b"N")
        writer.write(_message(b"R", struct.pack("!I", 0)))
        for name in _PARAMETERS:
            value = self._pgconn.parameter_status(name.encode())
            if value is not None:
                writer.write(_message(b"S", name.encode() + b"\0" + value + b"\0"))
        writer.write(_message(b"K", struct.pack("!II", self._pgconn.backend_pid, 0)))
        writer.write(_READY)
        return True

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (kind := await reader.readexactly(1)) != b"X":
            async with self._turn:
                is_idle = await self._exchange(kind, reader, writer)
                while not is_idle:
                    is_idle = await self._exchange(await reader.readexactly(1), reader, writer)

    async def _exchange(
        self, kind: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """Forward messages up to a Query or Sync, and the replies; return whether no transaction is open."""
        while True:
            length = await reader.readexactly(4)
            body = await reader.readexactly(struct.unpack("!I", length)[0] - 4)
            self._writer.write(kind + length + body)
            if kind in (b"Q", b"S"):
                break
            kind = await reader.readexactly(1)
        while True:
            head = await self._reader.readexactly(_HEAD_BYTES)
            body = await self._reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)
            writer.write(head + body)
            if head[:1] == b"Z":
                return body == b"I"


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


@asynccontextmanager
async def one_session(url: str) -> AsyncIterator[int]:
    """Serve one session to all clients; yield the port."""
    with psycopg.connect(url, autocommit=True) as session:
        shared = OneSession(session)
        server = await shared.open()
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()
            await shared.close()
