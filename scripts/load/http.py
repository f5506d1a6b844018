"""Throughput over HTTP: the SDK's echo app, one server, several servers, and stdio, in turns within one run.

One process is the client of all servers. With few processors, the client takes a large part of the processor
time. Several servers can then answer more calls than the figures show.
"""

import asyncio
import itertools
import json
import re
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from scripts.load.bench import ECHO, Bench
from scripts.load.client import LoadTestError
from scripts.load.gates import RATIO, Gate, Measured, Missing
from scripts.load.measure import Series
from testing.machine import free_port

GATES: Final = (
    Gate("time per call over HTTP, 32 in flight, to the SDK's echo app", 1.0, RATIO),
    Gate("the same with 2 servers, to 1 server", None, RATIO),
    Gate("the same with 4 servers, to 1 server", None, RATIO),
    Gate("the same with 1 server, to stdio", None, RATIO),
)

_VERSION: Final = "2026-07-28"
_LEGACY_VERSION: Final = "2025-11-25"
_STATEMENT: Final = "select typname, typlen, {number} as n from pg_catalog.pg_type where oid = 25"
_IN_FLIGHT: Final = 32
_TURNS: Final = 5
_START_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 20.0
_CALL_TIMEOUT_S: Final = 60.0
_META: Final = {
    "io.modelcontextprotocol/protocolVersion": _VERSION,
    "io.modelcontextprotocol/clientInfo": {"name": "loadtest", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}
_LENGTH: Final = re.compile(rb"content-length: (\d+)", re.IGNORECASE)


class _Answer(msgspec.Struct):
    id: int
    result: msgspec.Raw = msgspec.Raw()


@dataclass(frozen=True, slots=True)
class HttpServer:
    """A started server and its port."""

    port: int
    process: asyncio.subprocess.Process


class Connection:
    """A connection that stays open, for one call at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: str) -> None:
        self._reader = reader
        self._writer = writer
        self._head = head
        self._meta = _META if _VERSION in head else {}

    @classmethod
    async def open(cls, port: int, *, token: str = "", is_legacy: bool = False) -> "Connection":
        """Connect.

        Args:
            is_legacy: use the protocol version 2025-11-25, whose requests do not name the client.
        """
        version = _LEGACY_VERSION if is_legacy else _VERSION
        authorization = f"Authorization: Bearer {token}\r\n" if token else ""
        head = (
            f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
            "Accept: application/json, text/event-stream\r\n"
            f"MCP-Protocol-Version: {version}\r\n{authorization}"
        )
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 20), head)

    async def call(self, number: int, tool: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Call a tool; check that the answer is to this call, and return its result."""
        raw = await self._call(number, tool, arguments)
        result: dict[str, Any] = json.loads(raw)
        return result

    async def call_unread(self, number: int, tool: str, arguments: dict[str, Any]) -> None:
        """Call a tool, and check only that the answer is to this call and is not an error."""
        if b'"isError":true' in await self._call(number, tool, arguments):
            raise LoadTestError("a tool answered with an error")

    async def request(self, number: int, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Send a request, check that the answer has its id, and return the answer, which may be an error."""
        _, body = await self._exchange(number, method, params)
        message: dict[str, Any] = json.loads(body)
        if message.get("id") != number:
            raise LoadTestError(f"an answer to another request: {body[:200]!r}")
        return message

    async def _call(self, number: int, tool: str, arguments: dict[str, Any]) -> bytes:
        params = {"name": tool, "arguments": arguments}
        headers, body = await self._exchange(number, "tools/call", params)
        if not headers.startswith(b"HTTP/1.1 200"):
            raise LoadTestError(f"not an answer: {headers[:200]!r}")
        answer = msgspec.json.decode(body, type=_Answer)
        if answer.id != number or not answer.result:
            raise LoadTestError("an answer is an error, or to another call")
        return bytes(answer.result)

    async def _exchange(self, number: int, method: str, params: dict[str, Any]) -> tuple[bytes, bytes]:
        """Return the headers and the JSON of the answer."""
        given = {**params, "_meta": self._meta}
        body = msgspec.json.encode({"jsonrpc": "2.0", "id": number, "method": method, "params": given})
        name = params.get("name") or params.get("uri")
        head = f"{self._head}Mcp-Method: {method}\r\nMcp-Name: {name}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        headers = await self._reader.readuntil(b"\r\n\r\n")
        return headers, await self._read_body(headers)

    async def _read_body(self, headers: bytes) -> bytes:
        """Return the JSON of an answer; if the answer is a stream, the JSON is its last event."""
        length = _LENGTH.search(headers)
        if length is not None:
            return await self._reader.readexactly(int(length[1]))
        chunks = []
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            chunks.append(await self._reader.readexactly(size))
            await self._reader.readuntil(b"\r\n")
        await self._reader.readuntil(b"\r\n")
        _, _, data = b"".join(chunks).rpartition(b"\ndata: ")
        return data

    def close(self) -> None:
        """Close the connection; this cancels a call that is running."""
        self._writer.close()


async def measure_http(bench: Bench) -> Sequence[Measured | Missing]:
    """Compare the time per call with 32 calls in flight."""
    calls = bench.effort.times(600)
    numbers = itertools.count(1)
    series: dict[str, Series] = {}
    async with AsyncExitStack() as stack:
        servers = [
            await stack.enter_async_context(pgmcp_over_http(bench)) for _ in range(max(bench.effort.servers))
        ]
        echo = await stack.enter_async_context(_echo(bench))
        stdio = await stack.enter_async_context(bench.pgmcp())
        await _give_reply_to_echo(echo, servers[0], numbers)
        crowds = {f"{count} servers": servers[:count] for count in bench.effort.servers if count > 1}
        targets = {"pgmcp": servers[:1], "echo": [echo], **crowds}
        for turn in range(_TURNS):
            for name, target in targets.items():
                whole_ms = await flood(target, _statements(numbers, calls), numbers)
                _note(bench, series, name, whole_ms / calls, turn)
            texts = ({"sql": sql} for sql in _statements(numbers, calls))
            _, whole_ms = await stdio.flood("execute_sql", texts, in_flight=_IN_FLIGHT)
            _note(bench, series, "stdio", whole_ms / calls, turn)
    rates = ", ".join(f"{name} {1000 / each.p50_ms:,.0f}" for name, each in series.items())
    one = series["pgmcp"].p50_ms
    return [
        Measured(one, series["echo"].p50_ms, f"calls/s: {rates}"),
        *(
            Measured(series[name].p50_ms, one) if (name := f"{count} servers") in series else Missing(name)
            for count in (2, 4)
        ),
        Measured(one, series["stdio"].p50_ms),
    ]


def _note(bench: Bench, series: dict[str, Series], name: str, per_call_ms: float, turn: int) -> None:
    if turn > 0 or bench.effort.is_quick:
        series.setdefault(name, Series()).latencies_ms.append(per_call_ms)
        bench.timeline.add(name, per_call_ms)


def _statements(numbers: Iterator[int], count: int) -> list[str]:
    return [_STATEMENT.format(number=next(numbers)) for _ in range(count)]


async def flood(servers: Sequence[HttpServer], statements: Sequence[str], numbers: Iterator[int]) -> float:
    """Run the statements on all servers, several at a time; return the duration in ms."""
    left = iter(statements)
    connections = [await Connection.open(servers[place % len(servers)].port) for place in range(_IN_FLIGHT)]

    async def use(connection: Connection) -> None:
        for sql in left:
            await connection.call_unread(next(numbers), "execute_sql", {"sql": sql})

    try:
        started_s = time.perf_counter()
        async with asyncio.timeout(_CALL_TIMEOUT_S), asyncio.TaskGroup() as group:
            for connection in connections:
                group.create_task(use(connection))
        return (time.perf_counter() - started_s) * 1000
    finally:
        for connection in connections:
            connection.close()


async def _give_reply_to_echo(echo: HttpServer, pgmcp: HttpServer, numbers: Iterator[int]) -> None:
    source, target = await Connection.open(pgmcp.port), await Connection.open(echo.port)
    try:
        reply = await source.call(next(numbers), "execute_sql", {"sql": _STATEMENT.format(number=1)})
        given = {"text": reply["content"][0]["text"], "structured": reply["structuredContent"]}
        await target.call(next(numbers), "remember", given)
    finally:
        source.close()
        target.close()


@asynccontextmanager
async def pgmcp_over_http(bench: Bench) -> AsyncIterator[HttpServer]:
    """Start pgmcp over HTTP on a free port, and stop it at the end."""
    port = free_port()
    async with _running(await start_pgmcp(bench, port, {}), port) as server:
        yield server


async def start_pgmcp(bench: Bench, port: int, settings: dict[str, object]) -> asyncio.subprocess.Process:
    """Start pgmcp over HTTP, and wait until it listens."""
    command = (sys.executable, "-P", "-m", "pgmcp", "serve", "--http", f"127.0.0.1:{port}")
    return await _start(bench, command, port, settings)


async def stop_process(process: asyncio.subprocess.Process) -> None:
    """Wait for the end of a process that got a signal; kill the process if it does not end."""
    try:
        await asyncio.wait_for(process.wait(), _STOP_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()


@asynccontextmanager
async def _echo(bench: Bench) -> AsyncIterator[HttpServer]:
    port = free_port()
    async with _running(await _start(bench, (*ECHO, str(port)), port, {}), port) as server:
        yield server


@asynccontextmanager
async def _running(process: asyncio.subprocess.Process, port: int) -> AsyncIterator[HttpServer]:
    try:
        yield HttpServer(port, process)
    finally:
        if process.returncode is None:
            process.terminate()
        await stop_process(process)


async def _start(
    bench: Bench, command: tuple[str, ...], port: int, settings: dict[str, object]
) -> asyncio.subprocess.Process:
    folder = Path(tempfile.mkdtemp(dir=bench.folder))
    with (folder / "stderr.txt").open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            env=bench.environment(None, settings),
            cwd=folder,
        )
    try:
        await _until_listening(process, port)
    except BaseException:
        if process.returncode is None:
            process.kill()
        await process.wait()
        raise
    return process


async def _until_listening(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(_START_TIMEOUT_S):
        while process.returncode is None:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return
    raise LoadTestError("a server ended before it listened")
