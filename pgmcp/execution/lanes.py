"""Limits the concurrent statements of unknown cost, so that cheap statements always get a worker.

general lane   all workers but the reserved ones; first come, first served
express lane   the reserved workers; only statements that are cheap by the planner's estimate

An estimate takes a round trip, which is worthwhile only if long statements block the general lane. Otherwise
a place becomes free sooner than the planner answers.

The statements of one principal may have all places of the general lane but one, so that they never make all
other principals wait. If the lane has only one place, they may have it.
"""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from typing import Final

from pgmcp.execution.allocation import reserved_of

BLOCKED_AFTER_S: Final = 0.02
"""A full lane is blocked if no statement could enter it for this long."""


class Lanes:
    """Counts the statements in the general lane. The longest waiter that may enter gets a free place.

    Not thread-safe.
    """

    def __init__(
        self,
        workers: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        call_later: Callable[[float, Callable[[], None]], object] | None = None,
    ) -> None:
        """Divide the workers between the two lanes.

        Args:
            workers: number of workers in both lanes.
            clock: returns monotonic seconds.
            call_later: the event loop's by default.
        """
        self.reserved = reserved_of(workers)
        self._free = workers - self.reserved
        self._clock = clock
        self._call_later = call_later
        self._places_of_one = max(1, self._free - 1)
        self._held: Counter[str] = Counter()
        self._waiting: dict[asyncio.Future[bool], str | None] = {}
        self._urgent: set[asyncio.Future[bool]] = set()
        self._last_entry_s = clock()
        self._is_check_scheduled = False

    @property
    def waiting_count(self) -> int:
        """The number of statements that wait for the general lane."""
        return len(self._waiting)

    @property
    def is_blocked(self) -> bool:
        """Whether the lane is full, or statements wait for it, and no statement could enter it recently."""
        is_closed = self._free == 0 or bool(self._waiting)
        return is_closed and self._clock() - self._last_entry_s >= BLOCKED_AFTER_S

    def try_enter(self, principal: str | None = None) -> bool:
        """Enter the general lane if it has room for this principal, and return whether it had.

        Args:
            principal: the caller of the statement; None if callers are not distinguished.
        """
        # Waiting statements need not be asked first: `leave` has offered them the free place.
        if self._free == 0 or (principal is not None and not self._may_enter(principal)):
            return False
        self._take(principal)
        return True

    def ask(self, *, is_patient: bool = True, principal: str | None = None) -> asyncio.Future[bool]:
        """Return a future for a place in the general lane, first come, first served.

        The result is whether the lane was entered. If the future is not done, it must be passed to `wait`.

        Args:
            is_patient: whether to wait even if the lane is blocked. If it is False, the result is False for a
                blocked lane.
            principal: the caller of the statement.
        """
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        if self.try_enter(principal):
            place.set_result(True)
        elif not is_patient and self.is_blocked:
            place.set_result(False)
        else:
            self._waiting[place] = principal
            if not is_patient:
                self._urgent.add(place)
                self._schedule_check()
        return place

    async def wait(self, place: asyncio.Future[bool], principal: str | None = None) -> bool:
        """Wait for a place and return the result; give the place back if the wait fails or is cancelled."""
        try:
            return await place
        except BaseException:
            if place in self._waiting:
                del self._waiting[place]
            elif place.done() and not place.cancelled() and place.exception() is None and place.result():
                self.leave(principal)  # the place was given just before the wait ended
            raise
        finally:
            self._urgent.discard(place)

    def leave(self, principal: str | None = None) -> None:
        """Give the place to the longest waiter that may have it, or free it."""
        self._free += 1
        if principal is not None:
            self._held[principal] -= 1
            if not self._held[principal]:
                del self._held[principal]
        for place, waiting in list(self._waiting.items()):
            if place.done():
                del self._waiting[place]
            elif self._may_enter(waiting):
                del self._waiting[place]
                self._take(waiting)
                place.set_result(True)
                return

    def _may_enter(self, principal: str | None) -> bool:
        return principal is None or self._held[principal] < self._places_of_one

    def _take(self, principal: str | None) -> None:
        self._free -= 1
        self._last_entry_s = self._clock()
        if principal is not None:
            self._held[principal] += 1

    def _schedule_check(self) -> None:
        """Check again when the lane may become blocked, for impatient waiters."""
        if self._is_check_scheduled:
            return
        self._is_check_scheduled = True
        left_s = max(0.0, BLOCKED_AFTER_S - (self._clock() - self._last_entry_s))
        call_later = self._call_later or asyncio.get_running_loop().call_later
        call_later(left_s, self._check_waiting)

    def _check_waiting(self) -> None:
        self._is_check_scheduled = False
        if self.is_blocked:
            for place in [place for place in self._waiting if place in self._urgent and not place.done()]:
                del self._waiting[place]
                place.set_result(False)
        elif self._urgent:
            self._schedule_check()
