"""Reads the settings in a forked process (Linux), so that a server over stdio need not import pydantic.

The import of pydantic and pydantic-settings takes 10 MB and 0.15 s. While the process reads, the server
imports its other modules.
"""

import os
import pickle
import signal
import sys
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from pgmcp.child_process import end_with_parent
from pgmcp.errors import SettingsError

if TYPE_CHECKING:
    from pgmcp.settings import Settings

_CAN_FORK: Final = sys.platform == "linux"


class SettingsReader:
    """Reads the settings once: `start` begins, `result` waits, `stop` ends the wait.

    Attributes:
        pid: the process that reads; 0 before the start, and if this process reads.
    """

    def __init__(self) -> None:
        self.pid = 0
        self._pipe = -1
        self._is_stopped = False

    def start(self) -> None:
        """Fork the process that reads; `result` reads here if that is not possible.

        This process does not fork if it has several threads: a lock that another thread holds would stay
        locked in the new process. The server has a second thread if standard input or output is a file.
        """
        if not _CAN_FORK or threading.active_count() > 1:
            return
        parent = os.getpid()
        reading, writing = os.pipe()
        try:
            self.pid = os.fork()
        except OSError:  # a limit of processes or memory
            os.close(reading)
            os.close(writing)
            return
        if self.pid == 0:
            _read_and_exit(parent, reading, writing)
        os.close(writing)
        self._pipe = reading

    def result(self) -> "Settings":
        """Wait until the settings are read, and return them.

        Raises:
            SettingsError: they are invalid, or `stop` was called.
        """
        outcome = self._receive() if self.pid else None
        if outcome is None and self._is_stopped:
            raise SettingsError(
                "the settings were still being read when the server was stopped",
                hint="a .env that is a pipe blocks the server until a program writes to it",
            )
        if outcome is None:  # nothing was forked, or that process failed: the same error then occurs here
            from pgmcp.settings.load import load_settings

            return load_settings()
        if isinstance(outcome, SettingsError):
            raise outcome
        return outcome

    def stop(self) -> None:
        """Kill the process that reads; without such a process, `result` cannot be stopped."""
        self._is_stopped = True
        if self.pid:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _receive(self) -> "Settings | SettingsError | None":
        with os.fdopen(self._pipe, "rb") as pipe:
            pickled = pipe.read()
        with suppress(ChildProcessError):  # a host that ignores SIGCHLD passes that on: nothing to wait for
            os.waitpid(self.pid, 0)
        try:
            # The bytes are from a fork of this process.
            outcome: Settings | SettingsError = pickle.loads(pickled)  # noqa: S301
        except (EOFError, pickle.UnpicklingError):  # it ended before it had written all
            return None
        return outcome


def _read_and_exit(parent: int, reading: int, writing: int) -> None:
    """Write the settings, or the error about them, to a pipe; nothing if they could not be read."""
    try:
        os.setsid()  # Ctrl-C in a terminal is for the server
        signal.set_wakeup_fd(-1)  # or a signal to this process would be reported to the server's event loop
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        end_with_parent(parent, signal.SIGKILL)  # a `.env` that is a pipe may block for long
        os.close(reading)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(pickle.dumps(_outcome()))
    finally:
        os._exit(0)  # without the clean-up that the server registered before the fork


def _outcome() -> "Settings | SettingsError":
    from pgmcp.settings.load import load_settings

    try:
        return load_settings()
    except SettingsError as error:
        return error
