"""A streaming standby is preferred; what happens when it is lost, returns or is promoted."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Literal

import psycopg
import pytest

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.errors import DeadlineExceededError, StatementFailedError, UnreachableError
from pgmcp.execution.supervisor import Supervisor
from testing.activity import Activity
from testing.activity import until as activity_until
from testing.mcp_server import server_environment
from testing.processes import until
from testing.raw_jsonrpc import RawServer
from testing.replica import either_url, new_cluster, new_standby
from testing.statement_run import run, value

pytestmark = pytest.mark.anyio

NAME = "pgmcp-on-a-replica"
RUNAWAY = "select count(*) from generate_series(1, 1000000000) as a(n)"
IS_ON_STANDBY = "select pg_is_in_recovery()"

Supervise = Callable[..., Supervisor]


@pytest.fixture
def primary() -> Iterator[EmbeddedPostgres]:
    with new_cluster({}) as primary:
        yield primary


@pytest.fixture
def standby(primary: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A standby whose queries do not delay the replay of the primary's changes."""
    with new_standby(primary, {"max_standby_streaming_delay": "0"}) as standby:
        yield standby


@pytest.fixture
def url(primary: EmbeddedPostgres, standby: EmbeddedPostgres) -> str:
    """Both servers, the primary named first, the standby preferred."""
    return f"{either_url(primary, standby)}&application_name={NAME}"


@pytest.fixture
def supervisor(supervise: Supervise, url: str) -> Supervisor:
    return supervise(url, max_workers=2)


@pytest.fixture
def activity(standby: EmbeddedPostgres) -> Iterator[Activity]:
    """The sessions on the standby."""
    with Activity(standby.url(), NAME) as activity:
        yield activity


async def test_reads_go_to_the_standby_in_a_read_only_transaction(supervisor: Supervisor) -> None:
    query = """
        select pg_is_in_recovery(), current_setting('transaction_read_only'),
               current_setting('lock_timeout'), current_setting('client_connection_check_interval')
    """

    rows = await run(supervisor, query)

    assert rows.rows == [[True, "on", "5s", "250ms"]]


async def test_a_statement_on_the_standby_is_stopped_at_its_deadline(
    supervisor: Supervisor, activity: Activity
) -> None:
    with pytest.raises(DeadlineExceededError):
        await run(supervisor, RUNAWAY, timeout_s=0.3)

    assert activity.running() == []
    assert await value(supervisor, IS_ON_STANDBY) is True


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_if_the_standby_dies_only_its_statements_fail_and_the_primary_takes_over(
    mode: Literal["fast", "immediate"], supervisor: Supervisor, standby: EmbeddedPostgres, activity: Activity
) -> None:
    calls = [asyncio.create_task(run(supervisor, RUNAWAY)) for _ in range(2)]
    await until(lambda: len(activity.running(RUNAWAY)) == 2, "both statements run on the standby")

    await asyncio.to_thread(standby.stop, mode)

    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [UnreachableError, UnreachableError]
    assert [await value(supervisor, IS_ON_STANDBY) for _ in range(4)] == [False] * 4


async def test_a_standby_that_dies_while_idle_fails_no_call(
    supervisor: Supervisor, standby: EmbeddedPostgres
) -> None:
    assert await value(supervisor, IS_ON_STANDBY) is True

    await asyncio.to_thread(standby.stop, "immediate")

    assert [await value(supervisor, IS_ON_STANDBY) for _ in range(4)] == [False] * 4


async def test_a_standby_that_is_promoted_loses_no_statement(
    supervisor: Supervisor, primary: EmbeddedPostgres, standby: EmbeddedPostgres, activity: Activity
) -> None:
    call = asyncio.create_task(run(supervisor, f"select pg_is_in_recovery() from ({RUNAWAY}) as q"))
    await until(lambda: bool(activity.running(RUNAWAY)), "the statement runs on the standby")

    await asyncio.to_thread(primary.stop, "immediate")
    with closing(psycopg.connect(standby.url(), autocommit=True)) as admin:
        admin.execute("select pg_promote()")

    assert await value(supervisor, IS_ON_STANDBY) is False
    assert not call.done()
    call.cancel()
    await until(lambda: not activity.running(), "nothing runs")


async def test_a_statement_that_conflicts_with_replication_gets_a_hint_to_retry(
    supervisor: Supervisor, primary: EmbeddedPostgres, activity: Activity
) -> None:
    with closing(psycopg.connect(primary.url(), autocommit=True)) as admin:
        admin.execute("create table news as select 1 as id")
        await until_replayed(admin)
        call = asyncio.create_task(run(supervisor, f"select * from news, ({RUNAWAY}) as q"))
        await until(lambda: bool(activity.running(RUNAWAY)), "the statement runs on the standby")

        admin.execute("truncate news")

    with pytest.raises(StatementFailedError) as failure:
        await call
    assert "due to conflict with recovery" in str(failure.value)
    assert (failure.value.sqlstate, failure.value.hint) == (
        "40001",
        "the statement itself is correct: run it again",
    )
    assert await value(supervisor, "select count(*) from news") == 0


async def until_replayed(primary_admin: psycopg.Connection) -> None:
    """Wait until the standby shows what the primary has written so far."""
    query = "select bool_and(replay_lsn >= pg_current_wal_lsn()) from pg_stat_replication"

    def is_replayed() -> bool:
        return primary_admin.execute(query).fetchone() == (True,)

    await until(is_replayed, "the standby has caught up")


def test_two_servers_lose_only_statements_of_a_lost_database_server(
    url: str, primary: EmbeddedPostgres, standby: EmbeddedPostgres, tmp_path: Path
) -> None:
    with ExitStack() as started:
        servers = [started.enter_context(_server(url, tmp_path / name)) for name in ("one", "two")]
        for server in servers:
            server.initialize()
        assert _ask_each(servers) == [True, True]

        assert _codes_when_lost(standby, servers) == ["unreachable", "unreachable"]
        assert _ask_each(servers) == [False, False]

        standby.start()
        assert _codes_when_lost(primary, servers) == ["unreachable", "unreachable"]
        assert _ask_each(servers) == [True, True]

        with closing(psycopg.connect(standby.url(), autocommit=True)) as admin:
            admin.execute("select pg_promote()")
        assert _ask_each(servers) == [False, False]


def _server(url: str, folder: Path) -> RawServer:
    folder.mkdir()
    return RawServer(server_environment(url), folder)


def _ask_each(servers: list[RawServer]) -> list[object]:
    return [server.call("execute_sql", sql=IS_ON_STANDBY).rows[0][0] for server in servers]


def _codes_when_lost(cluster: EmbeddedPostgres, servers: list[RawServer]) -> list[str]:
    """Stop a cluster while each pgmcp server runs a statement on it; return the error code of each call."""
    with Activity(cluster.url(), NAME) as activity:
        calls = [server.start_call("execute_sql", sql=RUNAWAY) for server in servers]
        activity_until(lambda: len(activity.running(RUNAWAY)) == len(servers), "a statement of each runs")
        cluster.stop("immediate")
    return [server.result_of(call).code for server, call in zip(servers, calls, strict=True)]
