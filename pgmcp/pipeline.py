"""One question's way through the house.

    query        admit → verified SQL, or schema context → write SQL → validate → execute → doubt
                                               ▲                        │          │         │
                                               └──── repair, at most max_sql_retry times ────┘
    execute_sql  admit → validate → execute

Doubt is an answer that compares text with a column that does not hold it: the
model sees once what the column holds, and its first answer stays if its second
is no better. Where only SQL is wanted, it is planned in place of executed.

Every other module does one of these steps; the order, the repair loop and the
budget of a whole call live here and nowhere else.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pgmcp.errors import (
    DeadlineExceededError,
    ExecutionError,
    InvalidArgumentError,
    ModelError,
    ModelNotConfiguredError,
    ModelReplyError,
    PgmcpError,
    SqlRejectedError,
    StatementFailedError,
    UnanswerableError,
    UnknownDatabaseError,
)
from pgmcp.execution.result import RowLimits, Rows
from pgmcp.execution.supervisor import Supervisor
from pgmcp.generation.completion import Completion
from pgmcp.generation.context_file import DatabaseContext, VerifiedMatch
from pgmcp.generation.model import ModelClient
from pgmcp.generation.prompt import Attempt, DoubtfulAttempt, FailedAttempt
from pgmcp.generation.prompt_writer import PromptWriter
from pgmcp.generation.reply import SqlReply
from pgmcp.generation.verified import ParameterKind
from pgmcp.presentation.answer import Answer, Source
from pgmcp.presentation.neutral import new_fence
from pgmcp.schema.advice import ADVISED_SQLSTATES, advise, is_outdated
from pgmcp.schema.cache import CatalogChange, SchemaCache
from pgmcp.schema.catalog import Catalog, Table
from pgmcp.schema.near_names import MISSING_NAME_SQLSTATES
from pgmcp.schema.search import search
from pgmcp.schema.value_check import (
    Mismatch,
    check_listed,
    check_unlisted,
    find_spelling,
    resolve,
)
from pgmcp.snapshot import Snapshot
from pgmcp.validation import FunctionPolicy, StatementKind, ValidatedStatement, validate
from pgmcp.validation.mentions import read_mentions
from pgmcp.validation.role import RoleCheck

if TYPE_CHECKING:
    from pgmcp.rate_limit import RateLimit, Reservation

MAX_QUESTION_CHARACTERS: Final = 8_000
"""A question is a few sentences; a pasted document would be paid for on every attempt."""

REPLY_TOKENS: Final = 600
"""What a reply is reckoned to cost before the provider says what it did."""

ADVICE_TIMEOUT_S: Final = 2.0
"""What a failed statement may wait for the catalog, to be told near names."""

LOOKUP_TIMEOUT_S: Final = 2.0
"""For all looks into columns that one statement causes."""

SHORT_LOOKUP_TIMEOUT_S: Final = 0.5
"""The same where there are rows to show: they are not kept waiting for long."""

LOOKUP_LIMITS: Final = RowLimits(max_rows=500, max_bytes=256 << 10, max_cell_bytes=1024)
"""Of a look into a column, for its spelling of a text."""

SMALL_TABLE_ROWS: Final = 10_000
"""Into tables of this size a look costs a few milliseconds, and is taken even where rows were found."""

SECOND_ANSWER_RESERVE_S: Final = 1.0
"""Kept of a call's time when its answer is doubted, to give that answer if there is no better."""

KEPT_FIRST_ANSWER: Final = (
    "{column} = {text!r} is not in the data as written; the answer may miss what is meant"
)

EXPLAIN: Final = "EXPLAIN "
PLAN_LIMITS: Final = RowLimits(max_rows=1, max_bytes=64 << 10, max_cell_bytes=64 << 10)
NAME_AND_SYNTAX_ERRORS: Final = "42"
"""Class of SQLSTATEs that planning finds as surely as running (PostgreSQL manual, appendix A)."""

KEPT_VALIDATIONS: Final = 128
"""Accepted statements remembered, with the policy that accepted them: hosts page and repeat the same one."""


class ReturnType(StrEnum):
    """What a caller of `query` wants to see."""

    RESULT = "result"
    SQL = "sql"
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class Database:
    """One configured database and what serves it.

    Attributes:
        functions: what its statements may call; a new policy only when the database's functions changed.
        context: returns what the operator says of it now; may read a file, so not on the event loop.
    """

    name: str
    supervisor: Supervisor
    schema: SchemaCache
    role: RoleCheck
    functions: Snapshot[FunctionPolicy]
    context: Callable[[], DatabaseContext] = DatabaseContext


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one call may cost.

    Attributes:
        result: the most rows and bytes; a caller's limit can only lower the rows.
        statement_timeout_s: for one statement, its wait for a worker included.
        request_timeout_s: for the whole call, the model included.
        max_sql_retry: how often a model may mend its SQL.
        prompt_tokens: for one prompt.
    """

    result: RowLimits
    statement_timeout_s: float
    request_timeout_s: float
    max_sql_retry: int
    prompt_tokens: int


@dataclass(slots=True)
class _Question:
    """A question under way, and what it has cost so far."""

    text: str
    database: Database
    return_type: ReturnType
    limits: RowLimits
    deadline_s: float
    context: DatabaseContext = field(default_factory=DatabaseContext)
    attempts: list[Attempt] = field(default_factory=list)
    model: str | None = None
    tokens_in: int = 0
    tokens_out: int = 0
    elapsed_ms: dict[str, float] = field(default_factory=dict)

    def answer(
        self,
        sql: str,
        rows: Rows | None,
        source: Source,
        assumptions: Sequence[str] = (),
        notes: Sequence[str] = (),
    ) -> Answer:
        return Answer(
            database=self.database.name,
            sql=None if self.return_type is ReturnType.RESULT else sql,
            source=source,
            repairs=len(self.attempts),
            assumptions=tuple(assumptions),
            rows=rows,
            question=self.text,
            model=self.model,
            tokens_in=self.tokens_in,
            tokens_out=self.tokens_out,
            elapsed_ms=self.elapsed_ms,
            notes=tuple(notes),
        )

    def charge(self, completion: Completion) -> None:
        self.model = completion.model
        self.tokens_in += completion.tokens_in
        self.tokens_out += completion.tokens_out

    def answer_of_model(self, reply: SqlReply, rows: Rows | None, notes: Sequence[str] = ()) -> Answer:
        source = Source.REPAIRED if self.attempts else Source.GENERATED
        return self.answer(reply.sql.strip(), rows, source, reply.assumptions, notes)


class Pipeline:
    """Answers questions and runs statements on the configured databases."""

    def __init__(
        self,
        databases: Mapping[str, Database],
        *,
        bounds: Bounds,
        rate_limit: Callable[[], "RateLimit"],
        model: ModelClient | None,
        count_tokens: Callable[[str], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Serve the databases; the first is the default one.

        Args:
            rate_limit: gives the budgets, the same at every call; asked first when the first call comes.
            model: None when neither key nor endpoint is configured.
        """
        self._databases = databases
        self._bounds = bounds
        self._rate_limit = rate_limit
        self._model = model
        self._prompts = PromptWriter(
            max_tokens=bounds.prompt_tokens, count_tokens=count_tokens, fence=new_fence()
        )
        self._clock = clock
        self._validate = lru_cache(KEPT_VALIDATIONS)(validate)

    @property
    def database_names(self) -> list[str]:
        """The configured databases, the default first."""
        return list(self._databases)

    @property
    def can_answer_questions(self) -> bool:
        """Whether `answer` has any chance: a model, or questions the operator verified."""
        return self._model is not None or any(db.context().verified for db in self._databases.values())

    @property
    def max_rows(self) -> int:
        """The highest row limit a caller may ask for."""
        return self._bounds.result.max_rows

    async def answer(
        self,
        question: str,
        *,
        database: str | None = None,
        return_type: ReturnType = ReturnType.RESULT,
        limit: int | None = None,
    ) -> Answer:
        """Answer a question asked in plain language.

        Raises:
            PgmcpError: see `pgmcp.errors`; every kind but SettingsError can come.
        """
        async with self._call_budget():
            await self._rate_limit().admit()
            asked = await self._ask(_checked_question(question), database, return_type, limit)
            asked.context = await asyncio.to_thread(asked.database.context)
            verified_sql = await self._verified_sql(asked)
            if verified_sql is not None:
                rows = await self._try(asked, verified_sql)
                return asked.answer(verified_sql.strip(), rows, Source.VERIFIED)
            return await self._answer_by_model(asked)

    async def execute_sql(self, sql: str, *, database: str | None = None, limit: int | None = None) -> Answer:
        """Run one read-only statement that the caller wrote.

        Raises:
            PgmcpError: the statement was rejected or failed, or a bound was reached.
        """
        async with self._call_budget():
            await self._rate_limit().admit()
            asked = await self._ask(sql, database, ReturnType.BOTH, limit)
            rows = await self._try(asked, sql)
            return asked.answer(sql, rows, Source.DIRECT)

    async def find_tables(
        self, text: str, *, database: str | None, names: Sequence[str], limit: int
    ) -> tuple[Catalog, list[Table]]:
        """Return the catalog and the tables asked for.

        Args:
            text: words to search for; "" means every table.
            names: exactly these tables instead, as table or schema.table.
            limit: tables at most that a search for words gives.

        Raises:
            InvalidArgumentError: a name is not there; it says which are near.
        """
        async with self._call_budget():
            await self._rate_limit().admit()
            catalog = await (await self._served(database)).schema.get()
            if names:
                return catalog, [_existing_table(catalog, name) for name in names]
            if not text.strip():
                return catalog, list(catalog.tables)
            return catalog, await asyncio.to_thread(search, catalog, text, limit)

    async def refresh_schema(self, database: str | None) -> dict[str, CatalogChange]:
        """Read the catalog of one database, or of all, anew and say what changed, by database."""
        async with self._call_budget():
            await self._rate_limit().admit()
            names = self.database_names if database is None else [database]
            served = [await self._served(name) for name in names]
            changes = await asyncio.gather(*(each.schema.refresh() for each in served))
            await asyncio.gather(*(each.functions.refresh() for each in served))
            return dict(zip(names, changes, strict=True))

    async def catalog(self, database: str | None) -> Catalog:
        """Return what is known of a database's schema, reading it if nothing is."""
        return await (await self._served(database)).schema.get()

    async def _ask(
        self, text: str, database: str | None, return_type: ReturnType, limit: int | None
    ) -> _Question:
        deadline_s = self._clock() + self._bounds.request_timeout_s
        limits = self._limits(limit)
        return _Question(text, await self._served(database), return_type, limits, deadline_s)

    async def _served(self, name: str | None) -> Database:
        """Return a database by name, if its role lets it be served."""
        database = self.database(name)
        await database.role.admit()
        return database

    def database(self, name: str | None) -> Database:
        """Return a database by name, the default one for None."""
        if name is None:
            return next(iter(self._databases.values()))
        try:
            return self._databases[name]
        except KeyError:
            raise UnknownDatabaseError(name, self.database_names) from None

    def _limits(self, limit: int | None) -> RowLimits:
        most = self._bounds.result
        if limit is None:
            return most
        if not 1 <= limit <= most.max_rows:
            raise InvalidArgumentError(
                f"limit is {limit}", hint=f"limit takes a number of rows from 1 to {most.max_rows}"
            )
        return RowLimits(limit, most.max_bytes, most.max_cell_bytes)

    async def _verified_sql(self, asked: _Question) -> str | None:
        """Return the operator's SQL for exactly this question, its parameters bound."""
        for match in await asyncio.to_thread(lambda: list(asked.context.matches(asked.text))):
            arguments = await self._spell_arguments(asked, match)
            if arguments is not None:
                return match.verified.bind(arguments)
        return None

    async def _spell_arguments(self, asked: _Question, match: VerifiedMatch) -> dict[str, str] | None:
        """Return the arguments, values spelled as their columns hold them; None if a column does not."""
        arguments = dict(match.arguments)
        for name, parameter in match.verified.parameters.items():
            if parameter.kind is ParameterKind.VALUE:
                catalog = await asked.database.schema.get()
                fetch = self._lookup(asked, timeout_s=LOOKUP_TIMEOUT_S)
                spelling = await find_spelling(parameter.column, arguments[name], catalog, fetch)
                if spelling is None:
                    return None
                arguments[name] = spelling
        return arguments

    async def _answer_by_model(self, asked: _Question) -> Answer:
        """Have SQL written, and mended as long as it is rejected or fails."""
        while True:
            reply = await self._write_sql(asked)
            if not reply.answerable:
                raise _unanswerable(reply)
            try:
                rows = await self._try(asked, reply.sql)
            except (SqlRejectedError, StatementFailedError) as error:
                asked.attempts.append(FailedAttempt(reply.sql, error))
                if len(asked.attempts) > self._bounds.max_sql_retry:
                    raise
            else:
                return await self._doubt(asked, reply, rows)

    async def _doubt(self, asked: _Question, reply: SqlReply, rows: Rows | None) -> Answer:
        """Have an answer that compares with text not in the data written once more, and take the better."""
        mismatches = await self._mismatches(asked, reply.sql, rows)
        if not mismatches:
            return asked.answer_of_model(reply, rows)
        if len(asked.attempts) < self._bounds.max_sql_retry:
            findings = tuple(mismatch.describe() for mismatch in mismatches)
            asked.attempts.append(DoubtfulAttempt(reply.sql, findings))
            second = await self._second_answer(asked)
            if second is not None and (_found_something(second[1]) or not _found_something(rows)):
                return asked.answer_of_model(*second)
            asked.attempts.pop()
        notes = [KEPT_FIRST_ANSWER.format(column=each.column, text=each.text) for each in mismatches]
        return asked.answer_of_model(reply, rows, notes)

    async def _second_answer(self, asked: _Question) -> tuple[SqlReply, Rows | None] | None:
        """Return what the model answers to a doubt, and its rows; None if it is no better for any reason."""
        left_s = asked.deadline_s - self._clock() - SECOND_ANSWER_RESERVE_S
        with suppress(PgmcpError, TimeoutError):
            async with asyncio.timeout(max(0.0, left_s)):
                reply = await self._write_sql(asked)
                if reply.answerable:
                    rows = await self._try(asked, reply.sql)
                    if not await self._mismatches(asked, reply.sql, rows):
                        return reply, rows
        return None

    async def _mismatches(self, asked: _Question, sql: str, rows: Rows | None) -> list[Mismatch]:
        """Return the texts in a statement that its columns do not hold.

        Rows that were found speak for it: then only a text that is there in another case is one.
        """
        with self._timed(asked, "check"):
            catalog = await asked.database.schema.get()
            mentions = await asyncio.to_thread(read_mentions, sql)
            comparisons = resolve(mentions, catalog)
            listed = check_listed(comparisons)
            has_found = _found_something(rows)
            if not has_found:
                fetch = self._lookup(asked, timeout_s=LOOKUP_TIMEOUT_S)
                return listed + await check_unlisted(comparisons, catalog, fetch)
            fetch = self._lookup(asked, timeout_s=SHORT_LOOKUP_TIMEOUT_S)
            unlisted = await check_unlisted(comparisons, catalog, fetch, max_rows=SMALL_TABLE_ROWS)
            return [mismatch for mismatch in listed + unlisted if mismatch.differs_in_case]

    def _lookup(self, asked: _Question, *, timeout_s: float) -> Callable[[str], Awaitable[Rows]]:
        """Return what runs our own looks into columns, as guarded as any other statement.

        Args:
            asked: whose database to look into.
            timeout_s: for all of them together, from now.
        """
        ends_at_s = self._clock() + timeout_s

        async def run(sql: str) -> Rows:
            statement = self._validate(sql, functions=await asked.database.functions.get())
            left_s = ends_at_s - self._clock()
            if left_s <= 0:
                raise DeadlineExceededError(f"the looks into columns took longer than {timeout_s:g} s")
            return await asked.database.supervisor.execute(
                statement.text, LOOKUP_LIMITS, can_be_wrapped=True, timeout_s=left_s
            )

        return run

    async def _write_sql(self, asked: _Question) -> SqlReply:
        if self._model is None:
            raise _no_model(asked.context)
        with self._timed(asked, "schema"):
            catalog = await asked.database.schema.get()
        with self._timed(asked, "prompt"):
            messages = await asyncio.to_thread(
                self._prompts.write,
                asked.text,
                catalog,
                asked.context,
                today=datetime.now(_time_zone(catalog.time_zone)).date(),
                max_rows=asked.limits.max_rows,
                attempts=asked.attempts,
            )
        reserved = await self._rate_limit().reserve_tokens(self._prompts.count(messages) + REPLY_TOKENS)
        try:
            with self._timed(asked, "model"):
                completion = await self._model.complete(messages, timeout_s=asked.deadline_s - self._clock())
        except ModelReplyError as error:
            await _settle(reserved, error.tokens_in + error.tokens_out)
            raise
        except ModelError:
            await reserved.settle(0)  # it did not answer, so it does not charge
            raise
        await _settle(reserved, completion.tokens_in + completion.tokens_out)
        asked.charge(completion)
        return completion.reply

    async def _try(self, asked: _Question, sql: str) -> Rows | None:
        """Validate a statement, and run it, or only plan it if only SQL was asked for."""
        try:
            with self._timed(asked, "validate"):
                # Awaited even when it has to be read first: what is not known yet may be a trap.
                statement = self._validate(sql, functions=await asked.database.functions.get())
            if asked.return_type is ReturnType.SQL:
                with self._timed(asked, "plan"):
                    await self._plan(asked, statement)
                return None
            with self._timed(asked, "execute"):
                return await self._execute(asked, statement)
        except SqlRejectedError as error:
            error.sql = sql
            raise
        except StatementFailedError as error:
            error.sql = sql
            await self._add_advice(asked, error)
            raise

    async def _plan(self, asked: _Question, statement: ValidatedStatement) -> None:
        """Have PostgreSQL look up a statement's names; what only a run would tell is no failure."""
        if statement.kind is not StatementKind.QUERY:
            return
        try:
            await asked.database.supervisor.execute(
                EXPLAIN + statement.text,
                PLAN_LIMITS,
                can_be_wrapped=False,
                timeout_s=self._bounds.statement_timeout_s,
            )
        except StatementFailedError as error:
            if error.sqlstate.startswith(NAME_AND_SYNTAX_ERRORS):
                if error.position is not None:
                    error.position -= len(EXPLAIN)
                raise
        except ExecutionError:
            return  # the SQL is what was asked for, whatever the database is busy with

    async def _add_advice(self, asked: _Question, error: StatementFailedError) -> None:
        """Add to the hint what is there in place of a name or label that is not."""
        if error.sqlstate not in ADVISED_SQLSTATES:
            return
        schema = asked.database.schema
        with suppress(PgmcpError, TimeoutError):
            async with asyncio.timeout(ADVICE_TIMEOUT_S):
                catalog = await schema.get()
                if error.sqlstate in MISSING_NAME_SQLSTATES:
                    outdated = await asyncio.to_thread(is_outdated, error, error.sql, catalog)
                    catalog = await schema.get_after_a_miss(is_outdated=outdated)
                advice = await asyncio.to_thread(advise, error, error.sql, catalog)
                error.hint = "; ".join(part for part in (error.hint.rstrip("."), advice) if part)

    async def _execute(self, asked: _Question, statement: ValidatedStatement) -> Rows:
        return await asked.database.supervisor.execute(
            statement.text,
            asked.limits,
            can_be_wrapped=statement.kind is StatementKind.QUERY,
            timeout_s=self._bounds.statement_timeout_s,
        )

    @contextmanager
    def _timed(self, asked: _Question, stage: str) -> Iterator[None]:
        started_s = self._clock()
        try:
            yield
        finally:
            spent_ms = (self._clock() - started_s) * 1000
            asked.elapsed_ms[stage] = asked.elapsed_ms.get(stage, 0.0) + spent_ms

    @asynccontextmanager
    async def _call_budget(self) -> AsyncIterator[None]:
        """End a call that has taken too long, whatever it was doing."""
        timeout_s = self._bounds.request_timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                yield
        except TimeoutError:
            raise DeadlineExceededError(
                f"the call took longer than {timeout_s:g} s, the model included",
                hint="ask for less, or raise PG_MCP_SERVER_REQUEST_TIMEOUT",
            ) from None


async def _settle(reserved: "Reservation", used_tokens: int) -> None:
    """Correct an estimate by the provider's count; one that gives no count keeps the estimate."""
    if used_tokens > 0:
        await reserved.settle(used_tokens)


def _checked_question(question: str) -> str:
    text = question.strip()
    if not text:
        raise InvalidArgumentError("the question is empty", hint="ask what you want to know")
    if len(text) > MAX_QUESTION_CHARACTERS:
        raise InvalidArgumentError(
            f"the question has {len(text)} characters",
            hint=f"a question may have up to {MAX_QUESTION_CHARACTERS} characters",
        )
    return text


def _existing_table(catalog: Catalog, name: str) -> Table:
    if (table := catalog.find(name)) is not None:
        return table
    near = ", ".join(catalog.display_name(table) for table in catalog.nearest(name))
    raise InvalidArgumentError(
        f"no table is called {name!r}",
        hint=f"near: {near}" if near else "search_schema without arguments lists all",
    )


def _unanswerable(reply: SqlReply) -> UnanswerableError:
    instead = f"ask instead: {reply.follow_up}; " if reply.follow_up else ""
    return UnanswerableError(
        reply.reason or "the model found no answer in this schema",
        hint=f"{instead}search_schema shows what there is; name the tables or columns you mean",
    )


def _found_something(rows: Rows | None) -> bool:
    """Tell whether rows hold anything: not when there are none, when all is NULL, or one row of zeros."""
    if rows is None:
        return True
    cells = [cell for row in rows.rows for cell in row if cell is not None]
    return bool(cells) and not (len(rows.rows) == 1 and all(_is_zero(cell) for cell in cells))


def _is_zero(cell: object) -> bool:
    text = str(cell)
    return text == "False" or (text != "" and not text.strip("0."))


def _no_model(context: DatabaseContext) -> ModelNotConfiguredError:
    known = "; ".join(verified.question for verified in context.verified[:5])
    return ModelNotConfiguredError(
        "no model is configured to write SQL, and this is none of the verified questions",
        hint="write the SQL yourself and call execute_sql, or have the operator set PG_MCP_OPENAI_API_KEY"
        + (f"; verified questions: {known}" if known else ""),
    )


def _time_zone(name: str) -> tzinfo:
    """Return the database's time zone; UTC for a name that only PostgreSQL knows."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        return UTC
