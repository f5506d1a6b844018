"""Answers requests in tasks that are reused.

A new task starts one turn of the event loop after it is created. A task that has answered its request waits
here for the next one, and starts it at once. If a worker is idle, a statement is therefore sent in the same
turn in which the host's line is read. The answer is written in the same turn in which the worker's reply is
read (`pgmcp.asyncio_shortcuts`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from pgmcp.asyncio_shortcuts import PromptFuture

MAX_IDLE: Final = 64
"""Maximum number of tasks that are kept; each takes about 2 KB."""

Work = Callable[[], Awaitable[None]]


class Runners:
    """Runs functions at once, in tasks that are kept. All calls must come from one event loop."""

    def __init__(self) -> None:
        self._idle: list[tuple[asyncio.Task[None], PromptFuture[Work]]] = []

    def start(self, work: Work, note_task: Callable[[asyncio.Task[None]], None]) -> None:
        """Run a function in an idle task, up to its first wait; without an idle task, create one for it.

        If the function sets a context variable and does not reset it, the next function in the task sees it.

        Args:
            work: the function, which must not raise an error; a cancelled task is not reused.
            note_task: called with the task before the function runs.
        """
        if self._idle:
            task, given = self._idle.pop()
            note_task(task)
            given.resolve(work)
        else:
            note_task(asyncio.get_running_loop().create_task(self._run(work)))

    async def close(self) -> None:
        """End the tasks that are idle."""
        idle = [task for task, _ in self._idle]
        self._idle.clear()
        for task in idle:
            task.cancel()
        if idle:
            await asyncio.wait(idle)

    async def _run(self, work: Work) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a runner is a task")
        loop = task.get_loop()
        while True:
            await work()
            if task.cancelling() or len(self._idle) >= MAX_IDLE:
                return
            given: PromptFuture[Work] = PromptFuture(loop=loop)
            self._idle.append((task, given))
            work = await given
