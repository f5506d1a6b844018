"""`pgmcp learn`: show what a question gives, and keep it as verified once a person says that it is right."""

from pathlib import Path

from pgmcp.answers.answer import Answer
from pgmcp.cli.session import CALLER, Session, load_quiet_settings, run_in_session
from pgmcp.cli.show import show_answer
from pgmcp.cli.stages import report_stages
from pgmcp.cli.terminal import Terminal
from pgmcp.errors import InvalidArgumentError, SettingsError
from pgmcp.generation.context_edit import add_verified
from pgmcp.generation.verified import VerifiedQuestion
from pgmcp.pipeline import ReturnType
from pgmcp.settings import Settings, load_settings

SHOWN_ROWS = 20
"""Enough to tell a right answer from a wrong one."""


def preview_answer(question: str, *, sql: str | None, database: str | None) -> Answer:
    """Answer a question, by the SQL if there is any, and show it.

    Raises:
        PgmcpError: there is no context file to keep it in, or no answer.
    """
    terminal = Terminal()
    settings = load_quiet_settings(terminal.warning_handler(), database)
    _context_file(settings)

    with terminal.progress() as say:
        on_stage = report_stages(say, model=settings.openai.model)

        async def find(session: Session) -> Answer:
            pipeline, limit = session.pipeline, min(SHOWN_ROWS, session.pipeline.max_rows)
            if sql is not None:
                return await pipeline.execute_sql(sql, limit=limit, caller=CALLER, on_stage=on_stage)
            return await pipeline.answer(
                question, return_type=ReturnType.BOTH, limit=limit, caller=CALLER, on_stage=on_stage
            )

        answer = run_in_session(settings, find)
    show_answer(answer, terminal)
    return answer


def keep(question: str, answer: Answer) -> Path:
    """Add the question and its answer's SQL to the context file, and return the file."""
    if not answer.sql:
        raise InvalidArgumentError("the answer has no SQL to keep", hint="give it with --sql")
    file = _context_file(load_settings())
    verified = VerifiedQuestion(question.strip(), answer.sql.strip().rstrip(";"))
    add_verified(file, answer.database, verified)
    return file


def _context_file(settings: Settings) -> Path:
    if settings.context_file is None:
        raise SettingsError(
            "there is no context file to keep a question in",
            hint="make an empty file and name it in PG_MCP_CONTEXT_FILE",
        )
    return settings.context_file
