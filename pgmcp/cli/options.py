"""Options shared by commands, output forms, and examples for `--help`."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from pgmcp.errors import PgmcpError
from pgmcp.features import features

if TYPE_CHECKING:
    from pgmcp.answers.answer import Answer
    from pgmcp.cli.terminal import Terminal

ASK: Final = "Ask"
SET_UP: Final = "Set up"
SERVE: Final = "Serve"
"""Panels of `pgmcp --help`."""

Command = TypeVar("Command", bound=Callable[..., None])


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
        goes_to_file: whether an option of a feature writes the rows to a file.
    """

    form: Form = Form.TABLE
    database: str | None = None
    limit: int | None = None
    goes_to_file: bool = False

    @property
    def takes_all_rows(self) -> bool:
        """Whether as many rows are fetched as an export may have."""
        return self.form is Form.CSV or self.goes_to_file

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


@dataclass(frozen=True, slots=True)
class AnswerOption:
    """An option that a feature adds to `pgmcp ask` and `pgmcp sql`; its value is None if it is not given.

    Attributes:
        type: the option's annotation, with a `typer.Option`.
        check: raises typer.BadParameter if the option cannot be used; called before anything is run.
        run: called after the answer was shown.
        takes_all_rows: whether the rows go to a file instead of a table, as many as an export may have.
        examples: commands with `pgmcp ask`, for its help.
    """

    name: str
    type: Any
    check: Callable[[Any, OutputOptions], None]
    run: Callable[["Answer", Any, "Terminal"], None]
    takes_all_rows: bool = False
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EntryOption:
    """An option that a feature adds to `pgmcp install`: the entry starts another command, without settings.

    Attributes:
        flag: such as --demo.
        entry_name: the default name of the entry.
        arguments: the arguments of `pgmcp` in the entry.
        check: raises SettingsError if the command cannot be run here.
        examples: commands with `pgmcp install`, for its help.
    """

    name: str
    flag: str
    help: str
    entry_name: str
    arguments: tuple[str, ...]
    check: Callable[[], None]
    examples: tuple[str, ...] = ()

    @property
    def type(self) -> Any:
        """The option's annotation, with a `typer.Option`."""
        return Annotated[bool, typer.Option(self.flag, help=self.help)]


def answer_options() -> list[AnswerOption]:
    """Return the options that features add to `pgmcp ask` and `pgmcp sql`."""
    return [option for feature in features() for option in feature.answer_options()]


def entry_options() -> list[EntryOption]:
    """Return the options that features add to `pgmcp install`."""
    return [option for feature in features() for option in feature.entry_options()]


def examples_of(options: Iterable[AnswerOption | EntryOption]) -> list[str]:
    """Return the commands that show the options, for `--help`."""
    return [example for option in options for example in option.examples]


def with_extras(options: OutputOptions, extras: Mapping[str, Any]) -> OutputOptions:
    """Check the options of features that are given, and return the options of the command with them."""
    given = [option for option in answer_options() if extras[option.name] is not None]
    for option in given:
        option.check(extras[option.name], options)
    return replace(options, goes_to_file=any(option.takes_all_rows for option in given))


def with_options(options: Iterable[AnswerOption | EntryOption]) -> Callable[[Command], Command]:
    """Add options to a command, which gets their values by name as `**extras`."""

    def decorate(command: Command) -> Command:
        signature = inspect.signature(command)
        own = [each for each in signature.parameters.values() if each.kind is not each.VAR_KEYWORD]
        added = [
            inspect.Parameter(
                each.name,
                inspect.Parameter.KEYWORD_ONLY,
                default=False if isinstance(each, EntryOption) else None,
                annotation=each.type,
            )
            for each in options
        ]
        command.__signature__ = signature.replace(parameters=[*own, *added])  # type: ignore[attr-defined] # typer reads it
        return command

    return decorate


def complete_database(incomplete: str) -> list[str]:
    """Return the configured databases that start with a text, without connecting."""
    from pgmcp.settings.load import load_settings

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
        help="A configured database, if not the default one.",
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
        help="Maximum rows, up to PG_MCP_SERVER_MAX_RESULT_ROWS; for CSV and Parquet, up to "
        "PG_MCP_SERVER_EXPORT_MAX_ROWS.",
    ),
]
ExplainOption = Annotated[
    bool, typer.Option("--explain", help="Show the SQL and PostgreSQL's plan; nothing is run.")
]
CsvOption = Annotated[
    bool,
    typer.Option(
        "--csv", help="Print all rows as CSV: exact values, NULL as an empty field, an empty text in quotes."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the whole answer as JSON.")]
