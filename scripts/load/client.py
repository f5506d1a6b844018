"""A host in plain JSON-RPC, because the SDK's client would take more time than the measured calls."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

import msgspec

REPLY_TIMEOUT_S: Final = 60.0
"""A reply that takes longer counts as lost; all deadlines of the load test are shorter."""

_LOG_TAIL_CHARACTERS: Final = 500
_STOP_TIMEOUT_S: Final = 10.0
_MAX_REPLY_BYTES: Final = 64 << 20
_PROTOCOL_VERSION: Final = "2025-11-25"


class LoadTestError(Exception):
    """A measurement cannot go on; the message says why."""


class LostReplyError(LoadTestError):
    """A request was not answered."""


class CallFailedError(LoadTestError):
    """A tool answered with an error.

    Attributes:
        code: the stable name of the failure.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.code = text.partition(":")[0]


class _Message(msgspec.Struct):
    """A line from a server; its result is decoded only when it is needed."""

    id: int | str | None = None
    result: msgspec.Raw = msgspec.Raw()
    error: dict[str, Any] | None = None


class _ToolResult(msgspec.Struct):
    content: msgspec.Raw
    is_error: bool = msgspec.field(default=False, name="isError")


_decode_message = msgspec.json.Decoder(_Message).decode
_decode_tool_result = msgspec.json.Decoder(_ToolResult).decode


class StdioServer:
    """A started MCP server and its session."""

    def __init__(self, process: asyncio.subprocess.Process, stderr_file: Path) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process needs pipes")
        self._process = process
        self._stderr_file = stderr_file
        self._requests = process.stdin
        self._ids = itertools.count(1)
        self._take_by_id: dict[int, Callable[[_Message | LostReplyError], None]] = {}
        self._reading = asyncio.create_task(self._read(process.stdout))

    @classmethod
    async def start(cls, argv: tuple[str, ...], environment: Mapping[str, str], folder: Path) -> Self:
        """Spawn the server in `folder`, with standard error in a file there, and open the session."""
        stderr_file = folder / "stderr.txt"
        with stderr_file.open("wb") as stderr:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=stderr,
                env=dict(environment),
                cwd=folder,
                limit=_MAX_REPLY_BYTES,
            )
        server = cls(process, stderr_file)
        try:
            await server._initialize()
        except BaseException:
            await server.stop()
            raise
        return server

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def stderr(self) -> str:
        """The server's log until now."""
        return self._stderr_file.read_text("utf-8", errors="replace")

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its result. If this coroutine is cancelled, cancel the call at the server.

        Raises:
            CallFailedError: the tool answered with an error.
            LostReplyError: the server did not answer.
        """
        result = await self.request("tools/call", {"name": tool, "arguments": arguments})
        if result.get("isError"):
            raise CallFailedError(result["content"][0]["text"])
        return result

    async def execute(self, sql: str) -> dict[str, Any]:
        """Run a statement and return the structured answer."""
        structured: dict[str, Any] = (await self.call("execute_sql", sql=sql))["structuredContent"]
        return structured

    async def call_unread(self, tool: str, arguments: Mapping[str, Any]) -> None:
        """Call a tool and check only that its result is not an error, so that the client does little work."""
        _check(await self._exchange("tools/call", {"name": tool, "arguments": arguments}))

    async def flood(
        self, tool: str, arguments: Iterable[Mapping[str, Any]], *, in_flight: int
    ) -> tuple[list[float], float]:
        """Make calls, several at once; return the duration of each call and of all calls together, in ms."""
        latencies_ms: list[float] = []
        failures: list[Exception] = []
        left = iter(arguments)
        done = asyncio.get_running_loop().create_future()
        open_calls = 0

        def send_next() -> None:
            nonlocal open_calls
            if (given := next(left, None)) is not None:
                open_calls += 1
                before_s = time.perf_counter()
                self._send("tools/call", {"name": tool, "arguments": given}, lambda m: take(m, before_s))
            elif open_calls == 0 and not done.done():
                done.set_result(None)

        def take(message: _Message | LostReplyError, before_s: float) -> None:
            nonlocal open_calls
            open_calls -= 1
            latencies_ms.append((time.perf_counter() - before_s) * 1000)
            try:
                _check(message)
            except LoadTestError as error:
                failures.append(error)
            send_next()

        started_s = time.perf_counter()
        for _ in range(in_flight):
            send_next()
        await asyncio.wait_for(done, REPLY_TIMEOUT_S)
        if failures:
            raise failures[0]
        return latencies_ms, (time.perf_counter() - started_s) * 1000

    async def request(self, method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Send one request and return its result."""
        message = await self._exchange(method, parameters)
        result: dict[str, Any] = msgspec.json.decode(message.result)
        return result

    async def _exchange(self, method: str, parameters: Mapping[str, Any]) -> _Message:
        reply: asyncio.Future[_Message] = asyncio.get_running_loop().create_future()

        def take(message: _Message | LostReplyError) -> None:
            if reply.done():
                return
            if isinstance(message, LostReplyError):
                reply.set_exception(message)
            else:
                reply.set_result(message)

        request_id = self._send(method, parameters, take)
        try:
            async with asyncio.timeout(REPLY_TIMEOUT_S):
                message = await reply
        except asyncio.CancelledError:
            self._write(
                {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": request_id}}
            )
            raise
        except TimeoutError:
            raise LostReplyError(f"no reply to {method} within {REPLY_TIMEOUT_S:g} s") from None
        finally:
            self._take_by_id.pop(request_id, None)
        _raise_protocol_error(message)
        return message

    def _send(
        self, method: str, parameters: Mapping[str, Any], take: Callable[[_Message | LostReplyError], None]
    ) -> int:
        if self._reading.done():
            raise LostReplyError("the server has exited")
        request_id = next(self._ids)
        self._take_by_id[request_id] = take
        self._write({"jsonrpc": "2.0", "id": request_id, "method": method, "params": parameters})
        return request_id

    async def stop(self) -> None:
        """Close the server's input, as a host does; kill it if it does not exit."""
        self._requests.close()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_TIMEOUT_S)
        except TimeoutError:
            await self.kill()
        await self._reading

    async def kill(self) -> None:
        """End the server with SIGKILL, as the kernel does when memory runs out."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _initialize(self) -> None:
        client = {"name": "loadtest", "version": "1"}
        parameters = {"protocolVersion": _PROTOCOL_VERSION, "capabilities": {}, "clientInfo": client}
        await self.request("initialize", parameters)
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _write(self, message: dict[str, Any]) -> None:
        self._requests.write(msgspec.json.encode(message) + b"\n")

    async def _read(self, replies: asyncio.StreamReader) -> None:
        async for line in replies:
            message = _decode_message(line)
            if isinstance(message.id, int) and (take := self._take_by_id.pop(message.id, None)):
                take(message)
        log_tail = self.stderr[-_LOG_TAIL_CHARACTERS:]
        while self._take_by_id:
            _, take = self._take_by_id.popitem()
            take(LostReplyError(f"the server exited; its log ends: {log_tail}"))


def _raise_protocol_error(message: _Message) -> None:
    if message.error is not None:
        raise CallFailedError(f"protocol error: {message.error['message']}")


def _check(message: _Message | LostReplyError) -> None:
    """Raise if a tool was not answered or answered with an error."""
    if isinstance(message, LostReplyError):
        raise message
    _raise_protocol_error(message)
    result = _decode_tool_result(message.result)
    if result.is_error:
        raise CallFailedError(msgspec.json.decode(result.content)[0]["text"])
