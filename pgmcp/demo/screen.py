"""Output of the tour on the terminal: titles, SQL, rows, refusals.

Nothing from a database or a model is taken as markup.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

from rich.console import Console
from rich.panel import Panel
from rich.status import Status
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

_SHOWN_ROWS = 8
_NUMERIC_TYPES = ("smallint", "integer", "bigint", "numeric", "real", "double precision")


class Screen:
    """A terminal, or a file if the output is redirected."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._status: Status | None = None

    @contextmanager
    def working(self) -> Iterator[None]:
        """Show a spinner with the current `step`."""
        with self._console.status("") as self._status:
            yield
        self._status = None

    def step(self, what: str) -> None:
        """Show the current step."""
        if self._status:
            self._status.update(Text(f"{what} …"))
        self._console.print(Text(f"  {what}", style="dim"))

    def title(self, text: str) -> None:
        """Print the title of a part of the tour."""
        self._console.print()
        self._console.rule(Text(text, style="bold"), align="left")

    def say(self, text: str, style: str = "") -> None:
        """Print a text."""
        self._console.print(Text(text, style=style))

    def ask(self, kind: str, text: str) -> None:
        """Print a question or statement for the server."""
        self._console.print()
        self._console.print(Text.assemble((f"{kind}  ", "bold cyan"), (text, "bold")))

    def sql(self, text: str) -> None:
        """Print a statement."""
        self._console.print(Syntax(text.strip(), "postgresql", background_color="default", word_wrap=True))

    def rows(self, columns: list[dict[str, Any]], rows: list[list[Any]]) -> None:
        """Print the first rows as a table, and the number of further ones."""
        table = Table()
        for column in columns:
            justify: Literal["left", "right"] = "right" if column["type"] in _NUMERIC_TYPES else "left"
            table.add_column(Text(column["name"]), justify=justify)
        for row in rows[:_SHOWN_ROWS]:
            table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
        self._console.print(table)
        if len(rows) > _SHOWN_ROWS:
            self.say(f"… and {len(rows) - _SHOWN_ROWS:,} more rows", "dim")

    def refusal(self, text: str) -> None:
        """Print why the server refused or stopped something."""
        self._console.print(Panel(Text(text), border_style="yellow", expand=False))

    def block(self, value: dict[str, Any]) -> None:
        """Print JSON for copying, without a frame and without wrapping."""
        self._console.print(json.dumps(value, indent=2), markup=False, highlight=False, soft_wrap=True)
