"""A spawn function that records the pids of its processes."""

from pgmcp.execution.spawn import Child, Spawn


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
