"""The audit file: one line of JSON per call.

    {"time": "2026-11-22T20:48:19.512+00:00", "call": 12, "operation": "execute_sql",
     "caller": "claude-ai 0.1.0", "database": "shop", "sql_sha256": "9f86d081884c7d65",
     "outcome": "answered", "source": "direct", "rows": 3, "ms": 35.2, "model": null,
     "tokens_in": 0, "tokens_cached": 0, "tokens_out": 0}

It never contains values of a result. It contains SQL and questions only if the operator enables that, because
they may name values. The file is rotated by size, with the standard library's handler.
"""

import hashlib
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime
from functools import partial
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from pgmcp.errors import SettingsError
from pgmcp.observability.outcome import OutcomeObserver
from pgmcp.pipeline import Call, Stage

logger = logging.getLogger(__name__)

_DIGEST_CHARACTERS = 16
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class AuditFile:
    """Writes one line at the end of each call.

    Args:
        with_sql: write the text of statements and questions, too, not only their digests.
        max_bytes: size at which the file is renamed to `….1` and a new one begins.
        kept_files: number of renamed files to keep.
    """

    def __init__(
        self,
        path: Path,
        *,
        with_sql: bool,
        max_bytes: int,
        kept_files: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open the file.

        Raises:
            SettingsError: it cannot be written.
        """
        self._with_sql = with_sql
        self._clock = clock
        try:
            self._file = _PrivateFile(path, maxBytes=max_bytes, backupCount=kept_files, encoding="utf-8")
        except OSError as error:
            raise SettingsError(
                f"PG_MCP_AUDIT_FILE: {path} cannot be written ({error.strerror})",
                hint="name a file in a folder that the server's user may write",
            ) from error

    def close(self) -> None:
        """Close the file. Failed writes were already reported."""
        with suppress(OSError):
            self._file.close()

    def observe_call(self, call: Call) -> AbstractContextManager[None]:
        """Return a context manager that writes the call's line at its end."""
        return OutcomeObserver(partial(self._write, call), self._clock)

    def observe_stage(self, call: Call, stage: Stage) -> None:
        """Write nothing: a call is one line."""

    def _write(self, call: Call, outcome: str, spent_s: float) -> None:
        line = {name: _storable(each) for name, each in self._line(call, outcome, spent_s * 1000).items()}
        self._file.handle(_record(json.dumps(line, ensure_ascii=False)))

    def _line(self, call: Call, outcome: str, spent_ms: float) -> dict[str, Any]:
        return {
            "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "call": call.id,
            "operation": str(call.operation),
            "caller": call.caller,
            **({"principal": call.principal} if call.principal is not None else {}),
            "database": call.database,
            **({"role": call.role} if call.role is not None else {}),
            **self._statement(call),
            "outcome": outcome,
            "source": call.source and str(call.source),
            "rows": call.row_count,
            "ms": round(spent_ms, 1),
            "model": call.model,
            "tokens_in": call.tokens_in,
            "tokens_cached": call.tokens_cached,
            "tokens_out": call.tokens_out,
        }

    def _statement(self, call: Call) -> dict[str, str | None]:
        line: dict[str, str | None] = {}
        if call.question:
            line["question_sha256"] = digest_of(call.question)
            if self._with_sql:
                line["question"] = call.question
        line["sql_sha256"] = None if call.sql is None else digest_of(call.sql)
        return line | ({"sql": call.sql} if self._with_sql else {})


def _storable(value: Any) -> Any:
    """Replace zero bytes and halves of surrogate pairs by U+FFFD, because PostgreSQL cannot store them."""
    return _UNSTORABLE.sub("\ufffd", value) if isinstance(value, str) else value


def digest_of(text: str) -> str:
    """Return a digest that identifies a text without revealing it."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:_DIGEST_CHARACTERS]


class _PrivateFile(RotatingFileHandler):
    """A rotated file that is created for its owner alone; an existing file keeps its mode."""

    def _open(self) -> Any:
        # Created first, because open() would create it with the mode of the umask.
        os.close(os.open(self.baseFilename, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600))
        return super()._open()

    def handleError(self, record: logging.LogRecord) -> None:
        """Log that a line is lost; the call continues."""
        error = sys.exception()
        reason = getattr(error, "strerror", None) or str(error)
        logger.error("a line of the audit file could not be written: %s", reason.lower())


def _record(line: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.INFO, __file__, 0, line, None, None)
