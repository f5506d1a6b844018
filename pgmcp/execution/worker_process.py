"""One worker process as the front sees it: frames in, frames out, and a pid to kill.

Decides nothing: who is late and what follows from it is the supervisor's business.
"""

import asyncio
import contextlib
from typing import Final

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

LEAVE_TIMEOUT_S: Final = 1.0
"""An idle worker leaves at EOF within milliseconds; past this it is stuck."""

_REPLIES_BY_REQUEST: Final[dict[type[ToWorker], tuple[type[Reply], ...]]] = {
    Open: (Opened, Failure),
    Execute: (Result, Failure),
    Terminate: (Terminated, Failure),
}


class WorkerProcess:
    """A worker, and what is known of it.

    Attributes:
        backend: the server process its statements run on; None before it is known or behind a pooler.
        pooler: what stands between it and its server; "" for a direct connection.
        session: the same for all workers whose connections are to one session; "" behind a pooler.
        has_connected: it has a new connection, and the pool has not looked at it.
        should_recycle: whether it asked to be replaced: it has run many statements, or holds much memory.
        idle_since_s: when the pool last got it back, on the pool's clock.
        is_whole: whether every exchange so far ended in one matching reply; else it is never reused.
    """

    def __init__(self, child: Child) -> None:
        self._child = child
        self._writer = child.writer
        self._reader = child.reader
        self.backend: Backend | None = None
        self.pooler = ""
        self.session = ""
        self.has_connected = False
        self.is_whole = True
        self.should_recycle = False
        self.idle_since_s = 0.0
        self._asked: ToWorker = Cancel(0)
        self._lengths: tuple[int, int] | None = None  # of the frame that is being read
        self._message: FromWorker | None = None

    @property
    def pid(self) -> int:
        """The process id."""
        return self._child.pid

    @property
    def is_alive(self) -> bool:
        """Whether nothing speaks against sending it a request."""
        return self.is_whole and self.is_running

    @property
    def is_running(self) -> bool:
        """Whether the process runs, busy or not."""
        return not self._child.has_ended and not self._reader.at_eof()

    async def request(self, message: ToWorker, body: bytes = b"") -> tuple[Reply, bytes]:
        """Send a request and return its reply with its body; one at a time.

        Raises:
            WorkerLostError: it died, or what came is not the reply.
        """
        self.begin(message, body)
        return await self.reply()

    def begin(self, message: ToWorker, body: bytes = b"") -> None:
        """Send a request; `reply` must be awaited before the next one."""
        self.is_whole = False  # until the reply is here, whatever ends this early
        self._asked = message
        with contextlib.suppress(OSError):  # it is dead, and the reader will say so
            self._send(message, body)

    async def reply(self) -> tuple[Reply, bytes]:
        """Return the reply to the request that was begun, with its body.

        A call that was cancelled can be made again: what had come is kept.

        Raises:
            WorkerLostError: it died, or what came is not the reply.
        """
        asked = self._asked
        try:
            await self._writer.drain()
            reply, rows = await self._receive()
        except (OSError, EOFError) as error:
            raise self._lost(f"worker {self.pid} died while it ran this") from error
        except ProtocolError as error:
            raise self._lost(f"worker {self.pid} broke the protocol") from error
        if reply.id != asked.id:
            raise self._lost(f"worker {self.pid} answered request {reply.id}, not {asked.id}")
        if not isinstance(reply, _REPLIES_BY_REQUEST[type(asked)]):
            raise self._lost(f"worker {self.pid} answered with {type(reply).__name__}")
        self.is_whole = True
        if isinstance(reply, Result):
            self.should_recycle = reply.should_recycle
        return reply, rows

    def cancel(self, request_id: int) -> None:
        """Ask the worker to cancel that request on the server; does not wait."""
        with contextlib.suppress(OSError):  # it is dead, and the reader will say so
            self._send(Cancel(request_id))

    def share_session(self, request_id: int) -> None:
        """Tell the worker that another connection has the same session; does not wait."""
        self.backend, self.pooler = None, SHARED_SESSION
        with contextlib.suppress(OSError):  # it is dead, and the reader will say so
            self._send(ShareSession(request_id))

    async def kill(self) -> None:
        """End the process at once and reap it."""
        self.is_whole = False
        self._child.kill()
        await self._child.wait()
        self._writer.close()

    async def leave(self) -> None:
        """Let an idle worker end by itself; kill it when it does not."""
        self._writer.close()
        try:
            async with asyncio.timeout(LEAVE_TIMEOUT_S):
                await self._child.wait()
        except TimeoutError:
            await self.kill()

    def _send(self, message: ToWorker, body: bytes = b"") -> None:
        # Joined, for writelines() of a list that ends in b"" leaves asyncio's event loop spinning: from
        # Python 3.12 on, sendmsg() never gets that last piece out of the transport's buffer.
        self._writer.write(b"".join(encode_frame(message, body)))

    async def _receive(self) -> tuple[Reply, bytes]:
        while True:
            if self._lengths is None:
                self._lengths = decode_head(await self._reader.readexactly(HEAD.size))
            header_bytes, body_bytes = self._lengths
            if self._message is None:
                self._message = decode_from_worker(await self._reader.readexactly(header_bytes))
            body = await self._reader.readexactly(body_bytes)
            message, self._lengths, self._message = self._message, None, None
            if not isinstance(message, Connected):
                return message, body
            self.backend, self.pooler, self.session = message.backend, message.pooler, message.session
            self.has_connected = True

    def _lost(self, reason: str) -> WorkerLostError:
        return WorkerLostError(reason, hint="nothing was changed; the next call gets a new worker")
