"""What several commands take: their options, the forms an answer can have, and examples for `--help`."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pgmcp.errors import PgmcpError


class Form(StrEnum):
    """What is made of an answer; by the name of its option."""

    TABLE = "table"
    SQL = "sql"
    EXPLAIN = "explain"
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """What a person wants to see, and of which database.

    Attributes:
        database: None: the default one.
        limit: rows at most; None: as many as the settings allow.
        chart: the PNG file to draw the rows in.
    """

    form: Form = Form.TABLE
    database: str | None = None
    limit: int | None = None
    chart: Path | None = None

    @property
    def is_executed(self) -> bool:
        """Whether the statement itself is run."""
        return self.form not in (Form.SQL, Form.EXPLAIN)


def choose_form(**asked: bool) -> Form:
    """Return the form whose option was given, a table if none was.

    Raises:
        typer.BadParameter: more than one was given.
    """
    forms = [Form(name) for name, is_asked in asked.items() if is_asked]
    if len(forms) > 1:
        raise typer.BadParameter(f"give only one of {', '.join(f'--{form}' for form in forms)}")
    return forms[0] if forms else Form.TABLE


def check_chart(options: OutputOptions) -> OutputOptions:
    """Return the options.

    Raises:
        typer.BadParameter: it asks for a chart of rows that are not fetched, or where it cannot be.
    """
    if options.chart is not None and not options.is_executed:
        raise typer.BadParameter(f"--chart needs rows, and --{options.form} fetches none")
    if options.chart is not None and options.chart.suffix.lower() != ".png":
        raise typer.BadParameter("--chart writes PNG: give it a file that ends in .png")
    if options.chart is not None and not options.chart.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {options.chart.parent}")
    return options


def complete_database(incomplete: str) -> list[str]:
    """Return the configured databases that begin so; connects to none."""
    from pgmcp.settings import load_settings

    try:
        return [name for name in load_settings().databases if name.startswith(incomplete)]
    except PgmcpError:
        return []


def examples(*commands: str) -> str:
    """Return commands as the end of a help text."""
    escaped = (command.replace("[", r"\[") for command in commands)
    return "\n".join(["[bold]Examples[/bold]", *(f"$ {command}" for command in escaped)])


DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        "-d",
        metavar="NAME",
        help="A configured database; the first if left out.",
        autocompletion=complete_database,
    ),
]
LimitOption = Annotated[
    int | None,
    typer.Option(
        "--limit",
        "-n",
        metavar="ROWS",
        min=1,
        help="Rows at most; PG_MCP_SERVER_MAX_RESULT_ROWS bounds it.",
    ),
]
ExplainOption = Annotated[
    bool, typer.Option("--explain", help="Show the SQL and how PostgreSQL would run it; nothing is run.")
]
CsvOption = Annotated[
    bool,
    typer.Option("--csv", help="Print the rows as CSV: exact values, NULL empty, a text quoted if empty."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print all that is known of the answer as JSON.")]
ChartOption = Annotated[
    Path | None,
    typer.Option("--chart", metavar="FILE.png", dir_okay=False, help="Draw the rows in a PNG file, too."),
]
