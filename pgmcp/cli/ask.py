"""`pgmcp ask` and `pgmcp sql`: one question or statement through the pipeline, and what comes of it."""

import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from pgmcp.cli.options import Form, Wish
from pgmcp.cli.session import CALLER, Session, load_quiet_settings, run_in_session
from pgmcp.cli.show import Findings, show
from pgmcp.cli.stages import tell_stages
from pgmcp.cli.terminal import Terminal
from pgmcp.errors import InvalidArgumentError
from pgmcp.pipeline import OnStage, ReturnType

MAX_INPUT_BYTES: Final = 1 << 20
"""Of a statement on standard input: far more than is accepted, so that one too long is refused as such."""

EXPLAIN: Final = "EXPLAIN "

_Finding = Callable[[Session, Wish, OnStage], Awaitable[Findings]]


def ask(question: str, wish: Wish) -> None:
    """Answer a question in plain language."""
    _find_and_show(partial(_find_answer, question), wish)


def run_sql(sql: str | None, wish: Wish) -> None:
    """Run, or explain, one statement; None and "-" stand for the one on standard input."""
    text = _read_statement() if sql is None or sql == "-" else sql
    _find_and_show(partial(_find_rows, text), wish)


def _find_and_show(find: _Finding, wish: Wish) -> None:
    terminal = Terminal()
    settings = load_quiet_settings(terminal.warning_handler(), wish.database)
    with terminal.progress() as say:
        on_stage = tell_stages(say, model=settings.openai.model)
        findings = run_in_session(settings, lambda session: find(session, wish, on_stage))
    show(findings, wish.form, terminal, max_rows=settings.server.max_result_rows)
    if wish.chart is not None and findings.answer:
        from pgmcp.cli.chart import draw_answer

        draw_answer(findings.answer, wish.chart, terminal)


async def _find_answer(question: str, session: Session, wish: Wish, on_stage: OnStage) -> Findings:
    answer = await session.pipeline.answer(
        question,
        return_type=ReturnType.BOTH if wish.is_executed else ReturnType.SQL,
        limit=wish.limit,
        caller=CALLER,
        on_stage=on_stage,
    )
    if wish.form is not Form.EXPLAIN:
        return Findings(answer)
    return Findings(answer, await _plan(answer.sql or "", session, on_stage))


async def _find_rows(sql: str, session: Session, wish: Wish, on_stage: OnStage) -> Findings:
    if wish.form is Form.EXPLAIN:
        return Findings(None, await _plan(sql, session, on_stage))
    answer = await session.pipeline.execute_sql(sql, limit=wish.limit, caller=CALLER, on_stage=on_stage)
    return Findings(answer)


async def _plan(sql: str, session: Session, on_stage: OnStage) -> list[str]:
    """Return the lines of EXPLAIN, which plans the statement and does not run it."""
    answer = await session.pipeline.execute_sql(EXPLAIN + sql, caller=CALLER, on_stage=on_stage)
    return [str(line) for (line,) in answer.rows.rows] if answer.rows else []


def _read_statement() -> str:
    if sys.stdin.isatty():
        sys.stderr.write("the statement, then Ctrl-D on a line of its own:\n")
    try:
        return sys.stdin.buffer.read(MAX_INPUT_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(
            f"standard input is not UTF-8 (byte {error.start})", hint="convert it, for instance with iconv"
        ) from None
