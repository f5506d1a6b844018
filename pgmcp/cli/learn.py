"""`pgmcp learn`: show what a question gives, and keep it as verified once a person says that it is right."""

import asyncio
from pathlib import Path

from pgmcp.cli.serve import configure_logging
from pgmcp.errors import InvalidArgumentError, SettingsError
from pgmcp.generation.context_edit import add_verified
from pgmcp.generation.verified import VerifiedQuestion
from pgmcp.pipeline import ReturnType
from pgmcp.presentation.answer import Answer
from pgmcp.presentation.neutral import new_fence
from pgmcp.presentation.text import render_answer
from pgmcp.serve import open_pipeline
from pgmcp.settings import Settings, load_settings

SHOWN_ROWS = 20
"""Enough to tell a right answer from a wrong one."""


def ask(question: str, *, sql: str | None, database: str | None) -> tuple[str, str, str]:
    """Answer a question, by the SQL if there is any.

    Returns:
        The answer as text, its SQL, and the database's name.

    Raises:
        PgmcpError: there is no context file to keep it in, or no answer.
    """
    settings = load_settings()
    _context_file(settings)
    configure_logging("WARNING")
    return asyncio.run(_ask(settings, question, sql, database))


def keep(question: str, *, sql: str, database: str) -> Path:
    """Add the pair to the context file, and return the file."""
    file = _context_file(load_settings())
    add_verified(file, database, VerifiedQuestion(question.strip(), sql.strip().rstrip(";")))
    return file


def _context_file(settings: Settings) -> Path:
    if settings.context_file is None:
        raise SettingsError(
            "there is no context file to keep a question in",
            hint="make an empty file and name it in PG_MCP_CONTEXT_FILE",
        )
    return settings.context_file


async def _ask(
    settings: Settings, question: str, sql: str | None, database: str | None
) -> tuple[str, str, str]:
    async with open_pipeline(settings, None) as (pipeline, counter):
        limit = min(SHOWN_ROWS, pipeline.max_rows)
        if sql is None:
            answer = await pipeline.answer(
                question, database=database, return_type=ReturnType.BOTH, limit=limit
            )
        else:
            answer = await pipeline.execute_sql(sql, database=database, limit=limit)
    text = render_answer(
        answer,
        max_tokens=settings.server.max_result_tokens,
        count_tokens=counter.count,
        fence=new_fence(),
    ).text
    return text, _sql_of(answer), answer.database


def _sql_of(answer: Answer) -> str:
    if not answer.sql:
        raise InvalidArgumentError("the answer has no SQL to keep", hint="give it with --sql")
    return answer.sql
