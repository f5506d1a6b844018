"""What became of a call, in one word."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def tell_outcome(tell: Callable[[str, float], None], clock: Callable[[], float]) -> Iterator[None]:
    """Surround a call, and tell what it came to and how many seconds it took, whatever ends it."""
    started_s = clock()
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        tell(outcome_of(error), clock() - started_s)
