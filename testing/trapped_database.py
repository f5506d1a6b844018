"""A database full of traps, in which all of pgmcp's own statements are run.

Each trap raises a notice in the server's log before anything else, so that a read-only transaction hides
nothing. The traps have the exact operand types of built-in operators, functions and casts.
"""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgmcp.catalog.hidden import find_hidden
from pgmcp.catalog.introspection import read_catalog
from pgmcp.catalog.row_security import read_row_security
from pgmcp.catalog.sampling import sample
from pgmcp.catalog.scope import CatalogScope
from pgmcp.cli.doctor.examination import examine_remote
from pgmcp.cli.grants import check_hidden, find_exposing_views, read_usable_schemas, with_descendants
from pgmcp.cli.hidden_columns import ColumnName
from pgmcp.errors import StatementFailedError
from pgmcp.execution.catalog_access import find_unreadable, without
from pgmcp.execution.mapped_roles import read_mapped_roles
from pgmcp.execution.policy import PolicyReader
from pgmcp.execution.result import JsonScalar, RowLimits, Rows
from pgmcp.execution.role import PARAMETERS_SQL, PRIVILEGES_SQL
from pgmcp.execution.spawn import Spawn
from pgmcp.execution.supervisor import Supervisor
from pgmcp.lookup.value_check import check_unlisted, resolve
from pgmcp.lookup.value_hints import find_indexed_values
from pgmcp.settings.load import load_settings
from pgmcp.validation.references import find_references
from testing.attack_run import pipeline_to, supervisor_to
from testing.own_sql_log import LoggedStatement, find_failed, find_inexact, is_own, own_statements, read_log
from testing.statement_run import run
from worker.own_sql import BEGIN_OWN
from worker.protocol import StatementOrigin
from worker.session_settings import OWN_SEARCH_PATH

TRIGGERED: Final = "a trap was triggered"
READER: Final = "trapped_reader"
HARDENED: Final = """
revoke select on pg_catalog.pg_proc, pg_catalog.pg_language, pg_catalog.pg_policy, pg_catalog.pg_rewrite,
    pg_catalog.pg_foreign_table, pg_catalog.pg_inherits, pg_catalog.pg_extension from public;
revoke execute on function pg_catalog.pg_backend_pid(), pg_catalog.pg_partition_tree(regclass) from public;
"""
"""Revokes catalog rights, so that pgmcp runs the statements that it has for hardened servers."""

_LIMITS: Final = RowLimits(max_rows=100_000, max_bytes=64 << 20, max_cell_bytes=1 << 20)
_DATA: Final = Path(__file__).parents[1] / "tests" / "data" / "traps"
_ENDING_BACKENDS: Final = "worker/service.py"
"""The file whose statements run only after a worker was killed, so they may be missing from the log."""
_OUTSIDE_A_TRANSACTION: Final = (
    "DEALLOCATE ALL",
    "SELECT pg_catalog.pg_advisory_unlock_all()",
    "SHOW POOL_VERSION",
)
"""Safe with any search path: these statements name no function, or a qualified one without arguments."""
_OF_A_CALLER: Final = {
    "SELECT * FROM ( select feels from people ) AS q LIMIT 1001",
    "CREATE TEMPORARY TABLE pgmcp_doctor_proof ()",  # must run as a caller's statement, to be refused
}
_FAILS: Final = (
    "CREATE TEMPORARY TABLE pgmcp_doctor_proof ()",
    "select * from nothing_here",
    "SELECT pg_catalog.pg_sleep(",  # doctor's statements, which reach a deadline or are cancelled
    "SHOW POOL_VERSION",  # known only to pgpool-II
    "SELECT pg_catalog.pg_backend_pid()",  # refused by a hardened server
    "SELECT pg_catalog.set_config('client_connection_check_interval'",  # unknown to PostgreSQL 13
)

Fetch = Callable[[str], Awaitable[Rows]]


class Trapped:
    """A database full of traps; it reports the traps that were triggered since this object was made.

    Attributes:
        url: the URL of the superuser, who owns the traps.
        reader_url: the URL of a role that can only read.
    """

    def __init__(self, url: str, log_file: Path) -> None:
        self.url = url
        self.reader_url = make_conninfo(self.url, user=READER, password="pass")
        self._log_file = log_file
        self._log_start = self._log_file.stat().st_size

    def triggered(self) -> list[str]:
        """Return the log lines of traps that were triggered."""
        return [line for line in self.log().splitlines() if TRIGGERED in line and "LOG:" in line]

    def log(self) -> str:
        """Return the server's log since this object was made."""
        return self._log_file.read_bytes()[self._log_start :].decode("utf8", "replace")

    @contextmanager
    def changed(self, change: str, back: str) -> Iterator[None]:
        """Change the database while the context is entered; the change is not logged."""
        options = "-c search_path=pg_catalog -c log_statement=none"
        with psycopg.connect(self.url, autocommit=True, options=options) as admin:
            admin.execute(change.encode())
            try:
                yield
            finally:
                admin.execute(back.encode())

    def logging_statements(self) -> AbstractContextManager[None]:
        """Let the server log each statement of sessions that begin while the context is entered."""
        alter = f"alter database {self.url.rpartition('/')[2]}"
        return self.changed(f"{alter} set log_statement = 'all'", f"{alter} reset log_statement")

    def rows_logged(self) -> int:
        """Return how many traps have written a row."""
        options = "-c search_path=pg_catalog -c default_transaction_isolation=repeatable\\ read"
        with psycopg.connect(self.url, options=options) as connection:
            tables = connection.execute(
                "select relnamespace::regnamespace from pg_class where relname = 'log'"
            ).fetchall()
            counts = [
                connection.execute(f"select count(*) from {table}.log".encode()).fetchone()
                for (table,) in tables
            ]
        return sum(row[0] for row in counts if row)


def set_traps(url: str, schema: str, path: str) -> None:
    """Create the traps in a schema of an empty database, and set the database's search_path."""
    with psycopg.connect(url, autocommit=True, options="-c search_path=pg_catalog") as connection:
        connection.execute(f"create schema if not exists {schema}".encode())
        for file in ("search_path.sql", "described_objects.sql", "built_in_casts.sql"):
            connection.execute((_DATA / file).read_text("utf-8").replace("SCHEMA", schema).encode())
        connection.execute(f"grant usage on schema {schema} to public".encode())
        connection.execute(f"grant select on all tables in schema {schema} to public".encode())
        database = sql.Identifier(connection.info.dbname)
        for setting in (
            f"search_path = {path}",
            "default_transaction_read_only = off",
            "default_transaction_isolation = serializable",
        ):
            connection.execute(sql.SQL("alter database {} set " + setting).format(database))


def own_fetch(supervisor: Supervisor) -> Fetch:
    """Return a function that runs pgmcp's own statements."""

    async def fetch(statement: str) -> Rows:
        return await run(supervisor, statement, limits=_LIMITS, wrapped=False, origin=StatementOrigin.OWN)

    return fetch


async def read_everything(supervisor: Supervisor) -> None:
    """Read the catalog, the policy and the role, as a server does."""
    fetch = own_fetch(supervisor)
    catalog = await read_catalog(fetch, scope=CatalogScope(exclude_schemas=("no_such_schema",)))
    assert {table.name for table in catalog.tables} >= {"people", "shop"}
    people = next(table for table in catalog.tables if table.name == "people")
    assert [column.type for column in people.columns] == ["integer", "mood", "date"]
    assert people.columns[1].enum_labels == ("sad", "happy")
    await PolicyReader(fetch, allowed=(), denied=()).read()
    *_, has_parameters = (await fetch(without(PRIVILEGES_SQL, await find_unreadable(fetch)))).rows[0]
    if has_parameters:
        await fetch(without(PARAMETERS_SQL, await find_unreadable(fetch)))


async def sample_tables(fetch: Fetch) -> None:
    """Sample tables and look up values; these statements are not validated."""
    catalog = await read_catalog(fetch)
    samples = await sample(catalog, fetch, fetch, max_rows=100)
    compared = "name = 'berlin' and label = 'AB' and citext = 'loud'"
    found = await find_indexed_values(catalog, "Which never analysed name is Berlin?", fetch)
    comparisons = resolve(find_references(f"select 1 from never_analysed where {compared}"), catalog)
    mismatches = await check_unlisted(comparisons, catalog, fetch)

    assert found == ["\"Berlin\" -> never_analysed.name = 'Berlin'"]
    (seen,) = [columns for (_, table), columns in samples.items() if table == "never_analysed"]
    assert {name: each.values for name, each in seen.items() if each.values} == {
        "name": ("Berlin",), "label": ("ab",), "citext": ("LOUD",)
    }  # fmt: skip
    assert seen["amount"].value_range == ("1", "30")
    assert [mismatch.values for mismatch in mismatches] == [("Berlin",), ("ab",), ("LOUD",)]


async def _run_every_statement(supervisor: Supervisor, url: str) -> None:
    fetch = own_fetch(supervisor)

    async def fetch_rows(sql: str) -> Sequence[Sequence[JsonScalar]]:
        return (await fetch(sql)).rows

    await read_everything(supervisor)
    await sample_tables(fetch)
    await read_row_security(fetch)
    await read_mapped_roles(fetch, [READER])
    # Called directly, too, because the hints for a failed statement may reach its limit of two seconds.
    (hidden,) = await find_hidden(fetch, ["parted_1"], await read_catalog(fetch))
    assert hidden.columns == ("id", "day")
    feels = await with_descendants(fetch_rows, [ColumnName("public", "people", "feels")])
    await check_hidden(fetch_rows, feels)
    await read_usable_schemas(fetch_rows)
    await find_exposing_views(fetch_rows, feels)
    async with pipeline_to(url) as pipeline:
        await pipeline.execute_sql("select feels from people")
        with suppress(StatementFailedError):
            await pipeline.execute_sql("select * from nothing_here")
    settings = load_settings({"PG_MCP_DATABASE_URL": url}, env_file=None)
    async for _ in examine_remote(settings, None):
        pass


async def run_every_statement(trapped: Trapped, spawn: Spawn) -> list[LoggedStatement]:
    """Run all of pgmcp's own statements, also those for a hardened server; return those in the log.

    Args:
        trapped: a database whose traps are in the schema `public`.
        spawn: starts workers.
    """
    with trapped.logging_statements():
        async with supervisor_to(trapped.url, spawn=spawn) as supervisor:
            await _run_every_statement(supervisor, trapped.url)
        with trapped.changed(HARDENED, HARDENED.replace("revoke", "grant").replace(" from ", " to ")):
            async with supervisor_to(trapped.reader_url, spawn=spawn) as hardened:
                await read_everything(hardened)
                await sample_tables(own_fetch(hardened))
    return read_log(trapped.log())


def find_faults(trapped: Trapped, ran: Sequence[LoggedStatement]) -> list[str]:
    """Return the faults in the way in which pgmcp's own statements ran.

    Without a fault, each statement of the source code has run in its own read-only transaction, with only
    pg_catalog on the search path; exceptions are in `_OUTSIDE_A_TRANSACTION` and `_OF_A_CALLER`. Only
    statements in `_FAILS` have failed, and no trap was triggered. Each operator, function and cast belongs to
    PostgreSQL and needed no implicit conversion.
    """
    texts = {each.text for each in ran}
    faults = [
        f"exposed: {each.text}"
        for each in ran
        if (each.begin, each.search_path) != (BEGIN_OWN.decode(), OWN_SEARCH_PATH)
        and each.text not in _OUTSIDE_A_TRANSACTION
        and each.text not in _OF_A_CALLER
    ]
    faults += [f"not as a caller's: {text}" for text in _OF_A_CALLER - texts]
    faults += [
        f"not run, of {file}: {start}"
        for start, file in own_statements().items()
        if file != _ENDING_BACKENDS and not any(start in text for text in texts)
    ]
    faults += [
        f"failed with {error}: {text}"
        for error, text in find_failed(trapped.log())
        if not any(allowed in text for allowed in _FAILS)
    ]
    faults += trapped.triggered()
    return list(dict.fromkeys([*faults, *_find_inexact(trapped, texts)]))


def _find_inexact(trapped: Trapped, texts: set[str]) -> list[str]:
    options = f"-c search_path={OWN_SEARCH_PATH.replace(' ', '')} -c log_statement=none"
    with psycopg.connect(trapped.url, options=options, prepare_threshold=None) as connection:
        # Before version 14, PostgreSQL does not parse a function's body when it creates the function.
        if connection.info.server_version < 140_000:
            return []
        # Statements on users' tables are left out: a column of type varchar or of a domain is converted.
        of_catalog = [text for text in texts if is_own(text) and "public." not in text]
        assert len(of_catalog) > 30
        return [f"{found}: {text}" for text in of_catalog for found in find_inexact(connection, text)]
