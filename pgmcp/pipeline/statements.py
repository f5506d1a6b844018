"""Validates and runs statements, and adds hints to their errors."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from pgmcp.catalog.catalog import Catalog
from pgmcp.errors import (
    DeadlineExceededError,
    ExecutionError,
    PgmcpError,
    SqlRejectedError,
    StatementFailedError,
)
from pgmcp.execution.result import RowLimits, Rows, StatementOrigin
from pgmcp.lookup.statement_hints import (
    INSUFFICIENT_PRIVILEGE,
    MISSING_NAME_SQLSTATES,
    SQLSTATES_WITH_HINTS,
    WRONG_OBJECT_TYPE,
    WRONG_TYPES_SQLSTATES,
    hint_for_failure,
    is_outdated,
)
from pgmcp.pipeline.call import Database, Request, ReturnType, Stage
from pgmcp.pipeline.tracer import Tracer
from pgmcp.validation import (
    FunctionPolicy,
    StatementKind,
    ValidatedStatement,
    ValidationMemo,
    refuse_other_kinds,
    validate,
)
from pgmcp.validation.references import find_references

HINT_TIMEOUT_S: Final = 2.0
"""How long a statement waits for a read of the catalog, for similar names or a note on row-level security."""

LOOKUP_TIMEOUT_S: Final = 2.0
"""Timeout of all value lookups for one statement."""

LOOKUP_LIMITS: Final = RowLimits(max_rows=500, max_bytes=256 << 10, max_cell_bytes=1024)
"""Limits of the result of one value lookup or check."""

EXPLAIN: Final = "EXPLAIN "
PLAN_LIMITS: Final = RowLimits(max_rows=1, max_bytes=64 << 10, max_cell_bytes=64 << 10)
NAME_AND_SYNTAX_ERRORS: Final = "42"
"""Class of SQLSTATEs for wrong names and syntax (appendix A), which PostgreSQL finds in planning, too."""

KEPT_VALIDATIONS: Final = 128
"""Number of accepted statements in the cache (`pgmcp.validation.memo`)."""


class StatementRunner:
    """Runs statements of a model or a caller, and pgmcp's own value lookups, with the same guards."""

    def __init__(
        self, *, statement_timeout_s: float, tracer: Tracer, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._statement_timeout_s = statement_timeout_s
        self._tracer = tracer
        self._clock = clock
        self._validate = ValidationMemo(validate, KEPT_VALIDATIONS).validate

    async def run(self, request: Request, sql: str) -> Rows | None:
        """Validate a statement, and run it; if only the SQL was requested, plan it and return None.

        Raises:
            SqlRejectedError: the text is not exactly one read-only statement that the caller may run.
            ExecutionError: the statement failed, or the functions of the database could not be read. If a
                name does not exist, the hint has similar ones.
        """
        request.call.sql = sql
        request.notes = ()
        try:
            rows = await self._run_once(request, sql)
        except StatementFailedError as error:
            if not await _add_hint(request.database, error):
                raise
            # The missing name exists by now, for example because a table was replaced. Run it again.
            rows = await self._run_once(request, sql)
        if rows is not None and _may_have_row_security(request.database):
            request.notes = await _row_security_notes(request.database, sql)
        return rows

    async def _run_once(self, request: Request, sql: str) -> Rows | None:
        try:
            with self._tracer.stage(request.call, Stage.VALIDATE):
                statement = self._validate(sql, functions=await _function_policy(request.database, sql))
                request.call.sql = request.parsed[sql.strip()] = statement.text
                _refuse_row_counts(request.database, statement)
            if request.return_type is ReturnType.SQL:
                with self._tracer.stage(request.call, Stage.PLAN):
                    await self._plan(request, statement)
                return None
            with self._tracer.stage(request.call, Stage.EXECUTE):
                return await self._execute(request, statement)
        except (SqlRejectedError, StatementFailedError) as error:
            error.sql = sql
            raise

    def lookup(
        self, database: Database, *, timeout_s: float, origin: StatementOrigin = StatementOrigin.OWN
    ) -> Callable[[str], Awaitable[Rows]]:
        """Return a function that validates and runs value lookups and checks in a database.

        The function raises a PgmcpError if a statement fails, or if the time is over.

        Args:
            timeout_s: time for all of these statements together, which begins now.
            origin: CALLER if the SQL has text of a caller's statement, whose names the search path resolves.
        """
        ends_at_s = self._clock() + timeout_s

        async def run(sql: str) -> Rows:
            statement = self._validate(sql, functions=await database.functions.get())
            left_s = ends_at_s - self._clock()
            if left_s <= 0:
                raise DeadlineExceededError(f"the checks took longer than {timeout_s:g} s")
            return await database.supervisor.execute(
                statement.text,
                LOOKUP_LIMITS,
                origin=origin,
                can_be_wrapped=statement.kind is StatementKind.QUERY,
                timeout_s=left_s,
            )

        return run

    def _execute(self, request: Request, statement: ValidatedStatement) -> Awaitable[Rows]:
        return request.database.supervisor.execute(
            statement.text,
            request.limits,
            origin=StatementOrigin.CALLER,
            can_be_wrapped=statement.kind is StatementKind.QUERY,
            timeout_s=self._statement_timeout_s,
        )

    async def _plan(self, request: Request, statement: ValidatedStatement) -> None:
        """Plan a statement to find wrong names and syntax; other errors are ignored."""
        if statement.kind is not StatementKind.QUERY:
            return
        try:
            await request.database.supervisor.execute(
                EXPLAIN + statement.text,
                PLAN_LIMITS,
                origin=StatementOrigin.CALLER,
                can_be_wrapped=False,
                timeout_s=self._statement_timeout_s,
            )
        except StatementFailedError as error:
            if error.sqlstate.startswith(NAME_AND_SYNTAX_ERRORS):
                if error.position is not None:
                    error.position -= len(EXPLAIN)
                raise
        except ExecutionError:
            return  # only the SQL was requested, so a busy database is not a failure


async def _function_policy(database: Database, sql: str) -> FunctionPolicy:
    """Return the policy to validate a statement with.

    Raises:
        SqlRejectedError: the policy cannot be read, and the statement would be refused with any policy.
        ExecutionError: the policy cannot be read.
    """
    policies = database.functions
    try:
        # The call waits if the policy must be read first, because an unknown object may be dangerous.
        return policies.peek() or await policies.get()
    except ExecutionError:
        refuse_other_kinds(sql)
        raise


def _refuse_row_counts(database: Database, statement: ValidatedStatement) -> None:
    """Refuse EXPLAIN ANALYZE to a caller with a separate role.

    "Rows Removed by Filter" in its plan counts the rows that row-level security hides.

    Raises:
        SqlRejectedError: the statement is EXPLAIN ANALYZE.
    """
    if database.identity is not None and statement.kind is StatementKind.EXPLAIN_ANALYZE:
        raise SqlRejectedError(
            "EXPLAIN ANALYZE is not accepted for your role: it counts rows that row-level security hides",
            hint="EXPLAIN without ANALYZE shows the plan",
            offending="ANALYZE",
        )


def _may_have_row_security(database: Database) -> bool:
    """Return whether policies may hide rows in a database; False only if it is known to have none."""
    if database.row_security is None:
        return False
    known = database.row_security.peek()
    return known is None or bool(known)


async def _row_security_notes(database: Database, sql: str) -> tuple[str, ...]:
    """Return a note if policies may hide rows of a relation that the statement names."""
    if database.row_security is None:
        return ()
    with suppress(PgmcpError, TimeoutError):
        async with asyncio.timeout(HINT_TIMEOUT_S):
            row_security = await database.row_security.get()
            if row_security:
                references = await asyncio.to_thread(find_references, sql)
                note = row_security.describe(relation for _, relation in references.relations)
                return (note,) if note else ()
    return ()


async def _explain_hidden(database: Database, error: StatementFailedError, catalog: Catalog) -> str:
    """Return a description of the relations that the statement names and the catalog leaves out, or ""."""
    is_denied = error.sqlstate == INSUFFICIENT_PRIVILEGE
    if not is_denied and error.sqlstate not in MISSING_NAME_SQLSTATES | {WRONG_OBJECT_TYPE}:
        return ""
    references = await asyncio.to_thread(find_references, error.sql)
    names = list(dict.fromkeys(relation for _, relation in references.relations))
    hidden = await database.find_hidden(names, catalog)
    return "; ".join(each.describe(is_denied=is_denied) for each in hidden if each.columns or not is_denied)


async def _add_hint(database: Database, error: StatementFailedError) -> bool:
    """Add similar names, labels or spellings to the hint; return whether the missing name exists by now."""
    if error.sqlstate not in SQLSTATES_WITH_HINTS:
        return False
    with suppress(PgmcpError, TimeoutError):
        async with asyncio.timeout(HINT_TIMEOUT_S):
            catalog = await database.schema.get()
            if error.sqlstate in MISSING_NAME_SQLSTATES:
                outdated = await asyncio.to_thread(is_outdated, error, error.sql, catalog)
                catalog = await database.schema.get_after_miss(is_outdated=outdated)
                if await asyncio.to_thread(is_outdated, error, error.sql, catalog):
                    return True
            hint = await asyncio.to_thread(hint_for_failure, error, error.sql, catalog)
            hidden = await _explain_hidden(database, error, catalog)
            # The server's own hint about types is general, and often wrong: "might need explicit type casts".
            is_replaced = hint and error.sqlstate in WRONG_TYPES_SQLSTATES
            server_hint = "" if is_replaced else error.hint.rstrip(".")
            error.hint = "; ".join(part for part in (server_hint, hint, hidden) if part)
    return False
