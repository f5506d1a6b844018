"""Writes the rows of an answer to a file, in the configured folder or at a path that a person names.

A short-lived process (`process.py`) writes the file. Formatting a million cells would block this process,
which serves all callers, for a second, and pyarrow would stay in its memory. The rows are passed on as the
worker encoded them; the writing process decodes some thousands at a time.

The name of a file in the folder consists of the time and random digits; callers cannot choose it.
"""

import asyncio
import json
import os
import secrets
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pgmcp.answers.answer import Attachment
from pgmcp.answers.text import EXPLANATION_BY_REASON
from pgmcp.child_process import away_from_terminal, bare_environment, end
from pgmcp.errors import ExportFailedError
from pgmcp.execution.result import EncodedRows, Rows, Truncation
from pgmcp.features import how_to_install

SpawnWriting = Callable[[], Awaitable[Process]]

TIMEOUT_S: Final = 20.0
"""With the 30 s of a statement, a call stays below the 60 s after which hosts time out."""

_LIFETIME_S = 60
"""After this time the process ends by itself, in case its parent cannot kill it."""

_FOLDER_HINT: Final = "an operator should look at the folder for exports (PG_MCP_SERVER_EXPORT_DIR)"
_FULL_FOLDER_HINT: Final = (
    "an operator should free space in the folder for exports (PG_MCP_SERVER_EXPORT_DIR)"
)
_FILE_HINT: Final = "name another file"
_FULL_DISK_HINT: Final = "free space there, or name a file on another disk"
_MAX_AT_ONCE = 2
_PIECE_BYTES: Final = 1 << 20


class ExportFormat(StrEnum):
    """Formats of exported files; the values are also the endings of the files' names."""

    CSV = "csv"
    PARQUET = "parquet"


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that has the rows of an answer.

    Attributes:
        path: absolute.
        truncated: the limit that ended the rows early; None if the file has all rows.
        cut_cells: number of cells that were longer than the limit and end in "…".
    """

    path: str
    format: ExportFormat
    row_count: int
    size_bytes: int
    truncated: Truncation | None = None
    cut_cells: int = 0

    def as_attachment(self) -> Attachment:
        """Return the answer's attachment. The path needs no escaping: the operator and pgmcp chose it."""
        count = f"{self.row_count} row{'' if self.row_count == 1 else 's'}"
        rows = f"The first {count}" if self.truncated else f"All {count}"
        verb = "is" if self.row_count == 1 else "are"
        sentence = f"{rows} {verb} in {self.path} ({self.format.value}, {self.size_bytes} bytes)"
        if self.truncated:
            sentence += f"; {EXPLANATION_BY_REASON[self.truncated.value]}"
        facts = {
            "path": self.path,
            "format": self.format.value,
            "rows": self.row_count,
            "bytes": self.size_bytes,
            "truncated": self.truncated.value if self.truncated else None,
            "cut_cells": self.cut_cells,
        }
        return Attachment(
            "export", facts, sentence, "read the exported file: it has all rows that were fetched"
        )


class _Target:
    """The file of one export.

    Args:
        path: the complete file.
        hint: what to do if it cannot be written.
        full_hint: what to do if the disk is full.
        is_new: whether the name is new and random, so that the file is removed if the export fails.
    """

    def __init__(self, path: Path, hint: str, full_hint: str, *, is_new: bool = False) -> None:
        self.path = path
        self.hint = hint
        self.full_hint = full_hint
        self.is_new = is_new
        # The name is hidden, and no other export has it.
        self.partial_path = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


class Exporter:
    """Writes exports, with a limit on concurrent ones."""

    def __init__(
        self,
        folder: Path,
        *,
        timeout_s: float = TIMEOUT_S,
        spawn: SpawnWriting | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Prepare; no process is started before the first export.

        Args:
            folder: an existing folder; files are created only there.
            timeout_s: timeout of the whole call, including the wait for other exports.
            spawn: starts the writing process with pipes for stdin and stdout.
            now: returns the time for file names, in UTC.
        """
        self._folder = folder
        self._timeout_s = timeout_s
        self._spawn = spawn or spawn_writing
        self._now = now
        self._places = asyncio.Semaphore(_MAX_AT_ONCE)
        self._endings: set[asyncio.Task[None]] = set()

    async def write(self, rows: Rows, file_format: ExportFormat) -> Exported:
        """Write the rows to a new file in the folder. They must be `EncodedRows`, as a worker's are.

        Raises:
            ExportFailedError: the file could not be written, and no part of it is left; the message says why.
        """
        path = self._folder / _new_name(self._now(), file_format)
        return await self._write_to(
            rows, file_format, _Target(path, _FOLDER_HINT, _FULL_FOLDER_HINT, is_new=True)
        )

    async def write_to(self, rows: Rows, file_format: ExportFormat, path: Path) -> Exported:
        """Write the rows to a file that a person named; a complete file replaces an existing one.

        Raises:
            ExportFailedError: as `write`.
        """
        return await self._write_to(rows, file_format, _Target(path.resolve(), _FILE_HINT, _FULL_DISK_HINT))

    async def _write_to(self, rows: Rows, file_format: ExportFormat, target: "_Target") -> Exported:
        try:
            async with asyncio.timeout(self._timeout_s), self._places:
                size_bytes = await self._write(rows, file_format, target)
        except TimeoutError:
            raise ExportFailedError(
                f"writing the file was stopped after {self._timeout_s:g} s", hint="export fewer rows"
            ) from None
        return Exported(
            path=str(target.path),
            format=file_format,
            row_count=len(rows.rows),
            size_bytes=size_bytes,
            truncated=rows.truncated,
            cut_cells=rows.cut_cells,
        )

    async def close(self) -> None:
        """Wait until cancelled exports are cleaned up."""
        await asyncio.gather(*self._endings)

    async def _write(self, rows: Rows, file_format: ExportFormat, target: "_Target") -> int:
        try:
            process = await self._spawn()
        except OSError as error:  # out of memory or processes
            raise ExportFailedError("the process that writes the file could not be started") from error
        is_written = False
        try:
            size_bytes = await _send_rows(process, rows, file_format, target)
            is_written = True
        finally:
            if not is_written:
                # In a separate task, because a cancelled caller may be cancelled at every await.
                await asyncio.shield(self._in_background(_undo(process, target)))
        return size_bytes

    def _in_background(self, ending: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(ending)
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        return task


def check_format(file_format: ExportFormat) -> None:
    """Check that the format is supported, before a statement is run for it.

    Raises:
        ExportFailedError: pyarrow is not installed.
    """
    if file_format is ExportFormat.PARQUET and find_spec("pyarrow") is None:
        raise ExportFailedError(
            "pyarrow, which writes Parquet, is not installed",
            hint=f"export csv, or install it: {how_to_install('parquet')}",
        )


async def spawn_writing() -> Process:
    """Start the writing process."""
    # -P: otherwise a folder named pgmcp in the working directory would be imported instead. -B: on a full
    # disk Python would leave truncated bytecode caches, which break later imports.
    command = [sys.executable, "-B", "-P", "-m", "pgmcp.export.process", str(_LIFETIME_S)]
    return await asyncio.create_subprocess_exec(
        *command,
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env=bare_environment(os.environ),
        **away_from_terminal(),
    )


async def _send_rows(process: Process, rows: Rows, file_format: ExportFormat, target: "_Target") -> int:
    """Send the rows to the process, and return the length of the file in bytes.

    Raises:
        ExportFailedError: the process failed, or could not write the file.
    """
    assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018
    assert isinstance(rows.rows, EncodedRows)  # noqa: S101
    columns = [(column.name, column.type) for column in rows.columns]
    header = {
        "path": str(target.path),
        "partial_path": str(target.partial_path),
        "is_private": target.is_new,
        "format": file_format.value,
        "columns": columns,
        "row_count": len(rows.rows),
    }
    with suppress(ConnectionError):  # the process has ended; its output or exit code says why
        process.stdin.write(json.dumps(header).encode() + b"\n")
        rows_json = memoryview(rows.rows.json)
        for start in range(0, len(rows_json), _PIECE_BYTES):
            process.stdin.write(rows_json[start : start + _PIECE_BYTES])
            await process.stdin.drain()
        process.stdin.close()
    reply = await process.stdout.read()
    await process.wait()
    if process.returncode != 0:
        raise ExportFailedError(
            f"the process that writes the file failed (exit code {process.returncode})",
            hint="export fewer rows, or report it",
        )
    result = json.loads(reply)
    if "failure" in result:
        raise ExportFailedError(
            f"the file could not be written: {result['failure']}",
            hint=target.full_hint if result.get("is_full") else target.hint,
        )
    return int(result["bytes"])


async def _undo(process: Process, target: "_Target") -> None:
    """Kill the process, and remove its file, even if the process has just completed it."""
    await end(process)
    await asyncio.to_thread(_remove, target)


def _remove(target: "_Target") -> None:
    with suppress(OSError):  # the folder may have been removed
        target.partial_path.unlink(missing_ok=True)
        if target.is_new:
            target.path.unlink(missing_ok=True)


def _new_name(now: datetime, file_format: ExportFormat) -> str:
    return f"pgmcp-{now:%Y%m%dT%H%M%SZ}-{secrets.token_hex(4)}.{file_format.value}"
