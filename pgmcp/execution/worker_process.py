"""Represents one worker process in the front (pgmcp's main process): exchanges frames, and can be killed.

This module decides nothing: `pgmcp.execution.exchange` decides when a worker is late, and then kills it.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from pgmcp.asyncio_shortcuts import PromptFuture
from pgmcp.errors import WorkerLostError
from pgmcp.execution.spawn import Child
from worker.protocol import (
    HEAD,
    SHARED_SESSION,
    Backend,
    Cancel,
    Connected,
    Execute,
    Failure,
    FromWorker,
    Open,
    Opened,
    ProtocolError,
    Reply,
    Result,
    ShareSession,
    Terminate,
    Terminated,
    ToWorker,
    decode_from_worker,
    decode_head,
    encode_frame,
)

EXIT_TIMEOUT_S: Final = 1.0
"""How long a worker may take to exit. An idle one takes milliseconds; after this time it is stuck."""

_REPLIES_BY_REQUEST: Final[dict[type[ToWorker], tuple[type[Reply], ...]]] = {
    Open: (Opened, Failure),
    Execute: (Result, Failure),
    Terminate: (Terminated, Failure),
}


class WorkerProcess:
    """A worker and its known state.

    Attributes:
        backend: the server process that runs its statements; None if it is not known yet, behind a pooler, or
            in a shared session.
        pooler: the pooler in front of its server, or `worker.protocol.SHARED_SESSION`; "" for a direct
            connection.
        session: identifies the session; equal for workers that share it. "" behind a pooler.
        escapes_backslashes: whether standard_conforming_strings is off for the role, so that other clients
            read escapes in plain strings.
        has_connected: whether it has a new connection that the pool has not checked yet.
        should_recycle: whether it asked to be replaced: it has run many statements, or uses much memory.
        idle_since_s: when it was last released, on the pool's clock.
        is_whole: whether every exchange so far ended in one matching, readable reply. False while a request
            runs. A worker whose last exchange did not end like this is never reused.
    """

    def __init__(self, child: Child) -> None:
        self._child = child
        self.backend: Backend | None = None
        self.pooler = ""
        self.session = ""
        self.escapes_backslashes = False
        self.has_connected = False
        self.is_whole = True
        self.should_recycle = False
        self.idle_since_s = 0.0
        self._asked: ToWorker | None = None
        self._outcome: tuple[Reply, bytes] | WorkerLostError | None = None
        self._waiter: PromptFuture[None] | None = None
        self._frames = _FrameReader(self._receive)
        self._is_cut_off = False
        child.listen(self._take, self._note_end)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def is_alive(self) -> bool:
        """Whether it can be sent a request."""
        return self.is_whole and not self._is_cut_off and not self._child.has_ended

    @property
    def is_running(self) -> bool:
        """Whether the process runs, busy or not."""
        return not self._is_cut_off and not self._child.has_ended

    async def request(self, message: ToWorker, body: bytes = b"") -> tuple[Reply, bytes]:
        """Send a request, and return its reply with its body. The previous request must have ended.

        Raises:
            WorkerLostError: the worker died, or sent something that is not the reply to this request.
        """
        self.begin(message, body)
        return await self.reply()

    def begin(self, message: ToWorker, body: bytes = b"") -> None:
        """Send a request; `reply` must be awaited before the next one."""
        self.is_whole = False  # stays False until the reply has arrived, even if the caller is cancelled
        self._asked, self._outcome = message, None
        if self._is_cut_off:
            self._finish(self._lost(f"worker {self.pid} died before it could run this"))
        else:
            self._send(message, body)

    async def reply(self) -> tuple[Reply, bytes]:
        """Return the reply to the request that `begin` sent, with its body.

        A cancelled call can be repeated: a reply that arrives in between is kept.

        Raises:
            WorkerLostError: the worker died, or sent something that is not the reply to this request.
            TimeoutError: `give_up` was called.
        """
        if self._outcome is None:
            self._waiter = PromptFuture()
            await self._waiter
        outcome = self._outcome
        if outcome is None or isinstance(outcome, WorkerLostError):
            raise outcome or self._lost(f"worker {self.pid} has not answered")
        return outcome

    def give_up(self) -> None:
        """End the wait for the reply, with a TimeoutError."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(TimeoutError())

    def cancel(self, request_id: int) -> None:
        """Have the worker cancel this request on the server; does not wait."""
        self._send(Cancel(request_id))

    def share_session(self, request_id: int) -> None:
        """Tell the worker that another connection has the same session; does not wait."""
        self.backend, self.pooler = None, SHARED_SESSION
        self._send(ShareSession(request_id))

    async def kill(self) -> None:
        """End the process at once and reap it."""
        self.is_whole = False
        self._child.kill()
        await self._child.wait()
        self._child.close()

    async def shut_down(self, timeout_s: float = EXIT_TIMEOUT_S) -> None:
        """Let a worker that runs no statement exit by itself; kill it if it does not."""
        self._child.close()
        try:
            async with asyncio.timeout(timeout_s):
                await self._child.wait()
        except TimeoutError:
            await self.kill()

    def _send(self, message: ToWorker, body: bytes = b"") -> None:
        self._child.send(b"".join(encode_frame(message, body)))

    def _take(self, chunk: bytes) -> None:
        try:
            self._frames.feed(chunk)
        except ProtocolError as error:
            lost = self._lost(f"worker {self.pid} broke the protocol")
            lost.__cause__ = error
            self._break_off(lost)

    def _note_end(self) -> None:
        self._break_off(self._lost(f"worker {self.pid} died while it ran this"))

    def _break_off(self, error: WorkerLostError) -> None:
        """Ignore all further output of the worker, and fail the running request."""
        self._is_cut_off = True
        self._frames.close()
        if self._asked is not None:
            self._finish(error)

    def _receive(self, message: FromWorker, body: bytes) -> None:
        if isinstance(message, Connected):
            self.backend, self.pooler, self.session = message.backend, message.pooler, message.session
            self.escapes_backslashes = message.escapes_backslashes
            self.has_connected = True
        else:
            self._finish(self._check(message) or (message, body))

    def _check(self, reply: Reply) -> WorkerLostError | None:
        """Return the error for a wrong reply; None if it answers the request."""
        asked, self._asked = self._asked, None
        if asked is None:
            self.is_whole = False
            return self._lost(f"worker {self.pid} answered without a request")
        if reply.id != asked.id:
            return self._lost(f"worker {self.pid} answered request {reply.id}, not {asked.id}")
        if not isinstance(reply, _REPLIES_BY_REQUEST[type(asked)]):
            return self._lost(f"worker {self.pid} sent an unexpected kind of reply")
        self.is_whole = True
        if isinstance(reply, Result):
            self.should_recycle = reply.should_recycle
        return None

    def _finish(self, outcome: tuple[Reply, bytes] | WorkerLostError) -> None:
        self._asked = None
        if self._outcome is None:
            self._outcome = outcome
        if self._waiter is not None and not self._waiter.done():
            self._waiter.resolve(None)

    def _lost(self, reason: str) -> WorkerLostError:
        return WorkerLostError(reason, hint="nothing was changed; the next call gets a new worker")


class _FrameReader:
    """Assembles frames from chunks of bytes, and passes each on as soon as it is complete."""

    def __init__(self, receive: Callable[[FromWorker, bytes], None]) -> None:
        self._receive = receive
        self._chunks: list[bytes] = []
        self._held_bytes = 0
        self._needed_bytes = HEAD.size  # length of the part that `_step` reads next
        self._lengths: tuple[int, int] | None = None
        self._message: FromWorker | None = None
        self._is_closed = False

    def feed(self, chunk: bytes) -> None:
        """Process a chunk.

        Raises:
            ProtocolError: the bytes are not a frame.
        """
        if not self._held_bytes and self._lengths is None and self._receive_whole(chunk):
            return
        self._chunks.append(chunk)
        self._held_bytes += len(chunk)
        while self._held_bytes >= self._needed_bytes and not self._is_closed:
            self._step()

    def close(self) -> None:
        """Stop passing on frames."""
        self._is_closed = True
        self._chunks.clear()

    def _receive_whole(self, chunk: bytes) -> bool:
        """Pass on a chunk that is exactly one frame, as nearly every reply is; return whether it was one."""
        if len(chunk) < HEAD.size or self._is_closed:
            return False
        header_bytes, body_bytes = decode_head(chunk[: HEAD.size])
        header_end = HEAD.size + header_bytes
        if len(chunk) != header_end + body_bytes:
            return False
        self._receive(decode_from_worker(chunk[HEAD.size : header_end]), chunk[header_end:])
        return True

    def _step(self) -> None:
        """Read the next part of a frame: the lengths, the header or the body."""
        piece = self._take_bytes(self._needed_bytes)
        if self._lengths is None:
            self._lengths = decode_head(piece)
            self._needed_bytes = self._lengths[0]
        elif self._message is None:
            self._message = decode_from_worker(piece)
            self._needed_bytes = self._lengths[1]
        else:
            message, self._message, self._lengths = self._message, None, None
            self._needed_bytes = HEAD.size
            self._receive(message, piece)

    def _take_bytes(self, count: int) -> bytes:
        whole = b"".join(self._chunks) if len(self._chunks) > 1 else (self._chunks or [b""])[0]
        self._chunks = [whole[count:]] if len(whole) > count else []
        self._held_bytes -= count
        return whole[:count]
