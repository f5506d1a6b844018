"""Behind PgBouncer in transaction mode, all guarantees hold and other clients are not affected.

These tests send statements directly to the executor, without the validator.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import anyio.lowlevel
import psycopg
import pytest

from pgmcp.errors import DeadlineExceededError, StatementFailedError, UnreachableError, WorkerLostError
from pgmcp.execution.result import RowLimits, Truncation
from pgmcp.execution.spawn import Spawn
from pgmcp.execution.supervisor import Supervisor
from pgmcp.execution.worker_process import WorkerProcess
from testing.activity import Activity, with_application_name
from testing.injected import RecordedSpawn
from testing.mcp_server import server_environment
from testing.pgbouncer import PgBouncer, find_pgbouncer
from testing.processes import TIMEOUT_S, until
from testing.raw_jsonrpc import RawServer
from testing.replica import new_cluster
from testing.statement_run import run, value
from worker.protocol import Open

pytestmark = pytest.mark.anyio

NAME = "pgmcp behind a bouncer"
RUNAWAY = "select count(*) from generate_series(1, 1000000000) as a(n)"
SOON_S = 0.3

Supervise = Callable[..., Supervisor]


class Bounced:
    """A database with a bouncer in front of it.

    Attributes:
        direct_url: URL without the bouncer.
        url: URL through the bouncer, with the application name that `activity` observes.
    """

    def __init__(self, bouncer: PgBouncer, direct_url: str) -> None:
        self.bouncer = bouncer
        self.direct_url = direct_url
        self.url = with_application_name(bouncer.url(direct_url), NAME)

    def other_client(self) -> psycopg.Connection:
        """Return the connection of another client; it holds a server connection from now on."""
        client = psycopg.connect(self.bouncer.url(self.direct_url), prepare_threshold=None)
        client.execute("select 1")
        return client

    def ask(self, query: str) -> list[object]:
        """Return the first column of a query that does not use the bouncer."""
        with psycopg.connect(self.direct_url) as connection:
            return [row[0] for row in connection.execute(query.encode())]


def _program() -> str:
    return find_pgbouncer() or pytest.skip("PgBouncer is not installed (Debian: apt-get install pgbouncer)")


@pytest.fixture
def bounce(new_database: Callable[[], str]) -> Iterator[Callable[..., Bounced]]:
    """Return a function that makes a database with a bouncer; its argument is the number of connections."""
    program = _program()
    with ExitStack() as bouncers:

        def make(pool_size: int) -> Bounced:
            url = new_database()
            return Bounced(bouncers.enter_context(PgBouncer(program, url, pool_size=pool_size)), url)

        yield make


@pytest.fixture
def bounced(bounce: Callable[..., Bounced]) -> Bounced:
    """A bouncer with two server connections, both open, which it uses in turn."""
    bounced = bounce(2)
    with bounced.other_client(), bounced.other_client():
        pass
    return bounced


@pytest.fixture
def supervisor(supervise: Supervise, bounced: Bounced) -> Supervisor:
    return supervise(bounced.url)


@pytest.fixture
def activity(bounced: Bounced) -> Iterator[Activity]:
    with Activity(bounced.direct_url, NAME) as activity:
        yield activity


async def test_successive_statements_run_on_different_server_connections(supervisor: Supervisor) -> None:
    backends = set()
    for _ in range(50):  # PgBouncer is free to give the same connection several times
        backends.add(await value(supervisor, "select pg_backend_pid()"))
        if len(backends) == 2:
            return

    pytest.fail("every statement ran on the same server connection")


async def test_no_backend_is_mistaken_for_the_workers(spawn: Spawn, bounced: Bounced) -> None:
    async def backend_of(url: str) -> object:
        worker = WorkerProcess(await spawn())
        await worker.request(Open(1, url, {}, connect_timeout_s=5, memory_limit_mb=0))
        await worker.shut_down()
        return worker.backend

    assert await backend_of(bounced.url) is None
    assert await backend_of(bounced.direct_url) is not None


async def test_every_transaction_has_its_settings_whichever_connection_it_gets(
    supervisor: Supervisor,
) -> None:
    query = """
        select pg_backend_pid(), current_setting('transaction_read_only'),
               current_setting('statement_timeout'), current_setting('standard_conforming_strings'),
               current_setting('client_encoding'), current_setting('application_name'),
               current_setting('DateStyle')
    """

    rows = [(await run(supervisor, query, timeout_s=10)).rows[0] for _ in range(4)]

    assert len({row[0] for row in rows}) == 2
    for _, read_only, timeout, *others in rows:
        assert read_only == "on"
        assert timeout not in ("0", "10s")  # less than ten seconds, some of which have passed
        assert others == ["on", "UTF8", NAME, "ISO, MDY"]


COUNT_ADVISORY_LOCKS = "select count(*) from pg_locks where locktype = 'advisory'"

LEFT_BEHIND = [
    ("select pg_advisory_lock(42)", COUNT_ADVISORY_LOCKS, 0),
    ("select pg_advisory_lock_shared(42), 1/0", COUNT_ADVISORY_LOCKS, 0),
    ("select set_config('work_mem', '123kB', false)", "show work_mem", "4MB"),
    ("select set_config('search_path', 'elsewhere', false)", "show search_path", '"$user", public'),
    ("set default_transaction_read_only = on", "show default_transaction_read_only", "off"),
    ("set session statement_timeout = '1ms'", "show statement_timeout", "0"),
    ("set session characteristics as transaction isolation level serializable",
     "show default_transaction_isolation", "read committed"),
    ("set role pg_monitor", "select current_user = session_user", True),
    ("listen news", "select count(*) from pg_listening_channels()", 0),
    ("create temporary table mine as select 1", "select to_regclass('pg_temp.mine')", None),
    ("declare mine cursor with hold for select 1", "select count(*) from pg_cursors where name = 'mine'", 0),
    ("select 1", "select count(*) from pg_prepared_statements", 0),
]  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "question", "answer"), LEFT_BEHIND, ids=[case[0] for case in LEFT_BEHIND]
)
async def test_nothing_is_left_for_the_bouncers_other_clients(
    statement: str, question: str, answer: object, supervise: Supervise, bounce: Callable[..., Bounced]
) -> None:
    bounced = bounce(1)  # so that the other client gets the same server connection
    supervisor = supervise(bounced.url, read_only=False)
    backend = await value(supervisor, "select pg_backend_pid()")
    with suppress(StatementFailedError):
        await run(supervisor, statement, wrapped=False)

    with bounced.other_client() as other:
        assert other.execute("select pg_backend_pid()").fetchone() == (backend,)
        assert other.execute(question.encode()).fetchone() == (answer,)


async def test_an_advisory_lock_is_gone_from_the_connection_that_took_it(
    supervisor: Supervisor, bounced: Bounced
) -> None:
    await run(supervisor, "select pg_advisory_lock(42) is null")

    assert bounced.ask(COUNT_ADVISORY_LOCKS) == [0]


async def test_a_statement_is_stopped_on_the_server_at_its_deadline(
    supervisor: Supervisor, activity: Activity
) -> None:
    with pytest.raises(DeadlineExceededError):
        await run(supervisor, RUNAWAY, timeout_s=SOON_S)

    assert activity.running() == []
    assert await value(supervisor, "select 1") == 1


async def test_a_statement_that_waits_for_a_server_connection_ends_at_its_deadline(
    supervise: Supervise, bounce: Callable[..., Bounced]
) -> None:
    bounced = bounce(1)
    supervisor = supervise(bounced.url)
    assert await value(supervisor, "select 1") == 1

    with bounced.other_client(), pytest.raises(DeadlineExceededError):
        await run(supervisor, "select 2", timeout_s=SOON_S)

    assert await value(supervisor, "select 3") == 3


async def test_a_cancelled_call_is_cancelled_on_the_server(
    supervisor: Supervisor, activity: Activity
) -> None:
    call = asyncio.create_task(run(supervisor, RUNAWAY))
    await until(lambda: bool(activity.running(RUNAWAY)), "the statement runs")

    call.cancel()

    await until(lambda: not activity.running(), "nothing runs")
    assert await value(supervisor, "select 1") == 1


async def test_a_killed_workers_statement_ends_and_gives_its_locks_back(
    supervise: Supervise, spawn: Spawn, bounced: Bounced, activity: Activity
) -> None:
    recorded = RecordedSpawn(spawn)
    supervisor = supervise(bounced.url, spawn=recorded)
    statement = f"select pg_advisory_lock(42), ({RUNAWAY})"
    call = asyncio.create_task(run(supervisor, statement))
    await until(lambda: bool(activity.running(RUNAWAY)), "the statement runs")

    os.kill(recorded.pids[0], signal.SIGKILL)

    with pytest.raises(WorkerLostError):
        await call
    await until(lambda: not activity.running(), "nothing runs")
    assert bounced.ask(COUNT_ADVISORY_LOCKS) == [0]
    assert await value(supervisor, "select 1") == 1


@pytest.mark.parametrize(
    ("limits", "truncated", "row_count"),
    [
        (RowLimits(max_rows=5, max_bytes=1 << 20, max_cell_bytes=1 << 20), Truncation.ROWS, 5),
        (RowLimits(max_rows=10**6, max_bytes=100, max_cell_bytes=1 << 20), Truncation.BYTES, 10),
    ],
)
async def test_a_result_through_pgbouncer_is_limited(
    limits: RowLimits, truncated: Truncation, row_count: int, supervisor: Supervisor
) -> None:
    rows = await run(supervisor, "select 'ten chars.' from generate_series(1, 10000000)", limits=limits)

    assert (rows.truncated, len(rows.rows)) == (truncated, row_count)
    assert await value(supervisor, "select 1") == 1


async def test_an_error_through_pgbouncer_has_its_position(supervisor: Supervisor) -> None:
    with pytest.raises(StatementFailedError) as failure:
        await run(supervisor, "select 1, nope")

    assert (failure.value.sqlstate, failure.value.position) == ("42703", 10)


async def test_a_terminated_backend_fails_only_its_call(
    supervisor: Supervisor, bounced: Bounced, activity: Activity
) -> None:
    call = asyncio.create_task(run(supervisor, RUNAWAY))
    await until(lambda: bool(activity.running(RUNAWAY)), "the statement runs")

    bounced.ask(f"select pg_terminate_backend({activity.running(RUNAWAY)[0]})")

    with pytest.raises(UnreachableError):
        await call
    assert await value(supervisor, "select 1") == 1


async def test_a_restarted_pgbouncer_fails_only_the_statement_it_interrupted(
    supervisor: Supervisor, bounced: Bounced, activity: Activity
) -> None:
    call = asyncio.create_task(run(supervisor, RUNAWAY))
    await until(lambda: bool(activity.running(RUNAWAY)), "the statement runs")

    bounced.bouncer.stop()
    bounced.bouncer.start()

    with pytest.raises(UnreachableError):
        await call
    assert await value(supervisor, "select 1") == 1
    await until(lambda: not activity.running(), "nothing runs")


def test_the_server_works_through_pgbouncer(bounced: Bounced, activity: Activity, tmp_path: Path) -> None:
    with psycopg.connect(bounced.direct_url) as admin:
        admin.execute("create table planets as select 'Venus' as name")
    environment = server_environment(bounced.url, server_query_timeout="1")
    with RawServer(environment, tmp_path) as server:
        server.initialize()

        answers = [server.call("execute_sql", sql="select name from planets").rows for _ in range(4)]
        schema = server.call("search_schema", text="planets")
        late = server.call("execute_sql", sql=RUNAWAY)

        assert answers == [[["Venus"]]] * 4
        assert "planets" in schema.text
        assert late.code == "timeout"
        assert activity.running() == []


async def test_a_database_down_behind_pgbouncer_is_unreachable_until_it_is_up(
    supervise: Supervise,
) -> None:
    with new_cluster({}) as cluster, PgBouncer(_program(), cluster.url(), pool_size=1) as bouncer:
        await asyncio.to_thread(cluster.stop, "immediate")
        supervisor = supervise(f"{bouncer.url(cluster.url())}?connect_timeout=2")

        with pytest.raises(UnreachableError):
            await value(supervisor, "select 1")
        await asyncio.to_thread(cluster.start)

        with anyio.fail_after(TIMEOUT_S):
            while not await _is_served(supervisor):
                await anyio.lowlevel.checkpoint()


async def _is_served(supervisor: Supervisor) -> bool:
    try:
        return await value(supervisor, "select 1") == 1
    except UnreachableError:
        return False
