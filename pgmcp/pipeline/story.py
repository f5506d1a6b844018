"""The order of the stages, the repair loop, and the budget of a whole call."""

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from pgmcp.answers.answer import Answer, Source
from pgmcp.argument_bounds import (
    MAX_QUESTION_CHARACTERS,
    MAX_SEARCH_CHARACTERS,
    MAX_SEARCHED_NAMES,
    MAX_TABLE_NAME_CHARACTERS,
)
from pgmcp.catalog.cache import CatalogChange
from pgmcp.catalog.catalog import Catalog, Table
from pgmcp.errors import (
    DeadlineExceededError,
    InvalidArgumentError,
    ModelError,
    PgmcpError,
    RateLimitedError,
    SqlRejectedError,
    StatementFailedError,
    UnanswerableError,
    UnknownDatabaseError,
    UnmappedPrincipalError,
)
from pgmcp.execution.result import RowLimits, Rows
from pgmcp.generation.prompt import FailedAttempt, MismatchedAttempt
from pgmcp.generation.prompt_writer import PromptWriter
from pgmcp.generation.reply import SqlReply
from pgmcp.identity import Principal
from pgmcp.lookup.search import search
from pgmcp.pipeline.call import (
    Bounds,
    Call,
    Database,
    OnStage,
    Operation,
    Request,
    ReturnType,
    RoleCatalogListener,
    Stage,
)
from pgmcp.pipeline.protocols import Budgets, Model
from pgmcp.pipeline.query_check import Findings, check_query
from pgmcp.pipeline.several import FoundTables, Outcome, run_on_each
from pgmcp.pipeline.statements import StatementRunner
from pgmcp.pipeline.time_limit import TimeLimit
from pgmcp.pipeline.tracer import Observer, Tracer
from pgmcp.pipeline.value_mismatch import found_something
from pgmcp.pipeline.verified import find_verified_sql
from pgmcp.pipeline.writing import SqlWriter

SECOND_ANSWER_RESERVE_S: Final = 1.0
"""Part of a call's time that a second attempt may not use, so that the first answer can still be given."""

_SHARE_OF_TIMEOUT: Final = 0.8
"""Part of a call's time after which one of several databases counts as failed."""

_MIN_FOUND_TABLES: Final = 3
"""Tables that a search gives of each database, however many databases there are."""

VERIFIED_SQL_FAILED: Final = (
    "the operator's verified SQL for this question failed: have it corrected in the context file, or ask in "
    "other words"
)


class Pipeline:
    """Answers questions and runs statements on the configured databases."""

    def __init__(
        self,
        databases: Mapping[str, Database],
        *,
        bounds: Bounds,
        rate_limit: Callable[[], Budgets],
        model: Model | None,
        count_tokens: Callable[[str], int],
        observers: Sequence[Observer] = (),
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
        self._has_model = model is not None
        self._clock = clock
        self._call_ids = itertools.count(1)
        self._tracer = Tracer(observers, clock)
        self._time_limit = TimeLimit(bounds.request_timeout_s)
        self._statements = StatementRunner(
            statement_timeout_s=bounds.statement_timeout_s, tracer=self._tracer, clock=clock
        )
        prompts = PromptWriter(max_tokens=bounds.prompt_tokens, count_tokens=count_tokens)
        self._writer = SqlWriter(
            model=model,
            prompts=prompts,
            rate_limit=rate_limit,
            statements=self._statements,
            tracer=self._tracer,
            clock=clock,
        )

    @property
    def database_names(self) -> list[str]:
        """The configured databases, the default first."""
        return list(self._databases)

    @property
    def can_answer_questions(self) -> bool:
        """Whether `answer` has any chance: a model, or questions the operator verified."""
        return self._has_model or any(db.context().verified for db in self._databases.values())

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
        row_limits: RowLimits | None = None,
        caller: str = "",
        principal: Principal | None = None,
        on_stage: OnStage | None = None,
    ) -> Answer:
        """Answer a question asked in plain language.

        Args:
            row_limits: of this result; None for the usual ones.

        Raises:
            PgmcpError: see `pgmcp.errors`; every kind but SettingsError can come.
        """
        call = self._call(Operation.QUERY, database, caller, principal, on_stage)
        with self._bounded(call):
            await self._rate_limit().admit(call.principal)
            request = await self._new_request(call, principal, limit, row_limits)
            request.question, request.return_type = _checked_question(question), return_type
            request.context = await asyncio.to_thread(request.database.context)
            verified_sql = await find_verified_sql(request, self._statements)
            if verified_sql is not None:
                rows = await self._run_verified(request, verified_sql)
                return request.answer(verified_sql.strip(), rows, Source.VERIFIED)
            return await self._answer_by_model(request)

    async def execute_sql(
        self,
        sql: str,
        *,
        database: str | None = None,
        limit: int | None = None,
        row_limits: RowLimits | None = None,
        caller: str = "",
        principal: Principal | None = None,
        on_stage: OnStage | None = None,
    ) -> Answer:
        """Run one read-only statement that the caller wrote.

        Args:
            row_limits: of this result; None for the usual ones.

        Raises:
            PgmcpError: the statement was rejected or failed, or a bound was reached.
        """
        call = self._call(Operation.EXECUTE_SQL, database, caller, principal, on_stage)
        with self._bounded(call):
            await self._rate_limit().admit(call.principal)
            request = await self._new_request(call, principal, limit, row_limits)
            rows = await self._statements.run(request, sql)
            return request.answer(sql, rows, Source.DIRECT)

    async def find_tables(
        self,
        text: str,
        *,
        database: str | None,
        names: Sequence[str],
        limit: int,
        caller: str = "",
        principal: Principal | None = None,
    ) -> tuple[Catalog, list[Table]]:
        """Return the catalog and the tables asked for.

        Args:
            text: words to search for; "" means every table.
            names: exactly these tables instead, as table or schema.table.
            limit: tables at most that a search for words gives.

        Raises:
            InvalidArgumentError: a name is not there; it says which are near. Or the arguments are too long.
        """
        _check_search(text, names)
        call = self._call(Operation.SEARCH_SCHEMA, database, caller, principal)
        with self._bounded(call):
            await self._rate_limit().admit(call.principal)
            served = await self._served(database, principal)
            call.role = served.role_name
            catalog = await served.schema.get()
            if names:
                missing = [name for name in names if catalog.find(name) is None]
                hidden = await served.find_hidden(missing, catalog) if missing else []
                if hidden:
                    raise InvalidArgumentError(
                        "; ".join(relation.describe() for relation in hidden),
                        hint="a statement may name it; search_schema without arguments lists all others",
                    )
                return catalog, [_existing_table(catalog, name) for name in names]
            if not text.strip():
                return catalog, list(catalog.tables)
            return catalog, await asyncio.to_thread(search, catalog, text, limit)

    async def find_tables_in_all(
        self,
        text: str,
        *,
        names: Sequence[str],
        limit: int,
        caller: str = "",
        principal: Principal | None = None,
    ) -> Outcome[FoundTables]:
        """Return the tables asked for, by database; arguments as for `find_tables`.

        Raises:
            InvalidArgumentError: a name is in no database.
            PgmcpError: no database could be searched.
        """
        _check_search(text, names)
        limit = max(_MIN_FOUND_TABLES, limit // len(self._databases))

        async def find(name: str) -> FoundTables:
            catalog = await self.catalog(name, principal)
            if names:
                found = [table for given in names if (table := catalog.find(given)) is not None]
            elif text.strip():
                found = await asyncio.to_thread(search, catalog, text, limit)
            else:
                found = list(catalog.tables)
            return FoundTables(catalog, found)

        call = self._call(Operation.SEARCH_SCHEMA, None, caller, principal)
        with self._bounded(call):
            await self._rate_limit().admit(call.principal)
            outcome = await run_on_each(self.database_names, find, timeout_s=self._each_timeout_s)
            if not outcome.errors:
                await self._refuse_unknown(names, outcome.results, principal)
            return outcome

    async def _refuse_unknown(
        self, names: Sequence[str], found: Mapping[str, FoundTables], principal: Principal | None
    ) -> None:
        """Raise an error for the first of the names that no database has."""
        for name in names:
            if any(each.catalog.find(name) for each in found.values()):
                continue
            for database, each in found.items():
                for relation in (
                    await self.database(database).seen_by(principal).find_hidden([name], each.catalog)
                ):
                    raise InvalidArgumentError(
                        f"database {database}: {relation.describe()}",
                        hint="a statement may name it; search_schema without arguments lists all others",
                    )
            _existing_table(next(iter(found.values())).catalog, name)

    async def refresh_schema(
        self, database: str | None, *, caller: str = "", principal: Principal | None = None
    ) -> Outcome[CatalogChange]:
        """Read the catalog of one database or of all again, and return what changed, by database.

        Raises:
            PgmcpError: no database could be read.
        """

        async def refresh(name: str) -> CatalogChange:
            served = await self._served(name, principal)
            change = await served.schema.refresh()
            await served.functions.refresh()
            return change

        call = self._call(Operation.REFRESH_SCHEMA, database, caller, principal)
        with self._bounded(call):
            await self._rate_limit().admit(call.principal)
            names = self.database_names if database is None else [database]
            return await run_on_each(names, refresh, timeout_s=self._each_timeout_s)

    async def catalog(self, database: str | None, principal: Principal | None = None) -> Catalog:
        """Return what is known of a database's schema for a caller, reading it if nothing is."""
        return await (await self._served(database, principal)).schema.get()

    def cached_catalog(self, database: str, principal: Principal | None = None) -> Catalog | None:
        """Return the catalog that was read last for a caller's role; None if none has been.

        Never triggers a read.
        """
        found = self.database(database)
        if found.identities is None:
            return found.schema.cached
        role = self.role_of(database, principal)
        return None if role is None else found.identities.cached_catalog(role)

    def role_of(self, database: str, principal: Principal | None) -> str | None:
        """Return a caller's role in a database; None if it has none, or if all have the login role."""
        identities = self.database(database).identities
        with suppress(UnmappedPrincipalError):
            return identities.role_of(principal) if identities is not None else None
        return None

    def subscribe_to_catalog(self, database: str, listener: RoleCatalogListener) -> None:
        """Call `listener` after every later read of a database's catalog, for whichever role."""
        found = self.database(database)
        if found.identities is not None:
            found.identities.subscribe(listener)
        else:
            found.schema.subscribe(partial(listener, None))

    async def verified_questions(self, database: str, principal: Principal | None = None) -> list[str]:
        """Return the questions whose SQL the operator has verified.

        Raises:
            UnmappedPrincipalError: the caller has no role in the database.
        """
        context = await asyncio.to_thread(self.database(database).seen_by(principal).context)
        return [verified.question for verified in context.verified]

    def database(self, name: str | None) -> Database:
        """Return a database by name, the default one for None."""
        if name is None:
            return next(iter(self._databases.values()))
        try:
            return self._databases[name]
        except KeyError:
            raise UnknownDatabaseError(name, self.database_names) from None

    async def _served(self, name: str | None, principal: Principal | None) -> Database:
        """Return a database by name as a caller sees it, if its role lets it be served."""
        database = self.database(name).seen_by(principal)
        await database.role.admit()
        return database

    def _call(
        self,
        operation: Operation,
        database: str | None,
        caller: str,
        principal: Principal | None,
        on_stage: OnStage | None = None,
    ) -> Call:
        return Call(
            id=next(self._call_ids),
            operation=operation,
            caller=caller,
            principal=principal.name if principal is not None else None,
            database=database,
            on_stage=on_stage,
        )

    @contextmanager
    def _bounded(self, call: Call) -> Iterator[None]:
        """Let the observers see a call, and end it when it has taken too long."""
        with self._tracer.call(call):
            try:
                with self._time_limit.limit():
                    yield
            except PgmcpError as error:
                self._name_database(error, call)
                raise
            except TimeoutError:
                raise DeadlineExceededError(
                    f"the call took longer than {self._bounds.request_timeout_s:g} s, the model included",
                    hint="ask for less, or raise PG_MCP_SERVER_REQUEST_TIMEOUT",
                ) from None

    def _name_database(self, error: PgmcpError, call: Call) -> None:
        """Note the database that an error is about, where there are several."""
        is_about_database = not isinstance(error, UnknownDatabaseError | RateLimitedError | ModelError)
        is_of_one = call.database is not None or call.operation in (Operation.QUERY, Operation.EXECUTE_SQL)
        if len(self._databases) > 1 and is_about_database and is_of_one:
            error.database = error.database or call.database or self.database_names[0]

    @property
    def _each_timeout_s(self) -> float:
        """For one of several databases: the others must be able to answer within the call's own limit."""
        return self._bounds.request_timeout_s * _SHARE_OF_TIMEOUT

    async def _new_request(
        self,
        call: Call,
        principal: Principal | None,
        limit: int | None,
        row_limits: RowLimits | None,
    ) -> Request:
        database = await self._served(call.database, principal)
        call.database, call.role = database.name, database.role_name
        return Request(
            call=call,
            database=database,
            limits=_limited(row_limits or self._bounds.result, limit),
            deadline_s=self._clock() + self._bounds.request_timeout_s,
        )

    async def _run_verified(self, request: Request, sql: str) -> Rows | None:
        request.call.source = Source.VERIFIED
        try:
            return await self._statements.run(request, sql)
        except (SqlRejectedError, StatementFailedError) as error:
            error.hint = "; ".join(part for part in (error.hint.rstrip("."), VERIFIED_SQL_FAILED) if part)
            raise

    async def _answer_by_model(self, request: Request) -> Answer:
        """Have SQL written, and repaired while it is rejected or fails."""
        while True:
            reply = await self._writer.write(request)
            if not reply.answerable:
                raise _unanswerable(reply)
            try:
                rows = await self._statements.run(request, reply.sql)
            except (SqlRejectedError, StatementFailedError) as error:
                request.attempts.append(FailedAttempt(reply.sql, error))
                if len(request.attempts) > self._bounds.max_sql_retry:
                    raise
            else:
                return await self._check_answer(request, reply, rows)

    async def _check_answer(self, request: Request, reply: SqlReply, rows: Rows | None) -> Answer:
        """Ask the model once to reconsider what the checks found; keep the better answer."""
        findings = await self._check(request, reply.sql, rows)
        if findings.is_offered and len(request.attempts) < self._bounds.max_sql_retry:
            described = tuple(mismatch.describe() for mismatch in findings.mismatches)
            request.attempts.append(MismatchedAttempt(reply.sql, described, findings.offered_remarks))
            second = await self._second_answer(request)
            if second is not None and _is_better(second, rows, findings):
                return request.answer_of_model(second.reply, second.rows, tuple(second.findings.notes()))
            request.attempts.pop()
        return request.answer_of_model(reply, rows, tuple(findings.notes()))

    async def _second_answer(self, request: Request) -> "_SecondAnswer | None":
        """Return the retried answer; None if it fails, or the checks would offer it for a repair again."""
        left_s = request.deadline_s - self._clock() - SECOND_ANSWER_RESERVE_S
        with suppress(PgmcpError, TimeoutError):
            async with asyncio.timeout(max(0.0, left_s)):
                reply = await self._writer.write(request)
                if reply.answerable:
                    rows = await self._statements.run(request, reply.sql)
                    findings = await self._check(request, reply.sql, rows)
                    if not findings.is_offered:
                        return _SecondAnswer(reply, rows, findings)
        return None

    async def _check(self, request: Request, sql: str, rows: Rows | None) -> Findings:
        with self._tracer.stage(request.call, Stage.CHECK):
            return await check_query(request, sql, rows, self._statements)


@dataclass(frozen=True, slots=True)
class _SecondAnswer:
    """What the model answered after it was asked to reconsider."""

    reply: SqlReply
    rows: Rows | None
    findings: Findings


def _is_better(second: _SecondAnswer, first_rows: Rows | None, first: Findings) -> bool:
    """Return whether the second answer should be given: values were corrected only if it found something."""
    return not first.mismatches or found_something(second.rows) or not found_something(first_rows)


def _limited(most: RowLimits, limit: int | None) -> RowLimits:
    """Return the limits of a result, with the row limit that the caller asks for."""
    if limit is None:
        return most
    if not 1 <= limit <= most.max_rows:
        raise InvalidArgumentError(
            f"limit is {limit}", hint=f"limit takes a number of rows from 1 to {most.max_rows}"
        )
    return replace(most, max_rows=limit)


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


def _check_search(text: str, names: Sequence[str]) -> None:
    """Refuse a search that is longer than any list of words or names: it would only cost time."""
    if len(text) > MAX_SEARCH_CHARACTERS:
        raise InvalidArgumentError(
            f"text has {len(text)} characters",
            hint=f"text may have up to {MAX_SEARCH_CHARACTERS} characters: a few words to look for",
        )
    if len(names) > MAX_SEARCHED_NAMES:
        raise InvalidArgumentError(
            f"tables has {len(names)} names", hint=f"ask for up to {MAX_SEARCHED_NAMES} tables at once"
        )
    longest = max((len(name) for name in names), default=0)
    if longest > MAX_TABLE_NAME_CHARACTERS:
        raise InvalidArgumentError(
            f"a name in tables has {longest} characters",
            hint=f"a name may have up to {MAX_TABLE_NAME_CHARACTERS} characters, as table or schema.table",
        )


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
