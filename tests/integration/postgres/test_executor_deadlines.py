"""A statement past its deadline gives one clear error and ends on the server; the next call works."""

import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any
from urllib.parse import urlsplit

import anyio
import psycopg
import pytest

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.errors import DeadlineExceededError
from pgmcp.execution.result import RowLimits
from pgmcp.execution.spawn import Spawn
from pgmcp.execution.supervisor import Supervisor
from testing.activity import Backends, with_application_name
from testing.injected import RecordedSpawn
from testing.processes import is_there
from testing.statement_run import run, value
from testing.stuck_worker import spawn_that_can_be_stuck
from testing.tcp_proxy import tcp_proxy

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="stops processes with signals"),
]

Supervise = Callable[..., Supervisor]

NAME = "deadline-tests"
TIMEOUT_S = 0.3
NO_LIMITS = RowLimits(max_rows=1 << 40, max_bytes=1 << 50, max_cell_bytes=1 << 30)

SLEEP = "select pg_sleep(600)"
BURN = "select sum(a.n * b.n) from generate_series(1, 1000000) as a(n), generate_series(1, 1000000) as b(n)"
FLOOD = "select n, repeat('x', 1000) from generate_series(1, 1000000000) as n"


@pytest.fixture
def url(new_database: Callable[[], str]) -> str:
    return with_application_name(new_database(), NAME)


@pytest.fixture
def backends(cluster: EmbeddedPostgres) -> Iterator[Backends]:
    with Backends(cluster.url(), NAME) as backends:
        yield backends


async def assert_stopped(
    supervisor: Supervisor, backends: Backends, sql: str, *, wrapped: bool = True
) -> None:
    with pytest.raises(DeadlineExceededError, match=f"{TIMEOUT_S:g} s"):
        await run(supervisor, sql, limits=NO_LIMITS, wrapped=wrapped, timeout_s=TIMEOUT_S)
    await backends.until_ended(sql)
    assert await value(supervisor, "select 'next'") == "next"


@pytest.mark.parametrize("sql", [SLEEP, BURN])
async def test_the_server_ends_a_statement_at_its_deadline_and_the_worker_is_kept(
    supervise: Supervise, spawn: Spawn, url: str, backends: Backends, sql: str
) -> None:
    recorded = RecordedSpawn(spawn)
    supervisor = supervise(url, spawn=recorded)
    backend = await value(supervisor, "select pg_backend_pid()")

    await assert_stopped(supervisor, backends, sql)

    assert await value(supervisor, "select pg_backend_pid()") == backend
    assert len(recorded.pids) == 1


async def test_a_statement_with_endless_rows_is_stopped(
    supervise: Supervise, url: str, backends: Backends
) -> None:
    supervisor = supervise(url, memory_limit_mb=768)
    await value(supervisor, "select 1")

    await assert_stopped(supervisor, backends, FLOOD, wrapped=False)


async def test_a_statement_that_waits_for_a_lock_is_stopped(
    supervise: Supervise, url: str, backends: Backends
) -> None:
    supervisor = supervise(url)
    await value(supervisor, "select 1")

    with psycopg.connect(url.partition("?")[0]) as blocker:
        blocker.execute("create table locked ()")
        blocker.commit()
        blocker.execute("lock table locked in access exclusive mode")
        await assert_stopped(supervisor, backends, "select count(*) from locked")


async def test_a_statement_that_turns_its_timeout_off_is_stopped(
    supervise: Supervise, url: str, backends: Backends
) -> None:
    supervisor = supervise(url)
    await value(supervisor, "select 1")
    sql = "select set_config('statement_timeout', '0', false), pg_sleep(600)"

    await assert_stopped(supervisor, backends, sql, wrapped=False)


@pytest.mark.parametrize("sql", [SLEEP, FLOOD])
async def test_a_stopped_worker_is_killed_and_its_backend_ended(
    supervise: Supervise, spawn: Spawn, url: str, backends: Backends, sql: str
) -> None:
    recorded = RecordedSpawn(spawn)
    supervisor = supervise(url, spawn=recorded, memory_limit_mb=768)
    await value(supervisor, "select 1")

    async def stop() -> None:
        await backends.until_running(sql)
        os.kill(recorded.pids[0], signal.SIGSTOP)

    await _while(stop, assert_stopped(supervisor, backends, sql, wrapped=False))

    assert not is_there(recorded.pids[0])


async def test_a_worker_stuck_in_c_is_killed_and_its_backend_ended(
    supervise: Supervise, url: str, backends: Backends
) -> None:
    recorded = RecordedSpawn(spawn_that_can_be_stuck)
    supervisor = supervise(url, spawn=recorded)
    await value(supervisor, "select 1")

    async def make_stuck() -> None:
        await backends.until_running(SLEEP)
        os.kill(recorded.pids[0], signal.SIGUSR1)

    await _while(make_stuck, assert_stopped(supervisor, backends, SLEEP))

    assert not is_there(recorded.pids[0])


@pytest.mark.parametrize("sql", [SLEEP, FLOOD])
async def test_a_connection_that_drops_all_packets_ends_in_one_timeout(
    supervise: Supervise, cluster: EmbeddedPostgres, url: str, backends: Backends, sql: str
) -> None:
    async with tcp_proxy(cluster.port) as proxy:
        supervisor = supervise(_through(url, proxy.port), memory_limit_mb=768)
        await value(supervisor, "select 1")

        async def break_network() -> None:
            await backends.until_running(sql)
            proxy.hold_data()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(break_network)
            with pytest.raises(DeadlineExceededError):
                await run(supervisor, sql, limits=NO_LIMITS, wrapped=False, timeout_s=TIMEOUT_S)
        with pytest.raises(DeadlineExceededError):  # no connection is available; this wait is bounded too
            await run(supervisor, "select 1", timeout_s=TIMEOUT_S)
        proxy.forward()

        await backends.until_ended(sql)
        assert await value(supervisor, "select 'next'") == "next"


async def test_a_slow_network_causes_no_failure(
    supervise: Supervise, cluster: EmbeddedPostgres, url: str
) -> None:
    async with tcp_proxy(cluster.port) as proxy:
        proxy.delay_s = 0.005
        supervisor = supervise(_through(url, proxy.port))

        assert await value(supervisor, "select count(*) from generate_series(1, 1000)") == 1_000


@pytest.mark.parametrize("sql", [SLEEP, BURN])
async def test_the_statement_of_a_cancelled_caller_is_stopped_and_the_worker_kept(
    supervise: Supervise, spawn: Spawn, url: str, backends: Backends, sql: str
) -> None:
    recorded = RecordedSpawn(spawn)
    supervisor = supervise(url, spawn=recorded)
    await value(supervisor, "select 1")

    async with anyio.create_task_group() as callers:
        callers.start_soon(run, supervisor, sql)
        await backends.until_running(sql)
        callers.cancel_scope.cancel()

    await backends.until_ended(sql)
    assert await value(supervisor, "select 'next'") == "next"
    assert len(recorded.pids) == 1


async def test_a_stopped_worker_of_a_cancelled_caller_is_killed(
    supervise: Supervise, spawn: Spawn, url: str, backends: Backends
) -> None:
    recorded = RecordedSpawn(spawn)
    supervisor = supervise(url, spawn=recorded)
    await value(supervisor, "select 1")

    async with anyio.create_task_group() as callers:
        callers.start_soon(run, supervisor, SLEEP)
        await backends.until_running(SLEEP)
        os.kill(recorded.pids[0], signal.SIGSTOP)
        callers.cancel_scope.cancel()

    await backends.until_ended(SLEEP)
    assert not is_there(recorded.pids[0])
    assert await value(supervisor, "select 'next'") == "next"


async def test_a_runaway_does_not_hold_up_the_others(
    supervise: Supervise, url: str, backends: Backends
) -> None:
    supervisor = supervise(url, max_workers=2)
    await value(supervisor, "select 1")

    async with anyio.create_task_group() as callers:
        callers.start_soon(run, supervisor, SLEEP)
        await backends.until_running(SLEEP)
        assert await value(supervisor, "select 'beside it'") == "beside it"
        callers.cancel_scope.cancel()

    await backends.until_ended(SLEEP)


async def _while(
    action: Callable[[], Coroutine[Any, Any, None]], statement: Coroutine[Any, Any, None]
) -> None:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(action)
        await statement


def _through(url: str, port: int) -> str:
    parts = urlsplit(url)
    return url.replace(f":{parts.port}/", f":{port}/")
