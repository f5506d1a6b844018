"""A log line when a call begins and one when it ends; every line between carries the call's id."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from functools import partial
from typing import Any

from pgmcp.observability.outcome import tell_outcome
from pgmcp.pipeline import Call, Stage

logger = logging.getLogger(__name__)

current_call: ContextVar[int | None] = ContextVar("current_call", default=None)
"""The id of the call that a task works for."""


class CallLog:
    """Logs the calls of a pipeline."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    @contextmanager
    def watch_call(self, call: Call) -> Iterator[None]:
        """Log the beginning and the end of a call."""
        token = current_call.set(call.id)
        logger.info("%s begins", call.operation, extra={"fields": _beginning(call)})
        try:
            with tell_outcome(partial(_log_end, call), self._clock):
                yield
        finally:
            current_call.reset(token)

    def watch_stage(self, call: Call, stage: Stage) -> AbstractContextManager[None]:
        """Log the beginning of a stage, for whoever debugs."""
        logger.debug("%s: %s", call.operation, stage)
        return nullcontext()


def _log_end(call: Call, outcome: str, spent_s: float) -> None:
    spent_ms = spent_s * 1000
    rows = "" if call.row_count is None else f", {call.row_count} rows"
    fields = {"outcome": outcome, "rows": call.row_count, "ms": round(spent_ms, 1), **_stages(call)}
    logger.info("%s %s after %d ms%s", call.operation, outcome, spent_ms, rows, extra={"fields": fields})


def _beginning(call: Call) -> dict[str, Any]:
    return {"operation": str(call.operation), "caller": call.caller, "database": call.database}


def _stages(call: Call) -> dict[str, Any]:
    return {"stages_ms": {str(stage): round(ms, 1) for stage, ms in call.elapsed_ms.items()}}
