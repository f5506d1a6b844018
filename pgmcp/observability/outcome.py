"""What became of a call, in one word."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final

from pgmcp.errors import PgmcpError

ANSWERED: Final = "answered"
CANCELLED: Final = "cancelled"
DEFECT: Final = "defect"
"""It failed in a way that nobody anticipated; the log has the traceback."""


def outcome_of(error: BaseException | None) -> str:
    """Return what a call came to, from what ended it: an error's code is one of `pgmcp.errors.ErrorCode`."""
    match error:
        case None:
            return ANSWERED
        case PgmcpError():
            return str(error.code)
        case asyncio.CancelledError():
            return CANCELLED
        case _:
            return DEFECT


class OutcomeObserver:
    """Surrounds a call, and tells what it came to and how many seconds it took, whatever ends it."""

    __slots__ = ("_clock", "_started_s", "_tell")

    def __init__(self, tell: Callable[[str, float], None], clock: Callable[[], float]) -> None:
        self._tell = tell
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
        self._tell(outcome_of(exc), self._clock() - self._started_s)
