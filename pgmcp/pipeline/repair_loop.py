"""Lets the model repair SQL that was rejected or failed, and reconsider SQL once if a check finds a problem.

The checks of a query that ran find three problems: texts that the compared columns do not contain, missing
default filters, and aggregates over repeated rows.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec

from pgmcp.answers.answer import Answer
from pgmcp.errors import PgmcpError, SqlRejectedError, StatementFailedError
from pgmcp.execution.result import Rows, StatementOrigin
from pgmcp.generation.prompt import FailedAttempt, MismatchedAttempt
from pgmcp.generation.reply import SqlReply
from pgmcp.lookup.default_filters import MissingFilter, drop_without_effect, find_missing_filters
from pgmcp.lookup.fan_out import FanOut, confirm_repeated_rows, find_suspects
from pgmcp.lookup.value_check import Mismatch, check_listed, check_unlisted, confirm_mismatches, resolve
from pgmcp.pipeline.call import Request, Stage
from pgmcp.pipeline.statements import LOOKUP_TIMEOUT_S, StatementRunner
from pgmcp.pipeline.tracer import Tracer
from pgmcp.pipeline.writing import SqlWriter, unanswerable
from pgmcp.validation.references import References, find_references

SHORT_LOOKUP_TIMEOUT_S: Final = 0.5
"""Timeout of the value lookups for a statement that found rows; its answer should not wait for long."""

SMALL_TABLE_ROWS: Final = 10_000
"""Tables up to this size are searched even if rows were found, because this takes only a few milliseconds."""

KEPT_MISMATCH = "{column} = {text!r} is not in the data as written; the answer may miss what is meant"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Results of the checks of one query.

    Attributes:
        mismatches: texts that a column does not contain.
        noted: more mismatches of a query that found rows; they may be intended, so the answer only notes
            them.
        remarks: missing filters and repeated rows, because of which a result may be too large.
    """

    mismatches: tuple[Mismatch, ...] = ()
    noted: tuple[Mismatch, ...] = ()
    remarks: tuple[MissingFilter | FanOut, ...] = ()

    @property
    def is_offered(self) -> bool:
        """Whether the model should be asked to reconsider."""
        return bool(self.mismatches) or any(remark.is_offered for remark in self.remarks)

    @property
    def remarks_for_model(self) -> tuple[str, ...]:
        """The remarks that the model should see."""
        return tuple(remark.describe() for remark in self.remarks if remark.is_offered)

    def notes(self) -> Iterator[str]:
        """Yield notes for the reader of the answer."""
        for mismatch in (*self.mismatches, *self.noted):
            yield KEPT_MISMATCH.format(column=mismatch.column, text=mismatch.text)
        for remark in self.remarks:
            yield remark.describe()


async def check_query(
    request: Request, sql: str, rows: Rows | None, statements: StatementRunner
) -> CheckResult:
    """Return the problems of a query that ran."""
    references = await asyncio.to_thread(find_references, sql)
    found = await find_mismatches(request, references, rows, statements)
    is_empty = not has_values(rows)
    mismatches = tuple(each for each in found if is_empty or each.differs_in_case)
    noted = tuple(each for each in found if not (is_empty or each.differs_in_case))
    return CheckResult(mismatches, noted, tuple(await _find_remarks(request, sql, references, statements)))


async def _find_remarks(
    request: Request, sql: str, references: References, statements: StatementRunner
) -> list[MissingFilter | FanOut]:
    catalog = await request.database.schema.get()
    suspects = await asyncio.to_thread(find_suspects, sql, catalog)
    missing = []
    if request.context.filters:
        missing = find_missing_filters(references, request.context.filters, catalog, request.question)
    if not suspects and not missing:
        return []
    # The probes contain text of the statement and of the operator, whose names the search path resolves.
    fetch = statements.lookup(request.database, timeout_s=LOOKUP_TIMEOUT_S, origin=StatementOrigin.CALLER)
    return [*await drop_without_effect(missing, fetch), *await confirm_repeated_rows(suspects, fetch)]


async def find_mismatches(
    request: Request, references: References, rows: Rows | None, statements: StatementRunner
) -> list[Mismatch]:
    """Return the texts in a statement that its columns do not contain.

    If the statement found rows, only two kinds are returned: texts that a complete list of values lacks, and
    texts that a column has in another case.
    """
    catalog = await request.database.schema.get()
    comparisons = resolve(references, catalog)
    listed = check_listed(comparisons)
    is_empty = not has_values(rows)
    timeout_s = LOOKUP_TIMEOUT_S if is_empty else SHORT_LOOKUP_TIMEOUT_S
    fetch = statements.lookup(request.database, timeout_s=timeout_s)
    unlisted = await check_unlisted(
        comparisons, catalog, fetch, max_rows=None if is_empty else SMALL_TABLE_ROWS
    )
    found = listed + [mismatch for mismatch in unlisted if is_empty or mismatch.differs_in_case]
    # Conditions are text of the statement, so the search path resolves operators such as `=` of citext.
    as_written = statements.lookup(request.database, timeout_s=timeout_s, origin=StatementOrigin.CALLER)
    return await confirm_mismatches(found, as_written)


def has_values(rows: Rows | None) -> bool:
    """Return whether rows contain a value; NULLs and a single row of zeros do not count."""
    if rows is None:
        return True
    if len(rows.rows) == 1:
        return any(not _is_zero(cell) for cell in rows.rows[0] if cell is not None)
    return any(cell is not None for row in rows.rows for cell in row)


def _is_zero(cell: object) -> bool:
    text = str(cell)
    return text == "False" or (text != "" and not text.strip("0."))


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
            first: the model's first reply; None if the model has not been asked yet.

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
        """Check the answer; if there is a problem, ask the model once more and keep the better answer."""
        findings, notes = await self._check(request, reply.sql, rows), request.notes
        if findings.is_offered and len(request.attempts) < self._max_sql_retry:
            described = tuple(mismatch.describe() for mismatch in findings.mismatches)
            request.attempts.append(MismatchedAttempt(reply.sql, described, findings.remarks_for_model))
            second = await self._second_answer(request)
            if second is not None and is_better(second, rows, findings):
                return request.answer_of_model(second.reply, second.rows, tuple(second.findings.notes()))
            request.attempts.pop()
            request.notes = notes  # the second statement has its own
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
    request.other_readings = tuple(reading.title for reading in others)
    assumptions = dict.fromkeys((usual.title, *reply.assumptions))
    return msgspec.structs.replace(reply, assumptions=tuple(assumptions))


def is_better(second: SecondAnswer, first_rows: Rows | None, first: CheckResult) -> bool:
    """Return whether to prefer the second answer.

    It is preferred, unless the first answer found something in spite of its mismatches, and the second found
    nothing.
    """
    return not first.mismatches or has_values(second.rows) or not has_values(first_rows)
