"""pgmcp connects to and reads a database whose search_path leads to traps, and triggers none of them.

Each trap raises a notice in the server's log before anything else, so that a read-only transaction hides
nothing. The traps have the exact operand types of built-in operators, functions and casts.
"""

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import anyio
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from pgmcp.catalog.introspection import read_catalog
from pgmcp.catalog.row_security import read_row_security
from pgmcp.catalog.sampling import sample
from pgmcp.cli.doctor.examination import examine_remote
from pgmcp.cli.doctor.report import Status
from pgmcp.cli.grants import check_hidden, find_exposing_views, read_usable_schemas, with_descendants
from pgmcp.cli.hidden_columns import ColumnName
from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.errors import DeadlineExceededError, StatementFailedError
from pgmcp.execution.catalog_access import find_unreadable, without
from pgmcp.execution.mapped_roles import read_mapped_roles
from pgmcp.execution.policy import PolicyReader
from pgmcp.execution.result import JsonScalar, RowLimits, Rows
from pgmcp.execution.role import PARAMETERS_SQL, POSTURE_SQL
from pgmcp.execution.spawn import Spawn
from pgmcp.execution.supervisor import Supervisor
from pgmcp.lookup.indexed_values import find_indexed_values
from pgmcp.lookup.value_check import check_unlisted, resolve
from pgmcp.settings import load_settings
from pgmcp.validation.references import find_references
from testing.activity import with_application_name
from testing.attack_run import pipeline_to
from testing.front_process import SLEEP
from testing.own_sql_log import find_inexact, is_own, own_statements, read_log
from testing.pgbouncer import PgBouncer, find_pgbouncer
from testing.postgres_facts import Backends
from testing.recorded_spawn import RecordedSpawn
from testing.replica import new_cluster, new_standby
from testing.statement_run import run, value
from worker.own_sql import BEGIN_OWN
from worker.protocol import StatementOrigin
from worker.session_settings import OWN_SEARCH_PATH

pytestmark = pytest.mark.anyio

SPRUNG = "a trap was sprung"
LIMITS = RowLimits(max_rows=100_000, max_bytes=64 << 20, max_cell_bytes=1 << 20)

_DATA = Path(__file__).parents[2] / "data" / "traps"


class Trapped:
    """A database full of traps, and what was sprung since this was made.

    Attributes:
        url: for its superuser, who owns the traps.
        reader_url: for a role that can only read.
    """

    def __init__(self, cluster: EmbeddedPostgres, name: str) -> None:
        self.url = cluster.url(name)
        self.reader_url = make_conninfo(self.url, user="trapped_reader", password="pass")
        self._log_file = cluster.data_dir / "server.log"
        self._log_start = self._log_file.stat().st_size

    def sprung(self) -> list[str]:
        """Return what the server's log says of traps."""
        return [line for line in self.log().splitlines() if SPRUNG in line and "LOG:" in line]

    def log(self) -> str:
        """Return what the server has logged."""
        return self._log_file.read_bytes()[self._log_start :].decode("utf8", "replace")

    @contextmanager
    def changed(self, change: str, back: str) -> Iterator[None]:
        """Change the database meanwhile, which is not logged."""
        options = "-c search_path=pg_catalog -c log_statement=none"
        with psycopg.connect(self.url, autocommit=True, options=options) as admin:
            admin.execute(change.encode())
            try:
                yield
            finally:
                admin.execute(back.encode())

    def logging_statements(self) -> AbstractContextManager[None]:
        """Have the server log each statement of sessions that begin meanwhile."""
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


def _set_traps(url: str, name: str, schema: str, path: str) -> None:
    with psycopg.connect(url, autocommit=True, options="-c search_path=pg_catalog") as connection:
        connection.execute(f"create schema if not exists {schema}".encode())
        for file in ("search_path.sql", "described_objects.sql", "built_in_casts.sql"):
            connection.execute((_DATA / file).read_text("utf-8").replace("SCHEMA", schema).encode())
        connection.execute(f"grant usage on schema {schema} to public".encode())
        connection.execute(f"grant select on all tables in schema {schema} to public".encode())
        connection.execute(
            sql.SQL("alter database {} set search_path = {}").format(sql.Identifier(name), sql.SQL(path))
        )
        for setting in (
            "default_transaction_read_only = off",
            "default_transaction_isolation = serializable",
        ):
            connection.execute(sql.SQL("alter database {} set " + setting).format(sql.Identifier(name)))


_PATH_BY_DATABASE = {"traps_before_pg_catalog": "s, pg_catalog, public", "traps_in_public": '"$user", public'}


@pytest.fixture(scope="module", params=_PATH_BY_DATABASE)
def trapped_database(request: pytest.FixtureRequest, cluster: EmbeddedPostgres) -> Iterator[str]:
    """Traps in a schema before pg_catalog, and on the default path; no test changes the database."""
    name, path = request.param, _PATH_BY_DATABASE[request.param]
    with psycopg.connect(cluster.url(), autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
        try:
            admin.execute("create role trapped_reader login password 'pass'")
            _set_traps(cluster.url(name), name, "s" if path.startswith("s,") else "public", path)
            yield name
        finally:
            admin.execute(f"drop database {name} with (force)".encode())
            admin.execute("drop role trapped_reader")


@pytest.fixture
def trapped(cluster: EmbeddedPostgres, trapped_database: str) -> Trapped:
    return Trapped(cluster, trapped_database)


@pytest.fixture(params=[True, False], ids=["read only", "not read only"])
def read_only(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def _own_fetch(supervisor: Supervisor) -> Callable[[str], Awaitable[Rows]]:
    async def fetch(statement: str) -> Rows:
        return await run(supervisor, statement, limits=LIMITS, wrapped=False, origin=StatementOrigin.OWN)

    return fetch


async def _read_everything(supervisor: Supervisor) -> None:
    fetch = _own_fetch(supervisor)
    catalog = await read_catalog(fetch)
    assert {table.name for table in catalog.tables} >= {"people", "shop"}
    people = next(table for table in catalog.tables if table.name == "people")
    assert [column.type for column in people.columns] == ["integer", "mood", "date"]
    assert people.columns[1].enum_labels == ("sad", "happy")
    await PolicyReader(fetch, allowed=(), denied=()).read()
    for statement in (POSTURE_SQL, PARAMETERS_SQL):
        await fetch(without(statement, await find_unreadable(fetch)))


async def _own_value(supervisor: Supervisor, statement: str) -> object:
    return (await run(supervisor, statement, origin=StatementOrigin.OWN)).rows[0][0]


def _no_trap_was_sprung(trapped: Trapped) -> None:
    assert trapped.sprung() == []
    assert trapped.rows_logged() == 0


def test_the_traps_do_spring_where_names_are_resolved_on_the_path_of_the_database(trapped: Trapped) -> None:
    with psycopg.connect(trapped.url) as connection:
        connection.execute("select (5::oid)::text")
        connection.rollback()

    assert trapped.sprung()


async def test_connecting_and_reading_the_catalog_springs_no_trap(
    supervise: Callable[..., Supervisor], trapped: Trapped, read_only: bool
) -> None:
    supervisor = supervise(trapped.url, read_only=read_only)

    await _read_everything(supervisor)
    assert await value(supervisor, "select 7") == 7
    assert await value(supervisor, "select 'sad'::mood") == "sad"

    _no_trap_was_sprung(trapped)


async def test_behind_pgbouncer_no_trap_is_sprung(
    supervise: Callable[..., Supervisor], trapped: Trapped
) -> None:
    program = find_pgbouncer()
    if program is None:
        pytest.skip("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
    with PgBouncer(program, trapped.url, pool_size=2) as bouncer:
        supervisor = supervise(bouncer.url(trapped.url))

        await _read_everything(supervisor)
        assert await value(supervisor, "select 7") == 7
        await supervisor.close()

    _no_trap_was_sprung(trapped)


async def test_a_role_that_can_only_read_springs_no_trap(
    supervise: Callable[..., Supervisor], trapped: Trapped
) -> None:
    supervisor = supervise(trapped.reader_url)

    await _read_everything(supervisor)
    assert await _own_value(supervisor, "select current_user::text") == "trapped_reader"

    _no_trap_was_sprung(trapped)


ROLE_SETTINGS = (
    "role = trapped_group",
    "search_path = s, pg_catalog, public",
    "session_preload_libraries = 'auto_explain'",
    "auto_explain.log_min_duration = 0",
    "auto_explain.log_analyze = on",
    "debug_print_parse = off",
    "default_transaction_read_only = off",
    "default_transaction_deferrable = on",
    "check_function_bodies = off",
    "transform_null_equals = on",
    "from_collapse_limit = 1",
    "force_parallel_mode = off",
    "createrole_self_grant = ''",
    "temp_tablespaces = ''",
    "trapped.anything = 'of an extension'",
)


async def test_settings_of_a_role_change_nothing_about_it(
    supervise: Callable[..., Supervisor], trapped: Trapped
) -> None:
    with psycopg.connect(trapped.url, autocommit=True, options="-c search_path=pg_catalog") as admin:
        admin.execute("create role trapped_group; grant trapped_group to trapped_reader")
        try:
            for setting in ROLE_SETTINGS:
                with suppress(psycopg.errors.UndefinedObject):  # not a setting of this version
                    admin.execute(f"alter role trapped_reader set {setting}".encode())
            supervisor = supervise(trapped.reader_url)

            await _read_everything(supervisor)
            assert await _own_value(supervisor, "select current_user::text") == "trapped_group"
            assert await value(supervisor, "select 7") == 7
            await supervisor.close()
        finally:
            admin.execute("alter role trapped_reader reset all; drop role trapped_group")

    _no_trap_was_sprung(trapped)


@pytest.mark.parametrize("role", ["superuser", "reader"])
async def test_doctor_springs_no_trap(trapped: Trapped, role: str) -> None:
    url = trapped.url if role == "superuser" else trapped.reader_url
    settings = load_settings({"PG_MCP_DATABASE_URL": url}, env_file=None)

    findings = {finding.check: finding async for finding in examine_remote(settings, None)}

    statuses = {check.removeprefix("database main: "): each.status for check, each in findings.items()}
    for check in ("connection", "version", "read-only", "timeout", "cancel", "catalog", "data sent"):
        assert statuses[check] is Status.OK, findings
    assert statuses["role"] is (Status.WARN if role == "superuser" else Status.OK)
    _no_trap_was_sprung(trapped)


async def test_looks_into_tables_spring_no_trap(
    supervise: Callable[..., Supervisor], trapped: Trapped
) -> None:
    await _look_into_tables(_own_fetch(supervise(trapped.url)))

    _no_trap_was_sprung(trapped)


async def _look_into_tables(fetch: Callable[[str], Awaitable[Rows]]) -> None:
    catalog = await read_catalog(fetch)
    # Not validated: the path alone has to keep these from the traps.
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


_ENDING_BACKENDS = "worker/service.py"
"""Its statements need a killed worker; they run in the test below."""

_OUTSIDE_A_TRANSACTION = ("DEALLOCATE ALL", "SELECT pg_catalog.pg_advisory_unlock_all()", "SHOW POOL_VERSION")
"""They look up no name, or a qualified one without arguments."""

_HARDENED = """
revoke select on pg_catalog.pg_proc, pg_catalog.pg_language, pg_catalog.pg_policy, pg_catalog.pg_rewrite,
    pg_catalog.pg_foreign_table, pg_catalog.pg_inherits, pg_catalog.pg_extension from public;
revoke execute on function pg_catalog.pg_backend_pid(), pg_catalog.pg_partition_tree(regclass) from public;
"""


@pytest.mark.parametrize("trapped_database", ["traps_in_public"], indirect=True)
async def test_each_own_statement_is_read_only_with_only_pg_catalog_on_its_path(
    supervise: Callable[..., Supervisor], trapped: Trapped
) -> None:
    with trapped.logging_statements():
        await _run_every_statement(supervise(trapped.url), trapped.url)
        with trapped.changed(_HARDENED, _HARDENED.replace("revoke", "grant").replace(" from ", " to ")):
            hardened = supervise(trapped.reader_url)
            await _read_everything(hardened)
            await _look_into_tables(_own_fetch(hardened))
    ran = read_log(trapped.log())

    exposed = {
        each.text
        for each in ran
        if (each.begin, each.search_path) != (BEGIN_OWN.decode(), OWN_SEARCH_PATH)
        and each.text not in _OUTSIDE_A_TRANSACTION
    }
    assert exposed == {
        "SELECT * FROM ( select feels from people ) AS q LIMIT 1001",
        "CREATE TEMPORARY TABLE pgmcp_doctor_proof ()",  # has to run as a caller's, to be refused
    }
    texts = [each.text for each in ran]
    not_run = {
        start: file for start, file in own_statements().items() if not any(start in text for text in texts)
    }
    assert {start: file for start, file in not_run.items() if file != _ENDING_BACKENDS} == {}
    assert trapped.sprung() == []
    options = f"-c search_path={OWN_SEARCH_PATH.replace(' ', '')} -c log_statement=none"
    with psycopg.connect(trapped.url, options=options, prepare_threshold=None) as connection:
        # Columns of other tables than the catalog's are converted where they are varchar or a domain.
        of_catalog = {text for text in texts if is_own(text) and "public." not in text}
        resolved = {text: find_inexact(connection, text) for text in of_catalog}
    assert len(resolved) > 30
    assert {text: found for text, found in resolved.items() if found} == {}


async def _run_every_statement(supervisor: Supervisor, url: str) -> None:
    await _read_everything(supervisor)
    await _look_into_tables(_own_fetch(supervisor))
    await read_row_security(_own_fetch(supervisor))
    await read_mapped_roles(_own_fetch(supervisor), ["trapped_reader"])
    feels = [ColumnName("public", "people", "feels")]
    feels = await with_descendants(lambda sql: _own_rows(supervisor, sql), feels)
    await check_hidden(lambda sql: _own_rows(supervisor, sql), feels)
    await read_usable_schemas(lambda sql: _own_rows(supervisor, sql))
    await find_exposing_views(lambda sql: _own_rows(supervisor, sql), feels)
    async with pipeline_to(url) as pipeline:
        await pipeline.execute_sql("select feels from people")
        with pytest.raises(StatementFailedError):
            await pipeline.execute_sql("select * from nothing_here")
    settings = load_settings({"PG_MCP_DATABASE_URL": url}, env_file=None)
    async for _ in examine_remote(settings, None):
        pass


async def _own_rows(supervisor: Supervisor, sql: str) -> Sequence[Sequence[JsonScalar]]:
    return (await _own_fetch(supervisor)(sql)).rows


async def test_on_a_standby_no_trap_is_sprung(supervise: Callable[..., Supervisor]) -> None:
    with new_cluster({}) as primary:
        with psycopg.connect(primary.url(), autocommit=True) as admin:
            admin.execute("create database trapped")
        _set_traps(primary.url("trapped"), "trapped", "s", "s, pg_catalog, public")
        with new_standby(primary, {}) as standby:
            on_standby = Trapped(standby, "trapped")
            supervisor = supervise(on_standby.url)

            await _read_everything(supervisor)
            # The database asks for the isolation level serializable, in which a standby runs nothing.
            assert await value(supervisor, "select pg_catalog.pg_is_in_recovery()") is True
            await supervisor.close()

            _no_trap_was_sprung(on_standby)


@pytest.mark.skipif(sys.platform == "win32", reason="stops a worker with a signal")
async def test_ending_the_backend_of_a_killed_worker_springs_no_trap(
    supervise: Callable[..., Supervisor], spawn: Spawn, trapped: Trapped, cluster: EmbeddedPostgres
) -> None:
    recorded = RecordedSpawn(spawn)
    supervisor = supervise(with_application_name(trapped.url, "trapped"), spawn=recorded)
    sleep = SLEEP.replace("pg_sleep", "pg_catalog.pg_sleep")
    await value(supervisor, "select 7")

    with Backends(cluster.url(), "trapped") as backends:

        async def stop() -> None:
            await backends.until_running(sleep)
            os.kill(recorded.pids[0], signal.SIGSTOP)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(stop)
            with pytest.raises(DeadlineExceededError):
                await run(supervisor, sleep, timeout_s=2)
        await backends.until_ended(sleep)
    assert await value(supervisor, "select 7") == 7

    _no_trap_was_sprung(trapped)


async def test_temporary_objects_that_another_client_of_a_pooler_left_are_not_looked_up(
    supervise: Callable[..., Supervisor], trapped: Trapped
) -> None:
    program = find_pgbouncer()
    if program is None:
        pytest.skip("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
    with PgBouncer(program, trapped.url, pool_size=1) as bouncer:
        with psycopg.connect(bouncer.url(trapped.url), autocommit=True) as other:
            for relation in ("pg_class", "pg_proc", "pg_settings", "pg_type", "pg_namespace"):
                other.execute(f"create temporary table {relation} (nothing int)".encode())
            for name in ("text", "name", "oid", "int4", "regclass"):
                domain = f"create domain pg_temp.{name} as pg_catalog.text check (value is null)"
                other.execute(domain.encode())
        supervisor = supervise(bouncer.url(trapped.url))

        await _read_everything(supervisor)
        left = "select count(*) from pg_catalog.pg_class where relname = 'pg_settings'"
        assert await _own_value(supervisor, left) == 2
        await supervisor.close()

    _no_trap_was_sprung(trapped)
