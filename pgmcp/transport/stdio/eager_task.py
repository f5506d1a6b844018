"""Starts a task at once, not in the event loop's next turn: a call that waits for nothing needs no turn.

Python 3.12 has such tasks; for 3.11 there is `_EagerTask`.
"""

import asyncio
import sys
from collections.abc import Coroutine
from contextvars import copy_context
from typing import Any, cast


def start_task(coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """Run a coroutine until it waits for something, and return the task that runs the rest of it."""
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=asyncio.get_running_loop(), eager_start=True)
    return cast("asyncio.Task[None]", _EagerTask(coroutine))


class _EagerTask(asyncio.Future[None]):
    """What `asyncio.Task` does, without waiting for the loop's next turn to begin.

    `asyncio.current_task` returns it while it runs, so that `asyncio.timeout` and the like work in it. The
    names of its attributes are those of `asyncio.Task`, which anyio reads.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, None]) -> None:
        super().__init__(loop=asyncio.get_running_loop())
        self._coroutine = coroutine
        self._context = copy_context()
        self._fut_waiter: asyncio.Future[Any] | None = None
        self._must_cancel = False
        self._cancel_requests = 0
        self._context.run(self._step)

    def get_coro(self) -> Coroutine[Any, Any, None]:
        return self._coroutine

    def get_name(self) -> str:
        return f"eager task {id(self)}"

    def cancel(self, msg: Any | None = None) -> bool:
        """Let CancelledError be raised where the coroutine waits."""
        if self.done():
            return False
        self._cancel_requests += 1
        is_passed_on = self._fut_waiter is not None and self._fut_waiter.cancel(msg)
        self._must_cancel = not is_passed_on
        return True

    def cancelling(self) -> int:
        return self._cancel_requests

    def uncancel(self) -> int:
        self._cancel_requests = max(0, self._cancel_requests - 1)
        return self._cancel_requests

    def _step(self, error: BaseException | None = None) -> None:
        if self._must_cancel:
            self._must_cancel = False
            error = error if isinstance(error, asyncio.CancelledError) else asyncio.CancelledError()
        self._fut_waiter = None
        outer = self._become_current()
        try:
            waited = self._coroutine.send(None) if error is None else self._coroutine.throw(error)
        except StopIteration:
            self._end()
        except asyncio.CancelledError:
            super().cancel()
        except BaseException as failure:
            self.set_exception(failure)
            if not isinstance(failure, Exception):
                raise
        else:
            self._wait_for(waited)
        finally:
            self._resign(outer)

    def _end(self) -> None:
        if self._must_cancel:  # it was cancelled and has not waited since
            super().cancel()
        else:
            self.set_result(None)

    def _wait_for(self, waited: Any) -> None:
        if waited is None:  # asyncio.sleep(0)
            self.get_loop().call_soon(self._step, context=self._context)
            return
        waited._asyncio_future_blocking = False
        waited.add_done_callback(self._wake, context=self._context)
        self._fut_waiter = waited
        if self._must_cancel and waited.cancel():
            self._must_cancel = False

    def _wake(self, waited: "asyncio.Future[Any]") -> None:
        try:
            waited.result()
        except BaseException as error:
            self._step(error)
        else:
            self._step()

    # The functions for tasks that are not asyncio's own: Python's documentation, "Extending asyncio".

    def _become_current(self) -> "asyncio.Task[Any] | None":
        loop = self.get_loop()
        outer = asyncio.current_task(loop)
        if outer is not None:
            asyncio.tasks._leave_task(loop, outer)
        asyncio.tasks._enter_task(loop, cast("asyncio.Task[None]", self))
        return outer

    def _resign(self, outer: "asyncio.Task[Any] | None") -> None:
        loop = self.get_loop()
        asyncio.tasks._leave_task(loop, cast("asyncio.Task[None]", self))
        if outer is not None:
            asyncio.tasks._enter_task(loop, outer)
