"""How many statements of unknown cost may run at once, so that a cheap one always finds a worker.

general lane   all workers but the reserved ones; whoever comes first
express lane   the reserved workers; only statements that the planner calls cheap
"""

import asyncio
from collections import deque

SHARE_RESERVED = 4
"""One worker in four is reserved; of two or fewer none is, for then half the capacity would stand idle."""


class Lanes:
    """Counts who is in the general lane, and lets the longest waiter in when somebody leaves.

    Not for several threads.
    """

    def __init__(self, workers: int) -> None:
        """Divide so many workers among the two lanes."""
        self.reserved = 0 if workers < 3 else max(1, workers // SHARE_RESERVED)
        self._free = workers - self.reserved
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting_count(self) -> int:
        """How many statements wait for the general lane."""
        return len(self._waiting)

    def try_enter(self) -> bool:
        """Enter the general lane if it has room and nobody waits."""
        if self._free == 0 or self._waiting:
            return False
        self._free -= 1
        return True

    async def enter(self) -> None:
        """Wait for a place in the general lane, first come, first served."""
        if self.try_enter():
            return
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.leave()  # it came in the moment we left
            else:
                self._waiting.remove(place)
            raise

    def leave(self) -> None:
        """Give the place to whoever waits longest, or back."""
        while self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
        self._free += 1
