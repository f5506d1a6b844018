"""`pgmcp ask` and `pgmcp sql`: run one question or statement, and print the result."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from pgmcp.cli.options import Form, OutputOptions, answer_options
from pgmcp.cli.session import CALLER, Session, load_quiet_settings, run_in_session
from pgmcp.cli.show import CommandResult, show
from pgmcp.cli.stages import report_stages
from pgmcp.cli.terminal import Terminal
from pgmcp.errors import InvalidArgumentError
from pgmcp.pipeline import OnStage, ReturnType

MAX_INPUT_BYTES: Final = 1 << 20
"""Read limit for standard input; larger than the accepted length, so that the right error is raised."""

EXPLAIN: Final = "EXPLAIN "

_Command = Callable[[Session, OutputOptions, OnStage], Awaitable[CommandResult]]


def ask(question: str, options: OutputOptions, extras: Mapping[str, Any], *, reading: str = "") -> None:
    """Answer a question in plain language.

    Args:
        extras: values of the options that features add, by name.
        reading: how to read the question; "" leaves it open.
    """
    _run_and_show(partial(_answer_question, question, reading), options, extras)


def run_sql(sql: str | None, options: OutputOptions, extras: Mapping[str, Any]) -> None:
    """Run or explain one statement; None and "-" read it from standard input.

    Args:
        extras: values of the options that features add, by name.
    """
    text = _read_statement() if sql is None or sql == "-" else sql
    _run_and_show(partial(_run_statement, text), options, extras)


def _run_and_show(find: _Command, options: OutputOptions, extras: Mapping[str, Any]) -> None:
    terminal = Terminal()
    settings = load_quiet_settings(terminal.warning_handler(), options.database)
    with terminal.progress() as say:
        on_stage = report_stages(say, model=settings.openai.model)
        result = run_in_session(settings, lambda session: find(session, options, on_stage))
    show(result, options.form, terminal, max_rows=settings.server.max_result_rows)
    for option in answer_options():
        if result.answer and extras[option.name] is not None:
            option.run(result.answer, extras[option.name], terminal)


async def _answer_question(
    question: str, reading: str, session: Session, options: OutputOptions, on_stage: OnStage
) -> CommandResult:
    answer = await session.pipeline.answer(
        question,
        return_type=ReturnType.BOTH if options.is_executed else ReturnType.SQL,
        limit=options.limit,
        reading=reading,
        caller=CALLER,
        on_stage=on_stage,
    )
    if options.form is not Form.EXPLAIN:
        return CommandResult(answer)
    return CommandResult(answer, await _plan(answer.sql or "", session, on_stage))


async def _run_statement(
    sql: str, session: Session, options: OutputOptions, on_stage: OnStage
) -> CommandResult:
    if options.form is Form.EXPLAIN:
        return CommandResult(None, await _plan(sql, session, on_stage))
    answer = await session.pipeline.execute_sql(sql, limit=options.limit, caller=CALLER, on_stage=on_stage)
    return CommandResult(answer)


async def _plan(sql: str, session: Session, on_stage: OnStage) -> list[str]:
    """Return the lines of EXPLAIN, which plans the statement without running it."""
    answer = await session.pipeline.execute_sql(EXPLAIN + sql, caller=CALLER, on_stage=on_stage)
    return [str(line) for (line,) in answer.rows.rows] if answer.rows else []


def _read_statement() -> str:
    if sys.stdin.isatty():
        sys.stderr.write("enter the statement, then Ctrl-D on a line of its own:\n")
    try:
        return sys.stdin.buffer.read(MAX_INPUT_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"standard input is not UTF-8 (byte {error.start})", hint="convert it, for example with iconv"
        ) from None
