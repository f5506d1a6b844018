"""Reports the progress of one call: each stage when it begins, and again at intervals while it lasts."""

import asyncio
from collections.abc import Callable
from typing import Final

INTERVAL_S: Final = 10.0
"""Interval between reports of a stage. Hosts wait 60 s by default; some wait longer after each report."""

_NO_STAGE: Final = "starting"


class Progress:
    """Reports progress to a host that asked for it.

    Args:
        send: called with the number of the report, which begins at 1, and its message.
        interval_s: interval between repeated reports of a stage, which say how many seconds it has taken.
    """

    def __init__(self, send: Callable[[int, str], None], interval_s: float = INTERVAL_S) -> None:
        self._send_notification = send
        self._interval_s = interval_s
        self._loop = asyncio.get_running_loop()
        self._sent_count = 0
        self._begin(_NO_STAGE)

    def report(self, stage: str) -> None:
        """Report that a stage begins."""
        self._timer.cancel()
        self._begin(stage)
        self._send(stage)

    def stop(self) -> None:
        """Stop sending; must be called when the tool call has ended."""
        self._timer.cancel()

    def _begin(self, stage: str) -> None:
        self._stage = stage
        self._began_at_s = self._loop.time()
        self._timer = self._loop.call_later(self._interval_s, self._repeat)

    def _repeat(self) -> None:
        self._timer = self._loop.call_later(self._interval_s, self._repeat)
        self._send(f"{self._stage}, {self._loop.time() - self._began_at_s:.0f} s so far")

    def _send(self, message: str) -> None:
        self._sent_count += 1  # the protocol requires a growing number
        self._send_notification(self._sent_count, message)
