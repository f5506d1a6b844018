"""A host in plain JSON-RPC: the SDK's client would cost more than what is measured."""

import asyncio
import itertools
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Self

REPLY_TIMEOUT_S: Final = 60.0
"""A reply that takes longer is lost: no deadline here is as long."""

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


class StdioServer:
    """A started MCP server and its session."""

    def __init__(self, process: asyncio.subprocess.Process, stderr_file: Path) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process needs pipes")
        self._process = process
        self._stderr_file = stderr_file
        self._requests = process.stdin
        self._ids = itertools.count(1)
        self._reply_by_id: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read(process.stdout))

    @classmethod
    async def start(cls, argv: tuple[str, ...], environment: Mapping[str, str], folder: Path) -> Self:
        """Spawn the server in `folder`, where its standard error goes to a file, and shake hands with it."""
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
            await server._shake_hands()
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
        """What the server has logged so far."""
        return self._stderr_file.read_text("utf-8", errors="replace")

    async def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """Call a tool and return its result; being cancelled meanwhile tells the server.

        Raises:
            CallFailedError: the tool answered with an error.
            LostReplyError: it did not answer.
        """
        result = await self.request("tools/call", {"name": tool, "arguments": arguments})
        if result.get("isError"):
            raise CallFailedError(result["content"][0]["text"])
        return result

    async def execute(self, sql: str) -> dict[str, Any]:
        """Run a statement and return the structured answer."""
        structured: dict[str, Any] = (await self.call("execute_sql", sql=sql))["structuredContent"]
        return structured

    async def request(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        """Send one request and return its result."""
        if self._reading.done():
            raise LostReplyError("the server has left")
        request_id = next(self._ids)
        reply = self._reply_by_id[request_id] = asyncio.get_running_loop().create_future()
        self._write({"jsonrpc": "2.0", "id": request_id, "method": method, "params": parameters})
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
            self._reply_by_id.pop(request_id, None)
        if "error" in message:
            raise CallFailedError(f"protocol error: {message['error']['message']}")
        result: dict[str, Any] = message["result"]
        return result

    async def stop(self) -> None:
        """Close the server's input, as a host does; kill it if it does not leave."""
        self._requests.close()
        try:
            await asyncio.wait_for(self._process.wait(), _STOP_TIMEOUT_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await self._reading

    async def kill(self) -> None:
        """End the server as the kernel does when memory runs out."""
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    async def _shake_hands(self) -> None:
        client = {"name": "loadtest", "version": "1"}
        parameters = {"protocolVersion": _PROTOCOL_VERSION, "capabilities": {}, "clientInfo": client}
        await self.request("initialize", parameters)
        self._write({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def _write(self, message: dict[str, Any]) -> None:
        self._requests.write(json.dumps(message).encode() + b"\n")

    async def _read(self, replies: asyncio.StreamReader) -> None:
        async for line in replies:
            message = json.loads(line)
            waiting = self._reply_by_id.get(message.get("id"))
            if waiting and not waiting.done():
                waiting.set_result(message)
        log_tail = self.stderr[-_LOG_TAIL_CHARACTERS:]
        for waiting in self._reply_by_id.values():
            if not waiting.done():
                waiting.set_exception(LostReplyError(f"the server left; its log ends: {log_tail}"))
