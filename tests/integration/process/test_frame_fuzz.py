"""For any bytes from a worker, the front gets a reply or one clear error, and nothing hangs."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from pgmcp.errors import WorkerLostError
from pgmcp.execution.spawn import Inbox
from pgmcp.execution.worker_process import WorkerProcess
from testing.processes import TIMEOUT_S
from worker.protocol import (
    HEAD,
    Backend,
    Connected,
    Execute,
    Failure,
    FailureCode,
    FromWorker,
    Opened,
    Result,
    StatementMode,
    StatementOrigin,
    Terminated,
    encode_frame,
)
from worker.row_format import json_lines

pytestmark = pytest.mark.anyio

SEED = 20_261_122
CASES = 600
REQUEST = Execute(7, StatementOrigin.CALLER, StatementMode.AS_IS, 1_000, 10, 1_000, 100, True)
ROWS = json_lines([[1, "x", None], [2.5, "y" * 40, True]])
ANSWER = Result(7, [("a", "integer")], None, 0, 0.5)
MESSAGES: list[FromWorker] = [
    Opened(7),
    Connected(Backend(1, "now"), 180_000),
    Connected(None, 0),
    Terminated(7),
    Failure(7, FailureCode.STATEMENT, "m", "42601", "h", 1),
    ANSWER,
    Result(8, [], None, 0, 0.5),
]


class SocketChild(asyncio.Protocol):
    """A child without a process: a socket whose other end the test holds."""

    pid = 0
    has_ended = False

    def __init__(self) -> None:
        self._inbox = Inbox()
        self._gone = asyncio.Event()
        self._transport: asyncio.Transport | None = None
        self.listen = self._inbox.listen

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._inbox.put(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._inbox.put_end()
        self._gone.set()

    def send(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    kill = close

    async def wait(self) -> None:
        await self._gone.wait()


async def connect(ours: socket.socket) -> SocketChild:
    _, child = await asyncio.get_running_loop().create_connection(SocketChild, sock=ours)
    return child


@asynccontextmanager
async def worker_that_sends(data: bytes) -> AsyncIterator[WorkerProcess]:
    """Yield a worker that has sent these bytes and nothing after them."""
    ours, theirs = socket.socketpair()
    child = await connect(ours)
    with theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        yield WorkerProcess(child)
        child.kill()
        await child.wait()


def wire(message: FromWorker, body: bytes = b"") -> bytes:
    return b"".join(encode_frame(message, body))


def corrupted(rng: random.Random) -> bytes:
    """Return the frames of a conversation with a random mistake, which may have no effect."""
    frames = [wire(rng.choice(MESSAGES), rng.choice([b"", ROWS])) for _ in range(rng.randint(1, 4))]
    data = bytearray(b"".join(frames))
    match rng.randrange(6):
        case 0:
            del data[rng.randrange(len(data)) :]
        case 1:
            for _ in range(rng.randint(1, 8)):
                data[rng.randrange(len(data))] = rng.randrange(256)
        case 2:
            start = rng.randrange(len(data))
            del data[start : start + rng.randint(1, 12)]
        case 3:
            start = rng.randrange(len(data))
            data[start:start] = rng.randbytes(rng.randint(1, 40))
        case 4:
            data[: HEAD.size] = HEAD.pack(rng.getrandbits(32), rng.getrandbits(32))
        case _:
            data = bytearray(rng.randbytes(rng.randint(0, 200)))
    return bytes(data)


async def test_the_front_survives_any_bytes_of_a_worker() -> None:
    rng = random.Random(SEED)  # noqa: S311 # repeatable on purpose
    answered = 0

    for case in range(CASES):
        data = corrupted(rng)
        async with worker_that_sends(data) as worker:
            with anyio.fail_after(TIMEOUT_S):
                try:
                    reply, _ = await worker.request(REQUEST, b"SELECT 1")
                except WorkerLostError:
                    assert not worker.is_whole, f"case {case}: {data!r}"
                else:
                    assert reply.id == REQUEST.id, f"case {case}: {data!r}"
                    answered += 1

    assert 0 < answered < CASES  # some mistakes leave the reply readable, and some do not


async def test_an_answer_in_small_pieces_is_put_together() -> None:
    ours, theirs = socket.socketpair()
    child = await connect(ours)
    worker = WorkerProcess(child)

    with theirs, anyio.fail_after(TIMEOUT_S):
        async with anyio.create_task_group() as tasks:

            async def send() -> None:
                for byte in wire(MESSAGES[1]) + wire(ANSWER, ROWS):
                    theirs.send(bytes([byte]))
                    await anyio.lowlevel.checkpoint()

            tasks.start_soon(send)
            reply, body = await worker.request(REQUEST)
        child.kill()
        await child.wait()

    assert (reply, body) == (ANSWER, ROWS)
    assert worker.backend == Backend(1, "now")


async def test_a_connected_frame_alone_does_not_end_the_call() -> None:
    async with worker_that_sends(wire(MESSAGES[1])) as worker:
        with anyio.fail_after(TIMEOUT_S), pytest.raises(WorkerLostError, match="died"):
            await worker.request(REQUEST)
