"""The worker processes of one database: how many there are, who has one, and when one is replaced.

spawn ──▶ connecting ──▶ idle ◀──▶ busy ──▶ worn, or not whole ──▶ killed
│                                          │
└─▶ idle for long ──▶ retired              └─▶ the next worker ends
the backend it left behind
"""

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from pgmcp.errors import BusyError, ExecutionError, UnreachableError, WorkerLostError
from pgmcp.execution.backoff import Backoff
from pgmcp.execution.cures import CHECK_ADDRESS, cure_for
from pgmcp.execution.replies import failure_error
from pgmcp.execution.spawn import Spawn
from pgmcp.execution.worker_process import WorkerProcess
from worker.protocol import SHARED_SESSION, Backend, Failure, Open, Terminate, Terminated

logger = logging.getLogger(__name__)

OPEN_TIMEOUT_S: Final = 30.0
"""To start a worker and connect; several unreachable hosts may be tried one after another."""

TERMINATE_TIMEOUT_S: Final = 5.0

RETIRE_AFTER_S: Final = 60.0
"""A worker beyond the minimum that nobody needed for this long gives its connection back."""


MAX_RESET_S: Final = 0.05
"""After its reply a worker resets its session, a round trip that the next statement on it would wait for.

It takes no longer than the statement did, which was a round trip as well, and no longer than this.
"""


@dataclass(frozen=True, slots=True)
class ConnectionTarget:
    """Where the workers of one database connect.

    Attributes:
        conninfo: libpq URL or key=value string; may be empty.
        params: libpq keywords added to it.
        connect_timeout_s: for each host, unless the conninfo says otherwise.
        name: what the settings call the database, for the log.
    """

    conninfo: str
    params: Mapping[str, str]
    connect_timeout_s: int = 5
    name: str = "main"

    def __repr__(self) -> str:
        return "ConnectionTarget(…)"


@dataclass(frozen=True, slots=True)
class PoolSize:
    """Bounds of a pool.

    Attributes:
        min_workers: kept while the database is in use.
        max_workers: statements that run at once; each is one process and one connection.
        max_waiting: statements that may wait for a worker.
    """

    min_workers: int
    max_workers: int
    max_waiting: int


class WorkerPool:
    """Lends workers, one to one borrower at a time."""

    def __init__(
        self,
        target: ConnectionTarget,
        size: PoolSize,
        *,
        spawn: Spawn,
        memory_limit_mb: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare a pool; nothing is started before `warm_up` or the first `acquire`.

        Args:
            target: where to connect.
            size: how many workers.
            spawn: starts a worker process.
            memory_limit_mb: address space of one worker; 0 sets no bound.
            clock: seconds, monotonic.
        """
        self._target = target
        self._size = size
        self._spawn = spawn
        self._memory_limit_mb = memory_limit_mb
        self._clock = clock
        self._ids = itertools.count(1)
        self._idle: deque[WorkerProcess] = deque()
        self._busy: set[WorkerProcess] = set()
        self._waiting: deque[asyncio.Future[WorkerProcess]] = deque()
        self._orphans: list[Backend] = []
        self._backoff = Backoff()
        self._last_refusal: ExecutionError | None = None
        self._starts: set[asyncio.Task[None]] = set()
        self._background: set[asyncio.Task[None]] = set()
        self._retirement: asyncio.TimerHandle | None = None
        self._is_closing = False
        self._pooler = ""
        self._given_up_at_s: float | None = None

    @property
    def pooler(self) -> str:
        """What stood before the server when the last worker connected; "" for a direct connection."""
        return self._pooler

    @property
    def is_full(self) -> bool:
        """Whether every allowed worker is connected, so that only a larger pool would serve more at once."""
        return len(self._idle) + len(self._busy) >= self._size.max_workers

    @property
    def shortage(self) -> ExecutionError | None:
        """Why there are fewer workers than allowed: the last refusal of the database, if it still holds.

        None if every allowed worker is there or on its way.
        """
        return None if self.is_full else self._last_refusal

    @property
    def waiting_count(self) -> int:
        """How many borrowers wait for a worker."""
        return len(self._waiting)

    def next_id(self) -> int:
        """Return an id that no other request of this pool's workers has."""
        return next(self._ids)

    def warm_up(self) -> None:
        """Start the first workers in the background."""
        self._grow(self._size.min_workers - self._worker_count)

    async def acquire(self) -> WorkerProcess:
        """Return a worker that is the caller's alone until it is released; waits without a bound.

        Raises:
            BusyError: too many wait already, or all connections wait behind a statement that was given up.
            ExecutionError: no worker can be had, because the database refuses.
        """
        self._refuse_behind_given_up()
        worker = self._take_idle()
        if worker is None:
            worker = await self._wait_for_worker()
        self._keep_spare()
        return worker

    def release(self, worker: WorkerProcess) -> None:
        """Hand the worker to whoever waits longest, or keep it; a worn or broken one is replaced."""
        if self._is_closing:
            self.in_background(worker.leave())
            return
        if not worker.is_alive or worker.is_worn:
            self.in_background(self.discard(worker))
            return
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(worker)
                return
        self._busy.discard(worker)
        worker.idle_since_s = self._clock()
        self._idle.append(worker)
        self._schedule_retirement()

    async def discard(self, worker: WorkerProcess) -> None:
        """Kill a worker, and have another one end the backend it leaves behind."""
        if not worker.is_whole and worker.pooler == SHARED_SESSION:
            self._note_given_up()
        await worker.kill()
        self._busy.discard(worker)
        if self._is_closing:
            return
        if worker.backend is not None:
            self._orphans.append(worker.backend)
        if self._given_up_at_s is None and (other := self._take_idle()) is not None:
            self.in_background(self._end_orphans(other))
        else:
            self._grow(max(1, len(self._waiting)))

    async def close(self) -> None:
        """End every worker, and whatever goes on in the background.

        A busy one cancels its statement on the server when its channel ends.
        """
        self._is_closing = True
        if self._retirement is not None:
            self._retirement.cancel()
        self._fail_waiting(_shutting_down())
        for start in self._starts:
            start.cancel()
        workers = [*self._idle, *self._busy]
        self._idle.clear()
        await asyncio.gather(*(worker.leave() for worker in workers))
        # By done(), not by the sets: what takes a finished task out of them runs only after we have yielded,
        # and waiting for finished tasks does not yield from Python 3.12 on.
        while pending := [task for task in self._starts | self._background if not task.done()]:
            await asyncio.wait(pending)

    def in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something that `close` must wait for."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    @property
    def _worker_count(self) -> int:
        return len(self._idle) + len(self._busy) + len(self._starts)

    def _take_idle(self) -> WorkerProcess | None:
        while self._idle:
            # The one that came back last, whose memory is warm; but not while it resets its session.
            last = self._idle[-1]
            is_settled = self._clock() - last.idle_since_s > min(last.statement_s, MAX_RESET_S)
            worker = self._idle.pop() if is_settled else self._idle.popleft()
            self._busy.add(worker)
            if worker.is_alive:
                return worker
            self.in_background(self.discard(worker))
        return None

    async def _wait_for_worker(self) -> WorkerProcess:
        self._refuse_if_hopeless()
        place: asyncio.Future[WorkerProcess] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        self._grow(len(self._waiting))
        try:
            return await place
        except asyncio.CancelledError:
            with suppress(ValueError):
                self._waiting.remove(place)
            if place.done() and not place.cancelled() and place.exception() is None:
                self.release(place.result())  # it came in the moment we left
            raise

    def _note_given_up(self) -> None:
        """Refuse calls from now on: in a session that all connections share, they would wait behind it."""
        if self._given_up_at_s is None:
            self._given_up_at_s = self._clock()
        self._fail_waiting(_still_running(self._clock() - self._given_up_at_s))

    def _refuse_behind_given_up(self) -> None:
        if self._given_up_at_s is None or self._is_closing:
            return
        if not self._starts:
            self._grow(1)  # its first answer shows that the statement is over
        raise _still_running(self._clock() - self._given_up_at_s)

    def _refuse_if_hopeless(self) -> None:
        if self._is_closing:
            raise _shutting_down()
        if len(self._busy) + len(self._waiting) >= self._size.max_workers + self._size.max_waiting:
            raise BusyError(
                f"all {self._size.max_workers} workers are busy and {len(self._waiting)} statements wait",
                retry_after_s=1,
            )
        must_wait = self._backoff.wait_s(self._clock()) > 0
        if must_wait and self._worker_count == 0 and self._last_refusal is not None:
            raise self._last_refusal

    def _fail_waiting(self, error: ExecutionError) -> None:
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_exception(error)

    def _keep_spare(self) -> None:
        """Have a worker ready for the next borrower, so that it need not wait for a connection."""
        if not self._idle:
            self._grow(1)

    def _grow(self, wanted: int) -> None:
        """Have so many workers on their way, as far as the bound and the database allow."""
        if self._backoff.wait_s(self._clock()) > 0:
            return
        room = self._size.max_workers - self._worker_count
        for _ in range(min(wanted - len(self._starts), room)):
            start = asyncio.create_task(self._bring_up())
            self._starts.add(start)
            start.add_done_callback(self._starts.discard)

    async def _bring_up(self) -> None:
        """Start a worker and connect it; a refusal goes to those who wait for it."""
        try:
            worker = await self._open()
        except ExecutionError as error:
            self._leave_starts()
            self._refused(error)
            return
        self._leave_starts()
        self._backoff.succeeded()
        self._last_refusal = None
        self._pooler = worker.pooler
        self._given_up_at_s = None
        self._busy.add(worker)
        self.in_background(self._end_orphans(worker))

    def _leave_starts(self) -> None:
        if (task := asyncio.current_task()) is not None:
            self._starts.discard(task)

    async def _open(self) -> WorkerProcess:
        started_s = self._clock()
        try:
            worker = WorkerProcess(await self._spawn())
        except OSError as error:
            raise WorkerLostError(f"no worker process could be started: {error.strerror}") from error
        try:
            await self._connect(worker)
        except BaseException:
            await worker.kill()
            raise
        logger.info("worker %d ready in %d ms", worker.pid, (self._clock() - started_s) * 1000)
        return worker

    async def _connect(self, worker: WorkerProcess) -> None:
        target = self._target
        request = Open(
            id=self.next_id(),
            conninfo=target.conninfo,
            params=dict(target.params),
            connect_timeout_s=target.connect_timeout_s,
            memory_limit_mb=self._memory_limit_mb,
        )
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                reply, _ = await worker.request(request)
        except TimeoutError:
            message = f"no connection within {OPEN_TIMEOUT_S:g} s"
            raise UnreachableError(message, hint=cure_for(message, CHECK_ADDRESS)) from None
        if isinstance(reply, Failure):
            raise failure_error(reply, timeout_s=OPEN_TIMEOUT_S)

    def _refused(self, error: ExecutionError) -> None:
        """Tell those who wait, unless a worker that lives can still serve them."""
        self._backoff.failed(self._clock())
        self._last_refusal = error
        logger.warning("no new worker for %s: %s", self._target.name, error)
        if self._worker_count == 0:
            self._fail_waiting(error)

    async def _end_orphans(self, worker: WorkerProcess) -> None:
        """Terminate what killed workers left running, then put the worker to its real use."""
        try:
            while self._orphans:
                await self._terminate(worker, self._orphans.pop())
        except (ExecutionError, TimeoutError) as error:
            logger.warning("worker %d could not end an orphaned backend: %s", worker.pid, error)
        finally:
            self.release(worker)

    async def _terminate(self, worker: WorkerProcess, backend: Backend) -> None:
        async with asyncio.timeout(TERMINATE_TIMEOUT_S):
            reply, _ = await worker.request(Terminate(self.next_id(), backend))
        if isinstance(reply, Failure):
            raise failure_error(reply, timeout_s=TERMINATE_TIMEOUT_S)
        if isinstance(reply, Terminated) and not reply.is_gone:
            logger.warning("backend %d of a killed worker still runs: the server did not end it", backend.pid)
            return
        logger.info("backend %d of a killed worker is gone", backend.pid)

    def _schedule_retirement(self) -> None:
        if self._retirement is None and self._worker_count > self._size.min_workers:
            loop = asyncio.get_running_loop()
            self._retirement = loop.call_later(RETIRE_AFTER_S, self._retire_idle)

    def _retire_idle(self) -> None:
        """Let workers go that nobody needed lately; the left end of the deque was idle longest."""
        self._retirement = None
        oldest_s = self._clock() - RETIRE_AFTER_S
        while self._idle and self._worker_count > self._size.min_workers:
            if self._idle[0].idle_since_s > oldest_s:
                break
            self.in_background(self._idle.popleft().leave())
        if self._idle:
            self._schedule_retirement()


def _still_running(age_s: float) -> BusyError:
    return BusyError(
        f"a statement was given up {age_s:.0f} s ago and may still run; this server has one session for all "
        "connections, which answers nothing until it is over",
        retry_after_s=2,
    )


def _shutting_down() -> WorkerLostError:
    return WorkerLostError("the server is shutting down")
