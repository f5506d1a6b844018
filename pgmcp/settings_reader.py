"""Reads the settings in a forked process (Linux), so that a server over stdio never imports pydantic.

The import of pydantic and pydantic-settings takes 10 MB and 0.15 s. While the process reads, the server
imports its other modules.
"""

import os
import pickle
import signal
import sys
from typing import TYPE_CHECKING, Final

from pgmcp.errors import SettingsError

if TYPE_CHECKING:
    from pgmcp.settings import Settings

_CAN_FORK: Final = sys.platform == "linux"


class SettingsReader:
    """Reads the settings once: `start` begins, `result` waits.

    Attributes:
        pid: the process that reads; 0 before the start, and on systems other than Linux.
    """

    def __init__(self) -> None:
        self.pid = 0
        self._pipe = -1

    def start(self) -> None:
        """Fork the process that reads.

        No other thread should run: a fork copies only the calling thread, and leaves locked what others hold.

        Raises:
            OSError: the process could not be started.
        """
        if not _CAN_FORK:
            return
        self._pipe, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            _read_and_exit(writing)
        os.close(writing)

    def result(self) -> "Settings":
        """Wait until the settings are read, and return them.

        Raises:
            SettingsError: they are invalid.
        """
        outcome = self._receive() if self.pid else None
        if outcome is None:  # on another system, or if the process has failed: its error then appears here
            from pgmcp.settings.load import load_settings

            return load_settings()
        if isinstance(outcome, SettingsError):
            raise outcome
        return outcome

    def _receive(self) -> "Settings | SettingsError | None":
        with os.fdopen(self._pipe, "rb") as pipe:
            pickled = pipe.read()
        os.waitpid(self.pid, 0)
        # The bytes are from a fork of this process.
        return pickle.loads(pickled) if pickled else None  # noqa: S301


def _read_and_exit(writing: int) -> None:
    """Write the settings, or the error about them, to a pipe; nothing if they could not be read."""
    try:
        os.setsid()  # Ctrl-C in a terminal is for the server
        signal.set_wakeup_fd(-1)  # the server's event loop would take a signal to this process for its own
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
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
