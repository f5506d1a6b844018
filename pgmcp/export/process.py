"""Writes one export: rows on standard input, a file in the folder. Run as a module, never imported.

    stdin    {"path", "partial_path", "format": "csv" | "parquet", "columns": [[name, type], …],
             "row_count": 5} and a newline; the rows as lines of JSON, to the end
    stdout   {"bytes": 1234}, or {"failure": "No space left on device"}

The file has its temporary name until it is whole and on the disk. However this ends, but for SIGKILL, no half
a file is left: a server that dies closes standard input before the rows are whole.
"""

import json
import os
import signal
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from pgmcp.answers.csv import csv_lines
from pgmcp.execution.result import Column, EncodedRows, Rows


def main() -> None:
    """Write the file. Argument: seconds after which the process ends by itself."""
    _limit(int(sys.argv[1]))
    header = json.loads(sys.stdin.buffer.readline())
    try:
        reply: dict[str, Any] = {"bytes": _write(header, sys.stdin.buffer.read())}
    except OSError as error:
        reply = {"failure": error.strerror or type(error).__name__}
    except MemoryError:
        reply = {"failure": "not enough memory"}
    sys.stdout.write(json.dumps(reply))


def _write(header: dict[str, Any], body: bytes) -> int:
    """Write the file and return its length in bytes."""
    columns = tuple(Column(name, type_name) for name, type_name in header["columns"])
    rows = Rows(columns, _read_rows(body, header["row_count"]))
    with _new_file(Path(header["path"]), Path(header["partial_path"])) as file:
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
        raise OSError(0, "the rows did not arrive whole") from None


@contextmanager
def _new_file(path: Path, partial_path: Path) -> Iterator[BinaryIO]:
    """Create a file readable only by its owner, and rename it when it is complete.

    If anything fails, the file is removed. A device or a pipe is written directly.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as device:
            yield device
        return
    descriptor = os.open(
        partial_path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o600
    )
    try:
        with os.fdopen(descriptor, "wb", buffering=1 << 20) as file:
            yield file
        partial_path.replace(path)
    except BaseException:
        partial_path.unlink()
        raise


def _write_csv(rows: Rows, file: BinaryIO) -> None:
    text = TextIOWrapper(file, encoding="utf-8", newline="")
    text.writelines(csv_lines(rows))
    text.detach()


def _limit(lifetime_s: int) -> None:
    with suppress(ImportError, AttributeError):  # neither exists on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core file would contain the rows
        signal.signal(signal.SIGALRM, _give_up)
        signal.alarm(lifetime_s)


def _give_up(number: int, frame: object) -> NoReturn:
    raise TimeoutError(number, "it took too long")


if __name__ == "__main__":
    main()
