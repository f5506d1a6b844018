"""What a DBA sees of pgmcp: how many connections it opens, how it ends them, and what it does at a limit."""

import asyncio
import itertools
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from pgmcp.errors import ConnectionLimitError
from pgmcp.execution.connecting import ConnectionTarget, Connector
from pgmcp.execution.spawn import Spawn
from pgmcp.execution.supervisor import Supervisor
from pgmcp.execution.worker_process import WorkerProcess
from pgmcp.execution.worker_starts import WorkerStarts
from testing.activity import Activity, until
from testing.command_line import run as run_command
from testing.injected import Retries
from testing.mcp_server import server_environment
from testing.processes import until as until_logged
from testing.raw_jsonrpc import RawServer
from testing.statement_run import run, value
from testing.tcp_proxy import TcpProxy
from testing.tls_postgres import TlsPostgres

pytestmark = pytest.mark.anyio

RESET = "Connection reset by peer"
ABRUPT = re.compile(r"reset by peer|unexpected EOF|Broken pipe|could not (?:send|receive)|SSL error")
PATIENCE_S = 60.0
"""Timeout of calls that need a second worker, because a busy machine starts workers slowly."""

SLOW = "select count(*) from generate_series(1, 100000000) as a"


def test_a_command_opens_one_connection_and_ends_it_with_terminate(
    tls_server: TlsPostgres, tmp_path: Path
) -> None:
    log_before = tls_server.log()
    commands = (("sql", "select 1"), ("schema",), ("setup-sql", "--check"))
    for arguments in commands:
        done = run_command(server_environment(tls_server.url(sslmode="require")), tmp_path, *arguments)
        assert "Traceback" not in done.stderr.decode()

    log = tls_server.log()[len(log_before) :]
    assert log.count("connection authorized") == len(commands)
    assert not [line for line in log.splitlines() if ABRUPT.search(line)]


def test_a_server_ends_its_connections_with_terminate(tls_server: TlsPostgres, tmp_path: Path) -> None:
    log_before = tls_server.log()
    with RawServer(server_environment(tls_server.url(sslmode="require")), tmp_path) as server:
        server.initialize()
        assert not server.call("execute_sql", sql="select 1").is_error

    log = tls_server.log()[len(log_before) :]
    assert "connection authorized" in log
    assert RESET not in log


async def test_a_connection_that_is_being_made_when_its_server_ends_also_ends_with_terminate(
    spawn: Spawn, tls_server: TlsPostgres
) -> None:
    port = urlsplit(tls_server.url()).port
    assert port is not None
    proxy = TcpProxy(port)
    proxy.delay_s = 0.005  # makes the login slow
    await proxy.listen()
    # A server that compiles statements may need longer than the worker has at its end.
    url = tls_server.url(sslmode="require", application_name="early", options="-cjit=off")
    url = url.replace(f":{port}/", f":{proxy.port}/")
    log_before = tls_server.log()
    supervisor = Supervisor(
        ConnectionTarget(url, {}), spawn=spawn, min_workers=1, max_workers=1, max_waiting=1
    )
    supervisor.prestart()
    await until_logged(lambda: "connection authorized" in tls_server.log()[len(log_before) :], "it logs in")
    await supervisor.close()
    await until_logged(lambda: "disconnection:" in tls_server.log()[len(log_before) :], "its end arrives")
    await proxy.refuse()

    log = tls_server.log()[len(log_before) :]
    assert not [line for line in log.splitlines() if ABRUPT.search(line)]


@pytest.mark.skipif(sys.platform != "linux", reason="the fork server is Linux's")
@pytest.mark.parametrize("end", ["killed", "closed"])
def test_a_statement_whose_server_ends_is_cancelled_and_its_connection_ends_with_terminate(
    tls_server: TlsPostgres, tmp_path: Path, end: str
) -> None:
    log_before = tls_server.log()
    # PostgreSQL takes no cancel while it compiles a statement, which takes seconds on a busy machine.
    url = tls_server.url(sslmode="require", application_name=f"server-{end}", options="-cjit=off")
    with (
        RawServer(server_environment(url), tmp_path) as server,
        Activity(tls_server.url("postgres"), f"server-{end}") as activity,
    ):
        server.initialize()
        server.start_call("execute_sql", sql=SLOW)
        activity.until_running(SLOW)
        if end == "killed":
            server.send_signal(signal.SIGKILL)
        else:
            server.close_stdin()
        until(lambda: not activity.sessions(), "all sessions have ended")

    log = tls_server.log()[len(log_before) :]
    assert "canceling statement due to user request" in log
    assert not [line for line in log.splitlines() if ABRUPT.search(line)]


def test_a_connection_in_place_of_a_terminated_one_ends_with_terminate_too(
    tls_server: TlsPostgres, tmp_path: Path
) -> None:
    log_before = tls_server.log()
    url = tls_server.url(sslmode="require", application_name="replaced")
    with (
        Activity(tls_server.url("postgres"), "replaced") as activity,
        psycopg.connect(tls_server.url("postgres"), autocommit=True) as admin,
    ):
        with RawServer(server_environment(url), tmp_path) as server:
            server.initialize()
            call = server.start_call("execute_sql", sql=SLOW)
            terminated = activity.until_running(SLOW)
            known = set(activity.sessions())
            admin.execute("select pg_terminate_backend(%s)", (terminated,))
            assert server.result_of(call).is_error
            until(lambda: bool(set(activity.sessions()) - known), "the worker has connected again")
        activity.until_gone()

    log = tls_server.log()[len(log_before) :]
    assert "terminating connection due to administrator command" in log
    assert not [line for line in log.splitlines() if ABRUPT.search(line)]


@contextmanager
def limited(tls_server: TlsPostgres, connections: int) -> Iterator[None]:
    """Set the connection limit of the role `reader`."""
    with psycopg.connect(tls_server.url("postgres"), autocommit=True) as admin:
        admin.execute(f"alter role reader connection limit {connections}".encode())
        try:
            yield
        finally:
            admin.execute(b"alter role reader connection limit -1")


async def test_at_the_connection_limit_of_the_role_calls_wait_for_the_workers_that_exist(
    supervise: Callable[..., Supervisor], tls_server: TlsPostgres
) -> None:
    with limited(tls_server, 2):
        supervisor = supervise(tls_server.url(), max_workers=10, max_waiting=20)
        numbers = [value(supervisor, f"select {number} from pg_sleep(0.05)") for number in range(12)]

        assert await asyncio.gather(*numbers) == list(range(12))


async def test_at_the_limit_a_process_without_a_connection_waits_until_another_ends(
    supervise: Callable[..., Supervisor], tls_server: TlsPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    with limited(tls_server, 1):
        other = psycopg.connect(tls_server.url())
        supervisor = supervise(tls_server.url())
        calls = [
            asyncio.create_task(run(supervisor, f"select {number}", timeout_s=PATIENCE_S))
            for number in range(3)
        ]
        await until_logged(lambda: "no new worker" in caplog.text, "a connection was refused")
        with pytest.raises(ConnectionLimitError, match="the role's connection limit") as raised:
            await run(supervisor, "select 1", timeout_s=0.01)
        other.close()

        assert [rows.rows[0][0] for rows in await asyncio.gather(*calls)] == [0, 1, 2]
    assert "no connection became free within 0.01 s" in str(raised.value)
    assert "ALTER ROLE" in raised.value.hint


async def test_a_worker_that_finds_the_limit_reached_when_it_connects_again_lets_its_call_wait(
    supervise: Callable[..., Supervisor], tls_server: TlsPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    supervisor = supervise(tls_server.url(application_name="ended"), max_workers=1)
    assert await value(supervisor, "select 1") == 1
    with limited(tls_server, 0), psycopg.connect(tls_server.url("postgres"), autocommit=True) as admin:
        admin.execute(
            b"select pg_terminate_backend(pid, 60000) from pg_stat_activity where application_name = 'ended'"
        )
        call = asyncio.create_task(run(supervisor, "select 2", timeout_s=PATIENCE_S))
        await until_logged(lambda: "no new worker" in caplog.text, "a connection was refused")

    assert (await call).rows[0][0] == 2


async def test_attempts_at_a_reached_limit_become_seldom_and_each_is_one_line_in_the_servers_log(
    spawn: Spawn, tls_server: TlsPostgres
) -> None:
    retries, ids = Retries(), itertools.count(1)
    connected: list[WorkerProcess] = []
    connector = Connector(
        ConnectionTarget(tls_server.url(sslmode="require"), {}), spawn=spawn, next_id=lambda: next(ids)
    )
    starts = WorkerStarts(
        connector,
        "shop",
        on_connected=connected.append,
        on_refused=lambda error: starts.try_again_later(has_workers=False),
        on_retry=lambda: starts.begin(1),
        clock=retries.clock,
        call_later=retries.call_later,
    )
    with limited(tls_server, 1), psycopg.connect(tls_server.url()):
        log_before = tls_server.log()
        starts.begin(1)
        for _ in range(8):
            await asyncio.gather(*starts.tasks)
            retries.run_retry()
        await asyncio.gather(*starts.tasks)
        log = tls_server.log()[len(log_before) :]
    retries.run_retry()  # the other connection has ended
    await asyncio.gather(*starts.tasks)
    (worker,) = connected
    await worker.shut_down()

    assert retries.delays_s == [0.5, 0.5, 0.5, 1.0, 2.0, 4.0, 5.0, 5.0, 5.0]
    assert log.count("too many connections for role") == 9
    assert starts.last_refusal is None
    assert starts.may_begin
