"""Workers of a pool that are being started and connected, and what the database refused."""

import asyncio
import logging
from collections.abc import Callable

from pgmcp.errors import ExecutionError
from pgmcp.execution.backoff import Backoff
from pgmcp.execution.connecting import Connector
from pgmcp.execution.worker_process import WorkerProcess

logger = logging.getLogger(__name__)


class WorkerStarts:
    """Starts workers in the background, and waits longer after each refusal.

    Args:
        connector: makes the workers.
        database: its configured name, for messages.
        on_connected: called with each new worker.
        on_refused: called with the reason why there is none.
        clock: seconds, monotonic.

    Attributes:
        last_refusal: why the last start failed; None since a worker was connected.
    """

    def __init__(
        self,
        connector: Connector,
        database: str,
        *,
        on_connected: Callable[[WorkerProcess], None],
        on_refused: Callable[[ExecutionError], None],
        clock: Callable[[], float],
    ) -> None:
        self._connector = connector
        self._database = database
        self._on_connected = on_connected
        self._on_refused = on_refused
        self._clock = clock
        self._backoff = Backoff()
        self._running: set[asyncio.Task[None]] = set()
        self.last_refusal: ExecutionError | None = None

    def __len__(self) -> int:
        return len(self._running)

    @property
    def may_begin(self) -> bool:
        """Whether the database has not refused connections lately."""
        return self._backoff.wait_s(self._clock()) == 0

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The starts in progress."""
        return list(self._running)

    def begin(self, count: int) -> None:
        """Start so many workers."""
        for _ in range(count):
            start = asyncio.create_task(self._bring_up())
            self._running.add(start)
            start.add_done_callback(self._running.discard)

    def cancel(self) -> None:
        """Give up the starts in progress."""
        for start in self._running:
            start.cancel()

    async def _bring_up(self) -> None:
        try:
            worker = await self._connector.open()
        except ExecutionError as error:
            self._leave()
            self._backoff.failed(self._clock())
            self.last_refusal = error
            logger.warning("no new worker for %s: %s", self._database, error)
            self._on_refused(error)
            return
        self._leave()
        self._backoff.succeeded()
        self.last_refusal = None
        self._on_connected(worker)

    def _leave(self) -> None:
        """Count the current start no longer, before the pool counts its worker."""
        if (task := asyncio.current_task()) is not None:
            self._running.discard(task)
