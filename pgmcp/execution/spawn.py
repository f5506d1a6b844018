"""Starts worker processes, and decides what they inherit."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, Final, Protocol

from pgmcp.child_process import away_from_terminal

_INHERITED_NAMES: Final = frozenset(
    {
        "HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "TEMP", "TMP", "TMPDIR", "TZ",
        "USER", "APPDATA", "LOCALAPPDATA", "SYSTEMDRIVE", "SYSTEMROOT", "USERNAME", "USERPROFILE",
        "KRB5CCNAME", "KRB5_CONFIG", "SSL_CERT_DIR", "SSL_CERT_FILE", "VIRTUAL_ENV",
    }
)  # fmt: skip
"""Environment variables that a worker inherits, because Python, libpq, Kerberos or TLS reads them."""

_INHERITED_PREFIXES: Final = ("LC_", "PG", "PYTHON")
_NEVER_INHERITED: Final = ("PGPASSWORD", "PG_MCP_")
"""Beginnings of variables that a worker must not inherit. A worker gets its password in the first frame,
because other processes of the user can read a child's environment in /proc.
"""


class Child(Protocol):
    """A started worker process and its byte channel."""

    pid: int

    @property
    def has_ended(self) -> bool:
        """Whether the process is known to have ended."""

    def listen(self, take: Callable[[bytes], None], end: Callable[[], None]) -> None:
        """Call `take` with every chunk that the worker sends, and `end` after the last one."""

    def send(self, data: bytes) -> None:
        """Send bytes to the worker without waiting; do nothing if the worker has ended."""

    def close(self) -> None:
        """Close the channel; a worker that runs no statement then exits."""

    def kill(self) -> None:
        """End the process at once; do nothing if it has already ended."""

    async def wait(self) -> None:
        """Return when the process has ended and is reaped."""


Spawn = Callable[[], Awaitable[Child]]


def worker_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a worker inherits. No API key, password or setting of pgmcp is among them."""
    return {
        name: value
        for name, value in environ.items()
        if (name in _INHERITED_NAMES or name.startswith(_INHERITED_PREFIXES))
        and not name.startswith(_NEVER_INHERITED)
    }


class Inbox:
    """Passes a worker's chunks on to one listener; keeps chunks that arrive before `listen` is called."""

    def __init__(self) -> None:
        self._early: list[bytes] = []
        self._is_ended = False
        self._take: Callable[[bytes], None] = self._early.append
        self._end: Callable[[], None] = lambda: None

    def listen(self, take: Callable[[bytes], None], end: Callable[[], None]) -> None:
        """Call `take` with every chunk, and `end` after the last one."""
        self._take, self._end = take, end
        for chunk in self._early:
            take(chunk)
        self._early.clear()
        if self._is_ended:
            end()

    def put(self, chunk: bytes) -> None:
        """Add a chunk that has arrived."""
        self._take(chunk)

    def put_end(self) -> None:
        """Note the end of the data; may be called repeatedly."""
        if not self._is_ended:
            self._is_ended = True
            self._end()


class SpawnedChild(asyncio.SubprocessProtocol):
    """A worker in a new interpreter."""

    def __init__(self) -> None:
        self.pid = 0
        self._inbox = Inbox()
        self._ended = asyncio.Event()
        self._process: asyncio.SubprocessTransport | None = None
        self._requests: asyncio.WriteTransport | None = None
        self._open_pipes = 2
        self.listen = self._inbox.listen

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Store the process and its standard input."""
        assert isinstance(transport, asyncio.SubprocessTransport)  # noqa: S101
        requests = transport.get_pipe_transport(0)
        assert isinstance(requests, asyncio.WriteTransport)  # noqa: S101
        self._process, self._requests = transport, requests
        self.pid = transport.get_pid()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Pass on what the worker sends."""
        self._inbox.put(data)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        """Count the pipes that are still open, and note the end of standard output."""
        self._open_pipes -= 1
        if fd == 1:
            self._inbox.put_end()
        self._close_if_over()

    def process_exited(self) -> None:
        """Note the end of the process."""
        self._ended.set()
        self._close_if_over()

    @property
    def has_ended(self) -> bool:
        """Whether the process is known to have ended."""
        return self._ended.is_set()

    def send(self, data: bytes) -> None:
        """Send bytes to the worker without waiting; do nothing if the worker has ended."""
        if self._requests is not None and not self._requests.is_closing():
            self._requests.write(data)

    def close(self) -> None:
        """Close the channel; a worker that runs no statement then exits."""
        if self._requests is not None:
            self._requests.close()

    def kill(self) -> None:
        """End the process at once; do nothing if it has already ended."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def wait(self) -> None:
        """Return when the process has ended and is reaped."""
        await self._ended.wait()

    def _close_if_over(self) -> None:
        if self._process is not None and self._open_pipes == 0 and self._ended.is_set():
            self._process.close()


async def spawn_cold() -> Child:
    """Start a worker as a new interpreter, which works on every system.

    Raises:
        OSError: the process could not be started.
    """
    return await start_child(
        *worker_command("worker"), env=worker_environment(os.environ), **away_from_terminal()
    )


async def start_child(*command: str, **arguments: Any) -> SpawnedChild:
    """Start a program that exchanges frames over its standard input and output.

    Args:
        command: the program and its arguments.
        arguments: further arguments of `subprocess.Popen`.

    Raises:
        OSError: the program could not be started.
    """
    loop = asyncio.get_running_loop()
    _, child = await loop.subprocess_exec(
        SpawnedChild, *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=None, **arguments
    )
    return child


def worker_command(module: str) -> list[str]:
    """Return the command line that runs a module in a child process."""
    # Without -P, `-m` puts the host's working directory first on sys.path, and a file worker.py there would
    # run with pgmcp's credentials.
    return [sys.executable, "-P", "-m", module]
