"""Starts the real server and talks to it in plain JSON-RPC, without an SDK; every wait has a limit.

    with RawServer(environment, folder) as server:
        server.initialize()
        answer = server.call("execute_sql", sql="select 1")

A thread reads all of standard output. A line that is not a JSON-RPC message is listed in `stray_lines`. Every
wait for a message fails after such a line, and after the end of the server.
"""

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from testing.prestarted import Files, Process, start

REPLY_TIMEOUT_S = 60.0
EXIT_TIMEOUT_S = 30.0
SESSION_VERSION = "2025-11-25"
STATELESS_VERSION = "2026-07-28"

_CLIENT_INFO = {"name": "raw", "version": "1"}
STATELESS_META = {
    "io.modelcontextprotocol/protocolVersion": STATELESS_VERSION,
    "io.modelcontextprotocol/clientInfo": _CLIENT_INFO,
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass(frozen=True)
class ToolResult:
    """The result of a tool call.

    Attributes:
        structured: {} if there is none, as for every error.
    """

    text: str
    structured: dict[str, Any]
    is_error: bool

    @property
    def code(self) -> str:
        """The error's stable code; "" without an error."""
        return self.text.partition(":")[0] if self.is_error else ""

    @property
    def rows(self) -> list[list[Any]]:
        """The rows of an answer."""
        assert not self.is_error, self.text
        rows: list[list[Any]] = self.structured["rows"]
        return rows


class RawServer:
    """A server process and its output.

    Attributes:
        stdout: standard output so far.
        stray_lines: the lines of standard output that are not JSON-RPC messages.
        method_by_id: the method of each request that was sent.
    """

    def __init__(
        self, environment: Mapping[str, str], folder: Path, command: Sequence[str] | None = None
    ) -> None:
        """Start the server in `folder`, where its standard error goes to a file.

        Args:
            command: the command to run instead of a forked pgmcp: another program, or pgmcp in a new process.
        """
        self.stdout = b""
        self.stray_lines: list[bytes] = []
        self.method_by_id: dict[Any, str] = {}
        self._stderr_file = folder / "stderr.txt"
        stdin, stdout = os.pipe(), os.pipe()
        with self._stderr_file.open("ab") as stderr:
            files = Files(stdin[0], stdout[1], stderr.fileno())
            self._process: Process = (
                start((), environment, folder, files)
                if command is None
                else subprocess.Popen(command, env=dict(environment), cwd=folder, **files._asdict())
            )
        os.close(stdin[0])
        os.close(stdout[1])
        self._stdin = os.fdopen(stdin[1], "wb")
        self._stdout = os.fdopen(stdout[0], "rb")
        self._ids = count(1)
        self._replies: dict[int | None, dict[str, Any]] = {}
        self._notifications: list[dict[str, Any]] = []
        self._questions: list[dict[str, Any]] = []
        self._is_at_end = False
        self._changed = threading.Condition()
        self._meta: dict[str, Any] | None = None
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def stderr(self) -> str:
        """The server's log until now."""
        return self._stderr_file.read_text("utf-8", errors="replace")

    def initialize(self, capabilities: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Open a session as hosts do before protocol version 2026-07-28."""
        reply = self.request(
            "initialize",
            protocolVersion=SESSION_VERSION,
            capabilities=capabilities or {},
            clientInfo=_CLIENT_INFO,
        )
        self.notify("notifications/initialized")
        return reply

    def discover(self) -> dict[str, Any]:
        """Send server/discover, as hosts do from protocol version 2026-07-28 on.

        This and later requests name the client.
        """
        self._meta = STATELESS_META
        return self.request("server/discover")

    def call(self, tool: str, **arguments: Any) -> ToolResult:
        """Call a tool that exists."""
        return self.result_of(self.start_call(tool, **arguments))

    def start_call(self, tool: str, **arguments: Any) -> int:
        """Call a tool and return the request's id at once."""
        return self.send("tools/call", name=tool, arguments=arguments)

    def result_of(self, request_id: int) -> ToolResult:
        """Wait for the result of a started call."""
        reply = self.receive(request_id)
        assert "result" in reply, reply
        result = reply["result"]
        text = "\n".join(block["text"] for block in result["content"])
        return ToolResult(text, result.get("structuredContent") or {}, result["isError"])

    def request(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a request and return the whole reply, a result or an error."""
        return self.receive(self.send(method, **params))

    def send(self, method: str, **params: Any) -> int:
        request_id = next(self._ids)
        self.method_by_id[request_id] = method
        if self._meta is not None:
            params["_meta"] = {**self._meta, **params.get("_meta", {})}
        self._write({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params})
        return request_id

    def notify(self, method: str, **params: Any) -> None:
        self._write({"jsonrpc": "2.0", "method": method, "params": params})

    def write_line(self, line: bytes) -> None:
        """Send arbitrary bytes."""
        self._stdin.write(line + b"\n")
        self._stdin.flush()

    def receive(self, request_id: int | None) -> dict[str, Any]:
        """Wait for the reply to a request; None means the error about a line whose id cannot be read."""
        with self._changed:
            self._wait_until(lambda: request_id in self._replies, f"reply to {request_id}")
            return self._replies.pop(request_id)

    def notifications(self, method: str) -> list[dict[str, Any]]:
        """Return the parameters of the notifications of this kind so far."""
        with self._changed:
            return [each.get("params", {}) for each in self._notifications if each["method"] == method]

    def wait_for_notifications(self, method: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait for `count` notifications of a method; return the parameters of all so far."""
        with self._changed:
            self._wait_until(lambda: len(self.notifications(method)) >= count, f"{count} {method}")
            return self.notifications(method)

    def next_question(self) -> dict[str, Any]:
        """Wait for the server's next request, and return it; each call returns another request."""
        with self._changed:
            self._wait_until(lambda: len(self._questions) > 0, "request of the server")
            return self._questions.pop(0)

    def respond(self, question: Mapping[str, Any], **response: Any) -> None:
        """Answer a request of the server with a result or an error."""
        self._write({"jsonrpc": "2.0", "id": question["id"], **response})

    def has_reply(self, request_id: int) -> bool:
        with self._changed:
            return request_id in self._replies

    def close_stdin(self) -> None:
        """Close the server's input, as a host does."""
        self._stdin.close()

    def send_signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def wait(self) -> int:
        """Wait for the process to end and for the last of its output; return its exit code."""
        exit_code = self._process.wait(EXIT_TIMEOUT_S)
        self._reader.join(EXIT_TIMEOUT_S)
        return exit_code

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.close_stdin()
            self.wait()
        except (BrokenPipeError, subprocess.TimeoutExpired):
            self._process.kill()
            self.wait()
        finally:
            self._stdout.close()

    def _wait_until(self, has_come: Callable[[], bool], what: str) -> None:
        """Wait for messages; fail at a line that is not JSON-RPC, the server's end or the time limit."""
        self._changed.wait_for(lambda: self.stray_lines or has_come() or self._is_at_end, REPLY_TIMEOUT_S)
        assert not self.stray_lines, f"lines that are not JSON-RPC: {self.stray_lines}"
        end = " before the server ended" if self._is_at_end else ""
        assert has_come(), f"no {what}{end}; the server's log ends:\n{self.stderr[-2000:]}"

    def _write(self, message: dict[str, Any]) -> None:
        self.write_line(json.dumps(message).encode())

    def _read(self) -> None:
        for line in self._stdout:
            self._take(line)
        with self._changed:
            self._is_at_end = True
            self._changed.notify_all()

    def _take(self, line: bytes) -> None:
        with self._changed:
            self.stdout += line
            message = _parse(line)
            if message is None:
                self.stray_lines.append(line)
            elif "method" not in message:
                self._replies[message.get("id")] = message
            elif "id" in message:
                self._questions.append(message)
            else:
                self._notifications.append(message)
            self._changed.notify_all()


def _parse(line: bytes) -> dict[str, Any] | None:
    try:
        message = json.loads(line)
    except ValueError:
        return None
    is_message = isinstance(message, dict) and message.get("jsonrpc") == "2.0"
    return message if is_message else None
