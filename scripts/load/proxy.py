"""A TCP proxy that delays every byte, like a distant database."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_HOST: Final = "127.0.0.1"
_READ_BYTES: Final = 1 << 16


@contextmanager
def delayed(conninfo: str, round_trip_s: float) -> Iterator[str]:
    """Yield a conninfo that connects through a proxy, which delays each round trip.

    The proxy runs in its own thread and event loop, so that callers may block.
    """
    given = conninfo_to_dict(conninfo)
    proxy = _Proxy(str(given.get("host") or _HOST), int(given.get("port") or 5432), round_trip_s / 2)
    thread = threading.Thread(target=asyncio.run, args=(proxy.run(),), name="proxy")
    thread.start()
    try:
        yield make_conninfo(conninfo, host=_HOST, port=proxy.wait_for_port())
    finally:
        proxy.stop()
        thread.join()


class _Proxy:
    """Forwards each chunk after a fixed delay, in order and without a limit of throughput."""

    def __init__(self, host: str, port: int, delay_s: float) -> None:
        self._target = (host, port)
        self._delay_s = delay_s
        self._port = 0
        self._listening = threading.Event()
        self._stopped = asyncio.Event()
        self._relays: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def wait_for_port(self) -> int:
        """Return the proxy's port once it listens."""
        self._listening.wait()
        return self._port

    def stop(self) -> None:
        """End every connection; from another thread."""
        self._listening.wait()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopped.set)

    async def run(self) -> None:
        """Serve until stopped."""
        self._loop = asyncio.get_running_loop()
        server = await asyncio.start_server(self._accept, _HOST, 0)
        self._port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._stopped.wait()
        server.close()
        for relay in self._relays:
            relay.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        for source, target in ((reader, far_writer), (far_reader, writer)):
            relay = asyncio.create_task(self._relay(source, target))
            self._relays.add(relay)
            relay.add_done_callback(self._relays.discard)

    async def _relay(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            while piece := await source.read(_READ_BYTES):
                loop.call_later(self._delay_s, target.write, piece)
        loop.call_later(self._delay_s, target.close)
