"""Output to a terminal, pipe or file: colours, progress, the pager, and escaping of untrusted text.

Answers go to standard output and everything else to standard error, so that a pipe contains only the answer.
Rich decides about colour: none in a pipe or with NO_COLOR, always with FORCE_COLOR. Text from a database or
model is never interpreted as markup, and is never sent to a terminal as a control sequence.

PAGER names the pager for long output, as for psql and git. If it is unset, `less` is used; "" and `cat` turn
paging off. Unless LESS is set, less gets the options of `_LESS_OPTIONS`.
"""

import logging
import os
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from io import TextIOWrapper
from typing import Final, TextIO

import typer
from rich.console import Console, RenderableType
from rich.pager import Pager
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.text import Text

from pgmcp.cli.errors import ExitCode, describe
from pgmcp.errors import PgmcpError, SettingsError
from pgmcp.untrusted import escape_untrusted_block

_UNBOUNDED_WIDTH: Final = 1_000_000
"""Width of a line in a pipe, where nothing is wrapped."""


_HANGING_INDENT: Final = 4


class Terminal:
    """Standard output and standard error of one command."""

    def __init__(self, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self._stdout = stdout or sys.stdout
        self._stderr = stderr or sys.stderr
        self._out = _console(self._stdout)
        self._error = _console(self._stderr)
        if not self._out.is_terminal:
            self._out.width = _UNBOUNDED_WIDTH

    @property
    def room(self) -> int | None:
        """Maximum characters of a line of output; None in a pipe."""
        return self._out.width if self._out.is_terminal else None

    def warning_handler(self) -> logging.Handler:
        """Return a log handler whose lines do not disturb the progress display."""
        return _RemarkHandler(self.remark)

    def paging(self) -> AbstractContextManager[object]:
        """Show the output of the block in the user's pager, if it is long and goes to a terminal."""
        is_read = self._out.is_terminal and not self._out.is_dumb_terminal and sys.stdin.isatty()
        if not is_read or not self._stdout.isatty():
            return nullcontext()
        return self._out.pager(LongOutputPager(self._stdout, self._out.height, os.environ), styles=True)

    def show(self, thing: RenderableType) -> None:
        """Print a rich renderable."""
        self._out.print(thing)

    def say(self, text: str, style: str = "") -> None:
        """Print trusted or escaped text."""
        self._out.print(Text(text, style=style), soft_wrap=self.room is None)

    def say_line(self, line: str, style: str = "") -> None:
        """Print a line; wrapped parts are indented further than its beginning."""
        if self.room is not None and len(line) > self.room:
            indent = " " * (len(line) - len(line.lstrip()) + _HANGING_INDENT)
            line = textwrap.fill(line, self.room, subsequent_indent=indent, break_on_hyphens=False)
        self.say(line, style)

    def show_sql(self, sql: str) -> None:
        """Print a statement for a person."""
        text = escape_untrusted_block(sql.strip())
        if self.room is None:
            self.say(text)
        else:
            # The terminal's own colours, which are legible on its background.
            self.show(
                Syntax(text, "postgresql", theme="ansi_dark", background_color="default", word_wrap=True)
            )

    def write_exactly(self, pieces: Iterable[str]) -> None:
        """Write text for programs byte for byte, piece by piece; on a terminal it is escaped."""
        if self._stdout.isatty():
            for text in pieces:
                self._stdout.write(escape_untrusted_block(text.replace("\r\n", "\n")))
        else:
            # As bytes: in text mode Windows would double line ends and replace characters.
            self._stdout.flush()
            self._stdout.buffer.writelines(text.encode("utf-8", "replace") for text in pieces)
        self._stdout.flush()

    def remark(self, text: str) -> None:
        """Print a remark on the answer to standard error."""
        self._print_error(Text(escape_untrusted_block(text), style="yellow"))

    def show_failure(self, error: PgmcpError, *, in_shell: bool = False) -> None:
        """Print an error and its hint to standard error."""
        first, *rest = describe(error, in_shell=in_shell).split("\n")
        self._print_error(Text.assemble(("pgmcp: ", "bold red"), (first, "bold")))
        for line in rest:
            # The mark below a statement must stay in its column.
            self._print_error(Text(line), is_breakable=line.startswith("hint: "))

    def _print_error(self, text: Text, *, is_breakable: bool = True) -> None:
        self._error.print(text, soft_wrap=not (is_breakable and self._error.is_terminal))

    def flush(self) -> None:
        """Flush standard output, so that a closed pipe is noticed while it can still be reported."""
        self._stdout.flush()

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Show a spinner with the elapsed time; yield a function that sets the spinner's text."""
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        is_hidden = not (self._stderr.isatty() and self._error.is_interactive)
        spinner = Progress(*columns, console=self._error, transient=True, disable=is_hidden)
        with nullcontext() if is_hidden else _keys_are_not_shown(), spinner as progress:
            task = progress.add_task("", total=None)
            yield lambda what: progress.update(task, description=what)


@contextmanager
def _keys_are_not_shown() -> Iterator[None]:
    """Hide typed keys, which would break the spinner's line. The next read of the input still gets them."""
    try:
        import termios
    except ImportError:  # Windows shows keys only while a program reads them
        yield
        return
    terminal = sys.stdin.fileno() if sys.stdin.isatty() else -1
    if not _is_in_foreground(terminal):
        yield
        return
    old = termios.tcgetattr(terminal)
    silent = [*old[:3], old[3] & ~termios.ECHO, *old[4:]]
    termios.tcsetattr(terminal, termios.TCSANOW, silent)
    try:
        yield
    finally:
        if _is_in_foreground(terminal):
            with suppress(termios.error):  # the terminal was closed
                termios.tcsetattr(terminal, termios.TCSANOW, old)


def _is_in_foreground(terminal: int) -> bool:
    """Return whether this process may change the terminal; a job in the background would be stopped."""
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:  # no terminal, or not the one that controls this process
        return False


class _RemarkHandler(logging.Handler):
    """Prints log lines as remarks."""

    def __init__(self, remark: Callable[[str], None]) -> None:
        super().__init__()
        self._remark = remark

    def emit(self, record: logging.LogRecord) -> None:
        self._remark(f"{record.levelname.lower()}: {self.format(record)}")


def _console(file: TextIO) -> Console:
    if isinstance(file, TextIOWrapper):
        file.reconfigure(errors="backslashreplace")  # a terminal may not support every character
    return Console(file=file, markup=False, highlight=False, emoji=False)


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
    """Ignore Ctrl-C in this process, because it ends a search in the pager.

    SIG_IGN is not used, because the pager would inherit it.
    """
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


def require_terminal() -> None:
    """Check that a person can be asked.

    Raises:
        SettingsError: standard input is not a terminal.
    """
    if not sys.stdin.isatty():
        raise SettingsError(
            "nothing was written: there is no terminal for the confirmation",
            hint="use --yes to write without confirmation",
        )


def confirm(question: str = "Write this?") -> None:
    """Ask; return if the person agrees.

    Raises:
        SettingsError: standard input is not a terminal.
        typer.Exit: the person declined.
    """
    require_terminal()
    if not typer.confirm(question):
        typer.echo("nothing was written", err=True)
        raise typer.Exit(ExitCode.FAILED)
