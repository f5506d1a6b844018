"""Callers that wait for a worker: two queues, general and express, each first come, first served."""

import asyncio
from collections import deque
from contextlib import suppress

from pgmcp.errors import ExecutionError
from pgmcp.execution.worker_process import WorkerProcess

Place = asyncio.Future[WorkerProcess]
"""The place of one caller; its result is the worker that the caller gets."""


class WorkerQueue:
    """The places of callers that wait.

    Attributes:
        general: places of statements that may be heavy.
        express: places of statements that keep a worker only for a short time.
    """

    def __init__(self) -> None:
        self.general: deque[Place] = deque()
        self.express: deque[Place] = deque()

    def __len__(self) -> int:
        return len(self.general) + len(self.express)

    def join(self, *, is_express: bool) -> Place:
        """Return a new place at the end."""
        place: Place = asyncio.get_running_loop().create_future()
        (self.express if is_express else self.general).append(place)
        return place

    def leave(self, place: Place) -> None:
        """Remove a place, if it is still in the queue."""
        for waiting in (self.general, self.express):
            with suppress(ValueError):
                waiting.remove(place)

    def drop_cancelled(self) -> None:
        """Remove callers that were cancelled and have not removed themselves yet."""
        for waiting in (self.general, self.express):
            for place in [place for place in waiting if place.done()]:
                waiting.remove(place)

    def fail(self, error: ExecutionError) -> None:
        """Give every caller an error instead of a worker."""
        for waiting in (self.general, self.express):
            while waiting:
                place = waiting.popleft()
                if not place.done():
                    place.set_exception(error)
