"""Starts worker processes; what a child inherits is decided here and nowhere else."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

READ_BUFFER_BYTES: Final = 1 << 20

_INHERITED_NAMES: Final = frozenset(
    {
        "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TEMP", "TMP", "TMPDIR", "TZ",
        "USER",         "APPDATA", "LOCALAPPDATA", "SYSTEMDRIVE", "SYSTEMROOT", "USERNAME", "USERPROFILE",
        "KRB5CCNAME", "KRB5_CONFIG", "SSL_CERT_DIR", "SSL_CERT_FILE", "VIRTUAL_ENV",
    }
)  # fmt: skip
"""What Python, libpq, Kerberos and TLS read."""

_INHERITED_PREFIXES: Final = ("LC_", "PG", "PYTHON")
_NEVER_INHERITED: Final = ("PGPASSWORD", "PG_MCP_")
"""Credentials arrive in the first frame; a child's environment can be read in /proc."""


class Child(Protocol):
    """A started worker: a channel of frames, and a process to end."""

    pid: int
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def has_ended(self) -> bool:
        """Whether the process is known to have ended."""

    def kill(self) -> None:
        """End the process at once; no error if it has ended."""

    async def wait(self) -> None:
        """Return when the process has ended and is reaped."""


Spawn = Callable[[], Awaitable[Child]]


def worker_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the part of an environment that a worker may see: no key, no password, no setting of ours."""
    return {
        name: value
        for name, value in environ.items()
        if (name in _INHERITED_NAMES or name.startswith(_INHERITED_PREFIXES))
        and not name.startswith(_NEVER_INHERITED)
    }


class ColdChild:
    """A worker in an interpreter of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the process was started without pipes")
        self._process = process
        self.pid = process.pid
        self.reader = process.stdout
        self.writer = process.stdin

    @property
    def has_ended(self) -> bool:
        """Whether the process is known to have ended."""
        return self._process.returncode is not None

    def kill(self) -> None:
        """End the process at once; no error if it has ended."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def wait(self) -> None:
        """Return when the process has ended and is reaped."""
        await self._process.wait()


async def spawn_cold() -> Child:
    """Start a worker as a new interpreter, on every system."""
    process = await asyncio.create_subprocess_exec(
        *worker_command("worker"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=READ_BUFFER_BYTES,
        env=worker_environment(os.environ),
        **away_from_terminal(),
    )
    return ColdChild(process)


def away_from_terminal() -> dict[str, Any]:
    r"""Return the arguments of `subprocess.Popen` that keep a terminal's signals from a child.

    A terminal sends Ctrl-C, Ctrl-\ and its own hang-up to the whole foreground process group. A child in
    that group may die before the front has cancelled its statement, or while it still imports and cannot
    ignore signals yet. Such a child ends when its channel does.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def worker_command(module: str) -> list[str]:
    """Return the command line that runs a module of the worker package."""
    # -P: without it `-m` puts the host's working directory first on sys.path,
    # and a file named worker.py there would be run with our credentials.
    return [sys.executable, "-P", "-m", module]
