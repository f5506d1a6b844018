"""Shows long output in the user's pager, such as less.

PAGER names the pager, as for psql and git: unset means `less`, and "" or `cat` none. Unless LESS is set, less
gets the options of `_LESS_OPTIONS`.
"""

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Final, TextIO

from rich.pager import Pager

_LESS_OPTIONS: Final = "SRFX"
"""S: no wrapping. R: colours. F: end at once if all fits. X: leave the text on the screen."""

_NO_PAGER: Final = ("", "cat")

Run = Callable[[list[str], str, Mapping[str, str]], None]


def choose_pager(
    environ: Mapping[str, str], find_program: Callable[[str], str | None] = shutil.which
) -> list[str] | None:
    """Return the command of the pager; None if there is none, or the user wants none."""
    chosen = environ.get("PAGER", "less").strip()
    try:
        command = [] if chosen in _NO_PAGER else shlex.split(chosen)
    except ValueError:  # an unclosed quote
        return None
    return command if command and find_program(command[0]) else None


def is_long(text: str, height: int) -> bool:
    """Return whether a text does not fit a terminal of this height with its prompt."""
    return text.count("\n") >= height


def run_pager(command: list[str], text: str, environ: Mapping[str, str]) -> None:
    """Show a text in a pager until the user leaves it."""
    environment = {"LESS": _LESS_OPTIONS, **environ}
    with (
        _ctrl_c_is_for_the_pager(),
        subprocess.Popen(command, stdin=subprocess.PIPE, env=environment) as pager,
    ):
        assert pager.stdin is not None  # noqa: S101
        with suppress(BrokenPipeError):  # the user left before the end
            pager.stdin.write(text.encode("utf-8", "replace"))
        with suppress(BrokenPipeError):
            pager.stdin.close()


@contextmanager
def _ctrl_c_is_for_the_pager() -> Iterator[None]:
    """Ignore Ctrl-C here, which ends a search in the pager. Not SIG_IGN, which the pager would inherit."""
    old = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, old)


class LongOutputPager(Pager):
    """Shows a text in the pager if it is longer than the terminal, else prints it."""

    def __init__(
        self, out: TextIO, height: int, environ: Mapping[str, str] = os.environ, run: Run = run_pager
    ) -> None:
        self._out = out
        self._height = height
        self._environ = environ
        self._run = run

    def show(self, content: str) -> None:
        """Show the text."""
        command = choose_pager(self._environ) if is_long(content, self._height) else None
        if command is not None:
            self._out.flush()
            with suppress(OSError):
                self._run(command, content, self._environ)
                return
        self._out.write(content)
        self._out.flush()
