"""Writes one export to a file. This module is run as a program, and never imported.

    stdin    {"path", "partial_path", "is_private", "format": "csv" | "parquet",
             "columns": [[name, type], …], "row_count": 5} and a newline;
             the rows as lines of JSON, to the end
    stdout   {"bytes": 1234}, or {"failure": "No space left on device", "is_full": true}

Reads rows from standard input and writes them to the file that the header names. The file has a temporary
name until it is complete and on the disk. If writing fails, takes too long or is stopped by SIGTERM, SIGHUP
or SIGINT, the process removes the incomplete file; only SIGKILL, or a crash of the process, leaves it. A
signal that is ignored at the start, as SIGHUP under nohup, stays ignored. If the server ends before it has
sent all rows, no file is created; if it ends later, the file is still completed.
"""

import json
import os
import shutil
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, Final, NoReturn

from pgmcp.answers.csv import csv_lines
from pgmcp.errors import FULL_DISK_ERRORS
from pgmcp.execution.result import Column, EncodedRows, Rows

_STOPPING_SIGNALS: Final = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM") if hasattr(signal, name)
)

_PRIVATE_MODE: Final = 0o600
_USUAL_MODE: Final = 0o666  # less what the umask withholds


class _StoppedError(Exception):
    """A signal stopped the process; the message names the reason."""


def main() -> None:
    """Write the file. Argument: seconds after which the process ends by itself."""
    _limit(int(sys.argv[1]))
    header = json.loads(sys.stdin.buffer.readline())
    try:
        reply: dict[str, Any] = {"bytes": _write(header, sys.stdin.buffer.read())}
    except OSError as error:
        reply = {
            "failure": error.strerror or str(error),
            "is_full": error.errno in FULL_DISK_ERRORS,
        }
    except MemoryError:
        reply = {"failure": "not enough memory"}
    except _StoppedError as stopped:
        reply = {"failure": str(stopped)}
    sys.stdout.write(json.dumps(reply))


def _write(header: dict[str, Any], body: bytes) -> int:
    """Write the file and return its length in bytes."""
    columns = tuple(Column(name, type_name) for name, type_name in header["columns"])
    rows = Rows(columns, _read_rows(body, header["row_count"]))
    path, partial_path = Path(header["path"]), Path(header["partial_path"])
    with _new_file(path, partial_path, is_private=header["is_private"]) as file:
        if header["format"] == "parquet":
            from pgmcp.export.parquet import write_parquet

            write_parquet(rows, file)
        else:
            _write_csv(rows, file)
        file.flush()
        if stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            os.fsync(file.fileno())  # reports late errors of a full disk or a network file system
        return os.fstat(file.fileno()).st_size


def _read_rows(body: bytes, row_count: int) -> EncodedRows:
    try:
        return EncodedRows.read(body, row_count, json_bytes=len(body))
    except ValueError:
        raise OSError(0, "the rows did not arrive completely") from None


@contextmanager
def _new_file(path: Path, partial_path: Path, *, is_private: bool) -> Iterator[BinaryIO]:
    """Create a file, and rename it when it is complete.

    If anything fails, the incomplete file is removed. A device or a pipe is written directly.

    Args:
        is_private: whether only its owner may read the file. Otherwise it gets the mode of the file that it
            replaces, or else the mode that the umask gives to a new file.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield device
        return
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
    try:  # the file is created inside this block, because a signal may arrive as soon as it exists
        mode = _PRIVATE_MODE if is_private else _USUAL_MODE
        with os.fdopen(os.open(partial_path, flags, mode), "wb", buffering=1 << 20) as file:
            yield file
        if not is_private and path.exists():
            shutil.copymode(path, partial_path)
        partial_path.replace(path)
    except FileExistsError:  # another export's file must not be removed
        raise
    except BaseException:
        partial_path.unlink(missing_ok=True)
        raise


def _write_csv(rows: Rows, file: BinaryIO) -> None:
    text = TextIOWrapper(file, encoding="utf-8", newline="")
    text.writelines(csv_lines(rows))
    text.detach()


def _limit(lifetime_s: int) -> None:
    for number in _STOPPING_SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    with suppress(ImportError, AttributeError):  # Windows has neither `resource` nor SIGALRM
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would contain the rows
        signal.alarm(lifetime_s)


def _stop(number: int, frame: object) -> NoReturn:
    """Raise an error wherever the process is, so that `_new_file` removes the incomplete file."""
    for each in _STOPPING_SIGNALS:  # another one must not interrupt the removal
        signal.signal(each, signal.SIG_IGN)
    name = signal.Signals(number).name
    raise _StoppedError("it took too long" if name == "SIGALRM" else f"it was stopped by {name}")


if __name__ == "__main__":
    main()
