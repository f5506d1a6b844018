"""The real server over HTTP, on a free port of loopback, and functions that send it any bytes."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx2

from testing.prestarted import Files, start
from testing.raw_jsonrpc import SESSION_VERSION, STATELESS_META, STATELESS_VERSION

START_TIMEOUT_S = 60.0
EXIT_TIMEOUT_S = 30.0
BOTH = "application/json, text/event-stream"

_ADDRESS = re.compile(r"over HTTP on https?://[0-9.]+:(\d+)/mcp")


class HttpServerProcess:
    """`pgmcp serve --http` and its log.

    Attributes:
        log: standard error so far.
        port: the port it listens on.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        folder: Path,
        address: str = "127.0.0.1:0",
        options: Sequence[str] = (),
    ) -> None:
        """Start the server in `folder`, and wait until its log names the port.

        Args:
            options: further options of `pgmcp serve`.
        """
        self.log = ""
        ours, theirs = os.pipe()
        with Path(os.devnull).open("r+b") as nothing:
            arguments = ["serve", "--http", address, *options]
            files = Files(nothing.fileno(), nothing.fileno(), theirs)
            self._process = start(arguments, environment, folder, files)
        os.close(theirs)
        self._stderr = os.fdopen(ours, encoding="utf-8")
        self._changed = threading.Condition()
        self._is_at_end = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.port = int(self.until_logged(_ADDRESS)[1])
        except BaseException:
            self._process.kill()
            self.__exit__(None, None, None)
            raise

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @property
    def pid(self) -> int:
        return self._process.pid

    def until_logged(self, pattern: re.Pattern[str]) -> re.Match[str]:
        """Wait for a line of the log, and return the match."""
        with self._changed:
            self._changed.wait_for(lambda: pattern.search(self.log) or self._is_at_end, START_TIMEOUT_S)
            found = pattern.search(self.log)
            assert found is not None, self.log
            return found

    def send_signal(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self) -> int:
        """Wait until the process has ended and its log is complete; return its exit code."""
        exit_code = self._process.wait(EXIT_TIMEOUT_S)
        self._reader.join(EXIT_TIMEOUT_S)
        self._stderr.close()
        return exit_code

    def _read(self) -> None:
        for line in self._stderr:
            with self._changed:
                self.log += line
                self._changed.notify_all()
        with self._changed:
            self._is_at_end = True
            self._changed.notify_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            self.send_signal(signal.SIGTERM)
            self.wait()
        except subprocess.TimeoutExpired:
            self._process.kill()
            self.wait()
        finally:
            self._stderr.close()


_ids = count(1)


def request(
    method: str, version: str = STATELESS_VERSION, **params: Any
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the headers and the body of a request, as a client with this protocol version sends it."""
    headers = {"Accept": BOTH, "MCP-Protocol-Version": version}
    if version == STATELESS_VERSION:
        headers["Mcp-Method"] = method
        if name := params.get("name") or params.get("uri"):
            headers["Mcp-Name"] = name
        params["_meta"] = {**STATELESS_META, **params.get("_meta", {})}
    return headers, {"jsonrpc": "2.0", "id": next(_ids), "method": method, "params": params}


def tool_call(
    tool: str, version: str = STATELESS_VERSION, **arguments: Any
) -> tuple[dict[str, str], dict[str, Any]]:
    """Return the headers and the body of a tool call."""
    return request("tools/call", version, name=tool, arguments=arguments)


def message_of(response: httpx2.Response) -> dict[str, Any]:
    """Return the JSON-RPC message of a response; of a stream, the last message."""
    text = response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        text = [line for line in text.splitlines() if line.startswith("data: ")][-1].removeprefix("data: ")
    message: dict[str, Any] = json.loads(text)
    return message


def rows_of(response: httpx2.Response) -> list[list[Any]]:
    """Return the rows in the answer to a tool call."""
    result = message_of(response)["result"]
    assert not result["isError"], result
    rows: list[list[Any]] = result["structuredContent"]["rows"]
    return rows


def send_request(port: int, headers: Mapping[str, str], body: dict[str, Any]) -> socket.socket:
    """Send a request and return its connection, so that the client can close it."""
    content = json.dumps(body).encode()
    lines = [
        "POST /mcp HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *(f"{name}: {text}" for name, text in headers.items()),
    ]
    connection = socket.create_connection(("127.0.0.1", port), timeout=START_TIMEOUT_S)
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + content)
    return connection


@contextmanager
def http_client(port: int, **options: Any) -> Iterator[httpx2.Client]:
    """Return a client for a server on this machine; it uses no proxy."""
    with httpx2.Client(
        base_url=f"http://127.0.0.1:{port}", timeout=30.0, trust_env=False, follow_redirects=False, **options
    ) as client:
        yield client


VERSIONS = (SESSION_VERSION, STATELESS_VERSION)
