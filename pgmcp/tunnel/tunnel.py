"""Opens a tunnel when a connection needs it, and opens it again after it ended; runs in the main process."""

import asyncio
import logging
import os
import shutil
import signal
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pgmcp.child_process import away_from_terminal, environment_without_secrets
from pgmcp.errors import TunnelError, UnreachableError
from pgmcp.execution.spawn import worker_command
from pgmcp.tunnel.ssh_errors import broken_error, is_refusal, last_line, opening_error, refusal_error

logger = logging.getLogger(__name__)

OPEN_TIMEOUT_S: Final = 20.0
"""Timeout of the whole login, including hosts of ProxyJump; a connection may take 30 s in all."""

EXPLAIN_TIMEOUT_S: Final = 1.0
"""How long to wait for ssh's message after a connection broke, because it may arrive later."""

_CONNECT_TIMEOUT_S: Final = 15
_ALIVE_INTERVAL_S: Final = 5
_MAX_LINES: Final = 40
_MAX_LINE_BYTES: Final = 2_000
_MAX_FOLDER_BYTES: Final = 69
"""A socket's path has up to 103 bytes on macOS, 107 on Linux; the last 34 are pgmcp's own."""

_UNUSABLE_IN_FORWARDS: Final = frozenset(":%$\\")
_CLOSE: Final = b"."
_CLOSE_TIMEOUT_S: Final = 2.0

_OPTIONS: Final = {
    "BatchMode": "yes",  # ssh must not ask questions
    "StrictHostKeyChecking": "yes",
    "ControlPath": "none",  # a connection shared with others would outlive this server
    "ConnectTimeout": str(_CONNECT_TIMEOUT_S),
    "ServerAliveInterval": str(_ALIVE_INTERVAL_S),
    "ServerAliveCountMax": "3",
    "ClearAllForwardings": "no",
    "ExitOnForwardFailure": "no",  # a forward of the user's configuration may be in use elsewhere
    "StreamLocalBindMask": "0177",
    "LogLevel": "INFO",  # at lower levels, ssh does not say why the bastion could not connect
}


@dataclass(frozen=True, slots=True)
class Route:
    """The way to a database through a bastion.

    Attributes:
        bastion: its name for ssh: user@host, ssh://user@host:port or a host of ssh's configuration.
        config: file for `ssh -F`; None uses ssh's own configuration.
        host: host of the database, as the bastion sees it.
        port: port of the database.
        is_plain: whether TLS is off, so that libpq can use the private socket.
    """

    bastion: str
    config: Path | None
    host: str
    port: int
    is_plain: bool

    @property
    def place(self) -> str:
        """Host and port of the database."""
        return f"{self.host}:{self.port}"

    def command(self, target: Path) -> list[str]:
        """Return ssh's command line for a tunnel from a socket to the database."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        options = [f"-o{name}={text}" for name, text in _OPTIONS.items()]
        config = ["-F", str(self.config)] if self.config else []
        forward = f"{target}:{host}:{self.port}"
        return ["ssh", "-N", "-T", "-a", "-x", *config, *options, "-L", forward, "--", self.bastion]


class _Attempt:
    """One run of ssh.

    Attributes:
        lines: the last lines of its standard error.
        params: for libpq; empty until the tunnel is open.
    """

    def __init__(self, process: Process, folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.lines: deque[str] = deque(maxlen=_MAX_LINES)
        self.refusals: list[str] = []
        self.params: dict[str, str] = {}
        self.opened_at_s = 0.0
        self.news = asyncio.Event()
        self.reading = asyncio.create_task(self._read_errors())

    @property
    def is_open(self) -> bool:
        return bool(self.params) and not self.has_ended

    @property
    def has_ended(self) -> bool:
        return self.process.returncode is not None or self.reading.done()

    async def _read_errors(self) -> None:
        """Collect the messages of ssh; ends with the process."""
        assert self.process.stderr is not None  # noqa: S101
        with suppress(ValueError):  # a line without end
            while line := await self.process.stderr.readline():
                text = line[:_MAX_LINE_BYTES].decode("utf-8", "replace").strip()
                self.lines.append(text)
                if is_refusal(text):
                    self.refusals = [*self.refusals[-_MAX_LINES:], text]
                    self.news.set()
        await self.process.wait()
        self.news.set()


class Tunnel:
    """A tunnel that is opened when a connection needs it."""

    def __init__(self, route: Route, *, name: str) -> None:
        """Prepare; nothing is started before `open`.

        Args:
            name: the database's name in the settings, for the log.
        """
        self.route = route
        self._name = name
        self._attempt: _Attempt | None = None
        self._opening: asyncio.Task[_Attempt] | None = None
        self._open_count = 0

    @property
    def state(self) -> str:
        """The tunnel's state for `pgmcp doctor`: whether it is open, for how long, and its local end."""
        attempt = self._attempt
        if attempt is None or not attempt.is_open:
            return "not open"
        end = "a private socket"
        if "hostaddr" in attempt.params and not self.route.is_plain:
            end = f"{attempt.params['hostaddr']}:{attempt.params['port']}"
            if sys.platform == "linux":
                end += ", for this user only"
        again = f", opened {self._open_count} times" if self._open_count > 1 else ""
        return f"open for {time.monotonic() - attempt.opened_at_s:.0f} s{again}, from {end}"

    @property
    def has_ended(self) -> bool:
        """Whether the tunnel was open and has ended."""
        return self._attempt is not None and self._attempt.has_ended

    async def open(self) -> Mapping[str, str]:
        """Return libpq's parameters for a connection through the tunnel; open it if it is not.

        Raises:
            TunnelError: the tunnel cannot be opened.
        """
        if self._attempt is not None and self._attempt.is_open:
            return self._attempt.params
        if self._opening is None:
            self._opening = asyncio.create_task(self._start())
        # Shielded: connections that are made at the same time share one tunnel.
        return (await asyncio.shield(self._opening)).params

    async def explain(self, error: UnreachableError, *, was_connecting: bool) -> UnreachableError:
        """Return the tunnel's error if the tunnel caused a failure; otherwise the failure itself.

        Args:
            error: the error of a connection through the tunnel.
            was_connecting: whether the connection was being made, so that the bastion may have refused it.
        """
        attempt = self._attempt
        if isinstance(error, TunnelError) or attempt is None:
            return error
        with suppress(TimeoutError):
            async with asyncio.timeout(EXPLAIN_TIMEOUT_S):
                await attempt.news.wait()
        if attempt.refusals and was_connecting:
            line = attempt.refusals.pop(0)
            if not attempt.refusals and not attempt.has_ended:
                attempt.news.clear()
            return refusal_error(line, self.route.bastion, self.route.place)
        return broken_error(attempt.lines, self.route.bastion) if attempt.has_ended else error

    async def close(self) -> None:
        """End the tunnel; call it when no connection uses it any more."""
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        if self._attempt is not None:
            await _end(self._attempt)

    async def _start(self) -> _Attempt:
        try:
            if self._attempt is not None:
                await self._note_end(self._attempt)
            attempt = await self._run_ssh()
            self._open_count += 1
            logger.info("database %s: the SSH tunnel through %s is open", self._name, self.route.bastion)
            return attempt
        finally:
            self._opening = None

    def _opening_error(self, lines: Iterable[str], exit_code: int | None) -> TunnelError:
        return opening_error(lines, self.route.bastion, exit_code, self.route.config)

    async def _note_end(self, attempt: _Attempt) -> None:
        reason = last_line(attempt.lines) or "no reason given"
        logger.warning("database %s: the SSH tunnel ended; opening another one: %s", self._name, reason)
        self._attempt = None
        await _end(attempt)

    async def _run_ssh(self) -> _Attempt:
        if shutil.which("ssh") is None:
            raise TunnelError(
                f"no SSH tunnel through {self.route.bastion}: there is no program `ssh` on the PATH",
                hint="install OpenSSH's client, on Debian with `apt install openssh-client`, or correct PATH",
            )
        folder = _make_folder()
        target = folder / f".s.PGSQL.{self.route.port}"  # libpq's own name for a socket in a folder
        port = 0 if self.route.is_plain else self.route.port
        process = await asyncio.create_subprocess_exec(
            *worker_command("pgmcp.tunnel.keeper"),
            str(target),
            str(port),
            *self.route.command(target),
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            # No program may ask for a password.
            env=environment_without_secrets(os.environ) | {"SSH_ASKPASS_REQUIRE": "never"},
            **away_from_terminal(),
        )
        attempt = _Attempt(process, folder)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                attempt.params = self._params(await _first_line(process), folder)
        except TimeoutError:
            await _end(attempt)
            lines = list(attempt.lines) or [f"ssh did not log in within {OPEN_TIMEOUT_S:.0f} s"]
            raise self._opening_error(lines, process.returncode) from None
        except BaseException:
            await _end(attempt)
            raise
        if not attempt.params:
            await _end(attempt)
            raise self._opening_error(attempt.lines, process.returncode)
        attempt.opened_at_s = time.monotonic()
        self._attempt = attempt
        return attempt

    def _params(self, line: str, folder: Path) -> dict[str, str]:
        if not line:
            return {}
        address, port = line.split()
        if self.route.is_plain:
            # An empty hostaddr overrides PGHOSTADDR of the environment.
            return {"host": str(folder), "hostaddr": "", "port": str(self.route.port)}
        return {"host": self.route.host, "hostaddr": address, "port": port}


def _make_folder() -> Path:
    """Return a new folder with mode 0700 whose path ssh and libpq can use for a socket."""
    folder = tempfile.gettempdir()
    if len(os.fsencode(folder)) > _MAX_FOLDER_BYTES or not _UNUSABLE_IN_FORWARDS.isdisjoint(folder):
        folder = "/tmp"  # noqa: S108
    return Path(tempfile.mkdtemp(prefix="pgmcp-ssh-", dir=folder))


async def _first_line(process: Process) -> str:
    assert process.stdout is not None  # noqa: S101
    return (await process.stdout.readline()).decode("ascii", "replace").strip()


async def _end(attempt: _Attempt) -> None:
    """Have the keeper end ssh; kill both if that takes long."""
    process = attempt.process
    if process.stdin is not None:
        with suppress(OSError):
            process.stdin.write(_CLOSE)
            process.stdin.close()
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT_S):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    await asyncio.wait([attempt.reading], timeout=_CLOSE_TIMEOUT_S)
    shutil.rmtree(attempt.folder, ignore_errors=True)
