"""Output to a terminal, pipe or file: colours, progress, and escaping of untrusted text.

Answers go to standard output and everything else to standard error, so that a pipe contains only the answer.
Rich decides about colour: none in a pipe or with NO_COLOR, always with FORCE_COLOR. Text from a database or
model is never interpreted as markup, and is never sent to a terminal as a control sequence.
"""

import logging
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from io import TextIOWrapper
from typing import Final, TextIO

from rich.console import Console, RenderableType
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.syntax import Syntax
from rich.text import Text

from pgmcp.cli.errors import describe
from pgmcp.cli.pager import LongOutputPager
from pgmcp.errors import PgmcpError
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
        """Show a spinner with elapsed time; yields a function that sets its text."""
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
        is_hidden = not (self._stderr.isatty() and self._error.is_interactive)
        with Progress(*columns, console=self._error, transient=True, disable=is_hidden) as progress:
            task = progress.add_task("", total=None)
            yield lambda what: progress.update(task, description=what)


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
