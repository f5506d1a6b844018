"""Options shared by commands, output forms, and examples for `--help`."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pgmcp.errors import PgmcpError


class Form(StrEnum):
    """Output forms of an answer, named like their options."""

    TABLE = "table"
    SQL = "sql"
    EXPLAIN = "explain"
    CSV = "csv"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Output form, database and row limit of one command.

    Attributes:
        database: None means the default one.
        limit: maximum rows; None means as many as the settings allow.
        chart: the PNG file for a chart of the rows.
    """

    form: Form = Form.TABLE
    database: str | None = None
    limit: int | None = None
    chart: Path | None = None

    @property
    def is_executed(self) -> bool:
        """Whether the statement is run."""
        return self.form not in (Form.SQL, Form.EXPLAIN)


def choose_form(**asked: bool) -> Form:
    """Return the form of the given option; a table by default.

    Raises:
        typer.BadParameter: more than one option was given.
    """
    forms = [Form(name) for name, is_asked in asked.items() if is_asked]
    if len(forms) > 1:
        raise typer.BadParameter(f"give only one of {', '.join(f'--{form}' for form in forms)}")
    return forms[0] if forms else Form.TABLE


def check_chart(options: OutputOptions) -> OutputOptions:
    """Return the options if their chart is possible.

    Raises:
        typer.BadParameter: no rows are fetched, or the file is not a PNG file in an existing folder.
    """
    if options.chart is not None and not options.is_executed:
        raise typer.BadParameter(f"--chart needs rows, but --{options.form} fetches none")
    if options.chart is not None and options.chart.suffix.lower() != ".png":
        raise typer.BadParameter("--chart writes PNG: name a file that ends in .png")
    if options.chart is not None and not options.chart.absolute().parent.is_dir():
        raise typer.BadParameter(f"the folder {options.chart.parent} does not exist")
    return options


def complete_database(incomplete: str) -> list[str]:
    """Return the configured databases that start with a text, without connecting."""
    from pgmcp.settings import load_settings

    try:
        return [name for name in load_settings().databases if name.startswith(incomplete)]
    except PgmcpError:
        return []


def examples(*commands: str) -> str:
    """Return commands as the last part of a help text."""
    escaped = (command.replace("[", r"\[") for command in commands)
    return "\n".join(["[bold]Examples[/bold]", *(f"$ {command}" for command in escaped)])


DatabaseOption = Annotated[
    str | None,
    typer.Option(
        "--database",
        "-d",
        metavar="NAME",
        help="A configured database; default: the first.",
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
        help="Maximum rows, up to PG_MCP_SERVER_MAX_RESULT_ROWS.",
    ),
]
ExplainOption = Annotated[
    bool, typer.Option("--explain", help="Show the SQL and PostgreSQL's plan; nothing is run.")
]
CsvOption = Annotated[
    bool,
    typer.Option("--csv", help="Print the rows as CSV: exact values, NULL as nothing, empty text in quotes."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")]
ChartOption = Annotated[
    Path | None,
    typer.Option(
        "--chart", metavar="FILE.png", dir_okay=False, help="Also draw the rows as a chart in a PNG file."
    ),
]
