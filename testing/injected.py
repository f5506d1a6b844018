"""Objects that tests pass to pgmcp: a clock and timer for retries, and a spawn function that keeps pids."""

import asyncio
from collections.abc import Callable

from pgmcp.execution.spawn import Child, Spawn


class Retries:
    """A clock and a timer: a test moves the clock to the next retry.

    Attributes:
        delays_s: the delay of each scheduled retry, in seconds.
    """

    def __init__(self) -> None:
        self.delays_s: list[float] = []
        self._now_s = 0.0
        self._next: asyncio.TimerHandle | None = None
        self._call: Callable[[], None] = lambda: None

    def clock(self) -> float:
        """Return the time in seconds."""
        return self._now_s

    def call_later(self, delay_s: float, call: Callable[[], None]) -> asyncio.TimerHandle:
        """Record a retry; only `run_retry` runs it."""
        self.delays_s.append(delay_s)
        loop = asyncio.get_running_loop()
        self._call = call
        self._next = asyncio.TimerHandle(self._now_s + delay_s, call, (), loop)
        return self._next

    def run_retry(self) -> None:
        """Move the clock to the retry, and run it if it was not cancelled."""
        assert self._next is not None, "no retry was scheduled"
        self._now_s = self._next.when()
        if not self._next.cancelled():
            self._call()


class RecordedSpawn:
    """Starts workers through another spawn function.

    Attributes:
        pids: the pids of all workers so far, in the order in which they started.
    """

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self.pids: list[int] = []

    async def __call__(self) -> Child:
        child = await self._spawn()
        self.pids.append(child.pid)
        return child
