"""If the server, a backend, a worker or the network fails: at most one clear error, and later calls work."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator

import anyio
import psycopg
import pytest

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.errors import (
    DatabaseAuthError,
    PgmcpError,
    ResultTooLargeError,
    StatementFailedError,
    UnreachableError,
    WorkerLostError,
)
from pgmcp.execution.fork_server import can_fork
from pgmcp.execution.result import RowLimits
from pgmcp.execution.spawn import Spawn
from pgmcp.execution.supervisor import Supervisor
from testing import front_process
from testing.activity import Backends, with_application_name
from testing.front_process import SLEEP
from testing.injected import RecordedSpawn
from testing.processes import is_there, until_gone
from testing.statement_run import run, value
from testing.tcp_proxy import tcp_proxy

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="kills with signals"),
]

Supervise = Callable[..., Supervisor]

NAME = "recovery-tests"
LONG_VALUE = "select repeat(repeat('x', 1000000), 300)"


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    return with_application_name(new_database(), NAME)


@pytest.fixture
def admin_url(cluster: EmbeddedPostgres) -> str:
    return cluster.url()


@pytest.fixture
def backends(admin_url: str) -> Iterator[Backends]:
    with Backends(admin_url, NAME) as backends:
        yield backends


async def fails(supervisor: Supervisor, sql: str, errors: list[PgmcpError]) -> None:
    with pytest.raises(PgmcpError) as raised:
        await run(supervisor, sql)
    errors.append(raised.value)


async def error_when(
    supervisor: Supervisor, backends: Backends, event: Callable[[int], object]
) -> PgmcpError:
    """Run a statement, call `event` with the pid of its backend, and return the statement's error."""
    errors: list[PgmcpError] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(fails, supervisor, SLEEP, errors)
        event(await backends.until_running(SLEEP))
    return errors[0]


def peak_memory_kb() -> int:
    import resource  # does not exist on every system

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def execute(url: str, sql: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.encode())


async def test_a_restart_of_the_server_between_two_statements_fails_no_call(
    supervise: Supervise, cluster: EmbeddedPostgres, url: str
) -> None:
    supervisor = supervise(url)
    await value(supervisor, "select 1")

    await anyio.to_thread.run_sync(cluster.restart)

    assert await value(supervisor, "select 'next'") == "next"


async def test_a_server_that_is_down_is_unreachable_until_it_is_up_again(
    supervise: Supervise, cluster: EmbeddedPostgres, url: str
) -> None:
    connected, new = supervise(url), supervise(url)
    await value(connected, "select 1")

    await anyio.to_thread.run_sync(cluster.stop)
    try:
        for supervisor in (connected, new):
            with pytest.raises(UnreachableError, match=r"refused|terminat|closed"):
                await run(supervisor, "select 1", timeout_s=60)
    finally:
        await anyio.to_thread.run_sync(cluster.start)

    for supervisor in (connected, new):
        assert await value(supervisor, "select 'next'") == "next"


async def test_a_server_that_stops_during_a_statement_is_unreachable(
    supervise: Supervise, url: str, cluster: EmbeddedPostgres, admin_url: str
) -> None:
    supervisor = supervise(url)
    errors: list[PgmcpError] = []

    with Backends(admin_url, NAME) as backends:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fails, supervisor, SLEEP, errors)
            await backends.until_running(SLEEP)
            await anyio.to_thread.run_sync(cluster.restart)

    assert [type(error) for error in errors] == [UnreachableError]
    assert await value(supervisor, "select 'next'") == "next"


@pytest.mark.parametrize("by_params", [True, False])
async def test_a_wrong_password_is_reported_without_the_password(
    supervise: Supervise, cluster: EmbeddedPostgres, by_params: bool
) -> None:
    url = cluster.url(password="hunter2")  # it is wrong
    params = {"password": "hunter2"}
    supervisor = supervise(cluster.url(), params=params) if by_params else supervise(url)

    with pytest.raises(DatabaseAuthError) as raised:
        await run(supervisor, "select 1", timeout_s=60)

    assert "hunter2" not in f"{raised.value} {raised.value.hint} {raised.value.__cause__}"


async def test_an_unknown_role_and_an_unknown_database_are_reported(
    supervise: Supervise, cluster: EmbeddedPostgres, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(DatabaseAuthError):
        await run(supervise(cluster.url(user="nobody", password="x")), "select 1", timeout_s=60)
    with pytest.raises(DatabaseAuthError, match='database "nowhere" does not exist'):
        await run(supervise(cluster.url("nowhere")), "select 1", timeout_s=60)
    assert "no new worker for main: the database refused" in caplog.text


async def test_a_worker_that_is_killed_under_a_statement_is_replaced(
    supervise: Supervise, spawn: Spawn, url: str, backends: Backends
) -> None:
    recorded = RecordedSpawn(spawn)
    supervisor = supervise(url, spawn=recorded)

    error = await error_when(supervisor, backends, lambda _: os.kill(recorded.pids[0], signal.SIGKILL))

    assert type(error) is WorkerLostError
    await until_gone(recorded.pids[0])
    assert await value(supervisor, "select 'next'") == "next"
    await backends.until_ended(SLEEP)


@pytest.mark.parametrize("kind", ["fork", "cold"])
async def test_a_front_that_is_killed_leaves_no_statement_and_no_session(
    url: str, backends: Backends, kind: str
) -> None:
    if kind == "fork" and not can_fork():
        pytest.skip("the fork server needs Linux")

    with subprocess.Popen([sys.executable, front_process.__file__, kind, "run", url]) as front:
        try:
            await backends.until_running(SLEEP)
        finally:
            front.kill()  # otherwise the end of the block would wait for the process

    await backends.until_gone()


async def test_an_idle_worker_that_is_killed_fails_no_call(
    supervise: Supervise, spawn: Spawn, url: str
) -> None:
    recorded = RecordedSpawn(spawn)
    supervisor = supervise(url, spawn=recorded)
    await value(supervisor, "select 1")

    os.kill(recorded.pids[0], signal.SIGKILL)
    await until_gone(recorded.pids[0])

    assert await value(supervisor, "select 'next'") == "next"


async def test_a_backend_that_an_administrator_ends_is_reported_and_replaced(
    supervise: Supervise, url: str, backends: Backends, admin_url: str
) -> None:
    supervisor = supervise(url)

    error = await error_when(
        supervisor, backends, lambda pid: execute(admin_url, f"select pg_terminate_backend({pid})")
    )

    assert type(error) is UnreachableError
    assert "administrator" in str(error)
    assert await value(supervisor, "select 'next'") == "next"


async def test_a_statement_that_an_administrator_cancels_is_not_reported_as_a_timeout(
    supervise: Supervise, url: str, backends: Backends, admin_url: str
) -> None:
    supervisor = supervise(url)

    error = await error_when(
        supervisor, backends, lambda pid: execute(admin_url, f"select pg_cancel_backend({pid})")
    )

    assert isinstance(error, StatementFailedError)
    assert error.sqlstate == "57014"
    assert await value(supervisor, "select 'next'") == "next"


async def test_an_idle_backend_that_an_administrator_ends_fails_no_call(
    supervise: Supervise, url: str, admin_url: str
) -> None:
    supervisor = supervise(url)
    pid = await value(supervisor, "select pg_backend_pid()")

    execute(admin_url, f"select pg_terminate_backend({pid}, 5000)")

    assert await value(supervisor, "select 'next'") == "next"


async def test_a_connection_cut_during_a_statement_is_reported_and_replaced(
    supervise: Supervise, cluster: EmbeddedPostgres, url: str, backends: Backends
) -> None:
    async with tcp_proxy(cluster.port) as proxy:
        supervisor = supervise(url.replace(f":{cluster.port}/", f":{proxy.port}/"))
        errors: list[PgmcpError] = []
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(fails, supervisor, SLEEP, errors)
            await backends.until_running(SLEEP)
            await proxy.cut()

        assert [type(error) for error in errors] == [UnreachableError]
        assert await value(supervisor, "select 'next'") == "next"
        await backends.until_ended(SLEEP)


async def test_a_network_that_comes_back_is_used_again(
    supervise: Supervise, cluster: EmbeddedPostgres, url: str
) -> None:
    async with tcp_proxy(cluster.port) as proxy:
        supervisor = supervise(url.replace(f":{cluster.port}/", f":{proxy.port}/"))
        await value(supervisor, "select 1")

        await proxy.refuse()
        with pytest.raises(UnreachableError):
            await run(supervisor, "select 1", timeout_s=60)
        await proxy.listen()

        assert await value(supervisor, "select 'next'") == "next"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is bounded on Linux alone")
async def test_a_value_larger_than_a_workers_memory_affects_no_other_call(
    supervise: Supervise, url: str, backends: Backends
) -> None:
    supervisor = supervise(url, memory_limit_mb=256)
    await value(supervisor, "select 1")
    limits = RowLimits(max_rows=10, max_bytes=1 << 20, max_cell_bytes=1 << 16)
    peak_before_kb = peak_memory_kb()

    with pytest.raises(ResultTooLargeError):
        await run(supervisor, LONG_VALUE, limits=limits, timeout_s=120)

    assert peak_memory_kb() - peak_before_kb < 64 << 10
    assert await value(supervisor, "select 'next'") == "next"
    await backends.until_ended(LONG_VALUE)


async def test_many_long_values_end_at_the_byte_limit(supervise: Supervise, url: str) -> None:
    supervisor = supervise(url, memory_limit_mb=512)
    limits = RowLimits(max_rows=10_000, max_bytes=1 << 20, max_cell_bytes=1 << 16)

    rows = await run(
        supervisor, "select repeat('x', 1000000) from generate_series(1, 1000)", limits=limits, timeout_s=30
    )

    assert 0 < len(rows.rows) <= 16
    assert rows.truncated is not None
    assert await value(supervisor, "select 'next'") == "next"


@pytest.mark.parametrize("is_running", [True, False])
async def test_closing_leaves_no_process_and_no_backend(
    supervise: Supervise, spawn: Spawn, url: str, backends: Backends, is_running: bool
) -> None:
    recorded = RecordedSpawn(spawn)
    supervisor = supervise(url, spawn=recorded, max_workers=2)
    await value(supervisor, "select 1")
    errors: list[PgmcpError] = []

    async with anyio.create_task_group() as tasks:
        if is_running:
            tasks.start_soon(fails, supervisor, SLEEP, errors)
            await backends.until_running(SLEEP)
        with anyio.fail_after(10):
            await supervisor.close()

    assert [type(error) for error in errors] == [WorkerLostError] * is_running
    assert [pid for pid in recorded.pids if is_there(pid)] == []
    await backends.until_gone()
