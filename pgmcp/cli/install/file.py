"""A host's configuration file: read once, and replaced atomically after a backup."""

import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from pgmcp.errors import SettingsError

_PRIVATE_MODE: Final = 0o600
_LOOP: Final = "it is a symbolic link to itself"
_NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class HostFile:
    """A file as it was read.

    Attributes:
        path: as the user or the host names it; it may be a symbolic link.
        target: the file that `path` leads to.
        text: "" if there is no file.
        status: None if there is no file.
    """

    path: Path
    target: Path
    text: str
    status: os.stat_result | None

    @property
    def is_open_to_others(self) -> bool:
        """Whether users other than its owner may read it; not checked on Windows."""
        return os.name != "nt" and self.status is not None and bool(self.status.st_mode & 0o077)


def read_host_file(path: Path) -> HostFile:
    """Read a file, following symbolic links.

    Raises:
        SettingsError: it cannot be read, or is not UTF-8.
    """
    try:
        target = _follow_links(path)
        if not target.exists():
            return HostFile(path, target, "", None)
        return HostFile(path, target, _read_text(target), target.stat())
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8", hint="it was not changed") from None
    except (OSError, RuntimeError) as error:
        raise _file_error(error, path, "read") from error


def replace_host_file(file: HostFile, text: str, *, is_private: bool) -> Path | None:
    """Replace the file's text atomically.

    Args:
        is_private: remove the access of other users; a new file is private anyway.

    Returns:
        The backup; None for a new file.

    Raises:
        SettingsError: the file has changed since it was read, or cannot be written. The file is then
            unchanged.
    """
    try:
        if file.target.exists() != (file.status is not None) or (
            file.status is not None and _read_text(file.target) != file.text
        ):
            raise SettingsError(f"{file.path} has changed since it was read", hint="run the command again")
        file.target.parent.mkdir(parents=True, exist_ok=True)
        backup = _back_up(file)
        _replace(file, text, is_private=is_private)
    except OSError as error:
        raise _file_error(error, file.path, "written") from error
    return backup


def _follow_links(path: Path) -> Path:
    target = path.resolve()
    if target.is_symlink():  # up to Python 3.12, `resolve` itself raises this error
        raise RuntimeError(_LOOP)
    return target


def _read_text(target: Path) -> str:
    # Not read_text, which would convert Windows line ends.
    return target.read_bytes().decode("utf-8")


def _back_up(file: HostFile) -> Path | None:
    if file.status is None:
        return None
    for number in count(1):
        backup = file.target.with_name(f"{file.target.name}.bak{number}")
        with suppress(FileExistsError):
            descriptor = os.open(backup, _NEW_FILE, _PRIVATE_MODE)
            try:
                _write_synced(descriptor, file.text)
                _copy_mode_and_owner(backup, file.status, is_private=False)
            except BaseException:
                backup.unlink(missing_ok=True)
                raise
            return backup
    return None


def _replace(file: HostFile, text: str, *, is_private: bool) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{file.target.name}.", dir=file.target.parent)
    temporary = Path(name)
    try:
        _write_synced(descriptor, text)
        if file.status is not None:
            _copy_mode_and_owner(temporary, file.status, is_private=is_private)
        temporary.replace(file.target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _write_synced(descriptor: int, text: str) -> None:
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(text.encode("utf-8"))
        stream.flush()
        os.fsync(stream.fileno())


def _copy_mode_and_owner(path: Path, status: os.stat_result, *, is_private: bool) -> None:
    """Copy the mode and, as root, the owner of the original file."""
    mode = stat.S_IMODE(status.st_mode)
    path.chmod(mode & ~0o077 if is_private else mode)
    if hasattr(os, "chown"):
        with suppress(PermissionError):
            os.chown(path, status.st_uid, status.st_gid)


def _file_error(error: Exception, path: Path, what: str) -> SettingsError:
    reason = (getattr(error, "strerror", None) or _LOOP).lower()
    return SettingsError(f"{path} cannot be {what}: {reason}")
