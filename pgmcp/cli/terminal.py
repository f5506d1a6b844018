"""A person's terminal, or the pipe or file in its place: colours, progress, and text that cannot act in it.

Answers go to standard output, all else to standard error, so that a pipe holds nothing but the answer. Rich
decides about colour: none in a pipe or with NO_COLOR, always with FORCE_COLOR. Nothing from a database or a
model is taken as markup, and on a terminal nothing of it reaches the terminal as a control sequence.
"""

import logging
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Final, TextIO

from rich.console import Console, RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.text import Text

from pgmcp.cli.errors import describe
from pgmcp.errors import PgmcpError
from pgmcp.untrusted import escape_untrusted_block

_UNBOUNDED_WIDTH: Final = 1_000_000
"""Characters of a line in a pipe, where nothing is folded."""


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
        """How many characters a line of output may have; None in a pipe."""
        return self._out.width if self._out.is_terminal else None

    def warning_handler(self) -> logging.Handler:
        """Return a log handler whose lines do not disturb the progress."""
        return _RemarkHandler(self.remark)

    def show(self, thing: RenderableType) -> None:
        """Print something laid out."""
        self._out.print(thing)

    def say(self, text: str, style: str = "") -> None:
        """Print text of ours, or text that was made safe."""
        self._out.print(Text(text, style=style), soft_wrap=self.room is None)

    def say_line(self, line: str, style: str = "") -> None:
        """Print a line whose beginning tells where it belongs: what is folded stays to the right of that."""
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
            # The terminal's own colours: they are legible on whatever its background is.
            self.show(
                Syntax(text, "postgresql", theme="ansi_dark", background_color="default", word_wrap=True)
            )

    def write_exactly(self, text: str) -> None:
        """Print text to be read by a program, byte for byte; a terminal gets it made safe."""
        if self._stdout.isatty():
            self._stdout.write(escape_untrusted_block(text.replace("\r\n", "\n")))
        else:
            # Not as text: on Windows that would make two line ends of one, and of letters question marks.
            self._stdout.flush()
            self._stdout.buffer.write(text.encode("utf-8", "replace"))
        self._stdout.flush()

    def remark(self, text: str) -> None:
        """Say something about the answer that is no part of it."""
        self._tell(Text(escape_untrusted_block(text), style="yellow"))

    def show_failure(self, error: PgmcpError) -> None:
        """Say what went wrong and what to do about it."""
        first, *rest = describe(error).split("\n")
        self._tell(Text.assemble(("pgmcp: ", "bold red"), (first, "bold")))
        for line in rest:
            # The mark below a statement has to stay below its place.
            self._tell(Text(line), is_breakable=line.startswith("hint: "))

    def _tell(self, text: Text, *, is_breakable: bool = True) -> None:
        self._error.print(text, soft_wrap=not (is_breakable and self._error.is_terminal))

    def flush(self) -> None:
        """Write out what is left, so that a reader who has gone is noticed while that can be told."""
        self._stdout.flush()

    @contextmanager
    def progress(self) -> Iterator[Callable[[str], None]]:
        """Show what is being done and for how long, and give the function that says what; gone at the end."""
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        is_hidden = not (self._stderr.isatty() and self._error.is_interactive)
        with Progress(*columns, console=self._error, transient=True, disable=is_hidden) as progress:
            task = progress.add_task("", total=None)
            yield lambda what: progress.update(task, description=what)


class _RemarkHandler(logging.Handler):
    """Says each log line to the reader of the terminal."""

    def __init__(self, remark: Callable[[str], None]) -> None:
        super().__init__()
        self._remark = remark

    def emit(self, record: logging.LogRecord) -> None:
        self._remark(f"{record.levelname.lower()}: {self.format(record)}")


def _console(file: TextIO) -> Console:
    if isinstance(file, TextIOWrapper):
        file.reconfigure(errors="backslashreplace")  # a terminal may not have every letter
    return Console(file=file, markup=False, highlight=False, emoji=False)
