"""Log lines on standard error: one at the end of each call, as text for people or as JSON for log collectors.

All lines written during a call have its id.
"""

import json
import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from contextvars import ContextVar, Token
from datetime import UTC, datetime
from functools import partial
from types import TracebackType
from typing import Any, Literal

from pgmcp.observability.outcome import OutcomeObserver
from pgmcp.observability.standard_error import log_handler
from pgmcp.pipeline import Call, Stage
from pgmcp.plural import count_of

logger = logging.getLogger(__name__)

current_call: ContextVar[int | None] = ContextVar("current_call", default=None)
"""The id of the current task's call."""


class CallLog:
    """Logs the calls of a pipeline."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock

    def observe_call(self, call: Call) -> AbstractContextManager[None]:
        """Return a context manager that logs the call's end, and at DEBUG its start."""
        return _LoggedCall(call, self._clock)

    def observe_stage(self, call: Call, stage: Stage) -> None:
        """Log the start of a stage at DEBUG."""
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s: %s", call.operation, stage)


class _LoggedCall(OutcomeObserver):
    """Sets the id for log lines while it is entered."""

    __slots__ = ("_call", "_token")

    def __init__(self, call: Call, clock: Callable[[], float]) -> None:
        super().__init__(self._log_end, clock)
        self._call = call
        self._token: Token[int | None] | None = None

    def __enter__(self) -> None:
        self._token = current_call.set(self._call.id)
        if logger.isEnabledFor(logging.DEBUG):
            logger.debug("%s begins", self._call.operation)
        super().__enter__()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        super().__exit__(exc_type, exc, traceback)
        if self._token is not None:
            current_call.reset(self._token)

    def _log_end(self, outcome: str, spent_s: float) -> None:
        if not logger.isEnabledFor(logging.INFO):
            return
        call, spent_ms = self._call, spent_s * 1000
        rows = "" if call.row_count is None else f", {count_of(call.row_count, 'row')}"
        logger.info(
            "%s %s after %d ms%s",
            call.operation,
            outcome,
            spent_ms,
            rows,
            extra={"fields": partial(_fields, call, outcome, spent_ms)},
        )


def _fields(call: Call, outcome: str, spent_ms: float) -> dict[str, Any]:
    return {
        "operation": str(call.operation),
        "caller": call.caller,
        **({"principal": call.principal} if call.principal is not None else {}),
        "database": call.database,
        **({"role": call.role} if call.role is not None else {}),
        "outcome": outcome,
        "rows": call.row_count,
        "ms": round(spent_ms, 1),
        "stages_ms": {str(stage): round(ms, 1) for stage, ms in call.elapsed_ms.items()},
    }


LogFormat = Literal["text", "json"]


def configure_logging(level: str, log_format: LogFormat = "text") -> None:
    """Send log lines to stderr; stdout belongs to the protocol."""
    # The formats below do not use these, and each costs microseconds (Python's logging HOWTO,
    # "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    target = log_handler()
    target.setFormatter(JsonLines() if log_format == "json" else TextLines())
    logging.basicConfig(level=level, handlers=[target])


class TextLines(logging.Formatter):
    """`2026-11-22 20:48:19,512 INFO [call 12] pgmcp.execution.pool: …`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(call)s%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        call = current_call.get()
        record.call = "" if call is None else f"[call {call}] "
        return super().format(record)


class JsonLines(logging.Formatter):
    """One JSON object per line: time, level, logger, message, call, and the line's own `fields()`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "call": current_call.get(),
            **getattr(record, "fields", dict)(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
