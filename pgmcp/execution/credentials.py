"""Gets passwords that change while the server runs, from a file or a command.

    pool ──▶ RotatingPassword ──▶ a file, or a command of the operator

A `RotatingPassword` keeps one password until it expires or the server refuses it. Only the front, pgmcp's
main process, reads the file or runs the command. A worker gets the password with the request to connect.
"""

import asyncio
import json
import logging
import os
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any, Final

from pgmcp.child_process import away_from_terminal, environment_without_secrets
from pgmcp.errors import DatabaseAuthError
from pgmcp.secret_file import MAX_SECRET_BYTES, read_secret_file

logger = logging.getLogger(__name__)

COMMAND_TIMEOUT_S: Final = 20.0
"""Command-line tools of cloud providers take a few seconds; a connection may take 30 s in all."""

EXPIRY_MARGIN_S: Final = 30.0
"""A password is not used in this time before its expiry: the server checks it later, by its own clock."""

_CHUNK_BYTES: Final = 16 << 10
_POLL_S: Final = 0.05
_REST_OF_OUTPUT_S: Final = 0.5
_MAX_REASON_CHARACTERS: Final = 200
_RUN_COMMAND_HINT: Final = (
    "run the command of PG_MCP_DATABASE_PASSWORD_COMMAND in a terminal, as the user that runs this server; "
    "pgmcp runs it without a shell, without input, and for {timeout_s:.0f} s at most"
)


@dataclass(frozen=True, slots=True)
class Login:
    """The user and password of a new connection.

    Attributes:
        user: None means the user of the settings.
        expires_at_s: Unix time in seconds; None if it is not known.
    """

    password: str = field(repr=False)
    user: str | None = None
    expires_at_s: float | None = None

    @property
    def params(self) -> dict[str, str]:
        """The parameters for libpq."""
        return {"password": self.password} | ({"user": self.user} if self.user else {})


class RotatingPassword:
    """Keeps one password for new connections; gets another when it has expired or was refused."""

    def __init__(
        self,
        ask: Callable[[], Awaitable[Login]],
        *,
        lifetime_s: float,
        origin: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Store the source; `ask` is not called before the first connection.

        Args:
            ask: returns the current password.
            lifetime_s: how long a password without an expiry is used for new connections; 0 gets a password
                for each new connection.
            origin: where the password comes from, for the hint if the server refuses it.
            clock: returns the Unix time in seconds.
        """
        self.origin = origin
        self._ask = ask
        self._lifetime_s = lifetime_s
        self._clock = clock
        self._login: Login | None = None
        self._valid_until_s = 0.0
        self._asking: asyncio.Task[Login] | None = None

    async def get(self) -> Login:
        """Return the password for a new connection.

        Raises:
            DatabaseAuthError: the file or the command gave no password.
        """
        if self._login is not None and self._clock() < self._valid_until_s:
            return self._login
        if self._asking is None:
            self._asking = asyncio.create_task(self._renew())
        # Shielded, because connections that are made at the same time share one answer.
        return await asyncio.shield(self._asking)

    def refuse(self, login: Login) -> None:
        """Note that the server refused a password, so that `get` does not return it again."""
        if self._login == login:
            self._login = None

    async def close(self) -> None:
        """End a command that still runs."""
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.wait([self._asking])

    async def _renew(self) -> Login:
        try:
            login = await self._ask()
        finally:
            self._asking = None
        now_s = self._clock()
        self._login = login
        self._valid_until_s = now_s + self._lifetime_s
        if login.expires_at_s is not None:
            self._valid_until_s = login.expires_at_s - EXPIRY_MARGIN_S
        return login


async def ask_file(path: Path, database: str) -> Login:
    """Return the password in a file.

    Raises:
        DatabaseAuthError: the file has no usable password.
    """
    try:
        return Login(await asyncio.to_thread(read_secret_file, path))
    except ValueError as error:
        raise DatabaseAuthError(
            f"no password for database {database}: its password file cannot be used: {error}",
            hint="the file of PG_MCP_DATABASE_PASSWORD_FILE is read for each new connection",
        ) from None


async def ask_command(
    command: Sequence[str], database: str, *, timeout_s: float = COMMAND_TIMEOUT_S
) -> Login:
    """Run a command and return the password that it prints.

    Args:
        command: a program and its arguments; no shell is used.
        database: the database's name in the settings, for messages.
        timeout_s: the command is killed after this time.

    Raises:
        DatabaseAuthError: the command printed no usable password, or could not be started. The message has
            the reason: the exit code or the timeout, with the first line of standard error, or what was wrong
            with the output.
    """
    program = PurePath(command[0]).name
    try:
        code, output, errors = await _run(command, timeout_s)
        if code == 0:
            return read_login(output)
        how = f"did not end within {timeout_s:g} s" if code is None else _describe_exit(code)
        reason = f"{how}{_first_line(errors)}"  # the line may ask the user to sign in
    except OSError as error:
        reason = f"could not be started: {(error.strerror or 'no reason given').lower()}"
    except ValueError as error:
        reason = str(error)
    raise DatabaseAuthError(
        f"no password for database {database}: the command {program} {reason}",
        hint=_RUN_COMMAND_HINT.format(timeout_s=timeout_s),
    )


def read_login(output: bytes) -> Login:
    """Return the password in the output of a command.

    Args:
        output: the password alone, or a JSON object with `password`, and optionally `user` and `expires`.

    Raises:
        ValueError: there is no usable password; the message never contains the output.
    """
    if len(output) > MAX_SECRET_BYTES:
        raise ValueError(f"printed more than {MAX_SECRET_BYTES >> 10} KB")
    try:
        text = output.decode("utf-8-sig").rstrip("\r\n")
    except UnicodeDecodeError:
        raise ValueError("printed something that is not UTF-8") from None
    if not text.strip():
        raise ValueError("printed nothing")
    if text.lstrip().startswith("{"):
        with suppress(json.JSONDecodeError, RecursionError):
            return _read_reply(json.loads(text))
    if "\n" in text or "\r" in text:
        raise ValueError("printed several lines; expected the password alone")
    if not _is_sendable(text):
        raise ValueError("printed a zero byte")
    return Login(text)


def _is_sendable(text: str) -> bool:
    """Return whether libpq can send a text; JSON may have zero bytes and halves of surrogate pairs."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _read_reply(reply: Mapping[str, Any]) -> Login:
    password, user = reply.get("password"), reply.get("user")
    if not isinstance(password, str) or not password:
        raise ValueError("printed JSON without a string 'password'")
    if user is not None and (not isinstance(user, str) or not user):
        raise ValueError("printed JSON whose 'user' is not a string")
    if not _is_sendable(password + (user or "")):
        raise ValueError("printed JSON whose password or user has a zero byte or half of a surrogate pair")
    return Login(password, user, _read_time(reply.get("expires")))


def _read_time(expires: object) -> float | None:
    """Return an expiry as Unix time in seconds; the value is Unix time, or ISO 8601 with a time zone."""
    if expires is None:
        return None
    with suppress(ValueError, OverflowError):
        return float(str(expires))
    with suppress(ValueError, OverflowError):
        moment = datetime.fromisoformat(str(expires))
        if moment.tzinfo is not None:
            return moment.timestamp()
    raise ValueError("printed JSON whose 'expires' is neither Unix time nor ISO 8601 with a time zone")


async def _run(command: Sequence[str], timeout_s: float) -> tuple[int | None, bytes, bytes]:
    """Return the exit code and the bounded output of a command; its processes have ended on return.

    The exit code is None if the command did not end in time.
    """
    process = await asyncio.create_subprocess_exec(
        str(Path(command[0]).expanduser()),
        *command[1:],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment_without_secrets(os.environ),
        **away_from_terminal(),
    )
    output, errors = bytearray(), bytearray()
    reading = asyncio.gather(_read(process.stdout, output), _read(process.stderr, errors))
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await _wait_for_end(process, reading)
        return process.returncode, bytes(output), bytes(errors)
    finally:
        await _end(process)
        reading.cancel()
        await asyncio.wait([reading])


async def _wait_for_end(process: Process, reading: "asyncio.Future[Any]") -> None:
    """Wait until a command has ended and its output is read.

    A process that the command left in the background may keep the output open. After the command has ended,
    its output is therefore read only for `_REST_OF_OUTPUT_S`.
    """
    while process.returncode is None:  # process.wait() waits for the end of the output on some Pythons
        if reading.done():
            await process.wait()
        else:
            await asyncio.wait([reading], timeout=_POLL_S)
    await asyncio.wait([reading], timeout=_REST_OF_OUTPUT_S)


async def _read(stream: asyncio.StreamReader | None, kept: bytearray) -> None:
    """Append the output up to a limit; the rest is read and discarded, so that the command can end."""
    assert stream is not None  # noqa: S101
    while chunk := await stream.read(_CHUNK_BYTES):
        if len(kept) <= MAX_SECRET_BYTES:
            kept += chunk


async def _end(process: Process) -> None:
    """Kill the processes of the command that still run (on Windows not its children), and reap it."""
    with suppress(ProcessLookupError):
        if sys.platform != "win32":
            os.killpg(process.pid, signal.SIGKILL)
        elif process.returncode is None:
            process.kill()
    await process.wait()


def _describe_exit(code: int) -> str:
    if code < 0:
        return f"was ended by signal {-code}"
    return f"ended with exit code {code}"


def _first_line(errors: bytes) -> str:
    """Return the first line that the command wrote to standard error, bounded and printable."""
    lines = (line.strip() for line in errors.decode("utf-8", "replace").splitlines())
    line = next((line for line in lines if line), "")
    shown = "".join(character if character.isprintable() else " " for character in line)
    if len(shown) > _MAX_REASON_CHARACTERS:
        shown = shown[: _MAX_REASON_CHARACTERS - 1] + "…"
    return f": {shown}" if shown else ""
