"""Defines the commands and their options. Not imported when serving over stdio."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pgmcp import __version__
from pgmcp.catalog.rendering import Detail
from pgmcp.cli.command_group import CommandGroup
from pgmcp.cli.context import context_commands
from pgmcp.cli.errors import ExitCode
from pgmcp.cli.options import (
    ASK,
    SERVE,
    CsvOption,
    DatabaseOption,
    ExplainOption,
    JsonOption,
    LimitOption,
    OutputOptions,
    answer_options,
    choose_form,
    examples,
    examples_of,
    with_extras,
    with_options,
)
from pgmcp.cli.set_up_commands import set_up_commands
from pgmcp.features import features
from pgmcp.untrusted import escape_untrusted

_EPILOG: Final = """\
[bold]Exit codes[/bold]
  0  done
  1  no answer, a limit was reached, a file could not be written, or a check failed
  2  the command line or the settings are invalid
  3  refused: the statement or the role, or a question that this schema cannot answer
130  interrupted; the statement is cancelled on the server too
143  ended by SIGTERM, with the same effect; 129 if the terminal was closed

Settings come from the environment, .env and PG_MCP_CONFIG_FILE. NO_COLOR and FORCE_COLOR are respected.
In a pipe, standard output has only the answer, without colour."""


app = typer.Typer(
    name="pgmcp",
    cls=CommandGroup,
    help="Ask PostgreSQL questions in plain language or SQL, read-only and with limits, or serve MCP to a "
    "host. Without a command: serve.",
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
    pretty_exceptions_enable=False,
)


def _show_version(asked: bool) -> None:
    if asked:
        typer.echo(f"pgmcp {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Take options before a command."""


@app.command(
    rich_help_panel=ASK,
    epilog=examples(
        'pgmcp ask "How many active users do we have?"',
        *examples_of(answer_options()),
        'pgmcp ask "Orders of the last 7 days" --csv > orders.csv',
        'pgmcp ask "Which products are low on stock?" --sql | psql shop',
    ),
)
@with_options(answer_options())
def ask(
    question: Annotated[list[str], typer.Argument(help="The question, in plain language.")],
    only_sql: Annotated[bool, typer.Option("--sql", help="Print only the SQL; it is not run.")] = False,
    explain: ExplainOption = False,
    csv: CsvOption = False,
    json: JsonOption = False,
    database: DatabaseOption = None,
    limit: LimitOption = None,
    reading: Annotated[
        str, typer.Option(metavar="TEXT", help="One of the readings that an earlier answer offered.")
    ] = "",
    **extras: Any,
) -> None:
    """Ask a question; show the SQL, the rows and how they were found."""
    form = choose_form(sql=only_sql, explain=explain, csv=csv, json=json)
    _refuse_file_after_csv(csv, question[1:])  # otherwise the file's name becomes part of the question
    options = with_extras(OutputOptions(form, database, limit), extras)
    from pgmcp.cli.ask import ask

    ask(" ".join(question), options, extras, reading=reading)


def _refuse_file_after_csv(csv: bool, arguments: Sequence[str]) -> None:
    if csv and arguments and arguments[-1].endswith(".csv"):
        raise typer.BadParameter(f"--csv prints to standard output; for a file: --csv > {arguments[-1]}")


@app.command(
    rich_help_panel=ASK,
    epilog=examples(
        'pgmcp sql "select status, count(*) from orders group by status"',
        'pgmcp sql --explain "select * from orders where id = 1"',
        "pgmcp sql --json < report.sql | jq .rows",
    ),
)
@with_options(answer_options())
def sql(
    statement: Annotated[
        list[str] | None,
        typer.Argument(help="One SELECT, VALUES, TABLE, EXPLAIN or SHOW; - reads standard input."),
    ] = None,
    explain: ExplainOption = False,
    csv: CsvOption = False,
    json: JsonOption = False,
    database: DatabaseOption = None,
    limit: LimitOption = None,
    **extras: Any,
) -> None:
    """Run your own SQL, with the same checks as a model's SQL."""
    given, more = (statement[0], statement[1:]) if statement else (None, [])
    _refuse_file_after_csv(csv, more)
    if more:
        raise typer.BadParameter('write the statement as one argument, in quotes: pgmcp sql "select …"')
    form = choose_form(explain=explain, csv=csv, json=json)
    options = with_extras(OutputOptions(form, database, limit), extras)
    from pgmcp.cli.ask import run_sql

    run_sql(given, options, extras)


@app.command(
    rich_help_panel=ASK,
    epilog=examples(
        "pgmcp schema", "pgmcp schema customer address", "pgmcp schema --table orders --table sales.invoices"
    ),
)
def schema(
    text: Annotated[
        list[str] | None, typer.Argument(help="Words to find in names and comments; without any, all tables.")
    ] = None,
    table: Annotated[
        list[str] | None,
        typer.Option("--table", "-t", metavar="NAME", help="Show this table; may be repeated."),
    ] = None,
    detail: Annotated[
        Detail | None,
        typer.Option(
            help="Only names, also columns, or everything; default: names if all tables are shown, else full."
        ),
    ] = None,
    database: DatabaseOption = None,
) -> None:
    """Show tables with their columns, types, keys, values and comments."""
    from pgmcp.cli.catalog_commands import show_schema

    show_schema(" ".join(text or []), tables=table or [], detail=detail, database=database)


@app.command(
    rich_help_panel=ASK,
    epilog=examples("pgmcp shell", "pgmcp shell --database sales", "pgmcp shell < report.sql"),
)
def shell(
    database: DatabaseOption = None,
    no_history: Annotated[
        bool, typer.Option("--no-history", help="Do not read or write the history of inputs.")
    ] = False,
) -> None:
    """Open a prompt for SQL and questions, with history and completion."""
    from pgmcp.cli.shell.start import run_shell

    raise typer.Exit(run_shell(database, keeps_history=not no_history))


@app.command(
    rich_help_panel=ASK,
    epilog=examples(
        'pgmcp learn "How many active users do we have?"',
        'pgmcp learn "Number of orders" --sql "select count(*) from orders" --yes',
    ),
)
def learn(
    question: Annotated[str, typer.Argument(help="The question, as people will ask it.")],
    sql: Annotated[
        str | None, typer.Option(metavar="SQL", help="SQL for the question; by default the model writes it.")
    ] = None,
    database: DatabaseOption = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--to",
            metavar="FILE",
            help="Save to this file instead of the context file, for `pgmcp evaluate`.",
        ),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Save it without asking.")] = False,
) -> None:
    """Answer a question, and save its SQL as verified once you confirm the rows."""
    from pgmcp.cli.learn import preview_answer, save
    from pgmcp.cli.terminal import confirm, require_terminal

    if not yes:
        require_terminal()
    answer = preview_answer(question, sql=sql, database=database, file=to)
    if not yes:
        confirm("Is this answer right? Save its SQL as verified?")
    file = save(question, answer, to)
    typer.echo(f"saved in {file}" if to else f"saved in {file}; running servers use it immediately")


@app.command(
    rich_help_panel=ASK,
    epilog=examples(
        "pgmcp evaluate questions.yaml",
        "pgmcp evaluate questions.yaml --no-baseline --fail-under 90",
        "pgmcp evaluate context.yaml --ask-model --json > report.json",
    ),
)
def evaluate(
    file: Annotated[
        Path, typer.Argument(help="Questions with SQL or rows, in the form of the context file.")
    ],
    database: Annotated[
        list[str] | None,
        typer.Option("--database", "-d", metavar="NAME", help="Only this database; may be repeated."),
    ] = None,
    no_baseline: Annotated[
        bool,
        typer.Option("--no-baseline", help="Do not compare with a plain prompt that has the whole schema."),
    ] = False,
    ask_model: Annotated[
        bool,
        typer.Option("--ask-model", help="Ignore a question's own verified SQL, so that the model answers."),
    ] = False,
    fail_under: Annotated[
        float | None,
        typer.Option(
            metavar="PERCENT", min=0, max=100, help="Exit with 1 if a smaller share of the answers is right."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the report to this file, as JSON.")
    ] = None,
) -> None:
    """Ask your own questions, compare the rows with the expected ones, and report errors and cost.

    The exit code is 1 if the model or the database gave no answer to a question. Wrong rows, SQL that fails
    and refused questions are results: with them, the exit code is 0 unless --fail-under is given.
    """
    from pgmcp.cli.evaluate import EvaluateOptions, run_evaluation
    from pgmcp.evaluation.report import share_right, without_answer

    options = EvaluateOptions(
        tuple(database or ()),
        with_baseline=not no_baseline,
        asks_model=ask_model,
        as_json=as_json,
        output=output,
    )
    outcome = run_evaluation(file, options)
    share, failed = share_right(outcome), without_answer(outcome)
    if failed:
        ids = ", ".join(map(escape_untrusted, failed))
        typer.echo(f"pgmcp: the model or the database gave no answer to {ids}", err=True)
    is_below = fail_under is not None and share * 100 < fail_under
    if is_below:
        typer.echo(f"pgmcp: {share:.1%} of the answers are right, less than {fail_under:g} %", err=True)
    if failed or is_below:
        raise typer.Exit(ExitCode.FAILED)


app.add_typer(context_commands, rich_help_panel=ASK)

for _feature in features():
    if _feature.add_commands:
        _feature.add_commands(app)


app.add_typer(set_up_commands)


@app.command(rich_help_panel=SERVE, epilog=examples("pgmcp token alice"))
def token(
    name: Annotated[
        str,
        typer.Argument(help="A name for the token's user, for the log, the audit file and database roles."),
    ],
) -> None:
    """Make a bearer token for `serve --http`. It is shown once; the settings need only its hash."""
    from pgmcp.transport.http.authentication.static_tokens import make_token

    made, setting = make_token(name)
    typer.echo(made)
    typer.echo(f"setting for the server; separate several tokens by commas:\n{setting}", err=True)


@app.command(
    rich_help_panel=SERVE,
    epilog=examples("pgmcp serve", "pgmcp", "pgmcp serve --check", "pgmcp serve --http 127.0.0.1:8765"),
)
def serve(
    address: Annotated[
        str | None,
        typer.Argument(
            metavar="[HOST:PORT]", help="With --http: address to listen on; default: 127.0.0.1:8765."
        ),
    ] = None,
    over_http: Annotated[
        bool, typer.Option("--http", help="Serve over HTTP at /mcp instead of stdio.")
    ] = False,
    forwarded_allow_ips: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESSES",
            help="With --http: proxies whose X-Forwarded-For header names the client, such as 10.0.0.0/8.",
        ),
    ] = None,
    only_check: Annotated[
        bool, typer.Option("--check", help="Only check the settings; exit with 2 if they are invalid.")
    ] = False,
) -> None:
    """Serve MCP over stdio (the default without a command) or HTTP."""
    from pgmcp.cli.serve import check, serve_http, serve_stdio

    if only_check:
        check()
    elif over_http:
        serve_http(address, forwarded_allow_ips)
    elif address is not None:
        raise typer.BadParameter("an address needs --http", param_hint="HOST:PORT")
    else:
        serve_stdio()
