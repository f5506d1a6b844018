"""A TCP proxy that a test controls: it forwards or holds back data, and breaks or refuses connections."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_CHUNK_BYTES = 1 << 16
_HOST = "127.0.0.1"


class TcpProxy:
    """Forwards data between clients and `port`, in the event loop in which it was opened.

    Attributes:
        delay_s: delay of each chunk, in either direction.
        sent: what all clients have sent.
    """

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        self._passes = asyncio.Event()
        self._passes.set()
        self._port = 0
        self.delay_s = 0.0
        self.sent = bytearray()

    @property
    def port(self) -> int:
        """The proxy's port; unchanged by `refuse` and `listen`."""
        return self._port

    async def listen(self) -> None:
        """Accept connections."""
        self._server = await asyncio.start_server(self._serve, _HOST, self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def hold_data(self) -> None:
        """Hold back all data in both directions from now on; close no connection."""
        self._passes.clear()

    def forward(self) -> None:
        """Forward everything again, including data held back."""
        self._passes.set()

    async def cut(self) -> None:
        """Break all existing connections, but accept new ones."""
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def refuse(self) -> None:
        """Break existing connections, and refuse new ones until `listen`."""
        if self._server is not None:
            self._server.close()
            self._server = None
        await self.cut()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        with suppress(OSError, asyncio.CancelledError):
            await self._join(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        self._connections.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._passes.wait()
        target_reader, target_writer = await asyncio.open_connection(_HOST, self._target_port)
        try:
            async with asyncio.TaskGroup() as directions:
                directions.create_task(self._pass_on(reader, target_writer, self.sent))
                directions.create_task(self._pass_on(target_reader, writer))
        except* OSError:
            pass
        finally:
            target_writer.close()
            with suppress(OSError):
                await target_writer.wait_closed()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, record: bytearray | None = None
    ) -> None:
        while data := await reader.read(_CHUNK_BYTES):
            if record is not None:
                record += data
            await asyncio.sleep(self.delay_s)
            await self._passes.wait()
            writer.write(data)
            await writer.drain()
        writer.write_eof()


@asynccontextmanager
async def tcp_proxy(target_port: int) -> AsyncIterator[TcpProxy]:
    """Open a proxy that forwards, and close it at the end."""
    proxy = TcpProxy(target_port)
    await proxy.listen()
    try:
        yield proxy
    finally:
        await proxy.refuse()
