"""Tasks that answer requests, and are used again.

A new task begins one turn of the event loop after it was created. A task that has answered its request waits
here for the next one, and begins with it at once. A statement for an idle worker is therefore sent in the
turn in which the host's line is read, and its answer is written in the turn in which the worker's reply is
read (`pgmcp.prompt_future`).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from pgmcp.prompt_future import PromptFuture

MAX_IDLE: Final = 64
"""Tasks that are kept; each takes about 2 KB."""

Work = Callable[[], Awaitable[None]]


class Runners:
    """Runs works at once, in tasks that are kept. For one event loop."""

    def __init__(self) -> None:
        self._idle: list[tuple[asyncio.Task[None], PromptFuture[Work]]] = []

    def start(self, work: Work, note_task: Callable[[asyncio.Task[None]], None]) -> None:
        """Run a work until it waits for something; the rest of it follows when that is there.

        A context variable that a work sets and does not reset is still set for the task's next work.

        Args:
            note_task: called first, with the task that runs the work. A cancelled task is not used again.
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
