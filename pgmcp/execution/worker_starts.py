"""Starts and connects the workers of a pool, and decides how long to wait after failed starts."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from pgmcp.errors import ConnectionLimitError, ExecutionError
from pgmcp.execution.connecting import Connector
from pgmcp.execution.worker_process import WorkerProcess

logger = logging.getLogger(__name__)

MAX_DELAY_WITHOUT_WORKERS_S: Final = 5.0
"""Longest delay between attempts at a limit of connections while callers wait and the pool has no worker.

A shorter delay would fill the server's log, which gets a line for each attempt.
"""

FREE_ATTEMPTS: Final = 2
"""Failures in a row that cause no delay, because a restart of the database causes one or two."""

FIRST_DELAY_S: Final = 0.5
MAX_DELAY_S: Final = 8.0


CallLater = Callable[[float, Callable[[], None]], asyncio.TimerHandle]


class WorkerStarts:
    """Starts workers in the background. After repeated failures, the delay until the next start grows.

    Args:
        connector: starts and connects a worker.
        database: the database's name in the settings, for messages.
        on_connected: called with each new worker.
        on_refused: called with the error of each failed start.
        on_retry: called after the delay of `try_again_later`; it may start workers.
        clock: returns monotonic seconds.
        call_later: the event loop's by default.

    Attributes:
        last_refusal: why the last start failed; None once a worker has connected.
    """

    def __init__(
        self,
        connector: Connector,
        database: str,
        *,
        on_connected: Callable[[WorkerProcess], None],
        on_refused: Callable[[ExecutionError], None],
        on_retry: Callable[[], None],
        clock: Callable[[], float],
        call_later: CallLater | None = None,
    ) -> None:
        self._connector = connector
        self._database = database
        self._on_connected = on_connected
        self._on_refused = on_refused
        self._on_retry = on_retry
        self._clock = clock
        self._call_later = call_later
        self._backoff = Backoff()
        self._running: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self.last_refusal: ExecutionError | None = None

    def __len__(self) -> int:
        return len(self._running)

    @property
    def may_begin(self) -> bool:
        """Whether a worker may be started now, because no delay after failed starts is left."""
        return self._backoff.wait_s(self._clock()) == 0

    @property
    def is_limited(self) -> bool:
        """Whether the last connection was refused because of a limit of connections."""
        return isinstance(self.last_refusal, ConnectionLimitError)

    @property
    def tasks(self) -> list[asyncio.Task[None]]:
        """The starts in progress."""
        return list(self._running)

    def begin(self, count: int) -> None:
        """Start `count` workers in the background, whatever `may_begin` says."""
        for _ in range(count):
            start = asyncio.create_task(self._open_worker())
            self._running.add(start)
            start.add_done_callback(self._running.discard)

    def try_again_later(self, *, has_workers: bool) -> None:
        """At a limit of connections, call `on_retry` after a delay; otherwise do nothing."""
        if not self.is_limited or self._retry is not None:
            return
        delay_s = max(FIRST_DELAY_S, self._backoff.wait_s(self._clock()))
        if not has_workers:
            delay_s = min(delay_s, MAX_DELAY_WITHOUT_WORKERS_S)
        call_later = self._call_later or asyncio.get_running_loop().call_later
        self._retry = call_later(delay_s, self._try_again)

    def _try_again(self) -> None:
        self._retry = None
        self._backoff.end_wait()
        self._on_retry()

    def cancel(self) -> None:
        """Cancel the starts in progress, and the call of `on_retry` if it is scheduled."""
        if self._retry is not None:
            self._retry.cancel()
        for start in self._running:
            start.cancel()

    async def _open_worker(self) -> None:
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
        """Stop counting the current start, before the pool counts its worker."""
        if (task := asyncio.current_task()) is not None:
            self._running.discard(task)


class Backoff:
    """Counts failures in a row, and computes the delay until the next attempt.

    The current time is an argument of its methods.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._delay_s = FIRST_DELAY_S
        self._blocked_until_s = 0.0

    def failed(self, now_s: float) -> None:
        """Note a failed attempt."""
        self._failures += 1
        if self._failures > FREE_ATTEMPTS:
            self._blocked_until_s = now_s + self._delay_s
            self._delay_s = min(2 * self._delay_s, MAX_DELAY_S)

    def succeeded(self) -> None:
        """Note a successful connection."""
        self._failures = 0
        self._delay_s = FIRST_DELAY_S
        self._blocked_until_s = 0.0

    def end_wait(self) -> None:
        """Allow the next attempt now; the delay after another failure stays long."""
        self._blocked_until_s = 0.0

    def wait_s(self, now_s: float) -> float:
        """Return the seconds until the next attempt; 0 if it may be made now."""
        return max(0.0, self._blocked_until_s - now_s)
