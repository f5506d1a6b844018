"""A spawn that remembers the pids of what it started."""

from pgmcp.execution.spawn import Child, Spawn


class RecordedSpawn:
    """Starts workers as another spawn does.

    Attributes:
        pids: of every worker so far, in the order they were started.
    """

    def __init__(self, spawn: Spawn) -> None:
        self._spawn = spawn
        self.pids: list[int] = []

    async def __call__(self) -> Child:
        child = await self._spawn()
        self.pids.append(child.pid)
        return child
