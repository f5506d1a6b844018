"""Limits of slow, silent and greedy clients, with timeouts short enough for a test."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import anyio
import httpx2
import pytest
import trustme

from pgmcp.identity import Principal
from pgmcp.surface import Backend, Surface, SurfaceSettings
from pgmcp.transport.http.address import ListenAddress, open_sockets
from pgmcp.transport.http.authentication.gate import Gate, ProtectedResource
from pgmcp.transport.http.authentication.static_tokens import StaticTokens, digest_of
from pgmcp.transport.http.health import DatabaseState
from pgmcp.transport.http.limits import HttpLimits, Shares
from pgmcp.transport.http.request_checks import LOOPBACK_NAMES, HostCheck
from pgmcp.transport.http.server import HttpServer, TlsFiles
from testing.http_server import request

pytestmark = pytest.mark.anyio

HEAD = b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
LIST = b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}'


@asynccontextmanager
async def serve(
    limits: HttpLimits, *, gate: Gate | None = None, tls: TlsFiles | None = None
) -> AsyncIterator[int]:
    """Serve a surface without databases on a free port, and yield the port."""
    loop = asyncio.get_running_loop()
    surface_settings: asyncio.Future[SurfaceSettings] = loop.create_future()
    surface_settings.set_result(SurfaceSettings())
    backend: asyncio.Future[Backend] = loop.create_future()

    async def check() -> Mapping[str, DatabaseState]:
        return {}

    sockets = open_sockets(ListenAddress("127.0.0.1", 0))
    # With a small buffer, the server's writes block soon if a client does not read.
    sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    surface = Surface(surface_settings, backend)
    server = HttpServer(surface, HostCheck(LOOPBACK_NAMES, ()), check, limits, gate=gate, tls=tls)
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
async def connect(
    port: int, trust: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    connection = socket.socket()  # the writer closes it
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, ("127.0.0.1", port))
    name = "localhost" if trust else None
    reader, writer = await asyncio.open_connection(sock=connection, ssl=trust, server_hostname=name)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


def whole(body: bytes, header: bytes = b"") -> bytes:
    """Return a complete request of an honest client."""
    rest = f"Accept: application/json\r\nMCP-Protocol-Version: 2025-11-25\r\nContent-Length: {len(body)}"
    return HEAD + header + rest.encode() + b"\r\n\r\n" + body


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Read until the server closes the connection, and return the bytes."""
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


async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, token: str = "") -> bytes:
    """Send a request, and return the status line of its answer."""
    writer.write(whole(PING, f"Authorization: Bearer {token}\r\n".encode() if token else b""))
    head_of_answer = await reader.readuntil(b"\r\n\r\n")
    length = int(head_of_answer.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
    await reader.readexactly(length)
    return head_of_answer.partition(b"\r")[0]


async def begun(
    port: int, clients: AsyncExitStack, header: bytes = b""
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Return a connection with a request whose headers the server has read, and whose body is missing."""
    reader, writer = await clients.enter_async_context(connect(port))
    writer.write(whole(PING, header + b"Expect: 100-continue\r\n").removesuffix(PING))
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 100")
    return reader, writer


OK = b"HTTP/1.1 200 OK"


async def test_a_request_above_the_limit_is_answered_503_and_the_others_continue() -> None:
    async with serve(HttpLimits(max_connections=2)) as port, AsyncExitStack() as clients:
        first, writer = await begun(port, clients)
        await begun(port, clients)
        third, _ = await clients.enter_async_context(connect(port))

        assert (await ended(third)).startswith(b"HTTP/1.1 503")
        writer.write(PING)
        assert (await first.readuntil(b"}")).startswith(OK)


async def test_unused_connections_are_closed_for_new_ones_first_those_without_a_request() -> None:
    async with serve(HttpLimits(max_connections=3)) as port, AsyncExitStack() as clients:
        idle, idle_writer = await clients.enter_async_context(connect(port))
        assert await answered(idle, idle_writer) == OK
        silent = [(await clients.enter_async_context(connect(port)))[0] for _ in range(2)]
        for _ in range(20):
            silent.append((await clients.enter_async_context(connect(port)))[0])
            assert await ended(silent.pop(0)) == b""
        assert await answered(idle, idle_writer) == OK
        for _ in range(3):
            await begun(port, clients)

        for each in (*silent, idle):
            assert await ended(each) == b""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def tls(authority: trustme.CA, tmp_path: Path) -> TlsFiles:
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "chain.pem")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    return TlsFiles(tmp_path / "chain.pem", tmp_path / "key.pem")


@pytest.fixture
def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def test_connections_without_a_finished_handshake_are_counted_and_closed_for_new_ones(
    tls: TlsFiles, trust: ssl.SSLContext
) -> None:
    async with serve(HttpLimits(max_connections=2), tls=tls) as port, AsyncExitStack() as clients:
        silent = [(await clients.enter_async_context(connect(port)))[0] for _ in range(2)]
        for _ in range(5):
            silent.append((await clients.enter_async_context(connect(port)))[0])
            assert await ended(silent.pop(0)) == b""
        honest = await clients.enter_async_context(connect(port, trust))

        assert await ended(silent[0]) == b""
        assert await answered(*honest) == OK
        assert await answered(*honest) == OK


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\x00\x01", b"GET / HTTP/1.1\r\n\r\n"])
async def test_a_connection_whose_handshake_does_not_end_is_closed(tls: TlsFiles, sent: bytes) -> None:
    async with serve(HttpLimits(header_timeout_s=0.05), tls=tls) as port, connect(port) as (slow, writer):
        writer.write(sent)

        assert not (await ended(slow)).startswith(b"HTTP")


async def test_a_request_that_comes_with_the_end_of_the_handshake_is_answered(
    tls: TlsFiles, trust: ssl.SSLContext
) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trust.wrap_bio(incoming, outgoing, server_hostname="localhost")
    async with serve(HttpLimits(), tls=tls) as port, connect(port) as (reader, writer):

        async def read_more() -> None:
            with anyio.fail_after(20):
                chunk = await reader.read(65536)
            assert chunk, "the server closed the connection"
            incoming.write(chunk)

        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                writer.write(outgoing.read())
                await read_more()
        client.write(whole(PING))
        writer.write(outgoing.read())  # sends the handshake's last message and the request together
        answer = b""
        while not answer.endswith(b"}"):
            await read_more()
            with suppress(ssl.SSLWantReadError):
                answer += client.read(65536)

    assert answer.startswith(OK)


def gate_of(*names: str) -> Gate:
    return Gate(ProtectedResource(), StaticTokens({name: digest_of(name) for name in names}))


async def test_one_principal_takes_no_more_than_its_share_of_requests() -> None:
    limits = HttpLimits(max_connections=8)  # allows two per principal
    async with serve(limits, gate=gate_of("alice", "bob")) as port, AsyncExitStack() as clients:
        of_alice = b"Authorization: Bearer alice\r\n"
        running = [await begun(port, clients, of_alice) for _ in range(2)]
        statuses = {
            name: await answered(*await clients.enter_async_context(connect(port)), token=name)
            for name in ("alice", "bob")
        }
        for _, writer in running:
            writer.write(PING)
        assert [(await reader.readuntil(b"}")).partition(b"\r")[0] for reader, _ in running] == [OK] * 2

    assert statuses == {"alice": b"HTTP/1.1 429 Too Many Requests", "bob": OK}


async def test_one_principal_cannot_have_all_streams() -> None:
    headers, body = request("subscriptions/listen", notifications={"resourcesListChanged": True})
    limits = HttpLimits(max_connections=8)  # allows four streams, one per principal

    def listen(client: httpx2.AsyncClient, name: str) -> AbstractAsyncContextManager[httpx2.Response]:
        authorized = {**headers, "Authorization": f"Bearer {name}"}
        return client.stream("POST", "/mcp", headers=authorized, json=body)

    async with (
        serve(limits, gate=gate_of("alice", "bob")) as port,
        httpx2.AsyncClient(base_url=f"http://localhost:{port}", trust_env=False) as client,
        listen(client, "alice") as first,
    ):
        lines = first.aiter_lines()  # without a reference, the stream would be closed
        await anext(lines)
        async with listen(client, "alice") as second:
            refused = [line async for line in until_data(second)]
        async with listen(client, "bob") as other:
            opened = [line async for line in until_data(other)]

    assert "too many streams are open" in refused[-1]
    assert "notifications/subscriptions/acknowledged" in opened[-1]


async def until_data(response: httpx2.Response) -> AsyncIterator[str]:
    """Yield the lines of a stream up to its first message."""
    async for line in response.aiter_lines():
        yield line
        if line.startswith("data: "):
            return


def test_a_principals_share_is_released_and_its_entry_removed() -> None:
    shares, alice = Shares(1), Principal("alice")
    with shares.use(alice) as first, shares.use(alice) as second, shares.use(Principal("bob")) as other:
        assert (first, second, other) == (True, False, True)

    with shares.use(alice) as again, shares.use(None) as anonymous:
        assert (again, anonymous) == (True, True)
    assert not shares._used


async def test_a_connection_whose_client_reads_nothing_is_closed() -> None:
    async with serve(HttpLimits(write_timeout_s=0.05)) as port, connect(port) as (_, writer):
        writer.transport.pause_reading()  # type: ignore[attr-defined]

        async def ask_for_ever() -> None:
            while True:
                writer.write(whole(LIST))
                await writer.drain()

        with anyio.fail_after(20), pytest.raises(ConnectionError):
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
