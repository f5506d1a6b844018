"""Manages the workers of one database: how many there are, which caller has one, and when one is replaced.

    spawn ──▶ connecting ──▶ idle ◀──▶ busy ──▶ broken, or late ──▶ killed; another worker ends its backend
                              │          │
                              │          └─▶ should be recycled ──▶ exits
                              └─▶ idle for long ──▶ exits

`_rebalance` runs when a caller asks, when a worker is released while callers wait, and when a worker is new
or lost. It asks `allocation.allocate` which callers get a worker and how many workers to start, and does
that.
"""

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final

from pgmcp.errors import BusyError, ExecutionError, WorkerLostError
from pgmcp.execution.allocation import Allocation, PoolSize, PoolState, WorkerQueue, allocate, reserved_of
from pgmcp.execution.connecting import ConnectionTarget, Connector
from pgmcp.execution.shared_session import SharedSession
from pgmcp.execution.spawn import Spawn
from pgmcp.execution.worker_process import WorkerProcess
from pgmcp.execution.worker_starts import WorkerStarts
from pgmcp.plural import count_of
from worker.protocol import SHARED_SESSION, Backend

logger = logging.getLogger(__name__)

GROW_EVERY_S: Final = 0.5
"""Interval at which one more worker is started while general statements wait and none of them ends."""

RETIRE_AFTER_S: Final = 60.0
"""A worker beyond the minimum is ended if it was not needed for this long."""


class WorkerPool:
    """Lends each worker to one borrower at a time."""

    def __init__(
        self,
        target: ConnectionTarget,
        size: PoolSize,
        *,
        spawn: Spawn,
        memory_limit_mb: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare a pool; nothing is started before `prestart` or the first `ask`.

        Args:
            target: where to connect.
            size: how many workers.
            spawn: starts a worker process.
            memory_limit_mb: limit of one worker's address space in mebibytes; 0 sets no limit.
            clock: returns monotonic seconds.
        """
        self._size = size
        self._reserved = reserved_of(size.max_workers)
        self._clock = clock
        self._ids = itertools.count(1)
        self._connector = Connector(
            target, spawn=spawn, next_id=self.next_id, memory_limit_mb=memory_limit_mb, clock=clock
        )
        self._idle: deque[WorkerProcess] = deque()
        self._general: set[WorkerProcess] = set()
        self._express: set[WorkerProcess] = set()
        self._waiting = WorkerQueue()
        self._orphans: list[Backend] = []
        self._starts = WorkerStarts(
            self._connector,
            target.name,
            on_connected=self._add,
            on_refused=self._note_refusal,
            on_retry=self._retry,
            clock=clock,
        )
        self._background: set[asyncio.Task[None]] = set()
        self._retirement: asyncio.TimerHandle | None = None
        self._growing: asyncio.TimerHandle | None = None
        self._may_grow = False
        self._is_turn_of_express = True
        self._is_closing = False
        self._pooler = ""
        self._shared_session = SharedSession(target.name, self.next_id, clock)

    @property
    def pooler(self) -> str:
        """The pooler that the last connected worker found; "" for a direct connection."""
        return self._pooler

    @property
    def is_full(self) -> bool:
        """Whether every allowed worker is connected, so that only a larger pool would serve more at once."""
        return self._connected_count >= self._size.max_workers

    @property
    def shortage(self) -> ExecutionError | None:
        """The error of the last start, which says why there are fewer workers than allowed.

        None if every allowed worker is connected, or if the last start succeeded.
        """
        return None if self.is_full else self._starts.last_refusal

    @property
    def refusal(self) -> ExecutionError | None:
        """The error of the last start, if there is no worker; None if that start succeeded."""
        return self._starts.last_refusal if self._connected_count == 0 else None

    @property
    def waiting_count(self) -> int:
        """How many borrowers wait for a worker."""
        return len(self._waiting)

    def next_id(self) -> int:
        """Return an id that no other request of this pool's workers has."""
        return next(self._ids)

    def prestart(self) -> None:
        """Start the first workers in the background."""
        self._starts.begin(self._size.min_workers - self._worker_count)

    def take(self, *, is_express: bool = False) -> WorkerProcess | None:
        """Return an idle worker at once, as `ask` would; None if the caller has to call `ask`.

        Nearly all statements that run one after another get their worker here.
        """
        idle = self._idle
        if len(idle) < 2 or self._waiting.general or self._waiting.express or self._is_closing:
            return None
        if not is_express and len(self._general) >= self._general_room:
            return None
        if self._shared_session.is_held_up or not idle[-1].is_alive:
            return None
        worker = idle.pop()  # the worker that was released last, whose memory is warm
        (self._express if is_express else self._general).add(worker)
        return worker

    def ask(self, *, is_express: bool = False) -> asyncio.Future[WorkerProcess]:
        """Return a future for a worker.

        If a worker is free, the future is done. Otherwise, it must be passed to `wait`. The caller must pass
        the worker to `release`; until then, no other caller gets it.

        Args:
            is_express: the caller keeps it for a short time only, so it may be a reserved worker.

        Raises:
            BusyError: too many statements wait, or all connections wait behind a statement that was given up.
            WorkerLostError: the pool is closing.
            ExecutionError: no worker is available; this is the error of the last start.
        """
        self._fail_waiting_behind_given_up()
        waiter = self._waiting.join(is_express=is_express)
        self._rebalance()
        if not waiter.done():
            try:
                self._check_can_wait()
            except ExecutionError:
                self._waiting.remove(waiter)
                raise
        return waiter

    async def wait(self, waiter: asyncio.Future[WorkerProcess]) -> WorkerProcess:
        """Return the worker for a future of `ask`; waits without a limit.

        Raises:
            ExecutionError: no worker is available: the last start failed, the pool is closing, or a statement
                that was given up blocks all connections.
            TimeoutError: the caller has set it on the future to stop waiting.
        """
        try:
            return await waiter
        except (asyncio.CancelledError, TimeoutError):
            self._waiting.remove(waiter)
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release(waiter.result())  # the worker was handed over while the wait ended
            raise

    def release(self, worker: WorkerProcess) -> None:
        """Take a worker back and give it to a waiting caller, or keep it idle.

        A worker that is lost or should be recycled is ended in the background.
        """
        if self._is_closing:
            self.in_background(worker.shut_down())
            return
        if worker in self._general and self._waiting.general:
            self._may_grow = True  # general statements end, so they are not all heavy
        if not worker.is_alive:
            self.in_background(self.discard(worker))
            return
        if worker.should_recycle:
            self.in_background(self.end_idle(worker))
            return
        self._remove_borrower(worker)
        if worker.has_connected:
            self._shared_session.compare(worker, self._connected)
            self._pooler = worker.pooler
        worker.idle_since_s = self._clock()
        self._idle.append(worker)
        if self._waiting:
            self._rebalance()
        if self._retirement is None and self._idle:
            self._schedule_retirement()

    async def discard(self, worker: WorkerProcess) -> None:
        """Kill a worker, and have another worker end the backend that it leaves behind."""
        if not worker.is_whole and worker.pooler == SHARED_SESSION:
            self._waiting.fail(self._shared_session.note_given_up())
        await worker.kill()
        self._remove_borrower(worker)
        self._may_grow = True  # a replacement does not make the pool larger
        if self._is_closing:
            return
        if worker.backend is not None:
            self._orphans.append(worker.backend)
        if not self._shared_session.is_held_up and (other := self._take_idle()) is not None:
            self._express.add(other)
            self.in_background(self._end_orphans(other))
        self._rebalance()

    async def end_idle(self, worker: WorkerProcess) -> None:
        """End a worker that runs no statement, and so leaves no backend behind."""
        worker.backend = None
        await worker.shut_down()
        await self.discard(worker)

    async def close(self) -> None:
        """End every worker and all background tasks.

        A busy worker cancels its statement on the server when its channel ends.
        """
        self._is_closing = True
        for timer in (self._retirement, self._growing):
            if timer is not None:
                timer.cancel()
        self._waiting.fail(_shutting_down())
        self._starts.cancel()
        workers = self._connected
        self._idle.clear()
        await asyncio.gather(*(worker.shut_down() for worker in workers))
        # The loop checks done() instead of empty sets: the callback that removes a finished task runs only
        # when the event loop gets control, and from Python 3.12 on, waiting for finished tasks does not give
        # control to the loop.
        while pending := [task for task in [*self._starts.tasks, *self._background] if not task.done()]:
            await asyncio.wait(pending)

    def in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run a background task that `close` waits for."""
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    @property
    def _connected(self) -> list[WorkerProcess]:
        return [*self._idle, *self._general, *self._express]

    @property
    def _connected_count(self) -> int:
        return len(self._idle) + len(self._general) + len(self._express)

    @property
    def _worker_count(self) -> int:
        return self._connected_count + len(self._starts)

    @property
    def _general_room(self) -> int:
        """How many general statements may always run at once; `allocate` may allow more."""
        return max(1, self._connected_count - self._reserved)

    def _rebalance(self, *, can_start: bool = True) -> None:
        """Hand idle workers to waiting statements and start more workers, as `allocate` decides."""
        is_full_and_busy = not self._idle and self._worker_count >= self._size.max_workers
        if self._is_closing or is_full_and_busy:
            return
        can_start = can_start and self._starts.may_begin
        allocation = allocate(self._state(can_start=can_start))
        while not self._hand_over(allocation):  # a worker had died, or a caller no longer waits
            allocation = allocate(self._state(can_start=can_start))
        self._starts.begin(allocation.start)
        self._schedule_growth(allocation.start)
        if self._waiting and not self._starts:
            self._starts.try_again_later(has_workers=self._connected_count > 0)

    def _retry(self) -> None:
        if self._waiting:
            self._rebalance()

    def _schedule_growth(self, started: int) -> None:
        """Schedule the start of one more worker, in case general statements still wait then."""
        if started and self._worker_count > self._reserved + 1:
            self._may_grow = False
        if self._waiting.general and not self._may_grow and self._growing is None:
            self._growing = asyncio.get_running_loop().call_later(GROW_EVERY_S, self._grow)

    def _grow(self) -> None:
        self._growing = None
        if self._waiting.general:
            self._may_grow = True
            self._rebalance()

    def _state(self, *, can_start: bool) -> PoolState:
        return PoolState(
            idle=len(self._idle),
            general=len(self._general),
            express=len(self._express),
            starting=len(self._starts),
            waiting_general=len(self._waiting.general),
            waiting_express=len(self._waiting.express),
            max_workers=self._size.max_workers,
            can_start=can_start,
            may_grow=self._may_grow,
            is_turn_of_express=self._is_turn_of_express,
        )

    def _hand_over(self, allocation: Allocation) -> bool:
        """Hand over the allocated workers.

        Returns:
            False if the allocation has to be repeated, because a worker has died or a caller was cancelled.
        """
        lanes = (
            (self._waiting.express, self._express, allocation.express),
            (self._waiting.general, self._general, allocation.general),
        )
        for waiting, borrowed, count in lanes:
            for _ in range(count):
                if waiting[0].done():  # cancelled, and has not left the queue yet
                    waiting.popleft()
                    return False
                worker = self._idle.pop()  # the worker that was released last, whose memory is warm
                if not worker.is_alive:
                    self._replace(worker)
                    return False
                borrowed.add(worker)
                waiting.popleft().set_result(worker)
                self._is_turn_of_express = borrowed is self._general
        return True

    def _replace(self, worker: WorkerProcess) -> None:
        self._express.add(worker)
        self.in_background(self.discard(worker))

    def _remove_borrower(self, worker: WorkerProcess) -> None:
        self._general.discard(worker)
        self._express.discard(worker)

    def _take_idle(self) -> WorkerProcess | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            self._replace(worker)
        return None

    def _fail_waiting_behind_given_up(self) -> None:
        if not self._shared_session.is_held_up or self._is_closing:
            return
        if not self._starts and self._starts.may_begin:
            # The first answer to a new worker shows that the statement that was given up has ended.
            self._starts.begin(min(1, self._size.max_workers - self._worker_count))
        raise self._shared_session.refusal()

    def _check_can_wait(self) -> None:
        if self._is_closing:
            raise _shutting_down()
        most = self._size.max_workers + self._size.max_waiting - len(self._general) - len(self._express)
        if self.waiting_count > most:  # the count includes this caller
            self._waiting.drop_cancelled()
        if self.waiting_count > most:
            waiting = count_of(self.waiting_count - 1, "statement")
            raise BusyError(
                f"all workers are busy ({self._size.max_workers}); waiting: {waiting}", retry_after_s=1
            )
        refusal = self._starts.last_refusal
        cannot_start = self._worker_count == 0 and not self._starts.may_begin and not self._starts.is_limited
        if refusal is not None and cannot_start:
            raise refusal

    def _add(self, worker: WorkerProcess) -> None:
        """Add a new worker to the pool; first it ends the backends that killed workers left behind."""
        self._shared_session.compare(worker, self._connected)
        self._pooler = worker.pooler
        self._shared_session.note_answer()
        self._express.add(worker)
        self.in_background(self._end_orphans(worker))

    def _note_refusal(self, error: ExecutionError) -> None:
        """Fail the waiting callers, unless a worker that lives or is started later may serve them."""
        if self._worker_count == 0 and not self._starts.is_limited:
            self._waiting.fail(error)
        self._rebalance(can_start=False)

    async def _end_orphans(self, worker: WorkerProcess) -> None:
        """Terminate the backends of killed workers, then make the worker available."""
        try:
            while self._orphans:
                await self._connector.terminate(worker, self._orphans.pop())
        except (ExecutionError, TimeoutError) as error:
            reason = str(error) or "no answer in time"
            logger.warning("worker %d could not end an orphaned backend: %s", worker.pid, reason)
        finally:
            self.release(worker)

    def _schedule_retirement(self) -> None:
        if self._retirement is None and self._worker_count > self._size.min_workers:
            loop = asyncio.get_running_loop()
            self._retirement = loop.call_later(RETIRE_AFTER_S, self._retire_idle)

    def _retire_idle(self) -> None:
        """End workers that were not needed recently; the first one in the deque was idle longest."""
        self._retirement = None
        oldest_s = self._clock() - RETIRE_AFTER_S
        while self._idle and self._worker_count > self._size.min_workers:
            if self._idle[0].idle_since_s > oldest_s:
                break
            self.in_background(self._idle.popleft().shut_down())
        if self._idle:
            self._schedule_retirement()


def _shutting_down() -> WorkerLostError:
    return WorkerLostError("the server is shutting down")
