"""pgmcp connects to and reads a database whose search_path leads to traps, and triggers none of them."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress

import anyio
import psycopg
import pytest

from pgmcp.cli.doctor.examination import examine_remote
from pgmcp.cli.doctor.report import Status
from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.errors import DeadlineExceededError
from pgmcp.execution.spawn import Spawn
from pgmcp.execution.supervisor import Supervisor
from pgmcp.settings.load import load_settings
from testing.activity import Backends, with_application_name
from testing.front_process import SLEEP
from testing.injected import RecordedSpawn
from testing.pgbouncer import PgBouncer, find_pgbouncer
from testing.replica import new_cluster, new_standby
from testing.statement_run import run, value
from testing.trapped_database import (
    Trapped,
    find_faults,
    own_fetch,
    read_everything,
    run_every_statement,
    sample_tables,
    set_traps,
)
from worker.protocol import StatementOrigin

pytestmark = pytest.mark.anyio

_PATH_BY_DATABASE = {"traps_before_pg_catalog": "s, pg_catalog, public", "traps_in_public": '"$user", public'}


@pytest.fixture(scope="module", params=_PATH_BY_DATABASE)
def trapped_database(request: pytest.FixtureRequest, cluster: EmbeddedPostgres) -> Iterator[str]:
    """A database with traps: once in a schema before pg_catalog, once in `public` on the default path.

    No test changes the database.
    """
    name, path = request.param, _PATH_BY_DATABASE[request.param]
    with psycopg.connect(cluster.url(), autocommit=True) as admin:
        admin.execute(f"create database {name}".encode())
        try:
            admin.execute("create role trapped_reader login password 'pass'")
            set_traps(cluster.url(name), "s" if path.startswith("s,") else "public", path)
            yield name
        finally:
            admin.execute(f"drop database {name} with (force)".encode())
            admin.execute("drop role trapped_reader")


@pytest.fixture
def trapped(cluster: EmbeddedPostgres, trapped_database: str) -> Trapped:
    return Trapped(cluster.url(trapped_database), cluster.data_dir / "server.log")


@pytest.fixture(params=[True, False], ids=["read only", "not read only"])
def read_only(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def _own_value(supervisor: Supervisor, statement: str) -> object:
    return (await run(supervisor, statement, origin=StatementOrigin.OWN)).rows[0][0]


def _no_trap_was_triggered(trapped: Trapped) -> None:
    assert trapped.triggered() == []
    assert trapped.rows_logged() == 0


def test_the_traps_act_if_names_are_resolved_on_the_path_of_the_database(trapped: Trapped) -> None:
    with psycopg.connect(trapped.url) as connection:
        connection.execute("select (5::oid)::text")
        connection.rollback()

    assert trapped.triggered()


async def test_connecting_and_reading_the_catalog_activates_no_trap(
    supervise: Callable[..., Supervisor], trapped: Trapped, read_only: bool
) -> None:
    supervisor = supervise(trapped.url, read_only=read_only)

    await read_everything(supervisor)
    assert await value(supervisor, "select 7") == 7
    assert await value(supervisor, "select 'sad'::mood") == "sad"

    _no_trap_was_triggered(trapped)


async def test_behind_pgbouncer_no_trap_acts(supervise: Callable[..., Supervisor], trapped: Trapped) -> None:
    program = find_pgbouncer()
    if program is None:
        pytest.skip("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
    with PgBouncer(program, trapped.url, pool_size=2) as bouncer:
        supervisor = supervise(bouncer.url(trapped.url))

        await read_everything(supervisor)
        assert await value(supervisor, "select 7") == 7
        await supervisor.close()

    _no_trap_was_triggered(trapped)


async def test_a_role_that_can_only_read_activates_no_trap(
    supervise: Callable[..., Supervisor], trapped: Trapped
) -> None:
    supervisor = supervise(trapped.reader_url)

    await read_everything(supervisor)
    assert await _own_value(supervisor, "select current_user::text") == "trapped_reader"

    _no_trap_was_triggered(trapped)


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


async def test_traps_do_not_act_whatever_the_role_sets(
    supervise: Callable[..., Supervisor], trapped: Trapped
) -> None:
    with psycopg.connect(trapped.url, autocommit=True, options="-c search_path=pg_catalog") as admin:
        admin.execute("create role trapped_group; grant trapped_group to trapped_reader")
        try:
            for setting in ROLE_SETTINGS:
                with suppress(psycopg.errors.UndefinedObject):  # not a setting of this version
                    admin.execute(f"alter role trapped_reader set {setting}".encode())
            supervisor = supervise(trapped.reader_url)

            await read_everything(supervisor)
            assert await _own_value(supervisor, "select current_user::text") == "trapped_group"
            assert await value(supervisor, "select 7") == 7
            await supervisor.close()
        finally:
            admin.execute("alter role trapped_reader reset all; drop role trapped_group")

    _no_trap_was_triggered(trapped)


@pytest.mark.parametrize("role", ["superuser", "reader"])
async def test_doctor_activates_no_trap(trapped: Trapped, role: str) -> None:
    url = trapped.url if role == "superuser" else trapped.reader_url
    settings = load_settings({"PG_MCP_DATABASE_URL": url}, env_file=None)

    findings = {finding.check: finding async for finding in examine_remote(settings, None)}

    statuses = {check.removeprefix("database main: "): each.status for check, each in findings.items()}
    for check in ("connection", "version", "read-only", "timeout", "cancel", "catalog", "data sent"):
        assert statuses[check] is Status.OK, findings
    assert statuses["role"] is (Status.WARN if role == "superuser" else Status.OK)
    _no_trap_was_triggered(trapped)


async def test_sampling_of_tables_activates_no_trap(
    supervise: Callable[..., Supervisor], trapped: Trapped
) -> None:
    await sample_tables(own_fetch(supervise(trapped.url)))

    _no_trap_was_triggered(trapped)


@pytest.mark.parametrize("trapped_database", ["traps_in_public"], indirect=True)
async def test_each_own_statement_is_read_only_with_only_pg_catalog_on_its_path(
    spawn: Spawn, trapped: Trapped
) -> None:
    ran = await run_every_statement(trapped, spawn)

    assert find_faults(trapped, ran) == []


async def test_on_a_standby_no_trap_acts(supervise: Callable[..., Supervisor]) -> None:
    with new_cluster({}) as primary:
        with psycopg.connect(primary.url(), autocommit=True) as admin:
            admin.execute("create database trapped")
        set_traps(primary.url("trapped"), "s", "s, pg_catalog, public")
        with new_standby(primary, {}) as standby:
            on_standby = Trapped(standby.url("trapped"), standby.data_dir / "server.log")
            supervisor = supervise(on_standby.url)

            await read_everything(supervisor)
            # The database asks for the isolation level serializable, in which a standby runs nothing.
            assert await value(supervisor, "select pg_catalog.pg_is_in_recovery()") is True
            await supervisor.close()

            _no_trap_was_triggered(on_standby)


@pytest.mark.skipif(sys.platform == "win32", reason="stops a worker with a signal")
async def test_ending_the_backend_of_a_killed_worker_activates_no_trap(
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

    _no_trap_was_triggered(trapped)


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

        await read_everything(supervisor)
        left = "select count(*) from pg_catalog.pg_class where relname = 'pg_settings'"
        assert await _own_value(supervisor, left) == 2
        await supervisor.close()

    _no_trap_was_triggered(trapped)
