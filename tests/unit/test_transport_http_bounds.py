"""Limits of slow, silent and greedy clients, with timeouts short enough for a test."""

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

import anyio
import pytest

from pgmcp.surface import Backend, Surface, SurfaceSettings
from pgmcp.transport.http.address import ListenAddress, open_sockets
from pgmcp.transport.http.health import DatabaseState
from pgmcp.transport.http.host_check import LOOPBACK_NAMES, HostCheck
from pgmcp.transport.http.limits import HttpLimits
from pgmcp.transport.http.server import HttpServer

pytestmark = pytest.mark.anyio

HEAD = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
LIST = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'


@asynccontextmanager
async def serve(limits: HttpLimits) -> AsyncIterator[int]:
    """Serve a surface without databases on a free port, and return the port."""
    loop = asyncio.get_running_loop()
    surface_settings: asyncio.Future[SurfaceSettings] = loop.create_future()
    surface_settings.set_result(SurfaceSettings())
    backend: asyncio.Future[Backend] = loop.create_future()

    async def check() -> Mapping[str, DatabaseState]:
        return {}

    sockets = open_sockets(ListenAddress("127.0.0.1", 0))
    sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # what is not read is soon felt
    server = HttpServer(Surface(surface_settings, backend), HostCheck(LOOPBACK_NAMES, ()), check, limits)
    serving = loop.create_task(server.serve(sockets))
    try:
        with anyio.fail_after(20):
            yield sockets[0].getsockname()[1]
    finally:
        server.stop()
        server.stop()
        await serving
        sockets[0].close()


@asynccontextmanager
async def connect(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    connection = socket.socket()  # the writer closes it
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=connection)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


def whole(body: bytes) -> bytes:
    """Return a request of an honest client."""
    rest = f"Accept: application/json\r\nMCP-Protocol-Version: 2025-11-25\r\nContent-Length: {len(body)}"
    return HEAD + rest.encode() + b"\r\n\r\n" + body


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Return what came before the server closed the connection."""
    came = b""
    with suppress(ConnectionError):
        while chunk := await reader.read(4096):
            came += chunk
    return came


async def test_a_connection_that_sends_no_headers_is_closed() -> None:
    async with serve(HttpLimits(header_timeout_s=0.05)) as port, connect(port) as (silent, _):
        assert await ended(silent) == b""


async def test_a_connection_that_does_not_end_its_headers_is_closed() -> None:
    async with serve(HttpLimits(header_timeout_s=0.05)) as port, connect(port) as (slow, writer):
        writer.write(HEAD)

        assert await ended(slow) == b""


async def test_the_next_request_of_a_connection_has_the_same_time_for_its_headers() -> None:
    async with serve(HttpLimits(header_timeout_s=0.05)) as port, connect(port) as (reader, writer):
        writer.write(whole(PING))
        assert (await reader.readuntil(b"}}")).startswith(b"HTTP/1.1 200")
        writer.write(HEAD)

        assert await ended(reader) == b""


async def test_a_body_that_does_not_come_is_answered_408() -> None:
    async with serve(HttpLimits(body_timeout_s=0.05)) as port, connect(port) as (reader, writer):
        writer.write(HEAD + b"Content-Length: 100\r\n\r\n{")

        answer = await ended(reader)

    assert answer.startswith(b"HTTP/1.1 408")
    assert b"the body did not arrive within 0.05 s" in answer


async def test_a_body_without_a_length_is_bounded_while_it_is_read() -> None:
    async with serve(HttpLimits(max_body_bytes=1024)) as port, connect(port) as (reader, writer):
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n401\r\n" + b"x" * 1025 + b"\r\n")

        assert (await ended(reader)).startswith(b"HTTP/1.1 413")


async def test_one_connection_too_many_is_answered_503_and_the_others_go_on() -> None:
    async with (
        serve(HttpLimits(max_connections=2)) as port,
        connect(port) as (first, writer),
        connect(port),
        connect(port) as (third, _),
    ):
        assert (await ended(third)).startswith(b"HTTP/1.1 503")
        writer.write(whole(PING))
        assert (await first.readuntil(b"}")).startswith(b"HTTP/1.1 200")


async def test_a_client_that_reads_nothing_is_cut_off() -> None:
    async with serve(HttpLimits(write_timeout_s=0.05)) as port, connect(port) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]

        async def ask_for_ever() -> None:
            while True:
                writer.write(whole(LIST))
                await writer.drain()

        with pytest.raises(ConnectionError):
            await ask_for_ever()


async def test_a_request_that_follows_its_connection_after_the_stop_is_answered() -> None:
    loop = asyncio.get_running_loop()
    surface_settings: asyncio.Future[SurfaceSettings] = loop.create_future()
    surface_settings.set_result(SurfaceSettings())
    backend: asyncio.Future[Backend] = loop.create_future()

    async def check() -> Mapping[str, DatabaseState]:
        return {}

    sockets = open_sockets(ListenAddress("127.0.0.1", 0))
    port = sockets[0].getsockname()[1]
    server = HttpServer(
        Surface(surface_settings, backend), HostCheck(LOOPBACK_NAMES, ()), check, HttpLimits()
    )
    serving = loop.create_task(server.serve(sockets))
    async with connect(port) as (first_reader, first_writer), connect(port) as (reader, writer):
        first_writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        with anyio.fail_after(20):
            await first_reader.readuntil(b"ok\n")
            server.stop()
            while sockets[0].fileno() != -1:
                await asyncio.sleep(0)

            writer.write(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")

            assert (await reader.read()).startswith(b"HTTP/1.1 200")
            assert await first_reader.read() == b""
            await serving
