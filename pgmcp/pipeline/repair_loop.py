"""The repair loop: if the model's SQL is rejected or fails, the model sees why and writes it again."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from pgmcp.answers.answer import Answer
from pgmcp.errors import PgmcpError, SqlRejectedError, StatementFailedError
from pgmcp.execution.result import Rows
from pgmcp.generation.prompt import FailedAttempt, MismatchedAttempt
from pgmcp.generation.reply import SqlReply
from pgmcp.pipeline.call import Request, Stage
from pgmcp.pipeline.query_check import CheckResult, check_query, found_something
from pgmcp.pipeline.statements import StatementRunner
from pgmcp.pipeline.tracer import Tracer
from pgmcp.pipeline.writing import SqlWriter, unanswerable

SECOND_ANSWER_RESERVE_S: Final = 1.0
"""Time at the end of a call that a second attempt leaves free, so that the first answer can be returned."""


@dataclass(frozen=True, slots=True)
class SecondAnswer:
    """The model's reconsidered answer, and the results of its checks."""

    reply: SqlReply
    rows: Rows | None
    findings: CheckResult


class RepairLoop:
    """Asks a model for SQL, and for at most `max_sql_retry` repairs."""

    def __init__(
        self,
        writer: SqlWriter,
        statements: StatementRunner,
        tracer: Tracer,
        *,
        max_sql_retry: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._statements = statements
        self._tracer = tracer
        self._max_sql_retry = max_sql_retry
        self._clock = clock

    async def answer(self, request: Request, first: SqlReply | None = None) -> Answer:
        """Return the answer to a question, by its usual reading if it has several.

        Args:
            first: the model's reply, if it has been asked already.

        Raises:
            PgmcpError: the last attempt failed, or the model found no answer in the schema.
        """
        reply = take_usual_reading(request, first or await self._writer.write(request))
        while True:
            if not reply.answerable:
                raise unanswerable(reply)
            try:
                rows = await self._statements.run(request, reply.sql)
            except (SqlRejectedError, StatementFailedError) as error:
                request.attempts.append(FailedAttempt(reply.sql, error))
                if len(request.attempts) > self._max_sql_retry:
                    raise
            else:
                return await self._check_answer(request, reply, rows)
            reply = await self._writer.write(request)

    async def _check_answer(self, request: Request, reply: SqlReply, rows: Rows | None) -> Answer:
        """Ask the model once to reconsider, given the results of the checks; keep the better answer."""
        findings = await self._check(request, reply.sql, rows)
        if findings.is_offered and len(request.attempts) < self._max_sql_retry:
            described = tuple(mismatch.describe() for mismatch in findings.mismatches)
            request.attempts.append(MismatchedAttempt(reply.sql, described, findings.offered_remarks))
            second = await self._second_answer(request)
            if second is not None and is_better(second, rows, findings):
                return request.answer_of_model(second.reply, second.rows, tuple(second.findings.notes()))
            request.attempts.pop()
        return request.answer_of_model(reply, rows, tuple(findings.notes()))

    async def _second_answer(self, request: Request) -> SecondAnswer | None:
        """Return the retried answer; None if it fails, or if the checks find something again."""
        left_s = request.deadline_s - self._clock() - SECOND_ANSWER_RESERVE_S
        with suppress(PgmcpError, TimeoutError):
            async with asyncio.timeout(max(0.0, left_s)):
                reply = await self._writer.write(request)
                if reply.answerable:
                    rows = await self._statements.run(request, reply.sql)
                    findings = await self._check(request, reply.sql, rows)
                    if not findings.is_offered:
                        return SecondAnswer(reply, rows, findings)
        return None

    async def _check(self, request: Request, sql: str, rows: Rows | None) -> CheckResult:
        with self._tracer.stage(request.call, Stage.CHECK):
            return await check_query(request, sql, rows, self._statements)


def take_usual_reading(request: Request, reply: SqlReply) -> SqlReply:
    """Return the reply with its usual reading as an assumption, and note the others for the caller."""
    if not reply.readings or request.reading:
        return reply
    usual, *others = reply.readings
    request.reading = usual.title  # a repair keeps this reading
    request.follow_up = tuple(reading.title for reading in others)
    assumptions = dict.fromkeys((usual.title, *reply.assumptions))
    return msgspec.structs.replace(reply, assumptions=tuple(assumptions))


def is_better(second: SecondAnswer, first_rows: Rows | None, first: CheckResult) -> bool:
    """Return whether the second answer is better; corrected values count only if they found rows."""
    return not first.mismatches or found_something(second.rows) or not found_something(first_rows)
