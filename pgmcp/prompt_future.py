"""A future whose waiting task goes on in the same turn of the event loop.

A task that waits for an `asyncio.Future` goes on one turn after its result was set. Each turn asks the kernel
for events, which takes as long as some ten function calls.
"""

import asyncio
from typing import TypeVar

T = TypeVar("T")


class PromptFuture(asyncio.Future[T]):
    """A future for one task that waits for it."""

    def resolve(self, result: T) -> None:
        """Set the result, and return after the task that waits for it has run until it waits again.

        In another task, where no task can run, this is `set_result`.
        """
        callbacks = getattr(self, "_callbacks", None)  # not public: without it the task goes on a turn later
        if not callbacks or len(callbacks) > 1 or asyncio.current_task(self.get_loop()) is not None:
            self.set_result(result)
            return
        ((resume, context),) = callbacks
        self.remove_done_callback(resume)
        self.set_result(result)
        context.run(resume, self)
