"""Caches a value, and reads it again in the background, one read at a time."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from pgmcp.errors import PgmcpError

T = TypeVar("T")

_RETRY_INTERVAL_S = 60.0
"""Delay before a failed background refresh is retried, if the refresh interval is longer."""


class RefreshingCache(Generic[T]):
    """Caches the result of `read`, and reads it again when it is old, or on request.

    All waiting callers wait for the same read. A cancelled caller does not cancel the read.

    Args:
        read: reads the value; its errors reach the callers who wait.
        refresh_interval_s: age at which `get` starts a refresh in the background.
        logger: logs background refreshes that failed.
        name: name of the value, for that message.
        max_age_s: age at which `get` waits for a new value instead; None never waits for one.
        clock: returns the current time in seconds.
    """

    def __init__(
        self,
        read: Callable[[], Awaitable[T]],
        *,
        refresh_interval_s: float,
        logger: logging.Logger,
        name: str,
        max_age_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._refresh_interval_s = refresh_interval_s
        self._max_age_s = max_age_s
        self._logger = logger
        self._name = name
        self._clock = clock
        self._kept: list[T] = []  # one at most
        self._read_at_s = 0.0
        self._refresh_at_s = 0.0
        self._reading: asyncio.Task[T] | None = None

    async def get(self) -> T:
        """Return the cached value; wait for a read if there is none, or if it is too old.

        An error of `read` reaches a caller that waits.
        """
        kept = self.peek()
        return await self.refresh() if kept is None else kept

    def peek(self) -> T | None:
        """Return the value if `get` would not wait, and start a refresh if it is old; otherwise None."""
        now_s = self._clock()
        if not self._kept or (self._max_age_s is not None and now_s - self._read_at_s >= self._max_age_s):
            return None
        if now_s >= self._refresh_at_s and self._reading is None:
            self._start_reading().add_done_callback(self._report_failure)
        return self._kept[0]

    async def refresh(self) -> T:
        """Read now, or wait for a read that is running; return the value. Errors of `read` are raised."""
        # Without the shield, one cancelled caller would cancel the read for all others.
        return await asyncio.shield(self._reading or self._start_reading())

    async def close(self) -> None:
        """Cancel a read that is running, and the callers who wait for it."""
        if self._reading:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _start_reading(self) -> asyncio.Task[T]:
        self._reading = asyncio.create_task(self._replace())
        self._reading.add_done_callback(self._finish_reading)
        return self._reading

    async def _replace(self) -> T:
        started_at_s = self._clock()
        new = await self._read()
        self._kept = [new]
        self._read_at_s = started_at_s
        self._refresh_at_s = self._clock() + self._refresh_interval_s
        return new

    def _finish_reading(self, reading: asyncio.Task[T]) -> None:
        self._reading = None
        if not reading.cancelled() and reading.exception():
            self._refresh_at_s = self._clock() + min(self._refresh_interval_s, _RETRY_INTERVAL_S)

    def _report_failure(self, reading: asyncio.Task[T]) -> None:
        if reading.cancelled() or not (error := reading.exception()):
            return
        reason = error.code if isinstance(error, PgmcpError) else type(error).__name__
        self._logger.warning("%s could not be read (%s)", self._name, reason)
