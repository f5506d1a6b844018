"""Finds the SQL for a question: the operator's verified SQL, or SQL that a model writes."""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pgmcp.errors import (
    InvalidArgumentError,
    ModelError,
    ModelNotConfiguredError,
    ModelReplyError,
    UnanswerableError,
)
from pgmcp.generation.context_file import VerifiedMatch
from pgmcp.generation.parameters import ParameterKind
from pgmcp.generation.prompt_writer import PromptWriter
from pgmcp.generation.reply import SqlReply
from pgmcp.generation.verified import VerifiedQuestion
from pgmcp.lookup.value_check import find_spelling
from pgmcp.lookup.value_hints import find_indexed_values
from pgmcp.pipeline.call import Request, Stage
from pgmcp.pipeline.protocols import Budgets, Model, TokenReservation
from pgmcp.pipeline.statements import LOOKUP_TIMEOUT_S, StatementRunner
from pgmcp.pipeline.tracer import Tracer
from pgmcp.untrusted import shorten

REPLY_TOKENS: Final = 600
"""Estimated tokens of a reply, until the provider reports the number."""

_WITHOUT_MODEL: Final = (
    "write the SQL yourself and call execute_sql, or have the operator set PG_MCP_OPENAI_API_KEY"
)
_MAX_NAMED: Final = 5
"""How many verified questions a hint names."""

INDEX_LOOKUP_TIMEOUT_S: Final = 0.3
"""Timeout of the lookup of the question's words in indexed columns; the prompt omits values found later."""


class SqlWriter:
    """Gets the SQL for a question from a model.

    Args:
        model: writes the SQL; None if neither key nor endpoint is configured.
        prompts: writes the prompt.
        rate_limit: returns the budgets, always the same object.
        statements: runs value lookups for the prompt.
        tracer: reports the stages.
        clock: returns the current time in seconds.
    """

    def __init__(
        self,
        *,
        model: Model | None,
        prompts: PromptWriter,
        rate_limit: Callable[[], Budgets],
        statements: StatementRunner,
        tracer: Tracer,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._model = model
        self._statements = statements
        self._prompts = prompts
        self._rate_limit = rate_limit
        self._tracer = tracer
        self._clock = clock

    async def write(self, request: Request) -> SqlReply:
        """Return the model's reply to the question and its earlier attempts.

        Raises:
            ModelError: there is no model, or it gave no usable answer.
            RateLimitedError: the prompt does not fit the token budget, so it was not sent.
            PgmcpError: the catalog could not be read, or the shared budgets cannot be used.
        """
        if self._model is None:
            raise _no_model(request)
        with self._tracer.stage(request.call, Stage.SCHEMA):
            catalog = await request.database.schema.get()
        with self._tracer.stage(request.call, Stage.PROMPT):
            if request.found_values is None:
                fetch = self._statements.lookup(request.database, timeout_s=INDEX_LOOKUP_TIMEOUT_S)
                request.found_values = await find_indexed_values(catalog, request.question, fetch)
            messages = await asyncio.to_thread(
                self._prompts.write,
                request.question,
                catalog,
                request.context,
                today=datetime.now(_time_zone(catalog.time_zone)).date(),
                max_rows=request.limits.max_rows,
                attempts=request.attempts,
                found_values=request.found_values,
                reading=request.reading,
            )
        reserved = await self._rate_limit().reserve_tokens(
            self._prompts.count(messages) + REPLY_TOKENS, request.call.principal_id
        )
        try:
            with self._tracer.stage(request.call, Stage.MODEL):
                timeout_s = request.deadline_s - self._clock()
                completion = await self._model.complete(messages, timeout_s=timeout_s)
        except ModelReplyError as error:
            request.charge_failed(error, error.tokens_in, error.tokens_out)
            await _settle(reserved, error.tokens_in + error.tokens_out)
            raise
        except ModelError as error:
            request.charge_failed(error)
            await reserved.settle(0)  # without an answer, no tokens are charged
            raise
        await _settle(reserved, completion.tokens_in + completion.tokens_out)
        request.charge(completion)
        return completion.reply


async def _settle(reserved: TokenReservation, used_tokens: int) -> None:
    """Replace the estimate by the provider's count, if the provider reports one."""
    if used_tokens > 0:
        await reserved.settle(used_tokens)


def _no_model(request: Request) -> ModelNotConfiguredError:
    if request.is_follow_up:
        return ModelNotConfiguredError(
            "a follow-up question needs a model, and none is configured", hint=_WITHOUT_MODEL
        )
    return ModelNotConfiguredError(
        "no model is configured to write SQL, and this is not one of the verified questions",
        hint=_WITHOUT_MODEL + _describe_verified(request),
    )


def _describe_verified(request: Request) -> str:
    """Return the end of a hint: the first verified questions, and where all of them are."""
    # Callers with a role of their own may not see the questions about relations that the role cannot read.
    verified = () if request.database.identity is not None else request.context.verified
    if not verified:
        return ""
    known = "; ".join(each.question for each in verified[:_MAX_NAMED])
    more = f"; … (the context file has all {len(verified)})" if len(verified) > _MAX_NAMED else ""
    return f"; verified questions: {known}{more}"


def _time_zone(name: str) -> tzinfo:
    """Return the database's time zone; UTC for a name that only PostgreSQL knows."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def unanswerable(reply: SqlReply) -> UnanswerableError:
    """Return the error for a reply that says that the schema has no answer."""
    instead = f"ask instead: {reply.suggested_question}; " if reply.suggested_question else ""
    return UnanswerableError(
        reply.reason or "the model found no answer in this schema",
        hint=f"{instead}search_schema shows the available tables; name the tables or columns you mean",
    )


async def find_verified_sql(request: Request, statements: StatementRunner) -> str | None:
    """Return the SQL of the verified question that matches, with its parameters; None if none matches."""
    for match in await asyncio.to_thread(lambda: list(request.context.matches(request.question))):
        arguments = await _match_arguments(request, match, statements)
        if arguments is not None:
            return match.verified.bind(arguments)
    return None


async def _match_arguments(
    request: Request, match: VerifiedMatch, statements: StatementRunner
) -> dict[str, str] | None:
    """Return the arguments with values spelled as in their columns; None if a column lacks a value."""
    try:
        return await with_column_spelling(request, match.verified, match.arguments, statements)
    except InvalidArgumentError:
        return None


async def with_column_spelling(
    request: Request,
    verified: VerifiedQuestion,
    arguments: Mapping[str, str],
    statements: StatementRunner,
) -> dict[str, str]:
    """Return the arguments with values spelled as in their columns.

    Raises:
        InvalidArgumentError: a column does not have the value, or has several that differ only in form.
    """
    spelled = dict(arguments)
    for name, parameter in verified.parameters.items():
        if parameter.kind is ParameterKind.VALUE:
            catalog = await request.database.schema.get()
            fetch = statements.lookup(request.database, timeout_s=LOOKUP_TIMEOUT_S)
            spelling = await find_spelling(parameter.column, arguments[name], catalog, fetch)
            if spelling is None:
                raise InvalidArgumentError(
                    f"{name}: {parameter.column} has no value {shorten(arguments[name], 60)!r}, or several "
                    "that differ only in case or spacing",
                    hint="give it as the column has it; search_schema shows values of columns",
                )
            spelled[name] = spelling
    return spelled
