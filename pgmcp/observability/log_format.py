"""Formats of log lines on standard error: text for people, JSON for log collectors."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal

from pgmcp.observability.call_log import current_call

LogFormat = Literal["text", "json"]


def configure_logging(level: str, log_format: LogFormat = "text") -> None:
    """Send log lines to stderr; stdout belongs to the protocol."""
    # These are not in our format, and each costs microseconds (Python's logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    target = logging.StreamHandler(sys.stderr)
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
