"""The time limit of a call. All calls share one timer, because few of them reach their limit."""

import asyncio
from types import TracebackType

from pgmcp.execution.shared_timer import SharedTimer


class TimeLimit:
    """Cancels the current task's block if it takes too long; behaves like `asyncio.timeout`.

    On leaving a block that was cancelled for this reason it raises TimeoutError.

    Args:
        timeout_s: maximum duration of the block.
    """

    __slots__ = ("_cancel_requests", "_is_expired", "_task", "_timeout_s", "_timer")

    def __init__(self, timer: SharedTimer, timeout_s: float) -> None:
        self._timer = timer
        self._timeout_s = timeout_s
        self._is_expired = False
        self._cancel_requests = 0

    def __enter__(self) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a time limit needs a task to cancel")
        self._task = task
        self._cancel_requests = task.cancelling()
        self._timer.set(self, self._timeout_s, self._expire)

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.clear(self)
        if not self._is_expired:
            return
        # If the task was cancelled for another reason too, that takes precedence over the time limit.
        is_ours = self._task.uncancel() <= self._cancel_requests
        if is_ours and isinstance(exc, asyncio.CancelledError):
            raise TimeoutError from exc

    def _expire(self) -> None:
        self._is_expired = True
        self._task.cancel()
