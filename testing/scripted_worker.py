"""A worker without a database, and its spawn function. Each statement tells the worker what to do.

Run as a program, this file is the worker: a real process with real frames. Tests import it as a module. A
statement is a verb with an argument:

    echo WORDS               one row with WORDS
    hold PORT WORDS          connects to PORT, waits until the other end closes it, then echoes; see `Gate`
    echo-and-die WORDS       echoes, and dies after the last byte
    echo-recycle WORDS       echoes, and asks to be replaced
    echo-on-cancel WORDS     echoes when it is cancelled
    fail-on-cancel           fails as a worker does when it is cancelled
    a key of BREAKAGES       breaks the protocol or dies in that way

The program's argument is the answer to the first frame: "open", "refuse", "shared" (a session that all
connections share), "shared PORT" (the same, after waiting at a `Gate`), or a key of BREAKAGES.
"""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import BinaryIO, NoReturn

from pgmcp.execution.spawn import Child, start_child
from worker.protocol import (
    HEAD,
    SHARED_SESSION,
    Cancel,
    Connected,
    Execute,
    Failure,
    FailureCode,
    Open,
    Opened,
    Result,
    Terminated,
    ToWorker,
    decode_head,
    decode_to_worker,
    encode_frame,
)
from worker.row_format import json_lines


class ScriptedWorkers:
    """Starts scripted workers, and records them.

    Attributes:
        pids: of all workers so far, in the order of their start.
    """

    def __init__(self, *openings: str) -> None:
        """Set the answers of the first workers to their first frames; all later workers answer "open"."""
        self._openings = list(openings)
        self.pids: list[int] = []

    async def spawn(self) -> Child:
        opening = self._openings.pop(0) if self._openings else "open"
        child = await start_child(sys.executable, str(Path(__file__)), opening)
        self.pids.append(child.pid)
        return child


class Gate:
    """A gate at which workers that run "hold" wait until a test lets them through."""

    def __init__(self, server: asyncio.Server) -> None:
        self._port: int = server.sockets[0].getsockname()[1]
        self._arrivals: asyncio.Queue[asyncio.StreamWriter] = asyncio.Queue()
        self._connections: list[asyncio.StreamWriter] = []

    def shared_opening(self) -> str:
        """Return the program's argument of a worker with a shared session that first waits at this gate."""
        return f"shared {self._port}"

    def hold(self, words: str = "held") -> str:
        """Return the statement that makes a worker wait here."""
        return f"hold {self._port} {words}"

    async def arrival(self) -> None:
        """Wait until one more worker waits here."""
        await self._arrivals.get()

    def open(self) -> None:
        """Let the waiting workers through."""
        for connection in self._connections:
            connection.close()

    async def end(self) -> None:
        """Let all workers through, and close their connections."""
        self.open()
        for connection in self._connections:
            with suppress(OSError):
                await connection.wait_closed()

    def note_arrival(self, connection: asyncio.StreamWriter) -> None:
        """Record the connection of a worker that now waits here."""
        self._connections.append(connection)
        self._arrivals.put_nowait(connection)


@asynccontextmanager
async def closed_gate() -> AsyncIterator[Gate]:
    """Yield a gate, which lets all workers through at the end."""
    gates: list[Gate] = []
    server = await asyncio.start_server(
        lambda _, connection: gates[0].note_arrival(connection), "127.0.0.1", 0
    )
    gates.append(Gate(server))
    try:
        yield gates[0]
    finally:
        server.close()
        await gates[0].end()


def _receive(channel: BinaryIO) -> tuple[ToWorker, bytes]:
    head = channel.read(HEAD.size)
    if len(head) < HEAD.size:
        sys.exit(0)
    header_bytes, body_bytes = decode_head(head)
    return decode_to_worker(channel.read(header_bytes)), channel.read(body_bytes)


def _one_row(request_id: int, words: str, *, should_recycle: bool = False) -> bytes:
    body = json_lines([[words]])
    result = Result(
        request_id, [("echo", "text")], None, 0, 0.0, should_recycle, row_count=1, json_bytes=len(body)
    )
    return b"".join(encode_frame(result, body))


def _echo(request_id: int, words: str) -> bytes:
    return _one_row(request_id, words)


def _failure(request_id: int, code: FailureCode) -> bytes:
    return b"".join(encode_frame(Failure(request_id, code, "as the script says")))


def _send(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def _send_and_die(data: bytes) -> NoReturn:
    _send(data)
    os._exit(0)


_HEADER_START = HEAD.size

BREAKAGES: dict[str, Callable[[int], None]] = {
    "die": lambda _: os._exit(1),
    "die-in-lengths": lambda n: _send_and_die(_echo(n, "x")[: HEAD.size // 2]),
    "die-before-header": lambda n: _send_and_die(_echo(n, "x")[:_HEADER_START]),
    "die-in-header": lambda n: _send_and_die(_echo(n, "x")[: _HEADER_START + 5]),
    "die-in-body": lambda n: _send_and_die(_echo(n, "x" * 100)[:-50]),
    "answer-another-id": lambda n: _send(_echo(n + 1, "x")),
    "answer-another-request": lambda n: _send(b"".join(encode_frame(Terminated(n)))),
    "send-a-request": lambda n: _send(b"".join(encode_frame(Cancel(n)))),
    "send-an-oversized-header": lambda _: _send(HEAD.pack(2**32 - 1, 0)),
    "send-an-oversized-body": lambda _: _send(HEAD.pack(8, 2**32 - 1)),
    "send-garbage": lambda _: _send(b"Traceback (most recent call last):\n" * 50),
    "send-a-garbage-header": lambda _: _send(HEAD.pack(4, 0) + b"\xc1\xc1\xc1\xc1"),
    "send-an-empty-header": lambda _: _send(HEAD.pack(0, 0)),
    "send-garbage-rows": lambda n: _send(
        b"".join(encode_frame(Result(n, [("a", "text")], None, 0, 0.0), b"\xc1"))
    ),
}
"""What a worker can do instead of answering, by name; each function gets the request's id."""


def _open(request: Open, opening: str) -> None:
    if opening == "refuse":
        _send(_failure(request.id, FailureCode.UNREACHABLE))
    elif opening.startswith("shared"):
        _, _, port = opening.partition(" ")
        if port:
            with socket.create_connection(("127.0.0.1", int(port))) as gate:
                gate.recv(1)
        _send(b"".join(encode_frame(Connected(None, 180_000, SHARED_SESSION))))
        _send(b"".join(encode_frame(Opened(request.id))))
    elif opening == "open":
        _send(b"".join(encode_frame(Connected(None, 180_000)) + encode_frame(Opened(request.id))))
    else:
        BREAKAGES[opening](request.id)


def _execute(channel: BinaryIO, request: Execute, statement: str) -> None:
    verb, _, words = statement.partition(" ")
    match verb:
        case "echo":
            _send(_echo(request.id, words))
        case "hold":
            port, _, words = words.partition(" ")
            with socket.create_connection(("127.0.0.1", int(port))) as gate:
                gate.recv(1)
            _send(_echo(request.id, words))
        case "echo-on-cancel":
            _until_cancelled(channel, request.id)
            _send(_echo(request.id, words))
        case "fail-on-cancel":
            _until_cancelled(channel, request.id)
            _send(_failure(request.id, FailureCode.CANCELLED))
        case "echo-recycle":
            _send(_one_row(request.id, words, should_recycle=True))
        case "echo-and-die":
            _send_and_die(_echo(request.id, words))
        case _:
            BREAKAGES[verb](request.id)


def _until_cancelled(channel: BinaryIO, request_id: int) -> None:
    while _receive(channel)[0] != Cancel(request_id):
        pass


def _serve(opening: str) -> NoReturn:
    channel = sys.stdin.buffer
    if opening == "die-at-once":
        os._exit(1)
    while True:
        message, body = _receive(channel)
        match message:
            case Open():
                _open(message, opening)
            case Execute():
                _execute(channel, message, body.decode())
            case _:
                pass  # a Cancel that came too late


if __name__ == "__main__":
    _serve(sys.argv[1])
