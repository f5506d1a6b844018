"""Decides how many waiting statements get an idle worker of a pool, and how many workers to start.

`allocate` only computes: `pool` gives it counts, and does what it returns. `WorkerQueue` holds the callers
that wait for a worker.

Express statements are cheap. They may use the reserved workers, and any worker that no general statement
waits for. General statements may be heavy. They leave the reserved workers free. In a new pool, as long as
more workers can be started, only one general statement runs until the reserved workers are connected. More
workers for general statements start one at a time, because heavy statements that begin together would take
all processors of a small database server.
"""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final

from msgspec import Struct

from pgmcp.errors import ExecutionError
from pgmcp.execution.worker_process import WorkerProcess

SHARE_RESERVED: Final = 4
"""One worker in four is reserved, and at least one if there are three or more. If there are one or two, none
is reserved, because half of the capacity or more would be idle.
"""

_EXPRESS_WORKERS: Final = 2


def reserved_of(workers: int) -> int:
    """Return how many of a pool's workers are reserved for express statements."""
    return 0 if workers < 3 else max(1, workers // SHARE_RESERVED)


class PoolSize(Struct, frozen=True):
    """Limits of a pool.

    Attributes:
        min_workers: number of workers that are kept while the database is in use.
        max_workers: maximum number of workers; each is one process with one connection.
        max_waiting: maximum number of statements that wait for a worker.
    """

    min_workers: int
    max_workers: int
    max_waiting: int


class PoolState(Struct, frozen=True):
    """The state of a pool: its workers and the waiting statements.

    Attributes:
        idle: connected workers that run nothing.
        general: workers that run general statements.
        express: workers that run express statements or maintenance of the pool.
        starting: workers that are not connected yet.
        waiting_general: general statements without a worker.
        waiting_express: express statements without a worker.
        max_workers: maximum size of the pool.
        can_start: whether workers may be started now; False during a delay after failed starts.
        may_grow: whether one more worker may be started, beyond the reserved ones and one general worker.
        is_turn_of_express: whether the last worker went to a general statement.
    """

    idle: int = 0
    general: int = 0
    express: int = 0
    starting: int = 0
    waiting_general: int = 0
    waiting_express: int = 0
    max_workers: int = 10
    can_start: bool = True
    may_grow: bool = True
    is_turn_of_express: bool = True

    @property
    def workers(self) -> int:
        """The number of all workers, connected or not."""
        return self.idle + self.general + self.express + self.starting


class Allocation(Struct, frozen=True):
    """What the pool does next.

    Attributes:
        express: how many express statements get an idle worker.
        general: how many general statements get an idle worker.
        start: how many workers to start.
    """

    express: int
    general: int
    start: int


def allocate(state: PoolState) -> Allocation:
    """Return how many waiting statements get an idle worker, and how many workers to start."""
    connected = state.idle + state.general + state.express
    room = max(0, state.max_workers - connected - state.starting) if state.can_start else 0
    can_grow = state.starting > 0 or room > 0
    reserved = reserved_of(state.max_workers if can_grow else connected)
    express, general = _allocate_idle(state, general_workers=max(1, connected - reserved))
    idle = state.idle - express - general
    unserved_general = state.waiting_general - general
    unserved = unserved_general + state.waiting_express - express
    is_crowd = state.general + state.waiting_general > 1
    kept_idle = reserved if unserved_general and is_crowd else 0
    spare = 1 if idle == 0 and unserved == 0 else 0
    start = unserved + max(kept_idle, spare) - idle - state.starting
    return Allocation(express, general, max(0, min(room, _growth(state), start)))


def _allocate_idle(state: PoolState, general_workers: int) -> tuple[int, int]:
    """Return how many express and how many general statements get an idle worker.

    Each kind has its own workers; express statements also get workers that no general statement waits for.
    Without workers of their own, general statements might wait forever behind a steady stream of express
    statements.

    Args:
        general_workers: how many workers general statements may have.
    """
    express_workers = state.idle + state.general + state.express - general_workers
    room = general_workers - state.general
    if express_workers == 0 and state.is_turn_of_express:  # both kinds take turns at the only workers
        express = min(state.idle, state.waiting_express, 1)
    else:
        express = min(state.idle, state.waiting_express, max(0, express_workers - state.express))
    general = max(0, min(state.idle - express, state.waiting_general, room))
    return min(state.idle - general, state.waiting_express), general


def _growth(state: PoolState) -> int:
    """Return how many workers may be started now: the reserved ones and one more, then one at a time.

    If there are only express statements, such as pgmcp's own reads at the start, only two workers are
    started. A third would only take memory. A pool without reserved workers starts all that are needed.
    """
    reserved = reserved_of(state.max_workers)
    if not reserved:
        return state.max_workers
    first = reserved + 1 if state.general + state.waiting_general else _EXPRESS_WORKERS
    return max(first - state.workers, 0) or int(state.may_grow)


Waiter = asyncio.Future[WorkerProcess]
"""The future of a waiting caller; its result is the worker that the caller gets."""


class WorkerQueue:
    """The callers that wait for a worker.

    Attributes:
        general: those whose statements may be heavy.
        express: those whose statements keep a worker only for a short time.
    """

    def __init__(self) -> None:
        self.general: deque[Waiter] = deque()
        self.express: deque[Waiter] = deque()

    def __len__(self) -> int:
        return len(self.general) + len(self.express)

    def join(self, *, is_express: bool) -> Waiter:
        """Add a waiter at the end, and return it."""
        waiter: Waiter = asyncio.get_running_loop().create_future()
        (self.express if is_express else self.general).append(waiter)
        return waiter

    def remove(self, waiter: Waiter) -> None:
        """Remove a waiter, if it is still in the queue."""
        for waiting in (self.general, self.express):
            with suppress(ValueError):
                waiting.remove(waiter)

    def drop_cancelled(self) -> None:
        """Remove callers that were cancelled and have not removed themselves yet."""
        for waiting in (self.general, self.express):
            for waiter in [waiter for waiter in waiting if waiter.done()]:
                waiting.remove(waiter)

    def fail(self, error: ExecutionError) -> None:
        """Give every caller an error instead of a worker."""
        for waiting in (self.general, self.express):
            while waiting:
                waiter = waiting.popleft()
                if not waiter.done():
                    waiter.set_exception(error)
