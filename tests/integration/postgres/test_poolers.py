"""pgmcp recognises poolers by their answers, does not terminate their backends, and explains their errors."""

import asyncio
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import psycopg
import pytest
import trustme

from pgmcp.errors import (
    ConnectionLimitError,
    DatabaseAuthError,
    DeadlineExceededError,
    ExecutionError,
    StatementFailedError,
    UnreachableError,
    WorkerLostError,
)
from pgmcp.execution.spawn import Spawn, spawn_cold
from pgmcp.execution.supervisor import Supervisor
from pgmcp.execution.worker_process import WorkerProcess
from testing.activity import Activity, with_application_name
from testing.injected import RecordedSpawn
from testing.machine import HOST, free_port
from testing.mcp_server import server_environment
from testing.pgbouncer import PgBouncer, find_pgbouncer
from testing.pgpool import Pgpool, find_pgpool
from testing.processes import until
from testing.proxies import TcpHaProxy, find
from testing.raw_jsonrpc import RawServer
from testing.replica import new_cluster
from testing.statement_run import run, value
from worker.protocol import Open

pytestmark = pytest.mark.anyio

Supervise = Callable[..., Supervisor]

NAME = "pgmcp behind a pooler"
SLEEP = "select pg_sleep(600)"


def _pgbouncer() -> str:
    return find_pgbouncer() or pytest.skip("PgBouncer is not installed (Debian: apt-get install pgbouncer)")


@pytest.fixture
def direct_url(new_database: Callable[[], str]) -> str:
    return new_database()


@pytest.fixture
def pgpool_url(direct_url: str) -> Iterator[str]:
    program = find_pgpool() or pytest.skip("pgpool-II is not installed (Debian: apt-get install pgpool2)")
    with Pgpool(program, direct_url) as pgpool:
        yield with_application_name(pgpool.url(direct_url), NAME)


async def connect(spawn: Spawn, url: str) -> WorkerProcess:
    worker = WorkerProcess(await spawn())
    await worker.request(Open(1, url, {}, connect_timeout_s=5, memory_limit_mb=0))
    await worker.shut_down()
    return worker


async def test_pgpool_is_recognised_although_it_shows_the_backends_pid(spawn: Spawn, pgpool_url: str) -> None:
    with psycopg.connect(pgpool_url) as connection:
        assert connection.execute("select pg_backend_pid()").fetchone() == (connection.info.backend_pid,)

    worker = await connect(spawn, pgpool_url)

    assert worker.backend is None
    assert worker.pooler.startswith("pgpool-II ")


async def test_a_direct_connection_is_recognised(spawn: Spawn, direct_url: str) -> None:
    worker = await connect(spawn, direct_url)

    assert worker.backend is not None
    assert worker.pooler == ""


async def test_a_unix_socket_of_the_server_is_recognised_without_an_error_in_its_log(spawn: Spawn) -> None:
    with new_cluster({"unix_socket_directories": "."}) as cluster:
        parts = urlsplit(cluster.url())
        userinfo = parts.netloc.rpartition("@")[0]
        where = f"host={quote(str(cluster.data_dir), safe='')}&port={cluster.port}"
        worker = await connect(spawn, f"postgresql://{userinfo}@/postgres?{where}")
        log = (cluster.data_dir / "server.log").read_text()

    assert worker.backend is not None
    assert worker.pooler == ""
    assert "ERROR" not in log


async def test_a_roles_connection_limit_is_not_reported_as_the_pool_size(
    supervise: Supervise, direct_url: str
) -> None:
    with psycopg.connect(direct_url, autocommit=True) as admin:
        admin.execute("create role limited login password 'limited' connection limit 1")
        try:
            host = urlsplit(direct_url).netloc.rpartition("@")[2]
            url = urlunsplit(urlsplit(direct_url)._replace(netloc=f"limited:limited@{host}"))
            supervisor = supervise(url, max_workers=3)
            assert await value(supervisor, "select 1") == 1
            results = await asyncio.gather(
                run(supervisor, SLEEP, timeout_s=3),
                run(supervisor, SLEEP, timeout_s=1),
                return_exceptions=True,
            )
            await supervisor.close()
        finally:
            admin.execute("drop role limited")

    assert all(isinstance(each, ExecutionError) for each in results)
    hints = [each.hint for each in results if isinstance(each, ExecutionError)]
    assert "raise PG_MCP_DATABASE_MAX_POOL_SIZE" not in " ".join(hints)
    assert any("CONNECTION LIMIT" in hint for hint in hints)


@pytest.mark.parametrize("pool_mode", ["transaction", "session"])
async def test_pgbouncer_is_recognised_in_every_supported_mode(
    pool_mode: str, spawn: Spawn, direct_url: str
) -> None:
    with PgBouncer(_pgbouncer(), direct_url, pool_size=2, pool_mode=pool_mode) as bouncer:
        worker = await connect(spawn, bouncer.url(direct_url))

    assert worker.backend is None
    assert worker.pooler != ""


async def test_pgpool_keeps_serving_after_workers_are_killed(
    supervise: Supervise, spawn: Spawn, pgpool_url: str, direct_url: str
) -> None:
    recorded = RecordedSpawn(spawn)
    supervisor = supervise(pgpool_url, spawn=recorded)
    with Activity(direct_url, NAME) as activity:
        for _ in range(5):
            await _lose_a_worker(supervisor, recorded, activity)
            assert await value(supervisor, "select 1") == 1


async def test_refusals_of_pgpool_have_the_right_hint(supervise: Supervise, direct_url: str) -> None:
    program = find_pgpool() or pytest.skip("pgpool-II is not installed (Debian: apt-get install pgpool2)")
    more = "num_init_children = 2\nreserved_connections = 1\n"
    with Pgpool(program, direct_url, more=more) as pgpool:
        url = pgpool.url(direct_url)
        wrong = await refusal(supervise(_with_user(url, f"{urlsplit(url).username}:wrong")))
        with psycopg.connect(f"{url}?sslmode=disable"):
            full = await refusal(supervise(f"{url}?sslmode=disable"))
            before_tls = await refusal(supervise(url))

    assert isinstance(wrong, DatabaseAuthError)
    assert "the user or the password is wrong" in wrong.hint
    assert isinstance(full, ConnectionLimitError)
    assert "pgpool-II's limit of connections (num_init_children)" in str(full)
    assert "num_init_children" in full.hint
    assert "num_init_children" in before_tls.hint


async def _lose_a_worker(supervisor: Supervisor, recorded: RecordedSpawn, activity: Activity) -> None:
    before = set(activity.running("pg_sleep"))
    call = asyncio.create_task(run(supervisor, SLEEP, timeout_s=3))
    await until(lambda: bool(set(activity.running("pg_sleep")) - before), "the statement runs")
    for pid in recorded.pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerLostError):
        await call


async def refusal(supervisor: Supervisor) -> ExecutionError:
    with pytest.raises(ExecutionError) as refused:
        await value(supervisor, "select 1")
    return refused.value


async def test_refusals_of_pgbouncer_have_the_right_code_and_hint(
    supervise: Supervise, direct_url: str
) -> None:
    name = urlsplit(direct_url).path.strip("/")
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1, database=name) as bouncer:
        url = bouncer.url(direct_url)

        unknown = await refusal(supervise(_with_database(url, "nodb")))
        options = await refusal(supervise(f"{url}?options=-cgeqo%3Doff"))

    assert isinstance(unknown, DatabaseAuthError)
    assert "[databases]" in unknown.hint
    assert isinstance(options, UnreachableError)
    assert "ignore_startup_parameters" in options.hint


@pytest.mark.parametrize(
    ("query", "variables", "hint"),
    [
        ("replication=0", {}, "remove replication from the URL"),
        ("replication=off", {}, "remove replication from the URL"),
        ("options=-cgeqo%3Doff", {}, "remove it from the URL (`options=`)"),
        ("", {"PGOPTIONS": "-cgeqo=off"}, "from the environment (PGOPTIONS)"),
        ("", {"PGGEQO": "off"}, "unset PGGEQO"),
    ],
)
async def test_the_hint_names_where_a_startup_parameter_comes_from(
    supervise: Supervise,
    direct_url: str,
    monkeypatch: pytest.MonkeyPatch,
    query: str,
    variables: dict[str, str],
    hint: str,
) -> None:
    for name, text in variables.items():
        monkeypatch.setenv(name, text)
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1) as bouncer:
        url = f"{bouncer.url(direct_url)}?{query}"
        with pytest.raises(psycopg.OperationalError, match="unsupported startup parameter"):
            psycopg.connect(url)

        refused = await refusal(supervise(url, spawn=spawn_cold))

    assert isinstance(refused, UnreachableError)
    assert hint in refused.hint


async def test_a_login_that_pgbouncer_rejects_is_named(
    supervise: Supervise, direct_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    hba = tmp_path_factory.mktemp("hba") / "hba.conf"  # under a folder that PgBouncer's user can enter
    hba.write_text("host all all 127.0.0.1/32 reject\n")
    for path in (hba, *hba.parents[:3]):
        path.chmod(0o755)
    with PgBouncer(
        _pgbouncer(), direct_url, pool_size=1, more=f"auth_type = hba\nauth_hba_file = {hba}"
    ) as bouncer:
        refused = await refusal(supervise(bouncer.url(direct_url)))

    assert isinstance(refused, DatabaseAuthError)
    assert "auth_hba_file" in refused.hint


@pytest.fixture(scope="module")
def tls_lines() -> Iterator[str]:
    """PgBouncer's settings for a TLS certificate, without `client_tls_sslmode`."""
    with tempfile.TemporaryDirectory(prefix="pgmcp-pgbouncer-tls-") as name:
        folder, authority = Path(name), trustme.CA()
        folder.chmod(0o755)  # PgBouncer runs as another user
        certificate = authority.issue_cert(HOST)
        authority.cert_pem.write_to_path(folder / "ca.pem")
        certificate.private_key_pem.write_to_path(folder / "key.pem")
        certificate.cert_chain_pems[0].write_to_path(folder / "cert.pem")
        yield "".join(
            f"client_tls_{setting}_file = {folder}/{setting}.pem\n" for setting in ("ca", "key", "cert")
        )


@pytest.mark.parametrize(
    ("ssl_mode", "query", "expected", "hint"),
    [
        ("require", "?sslmode=disable", "SSL required", "PG_MCP_DATABASE_SSL_MODE=require"),
        ("verify-ca", "", "certificate required", "sslcert="),
    ],
)
async def test_tls_that_pgbouncer_requires_is_named(
    supervise: Supervise, direct_url: str, tls_lines: str, ssl_mode: str, query: str, expected: str, hint: str
) -> None:
    more = f"{tls_lines}client_tls_sslmode = {ssl_mode}"
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1, more=more) as bouncer:
        refused = await refusal(supervise(bouncer.url(direct_url) + query))

    assert isinstance(refused, DatabaseAuthError)
    assert expected in str(refused)
    assert hint in refused.hint


@pytest.mark.parametrize(
    ("more", "expected", "hint"),
    [
        ("", "SASL authentication failed", "not an MD5 hash"),
        ("auth_type = trust", '"trust" authentication failed', "auth_file or by auth_query"),
        ("auth_user = postgres", "no such user", "check PG_MCP_DATABASE_USER"),
        ("auth_user = postgres\nauth_query = select 1", "bouncer config error", "correct auth_query"),
    ],
)
async def test_the_error_for_a_user_unknown_to_pgbouncer_names_where_users_are_set(
    supervise: Supervise, direct_url: str, more: str, expected: str, hint: str
) -> None:
    parts = urlsplit(direct_url)
    stranger = urlunsplit(parts._replace(netloc=f"stranger:pass@{parts.netloc.rpartition('@')[2]}"))
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1, more=more) as bouncer:
        refused = await refusal(supervise(bouncer.url(stranger)))

    assert isinstance(refused, DatabaseAuthError)
    assert expected in str(refused)
    assert hint in refused.hint


async def test_pgbouncers_own_limit_of_a_statement_is_named(supervise: Supervise, direct_url: str) -> None:
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1, more="query_timeout = 1") as bouncer:
        supervisor = supervise(bouncer.url(direct_url))
        with pytest.raises(
            DeadlineExceededError, match=r"may still be running .*: query_timeout, set in pgbouncer\.ini"
        ):
            await value(supervisor, "select pg_sleep(60)")


@pytest.mark.parametrize("sql", ["select repeat('x', 50000)", f"select '{'x' * 50_000}'"], ids=["row", "sql"])
async def test_pgbouncers_limit_of_a_packets_length_fails_only_the_statement(
    supervise: Supervise, direct_url: str, sql: str
) -> None:
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1, more="max_packet_size = 20000") as bouncer:
        supervisor = supervise(bouncer.url(direct_url))
        with pytest.raises(StatementFailedError, match=r"bad (packet|pkt) header") as refused:
            await value(supervisor, sql)

        assert "max_packet_size" in refused.value.hint
        assert await value(supervisor, "select 1") == 1


async def test_a_packet_length_that_is_too_short_for_pgmcp_is_named(
    supervise: Supervise, direct_url: str
) -> None:
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1, more="max_packet_size = 1024") as bouncer:
        refused = await refusal(supervise(bouncer.url(direct_url)))

    assert "max_packet_size" in refused.hint


async def test_a_packet_length_that_is_too_short_for_reads_of_the_catalog_is_named(
    direct_url: str, tmp_path: Path
) -> None:
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1, more="max_packet_size = 8192") as bouncer:
        url = bouncer.url(direct_url)
        with psycopg.connect(url, prepare_threshold=None) as other:
            assert other.execute("select 1").fetchone() == (1,)
        with RawServer(server_environment(url), tmp_path) as server:
            server.initialize()
            refused = server.call("execute_sql", sql="select 1")

    assert refused.code == "catalog_denied"
    assert "max_packet_size: have its administrator raise it" in refused.text


async def test_pgbouncer_with_disabled_simple_queries_works(supervise: Supervise, direct_url: str) -> None:
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1, more="disable_pqexec = 1") as bouncer:
        assert await value(supervise(bouncer.url(direct_url)), "select 1") == 1


@pytest.mark.parametrize(
    ("variable", "setting", "expression", "shown"),
    [
        (
            "PGDATESTYLE",
            "SQL, DMY",
            "concat('01/02/03'::date, ' ', to_char('01/02/03'::date, 'YYYY-MM-DD'))",
            "01/02/2003 2003-02-01",
        ),
        ("PGTZ", "Asia/Tokyo", "concat(timestamptz '2026-01-01 00:00+00')", "2026-01-01 09:00:00+09"),
    ],
)
async def test_behind_pgbouncer_settings_of_libpqs_variables_apply(
    supervise: Supervise,
    direct_url: str,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    setting: str,
    expression: str,
    shown: str,
) -> None:
    monkeypatch.setenv(variable, setting)
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1) as bouncer:
        url = bouncer.url(direct_url)
        with psycopg.connect(url, prepare_threshold=None) as plain:
            expected = plain.execute(f"select {expression}".encode()).fetchone()

        seen = await value(supervise(url, spawn=spawn_cold), f"select {expression}")

    assert (seen,) == expected == (shown,)


async def test_pgbouncers_statement_mode_is_named(supervise: Supervise, direct_url: str) -> None:
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1, pool_mode="statement") as bouncer:
        refused = await refusal(supervise(bouncer.url(direct_url)))

    assert refused.code == "auth"
    assert "pool_mode = transaction" in refused.hint


async def test_pgbouncers_admin_console_is_named(supervise: Supervise, direct_url: str) -> None:
    user = urlsplit(direct_url).username
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1, more=f"admin_users = {user}") as bouncer:
        refused = await refusal(supervise(_with_database(bouncer.url(direct_url), "pgbouncer")))

    assert "admin console" in str(refused)
    assert "set the name of a database" in refused.hint


async def test_pgbouncers_admin_console_is_named_to_a_user_who_may_not_open_it(
    supervise: Supervise, direct_url: str
) -> None:
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1) as bouncer:
        refused = await refusal(supervise(_with_database(bouncer.url(direct_url), "pgbouncer")))

    assert refused.code == "auth"
    assert "admin console" in refused.hint


async def test_at_pgbouncers_client_limit_a_call_waits_and_the_error_names_the_limit(
    supervise: Supervise, direct_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1, more="max_client_conn = 1") as bouncer:
        url = bouncer.url(direct_url)
        with psycopg.connect(url, prepare_threshold=None) as other:
            other.execute("select 1")
            supervisor = supervise(url, max_workers=3)
            call = asyncio.create_task(run(supervisor, "select 1", timeout_s=60))
            await until(lambda: "no new worker" in caplog.text, "a connection was refused")
            with pytest.raises(ConnectionLimitError, match="the pooler's limit") as refused:
                await run(supervisor, "select 1", timeout_s=0.01)

        assert (await call).rows[0][0] == 1
        await supervisor.close()
    assert "max_client_conn" in refused.value.hint
    assert "raise PG_MCP_DATABASE_MAX_POOL_SIZE" not in refused.value.hint


async def test_a_wait_for_a_server_connection_that_pgbouncer_ends_is_named(
    supervise: Supervise, direct_url: str
) -> None:
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1, more="query_wait_timeout = 1") as bouncer:
        url = bouncer.url(direct_url)
        with psycopg.connect(url, prepare_threshold=None) as other:
            other.execute("select 1")  # holds the only server connection
            refused = await refusal(supervise(url))

    assert "default_pool_size" in refused.hint


def _with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


async def test_a_database_that_pgbouncer_has_paused_or_disabled_is_named(
    supervise: Supervise, direct_url: str
) -> None:
    name, user = urlsplit(direct_url).path.strip("/"), urlsplit(direct_url).username
    more = f"admin_users = {user}"
    with PgBouncer(_pgbouncer(), direct_url, pool_size=1, database=name, more=more) as bouncer:
        url = bouncer.url(direct_url)
        with _console(url) as console, psycopg.connect(url, prepare_threshold=None) as other:
            other.execute("select 1")
            other.rollback()
            console.execute(f"pause {name}".encode())
            paused = await refusal(supervise(f"{url}?connect_timeout=2"))
            console.execute(f"resume {name}".encode())
            console.execute(f"disable {name}".encode())
            disabled = await refusal(supervise(url))

    assert isinstance(paused, UnreachableError)
    assert "RESUME" in paused.hint
    assert isinstance(disabled, UnreachableError)
    assert "is disabled" in str(disabled)
    assert "ENABLE" in disabled.hint


async def test_a_server_that_refuses_pgbouncers_login_is_named(supervise: Supervise, direct_url: str) -> None:
    with psycopg.connect(direct_url, autocommit=True) as admin:
        admin.execute("create role pooled_login login password 'old'")
        host = urlsplit(direct_url).netloc.rpartition("@")[2]
        pooled = urlunsplit(urlsplit(direct_url)._replace(netloc=f"pooled_login:old@{host}"))
        more = "server_login_retry = 60"
        try:
            with PgBouncer(_pgbouncer(), pooled, pool_size=1, more=more) as bouncer:
                url = bouncer.url(pooled)
                with psycopg.connect(url, prepare_threshold=None) as other:
                    other.execute("select 1")
                admin.execute("alter role pooled_login password 'new'")
                admin.execute(
                    "select pg_terminate_backend(pid, 5000) from pg_stat_activity"
                    " where usename = 'pooled_login'"
                )
                first = await refusal(supervise(f"{url}?connect_timeout=2"))
                later = await refusal(supervise(url))
        finally:
            admin.execute("drop role pooled_login")

    assert isinstance(first, UnreachableError)
    assert "PgBouncer's log says whether it can log in" in first.hint
    assert isinstance(later, UnreachableError)
    assert "server_login_retry" in str(later)
    assert "PgBouncer cannot log in to the PostgreSQL server" in later.hint


def _console(url: str) -> psycopg.Connection[object]:
    """Connect to PgBouncer's admin console, which supports only the simple query protocol."""
    return psycopg.connect(
        _with_database(url, "pgbouncer"), autocommit=True, cursor_factory=psycopg.ClientCursor
    )


async def test_a_role_that_pgbouncer_finds_by_auth_query_logs_in(
    supervise: Supervise, direct_url: str
) -> None:
    auth_user = urlsplit(direct_url).username
    more = f"auth_user = {auth_user}\nauth_query = select usename, passwd from pg_shadow where usename = $1"
    with psycopg.connect(direct_url, autocommit=True) as admin:
        admin.execute("create role queried login password 'one'")
        try:
            with PgBouncer(_pgbouncer(), direct_url, pool_size=1, more=more) as bouncer:
                url = bouncer.url(direct_url)
                answer = await value(supervise(_with_user(url, "queried:one")), "select current_user")
                wrong = await refusal(supervise(_with_user(url, "queried:two")))
                admin.execute("alter role queried nologin")
                locked = await refusal(supervise(_with_user(url, "queried:one")))
                no_database = await refusal(
                    supervise(_with_database(_with_user(url, "queried:one"), "nodb") + "?connect_timeout=2")
                )
        finally:
            admin.execute("drop role queried")

    assert answer == "queried"
    assert isinstance(wrong, DatabaseAuthError)
    assert "the password is wrong" in wrong.hint
    assert isinstance(locked, DatabaseAuthError)
    assert "auth_query, which finds only roles with LOGIN" in locked.hint
    assert isinstance(no_database, UnreachableError)
    assert "the name of the database" in no_database.hint


def _with_user(url: str, user: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}"))


def _with_port(url: str, port: int) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=f"{parts.netloc.rpartition(':')[0]}:{port}"))


def _haproxy() -> None:
    if find("haproxy") is None:
        pytest.skip("HAProxy is not installed (Debian: apt-get install haproxy)")


async def test_behind_haproxy_a_dead_server_beside_a_working_one_fails_no_statement(
    supervise: Supervise, direct_url: str
) -> None:
    _haproxy()
    with TcpHaProxy([free_port(), urlsplit(direct_url).port or 0]) as proxy:
        url = _with_port(direct_url, proxy.port)

        assert [await value(supervise(url), "select 1") for _ in range(4)] == [1, 1, 1, 1]


async def test_behind_haproxy_without_a_working_server_the_hint_names_the_proxy(
    supervise: Supervise, direct_url: str
) -> None:
    _haproxy()
    with TcpHaProxy([free_port(), free_port()]) as proxy:
        url = _with_port(direct_url, proxy.port)
        with pytest.raises(psycopg.OperationalError, match="server closed the connection unexpectedly"):
            psycopg.connect(url)
        refused = await refusal(supervise(url))

    assert isinstance(refused, UnreachableError)
    assert "a proxy such as HAProxy or nginx does so if no server behind it works" in refused.hint
    assert "transaction_timeout" not in refused.hint


async def test_a_statement_that_outlasts_haproxys_timeout_is_named(
    supervise: Supervise, direct_url: str
) -> None:
    _haproxy()
    with TcpHaProxy([urlsplit(direct_url).port or 0], timeout_s=1) as proxy:
        supervisor = supervise(_with_port(direct_url, proxy.port))
        with pytest.raises(UnreachableError) as lost:
            await value(supervisor, "select pg_sleep(60)")

        assert await value(supervisor, "select 1") == 1
    assert "`timeout server`" in lost.value.hint
