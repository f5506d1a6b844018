"""A cheap statement gets a worker while heavy ones run; an expensive one can be refused."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import psycopg
import pytest

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.errors import BusyError, DeadlineExceededError, StatementFailedError, TooExpensiveError
from pgmcp.execution.supervisor import Supervisor
from testing.activity import Backends, with_application_name
from testing.processes import until
from testing.statement_run import run, value
from worker.protocol import StatementOrigin

pytestmark = pytest.mark.anyio

Supervise = Callable[..., Supervisor]

NAME = "lane-tests"
HEAVY = "select sum(a.n * b.n) from generate_series(1, 10000000) as a(n), generate_series(1, 1000000) as b(n)"
SLEEP = "select pg_sleep(600)"
WORKERS = 3
"""The size of the smallest pool that reserves a worker."""


@pytest.fixture
def url(module_database: str) -> str:
    return with_application_name(module_database, NAME)


@pytest.fixture
def backends(cluster: EmbeddedPostgres) -> Iterator[Backends]:
    with Backends(cluster.url(), NAME) as backends:
        yield backends


async def all_run(backends: Backends, sql: str, count: int) -> None:
    await until(lambda: len(backends.running(sql)) == count, f"{count} run {sql}")


@asynccontextmanager
async def only_the_reserved_worker_free(supervisor: Supervisor, backends: Backends) -> AsyncIterator[None]:
    """Keep all other workers busy with heavy statements."""
    async with anyio.create_task_group() as callers:
        for _ in range(WORKERS - 1):
            callers.start_soon(run, supervisor, SLEEP)
        await all_run(backends, SLEEP, WORKERS - 1)
        yield
        callers.cancel_scope.cancel()


async def test_a_cheap_statement_gets_a_worker_while_heavy_ones_run(
    supervise: Supervise, url: str, backends: Backends
) -> None:
    supervisor = supervise(url, max_workers=WORKERS)

    async with only_the_reserved_worker_free(supervisor, backends):
        assert await value(supervisor, "select 'cheap'") == "cheap"


async def test_a_read_of_the_catalog_does_not_wait_for_heavy_statements(
    supervise: Supervise, url: str, backends: Backends
) -> None:
    supervisor = supervise(url, max_workers=WORKERS)

    async with only_the_reserved_worker_free(supervisor, backends):
        rows = await run(supervisor, "select 'ours'", wrapped=False, origin=StatementOrigin.OWN)

    assert rows.rows == [["ours"]]


async def test_a_heavy_statement_waits_and_leaves_the_reserved_worker_free(
    supervise: Supervise, url: str, backends: Backends
) -> None:
    supervisor = supervise(url, max_workers=WORKERS)

    async with only_the_reserved_worker_free(supervisor, backends):
        with pytest.raises(DeadlineExceededError, match="no worker was free"):
            await run(supervisor, HEAVY, timeout_s=0.3)
        assert backends.running(HEAVY) == []
        assert await value(supervisor, "select 'cheap'") == "cheap"


async def test_a_statement_of_a_cheap_shape_that_is_not_cheap_leaves_the_reserved_worker(
    supervise: Supervise, url: str, backends: Backends
) -> None:
    supervisor = supervise(url, max_workers=WORKERS)
    cheap, heavy = "select 1 from pg_sleep(0)", "select 1 from pg_sleep(500)"

    async with only_the_reserved_worker_free(supervisor, backends):
        assert await value(supervisor, cheap) == 1
        with pytest.raises(DeadlineExceededError, match="no worker was free"):
            await run(supervisor, heavy, timeout_s=0.5)
        assert backends.running(heavy) == []
        assert await value(supervisor, cheap) == 1


async def test_a_statement_of_a_cheap_shape_waits_for_a_lock_as_long_as_any_other(
    supervise: Supervise, url: str, backends: Backends
) -> None:
    supervisor = supervise(url, max_workers=WORKERS)

    with psycopg.connect(url) as owner:
        owner.execute("create table locked (n integer)")
        owner.commit()
        async with only_the_reserved_worker_free(supervisor, backends):
            assert await value(supervisor, "select count(*) from locked") == 0
            owner.execute("lock table locked in access exclusive mode")
            with pytest.raises(DeadlineExceededError, match="no worker was free"):
                await run(supervisor, "select count(*) from locked", timeout_s=0.5)


async def test_a_full_queue_of_heavy_statements_says_busy_and_cheap_ones_still_pass(
    supervise: Supervise, url: str, backends: Backends
) -> None:
    supervisor = supervise(url, max_workers=WORKERS, max_waiting=0)

    async with only_the_reserved_worker_free(supervisor, backends):
        with pytest.raises(BusyError):
            await run(supervisor, HEAVY)
        assert await value(supervisor, "select 'cheap'") == "cheap"


async def test_an_error_found_by_the_planner_points_into_the_text_of_the_caller(
    supervise: Supervise, url: str, backends: Backends
) -> None:
    supervisor = supervise(url, max_workers=WORKERS)
    sql = "select 1, nowhere"

    async with only_the_reserved_worker_free(supervisor, backends):
        with pytest.raises(StatementFailedError) as raised:
            await run(supervisor, sql)

    assert raised.value.position == sql.index("nowhere")


async def test_a_statement_above_the_cost_ceiling_is_refused_with_its_plan(
    supervise: Supervise, url: str
) -> None:
    supervisor = supervise(url, max_cost=1_000.0)

    with pytest.raises(TooExpensiveError, match="Function Scan"):
        await run(supervisor, HEAVY)

    assert await value(supervisor, "select 'cheap'") == "cheap"
    assert (await run(supervisor, "show server_encoding", wrapped=False)).rows == [["UTF8"]]


async def test_heavy_statements_of_one_principal_leave_a_worker_to_others(
    supervise: Supervise, url: str, backends: Backends
) -> None:
    supervisor = supervise(url, max_workers=4, max_waiting=6)  # three workers that are not reserved
    of_bob = HEAVY.replace("sum", "max")

    async with anyio.create_task_group() as callers:
        for _ in range(7):
            callers.start_soon(partial(run, supervisor, HEAVY, principal="alice"))
        await all_run(backends, HEAVY, 2)
        callers.start_soon(partial(run, supervisor, of_bob, principal="bob"))
        await all_run(backends, of_bob, 1)

        assert len(backends.running(HEAVY)) == 2
        with pytest.raises(BusyError, match="7 of your statements are already running or waiting"):
            await run(supervisor, "select 1", principal="alice")
        callers.cancel_scope.cancel()
