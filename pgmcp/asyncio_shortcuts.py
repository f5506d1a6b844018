"""Replaces two parts of asyncio by faster ones, because every call uses them: a future and a timer.

A task that waits for an `asyncio.Future` continues one turn of the event loop after the result was set. Each
turn asks the kernel for events, which takes as long as about ten function calls. A task that waits for a
`PromptFuture` continues in the same turn.

`asyncio.timeout` sets and cancels a timer of the event loop for every wait. `SharedTimer` uses one timer for
many deadlines, few of which are ever reached. A deadline is an entry in a dictionary; the timer is set for
the earliest one. Clearing a deadline does not change the timer, so it may fire too early.
"""

import asyncio
import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, TypeVar

T = TypeVar("T")


class PromptFuture(asyncio.Future[T]):
    """A future for one task that waits for it."""

    def resolve(self, result: T) -> None:
        """Set the result, and return after the task that waits for it has run until it waits again.

        If a task calls this, it is the same as `set_result`, because no task can run within another one.
        """
        callbacks = getattr(self, "_callbacks", None)  # not public: without it the task goes on a turn later
        if not callbacks or len(callbacks) > 1 or asyncio.current_task(self.get_loop()) is not None:
            self.set_result(result)
            return
        ((resume, context),) = callbacks
        self.remove_done_callback(resume)
        self.set_result(result)
        context.run(resume, self)


class SharedTimer:
    """Calls functions at their deadlines. All calls must come from one event loop."""

    def __init__(self) -> None:
        self._entries: dict[object, tuple[float, Callable[[], None]]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._wakes_at_s = math.inf

    def set(self, key: object, left_s: float, act: Callable[[], None]) -> None:
        """Call `act` after `left_s`, unless the key is cleared; replace the deadline that the key has."""
        loop = asyncio.get_running_loop()
        deadline_s = loop.time() + (left_s if left_s > 0 else 0.0)
        self._entries[key] = (deadline_s, act)
        if deadline_s < self._wakes_at_s:
            self._wake_at(loop, deadline_s)

    def clear(self, key: object) -> None:
        """Forget the deadline of a key, if it has one."""
        self._entries.pop(key, None)

    def close(self) -> None:
        """Forget all deadlines."""
        self._entries.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._wakes_at_s = None, math.inf

    def fails(
        self, waiting: asyncio.Future[Any], left_s: float, *, only_if: Callable[[], bool] | None = None
    ) -> AbstractContextManager[None]:
        """Return a context manager: if its block takes too long, the future fails with a TimeoutError.

        Args:
            left_s: how long the block may take.
            only_if: called after the delay; the future fails only if it returns True.
        """
        return _Failing(self, waiting, left_s, only_if)

    def _wake_at(self, loop: asyncio.AbstractEventLoop, deadline_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._wakes_at_s = loop.call_at(deadline_s, self._act), deadline_s

    def _act(self) -> None:
        self._timer, self._wakes_at_s = None, math.inf
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        in_order = sorted(self._entries.items(), key=lambda entry: entry[1][0])
        for key, (deadline_s, act) in in_order:
            if deadline_s <= now_s and self._entries.get(key) == (deadline_s, act):
                del self._entries[key]
                act()
        if self._entries:
            self._wake_at(loop, min(deadline_s for deadline_s, _ in self._entries.values()))


class _Failing:
    """The context manager of `SharedTimer.fails`, cheaper than one of contextlib's."""

    __slots__ = ("_left_s", "_only_if", "_timer", "_waiting")

    def __init__(
        self,
        timer: SharedTimer,
        waiting: asyncio.Future[Any],
        left_s: float,
        only_if: Callable[[], bool] | None,
    ) -> None:
        self._timer = timer
        self._waiting = waiting
        self._left_s = left_s
        self._only_if = only_if

    def __enter__(self) -> None:
        self._timer.set(self, self._left_s, self._fail)

    def __exit__(self, *_: object) -> None:
        self._timer.clear(self)

    def _fail(self) -> None:
        if not self._waiting.done() and (self._only_if is None or self._only_if()):
            self._waiting.set_exception(TimeoutError())
