"""Who gets the idle workers of a pool, and how many more to start: one pure decision.

Cheap statements on the express lane come first. General statements, which may be heavy, leave the reserved
workers free, from the first moment on: while further workers can be had, all but one general statement wait
until the reserved ones are there. Further workers for general statements are started one at a time, because
heavy statements that begin together would take all processors of a small database server.
"""

from dataclasses import dataclass
from typing import Final

SHARE_RESERVED: Final = 4
"""One worker in four is reserved; of two or fewer none is, for then half the capacity would stand idle."""

_EXPRESS_WORKERS: Final = 2


def reserved_of(workers: int) -> int:
    """Return how many of so many workers are reserved for cheap statements."""
    return 0 if workers < 3 else max(1, workers // SHARE_RESERVED)


@dataclass(frozen=True, slots=True)
class PoolState:
    """What a pool has and what is asked of it.

    Attributes:
        idle: connected workers that nobody uses.
        general: workers that run general statements.
        other: workers that run express statements, or chores of the pool.
        starting: workers that are not connected yet.
        waiting_general: general statements without a worker.
        waiting_express: express statements without a worker.
        max_workers: the bound of the pool.
        can_start: the database was not seen to refuse further connections.
        may_grow: one more worker may be started than there are now, beyond the reserved ones and another.
    """

    idle: int = 0
    general: int = 0
    other: int = 0
    starting: int = 0
    waiting_general: int = 0
    waiting_express: int = 0
    max_workers: int = 10
    can_start: bool = True
    may_grow: bool = True

    @property
    def workers(self) -> int:
        """All of them, connected or not."""
        return self.idle + self.general + self.other + self.starting


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a pool is to do now.

    Attributes:
        express: how many express statements get an idle worker.
        general: how many general statements get one.
        start: how many workers to start.
    """

    express: int
    general: int
    start: int


def allocate(state: PoolState) -> Allocation:
    """Return who gets a worker and how many workers to start."""
    connected = state.idle + state.general + state.other
    room = max(0, state.max_workers - connected - state.starting) if state.can_start else 0
    can_grow = state.starting > 0 or room > 0
    reserved = reserved_of(state.max_workers if can_grow else connected)
    express = min(state.idle, state.waiting_express)
    idle = state.idle - express
    room_general = max(1, connected - reserved) - state.general
    general = max(0, min(idle, state.waiting_general, room_general))
    idle -= general
    unserved_general = state.waiting_general - general
    unserved = unserved_general + state.waiting_express - express
    is_crowd = state.general + state.waiting_general > 1
    kept_idle = reserved if unserved_general and is_crowd else 0
    spare = 1 if idle == 0 and unserved == 0 else 0
    start = unserved + max(kept_idle, spare) - idle - state.starting
    return Allocation(express, general, max(0, min(room, _growth(state), start)))


def _growth(state: PoolState) -> int:
    """Return how many workers may be started now: the reserved ones and another, then one at a time.

    Express statements alone, such as our own reads at the start, share two workers: a third would only take
    memory.
    """
    reserved = reserved_of(state.max_workers)
    if not reserved:
        return state.max_workers
    first = reserved + 1 if state.general + state.waiting_general else _EXPRESS_WORKERS
    return max(first - state.workers, 0) or int(state.may_grow)
