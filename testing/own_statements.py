"""Runs statements in the test's own process, in the same way as the worker."""

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from pgmcp.errors import StatementFailedError
from pgmcp.execution.replies import failure_error
from pgmcp.execution.result import Column, EncodedRows, Rows
from worker.connection import ServerConnection
from worker.failures import FailedError, failed_connect
from worker.protocol import Execute, Failure, StatementMode, StatementOrigin
from worker.server_facts import ServerFacts
from worker.statement import run_statement

_PREPARE = """
select pg_catalog.set_config('pgmcp.schemas',
           pg_catalog.concat(pg_catalog.array_to_json(pg_catalog.current_schemas(false))), false),
       pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', false),
       pg_catalog.set_config('jit', 'off', false)
"""
_TIMEOUT_MS = 10_000


def resolve_as_own(connection: psycopg.Connection[Any]) -> None:
    """Turn JIT off, make names resolve only in pg_catalog, and store the schemas of the search path."""
    connection.execute(_PREPARE)


def fetch_with(connection: psycopg.Connection[Any]) -> Callable[[str], Awaitable[Rows]]:
    """Return a function that runs a statement on a connection, and raises the errors of pgmcp's executor."""

    async def fetch(sql: str) -> Rows:
        try:
            cursor = connection.execute(sql.encode())
        except psycopg.Error as error:
            raise StatementFailedError("failed", sqlstate=error.sqlstate or "") from None
        names = tuple(Column(column.name, "") for column in cursor.description or ())
        return Rows(names, [list(row) for row in cursor.fetchall()])

    return fetch


class OwnSession:
    """A connection in this process that runs statements as the worker does.

    Attributes:
        own_statements: pgmcp's own statements so far.
    """

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection
        self.own_statements: list[str] = []

    @property
    def facts(self) -> ServerFacts:
        """The worker's facts about the server; a test may replace them."""
        return self._connection.facts

    @facts.setter
    def facts(self, facts: ServerFacts) -> None:
        self._connection.facts = facts

    def leave(self, setting: str, value: str) -> None:
        """Change a setting of the session, as another client of a pooler does."""
        self._connection.execute("select set_config(%s, %s, false)", (setting, value))

    async def fetch(self, sql: str) -> Rows:
        """Run one of pgmcp's own statements."""
        self.own_statements.append(sql)
        return self.run(sql, StatementOrigin.OWN)

    def run(self, sql: str, origin: StatementOrigin = StatementOrigin.CALLER) -> Rows:
        """Run a statement; raise the error that the front would raise."""
        request = Execute(
            1, origin, StatementMode.AS_IS, _TIMEOUT_MS, max_rows=100_000, max_bytes=64 << 20,
            max_cell_bytes=1 << 20, read_only=True,
        )  # fmt: skip
        limits = self._connection.facts.limits(_TIMEOUT_MS)
        try:
            outcome = run_statement(self._connection, sql, request, limits, stop=_never)
        except FailedError as error:
            raise _as_front_error(error) from error
        columns = tuple(Column(name, str(oid)) for name, oid in outcome.columns)
        rows = EncodedRows.read(outcome.body, outcome.row_count, json_bytes=outcome.json_bytes)
        return Rows(columns=columns, rows=rows)


@contextmanager
def own_session(url: str, *, requested_encoding: str = "") -> Iterator[OwnSession]:
    """Connect as the worker does; raise the error that the front would raise."""
    try:
        connection = ServerConnection.connect(url, on_failure=_ignore, requested_encoding=requested_encoding)
    except psycopg.Error as error:
        raise _as_front_error(failed_connect(error)) from error
    with connection:
        yield OwnSession(connection)


def _as_front_error(error: FailedError) -> Exception:
    failure = Failure(1, error.code, error.message, error.sqlstate, error.hint, error.position, error.limit)
    return failure_error(failure, timeout_s=_TIMEOUT_MS / 1000)


def _ignore(error: psycopg.Error) -> None:
    pass


def _never() -> None:
    raise AssertionError("no bound is reached")
