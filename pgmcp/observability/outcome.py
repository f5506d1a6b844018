"""The outcome of a call in one word."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final

from pgmcp.errors import PgmcpError

ANSWERED: Final = "answered"
CANCELLED: Final = "cancelled"
DEFECT: Final = "defect"
"""An unexpected exception; the log has its traceback."""


def outcome_of(error: BaseException | None) -> str:
    """Return the outcome of a call from its exception, for example an `ErrorCode`."""
    match error:
        case None:
            return ANSWERED
        case PgmcpError():
            return str(error.code)
        case asyncio.CancelledError() | KeyboardInterrupt():
            return CANCELLED
        case _:
            return DEFECT


class OutcomeObserver:
    """Context manager that reports the outcome and duration of a call."""

    __slots__ = ("_clock", "_report", "_started_s")

    def __init__(self, report: Callable[[str, float], None], clock: Callable[[], float]) -> None:
        self._report = report
        self._clock = clock
        self._started_s = 0.0

    def __enter__(self) -> None:
        self._started_s = self._clock()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._report(outcome_of(exc), self._clock() - self._started_s)
