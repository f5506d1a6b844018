"""`pgmcp ask` and `pgmcp sql`: run one question or statement, and print the result."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from pgmcp.answers.answer import Answer
from pgmcp.cli.catalog_commands import (
    BackslashCommand,
    first_name,
    list_databases,
    parse_command,
    run_catalog_command,
)
from pgmcp.cli.command_session import (
    CALLER,
    Session,
    load_quiet_settings,
    load_settings_of_all,
    report_stages,
    run_in_session,
)
from pgmcp.cli.options import Form, OutputOptions, answer_options
from pgmcp.cli.show import CommandResult, RowSettings, show
from pgmcp.cli.terminal import Terminal
from pgmcp.errors import InvalidArgumentError, SqlRejectedError, StatementFailedError
from pgmcp.execution.result import RowLimits
from pgmcp.features import file_limits
from pgmcp.pipeline import CallOptions, OnStage, QueryOptions, ReturnType
from pgmcp.settings import Settings

MAX_INPUT_BYTES: Final = 1 << 20
"""Maximum size of standard input, which may have several statements. Validation limits one statement."""

EXPLAIN: Final = "EXPLAIN "

_Command = Callable[[Session, OutputOptions, OnStage], Awaitable[CommandResult]]


def ask(question: str, options: OutputOptions, extras: Mapping[str, Any], *, reading: str = "") -> None:
    r"""Answer a question in plain language, or run a command such as `\dt`.

    Args:
        extras: values of the options that features add, by name.
        reading: how to read the question; "" leaves it to the model.
    """
    if not _run_catalog_command(question, options):
        _run_and_show(partial(_answer_question, question, reading), options, extras)


def run_sql(sql: str | None, options: OutputOptions, extras: Mapping[str, Any]) -> None:
    r"""Run or explain one statement, or run a command such as `\dt`.

    Args:
        sql: None and "-" read it from standard input.
        extras: values of the options that features add, by name.
    """
    text = _read_statement() if sql is None or sql == "-" else sql
    if not _run_catalog_command(text, options):
        _run_and_show(partial(_run_statement, text), options, extras)


def _run_catalog_command(text: str, options: OutputOptions) -> bool:
    r"""Run a command of psql such as `\dt`; return False if the text is not such a command."""
    command = parse_command(text)
    if command is None:
        return False
    terminal = Terminal()
    if first_name(command.name) == "l":  # lists all databases, and needs no connection
        found = list_databases(load_settings_of_all(terminal.warning_handler(), options.database))
    else:
        settings = load_quiet_settings(terminal.warning_handler(), options.database)
        answer = _read_schema(command, settings, terminal)
        if isinstance(answer, Answer):
            show(CommandResult(answer), options.form, terminal, settings=row_settings(settings, options))
            return True
        found = answer
    with terminal.paging():
        for line in found.splitlines():
            terminal.say_line(line)
    terminal.flush()
    return True


def _read_schema(command: BackslashCommand, settings: Settings, terminal: Terminal) -> str | Answer:
    with terminal.progress() as say:
        say("reading the schema")
        return run_in_session(settings, lambda session: run_catalog_command(command, session))


def _run_and_show(find: _Command, options: OutputOptions, extras: Mapping[str, Any]) -> None:
    terminal = Terminal()
    settings = load_quiet_settings(terminal.warning_handler(), options.database)
    with terminal.progress() as say:
        on_stage = report_stages(say, model=settings.openai.model)
        result = run_in_session(settings, lambda session: find(session, options, on_stage))
    show(
        result,
        options.form,
        terminal,
        settings=row_settings(settings, options),
        with_rows=not options.goes_to_file,
    )
    for option in answer_options():
        if result.answer and extras[option.name] is not None:
            option.run(result.answer, extras[option.name], terminal)


def row_settings(settings: Settings, options: OutputOptions) -> RowSettings:
    """Return which settings limit the rows of a command."""
    limits = file_limits(settings.server) if options.takes_all_rows else None
    if limits is None:
        return RowSettings(settings.server.max_result_rows)
    return RowSettings(limits.max_rows, "PG_MCP_SERVER_EXPORT_MAX")


def _row_limits(session: Session, options: OutputOptions) -> RowLimits | None:
    return file_limits(session.settings.server) if options.takes_all_rows else None


async def _answer_question(
    question: str, reading: str, session: Session, options: OutputOptions, on_stage: OnStage
) -> CommandResult:
    query_options = QueryOptions(
        return_type=ReturnType.BOTH if options.is_executed else ReturnType.SQL,
        limit=options.limit,
        row_limits=_row_limits(session, options),
        reading=reading,
        caller=CALLER,
        on_stage=on_stage,
    )
    try:
        answer = await session.pipeline.answer(question, query_options)
    except (SqlRejectedError, StatementFailedError) as error:
        suggest_other_words(error, "run corrected SQL with `pgmcp sql`")
        raise
    if options.form is not Form.EXPLAIN:
        return CommandResult(answer)
    return CommandResult(answer, await _plan(answer.sql or "", session, on_stage))


def suggest_other_words(error: SqlRejectedError | StatementFailedError, correct_sql: str) -> None:
    """Put a hint for the person before the hint about SQL that a model wrote.

    Args:
        correct_sql: how to run corrected SQL.
    """
    error.hint = f"ask in other words, or {correct_sql}" + (f": {error.hint}" if error.hint else "")


async def _run_statement(
    sql: str, session: Session, options: OutputOptions, on_stage: OnStage
) -> CommandResult:
    if options.form is Form.EXPLAIN:
        return CommandResult(None, await _plan(sql, session, on_stage))
    answer = await session.pipeline.execute_sql(
        sql,
        CallOptions(
            limit=options.limit, row_limits=_row_limits(session, options), caller=CALLER, on_stage=on_stage
        ),
    )
    return CommandResult(answer)


async def _plan(sql: str, session: Session, on_stage: OnStage) -> list[str]:
    """Return the lines of EXPLAIN, which plans the statement without running it."""
    answer = await session.pipeline.execute_sql(EXPLAIN + sql, CallOptions(caller=CALLER, on_stage=on_stage))
    return [str(line) for (line,) in answer.rows.rows] if answer.rows else []


def _read_statement() -> str:
    if sys.stdin.isatty():
        sys.stderr.write("enter the statement, then Ctrl-D on a line of its own:\n")
    return read_text()


def read_text() -> str:
    """Return standard input.

    Raises:
        InvalidArgumentError: it is too long, or not UTF-8.
    """
    given = sys.stdin.buffer.read(MAX_INPUT_BYTES + 1)
    if len(given) > MAX_INPUT_BYTES:
        raise InvalidArgumentError(f"standard input has more than {MAX_INPUT_BYTES} bytes")
    try:
        return given.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"standard input is not UTF-8 (byte {error.start})", hint="convert it, for example with iconv"
        ) from None
