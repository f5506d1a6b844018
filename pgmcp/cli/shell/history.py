"""The file of a person's earlier inputs: one JSON string per line, readable only by its owner.

Inputs can contain values, so nothing else reads the file. An input that begins with a space is not saved.
"""

import errno
import json
import os
from contextlib import suppress
from io import FileIO
from pathlib import Path
from typing import Final

from platformdirs import user_state_path

_MODE: Final = 0o600
_MAX_ENTRY_CHARACTERS: Final = 20_000
_MAX_FILE_BYTES: Final = 16 << 20
_SLACK: Final = 2
"""The file is shortened when it has more than this many times the maximum number of entries."""


def history_path() -> Path:
    """Return the file in the user's state directory."""
    return user_state_path("pgmcp") / "shell_history"


class HistoryFile:
    """Reads and extends the file; several shells may share it.

    Args:
        max_entries: how many inputs are kept; 0 reads and writes nothing.
    """

    def __init__(self, path: Path, max_entries: int) -> None:
        self._path = path
        self._max_entries = max_entries

    def load(self) -> list[str]:
        """Return the last `max_entries` inputs, oldest first; a much longer file is shortened.

        A file that cannot be shortened, for example on a full disk, stays as it is.


        Raises:
            OSError: the file cannot be read.
        """
        if not self._max_entries or not self._path.is_file():
            return []
        with self._path.open("rb") as file:
            lines = file.read(_MAX_FILE_BYTES).splitlines()
        kept = lines[-self._max_entries :]
        if len(lines) > _SLACK * self._max_entries:
            with suppress(OSError):
                self._replace(kept)
        return [text for text in map(_read_line, kept) if text]

    def append(self, text: str) -> None:
        """Add an input.

        Raises:
            OSError: the file cannot be written.
        """
        is_kept = text.strip() and not text.startswith(" ") and len(text) <= _MAX_ENTRY_CHARACTERS
        if not self._max_entries or not is_kept:
            return
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_CREAT | os.O_APPEND | os.O_WRONLY | _NO_LINK, _MODE)
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            _write_whole(file, json.dumps(text).encode() + b"\n")

    def _replace(self, lines: list[bytes]) -> None:
        partial = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        descriptor = os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | _NO_LINK, _MODE)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(line + b"\n" for line in lines)
            partial.replace(self._path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise


_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)


def _write_whole(file: FileIO, line: bytes) -> None:
    """Append the whole line or nothing: after half a line, the next input could not be read."""
    before = os.fstat(file.fileno()).st_size
    written = file.write(line)
    if written != len(line):
        file.truncate(before)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _read_line(line: bytes) -> str:
    """Return the input of a line; "" for a damaged line."""
    try:
        text = json.loads(line)
    except ValueError:
        return ""
    return text if isinstance(text, str) else ""
