"""The time limit of calls: one timer for all of them.

`asyncio.timeout` sets a timer for each call and cancels it again, although few calls reach their limit. All
calls have the same limit, so their deadlines have the order of their starts, and one timer for the oldest
call is enough.
"""

import asyncio
from types import TracebackType


class TimeLimit:
    """Cancels calls that take too long. For one event loop.

    Args:
        timeout_s: maximum duration of each call.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._running: dict[_LimitedCall, None] = {}  # in the order of their deadlines
        self._timer: asyncio.TimerHandle | None = None

    def limit(self) -> "_LimitedCall":
        """Return a context manager for the current task; on leaving a late one it raises TimeoutError."""
        return _LimitedCall(self)

    def begin(self, call: "_LimitedCall", loop: asyncio.AbstractEventLoop) -> None:
        """Add a call that begins now."""
        call.deadline_s = loop.time() + self._timeout_s
        self._running[call] = None
        if self._timer is None:
            self._timer = loop.call_at(call.deadline_s, self._cancel_late)

    def end(self, call: "_LimitedCall") -> None:
        """Remove a call; the timer remains for later calls."""
        self._running.pop(call, None)

    def _cancel_late(self) -> None:
        self._timer = None
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        for call in list(self._running):
            if call.deadline_s > now_s:
                self._timer = loop.call_at(call.deadline_s, self._cancel_late)
                break
            del self._running[call]
            call.expire()


class _LimitedCall:
    """One call; behaves like `asyncio.Timeout`."""

    __slots__ = ("_cancel_requests", "_is_expired", "_limit", "_task", "deadline_s")

    def __init__(self, limit: TimeLimit) -> None:
        self._limit = limit
        self._is_expired = False
        self._cancel_requests = 0
        self.deadline_s = 0.0

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit needs a task to cancel")
        self._task = task
        self._cancel_requests = task.cancelling()
        self._limit.begin(self, task.get_loop())

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._limit.end(self)
        if not self._is_expired:
            return
        # If the task was cancelled for another reason too, that takes precedence over the time limit.
        is_ours = self._task.uncancel() <= self._cancel_requests
        if is_ours and isinstance(exc, asyncio.CancelledError):
            raise TimeoutError from exc

    def expire(self) -> None:
        """Cancel the task."""
        self._is_expired = True
        self._task.cancel()
