"""A loopback port that passes connections of one user on to a private socket."""

import asyncio
import os
import secrets
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

_CHUNK_BYTES: Final = 64 << 10
_CONNECTIONS: Final = Path("/proc/net/tcp")
_ESTABLISHED: Final = "01"
_FALLBACK: Final = "127.0.0.1"


class Relay:
    """Accepts connections on a loopback port, and makes one connection to the socket for each."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, port: int) -> tuple[str, int]:
        """Start to accept connections, and return the address.

        Args:
            port: the database's own. It is used if it is free, so that the lines of ~/.pgpass apply.
        """
        try:
            self._server = await asyncio.start_server(self._accept, _loopback_address(), port)
        except OSError:
            self._server = await asyncio.start_server(self._accept, _FALLBACK, 0)
        host, number = self._server.sockets[0].getsockname()[:2]
        return host, number

    async def drain(self, timeout_s: float) -> None:
        """Accept no more connections, and wait until all have ended or the time is over."""
        if self._server is not None:
            self._server.close()
        if self._connections:
            await asyncio.wait(self._connections, timeout=timeout_s)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._connections.add(task)
        try:
            if _is_own(writer):
                await self._join(reader, writer)
        except OSError:
            pass  # one side broke its connection; the other one is closed below
        finally:
            writer.close()
            self._connections.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target_reader, target_writer = await asyncio.open_unix_connection(self._target)
        directions = [
            asyncio.create_task(_pass_on(reader, target_writer)),
            asyncio.create_task(_pass_on(target_reader, writer)),
        ]
        try:
            # Neither PostgreSQL nor libpq closes one direction alone.
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)
            target_writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()


def _loopback_address() -> str:
    """Return a loopback address, on Linux a random one of 127.0.0.0/8, which is probably unused."""
    if sys.platform != "linux":
        return _FALLBACK
    return "127." + ".".join(str(1 + secrets.randbelow(254)) for _ in range(3))


def _is_own(writer: asyncio.StreamWriter) -> bool:
    """Return whether the client is a process of this user; always True on other systems than Linux."""
    if sys.platform != "linux":
        return True
    client, server = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
    return find_owner(_CONNECTIONS.read_text("ascii"), client, server) in (0, os.geteuid())


def find_owner(connections: str, client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """Return the user id of the client's end of a connection; None if it is not there.

    Args:
        connections: content of /proc/net/tcp, see proc(5).
        client: address and port.
        server: address and port.
    """
    ends = [_as_in_proc(client), _as_in_proc(server), _ESTABLISHED]
    for line in connections.splitlines():
        fields = line.split()
        if fields[1:4] == ends:
            return int(fields[7])
    return None


def _as_in_proc(end: tuple[str, int]) -> str:
    address = int.from_bytes(socket.inet_aton(end[0]), sys.byteorder)
    return f"{address:08X}:{end[1]:04X}"
