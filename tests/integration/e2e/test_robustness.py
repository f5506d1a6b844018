"""A failure while a server works causes at most one clear error."""

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from pgmcp.demo.postgres import EmbeddedPostgres
from testing.activity import Activity, until, with_application_name
from testing.machine import memory_folder
from testing.mcp_server import server_environment
from testing.prestarted import COMMAND
from testing.processes import descendants, is_running, workers_of
from testing.raw_jsonrpc import RawServer
from tests.integration.e2e.conftest import StartServer

RUNAWAY = "select count(*) from order_items a, order_items b where a.unit_price + b.unit_price < 0"
SELECT_ONE = "select 1"
SURVIVOR = "e2e survivor"

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """An application name for this test only, by which its sessions are found in PostgreSQL."""
    return f"e2e {abs(hash(request.node.nodeid)) % 10**9}"


@pytest.fixture
def activity(shop_admin_url: str, name: str) -> Iterator[Activity]:
    with Activity(shop_admin_url, name) as activity:
        yield activity


@pytest.fixture
def environment(shop_url: str, name: str) -> dict[str, str]:
    return server_environment(with_application_name(shop_url, name))


@pytest.fixture
def server(environment: dict[str, str], folder: Path) -> Iterator[RawServer]:
    """A server in a new process, not a forked one (`testing.prestarted`), because the tests end it."""
    with RawServer(environment, folder, COMMAND) as server:
        server.initialize()
        yield server


@pytest.fixture(scope="module")
def surviving_server(shop_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawServer]:
    """One server for the tests that it survives."""
    environment = server_environment(with_application_name(shop_url, SURVIVOR))
    with RawServer(environment, tmp_path_factory.mktemp("server")) as server:
        server.initialize()
        yield server


@pytest.fixture
def survivors_activity(shop_admin_url: str) -> Iterator[Activity]:
    with Activity(shop_admin_url, SURVIVOR) as activity:
        yield activity


@pytest.fixture
def own_cluster() -> Iterator[EmbeddedPostgres]:
    """A cluster that a test may stop."""
    with tempfile.TemporaryDirectory(
        dir=memory_folder(), prefix="pgmcp-tests-", ignore_cleanup_errors=True
    ) as folder:
        Path(folder).chmod(0o711)  # as root, the server runs as another user, who needs access to the folder
        cluster = EmbeddedPostgres(Path(folder), settings={"fsync": "off"})
        try:
            yield cluster.start()
        finally:
            cluster.stop("immediate")


@linux_only
@pytest.mark.parametrize("pool_size", ["1", "10"])
def test_workers_killed_during_a_query_fail_only_that_call(
    pool_size: str, environment: dict[str, str], start_server: StartServer, activity: Activity
) -> None:
    pool = {"PG_MCP_DATABASE_MIN_POOL_SIZE": "1", "PG_MCP_DATABASE_MAX_POOL_SIZE": pool_size}
    server = start_server({**environment, **pool})
    call = server.start_call("execute_sql", sql=RUNAWAY)
    activity.until_running(RUNAWAY)

    for worker in workers_of(server.pid):
        os.kill(worker, signal.SIGKILL)
    failed = server.result_of(call)

    assert failed.code == "worker_lost"
    assert "nothing was changed; the next call gets a new worker" in failed.text
    assert server.call("execute_sql", sql=SELECT_ONE).rows == [[1]]
    activity.until_nothing_runs()


@linux_only
def test_a_killed_fork_server_is_replaced(surviving_server: RawServer) -> None:
    assert surviving_server.call("execute_sql", sql=SELECT_ONE).rows == [[1]]

    processes = descendants(surviving_server.pid)
    for process in processes:
        os.kill(process, signal.SIGKILL)
    until(lambda: not any(is_running(process) for process in processes), "the server is on its own")

    assert surviving_server.call("execute_sql", sql=SELECT_ONE).rows == [[1]]


@linux_only
def test_workers_killed_while_idle_fail_no_call(surviving_server: RawServer) -> None:
    assert surviving_server.call("execute_sql", sql=SELECT_ONE).rows == [[1]]

    workers = workers_of(surviving_server.pid)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    until(lambda: not any(is_running(worker) for worker in workers), "the workers are gone")

    assert surviving_server.call("execute_sql", sql=SELECT_ONE).rows == [[1]]


def test_a_terminated_backend_fails_only_its_call(
    surviving_server: RawServer, survivors_activity: Activity, shop_admin_url: str
) -> None:
    call = surviving_server.start_call("execute_sql", sql=RUNAWAY)
    backend = survivors_activity.until_running(RUNAWAY)

    with psycopg.connect(shop_admin_url) as admin:
        admin.execute("select pg_terminate_backend(%s)", [backend])
    failed = surviving_server.result_of(call)

    assert failed.code == "unreachable"
    assert "the next call connects again" in failed.text
    assert surviving_server.call("execute_sql", sql=SELECT_ONE).rows == [[1]]


@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_a_restart_of_postgres_between_two_calls_fails_none(
    mode: str, own_cluster: EmbeddedPostgres, start_server: StartServer
) -> None:
    server = start_server(server_environment(own_cluster.url()))
    assert server.call("execute_sql", sql=SELECT_ONE).rows == [[1]]

    own_cluster.stop("immediate" if mode == "immediate" else "fast")
    own_cluster.start()

    assert server.call("execute_sql", sql=SELECT_ONE).rows == [[1]]


def test_a_database_that_is_down_is_reported_and_served_when_it_is_up_again(
    own_cluster: EmbeddedPostgres, start_server: StartServer
) -> None:
    own_cluster.stop()
    server = start_server(server_environment(own_cluster.url()))

    failed = server.call("execute_sql", sql=SELECT_ONE)
    schema = server.call("search_schema")
    resource = server.request("resources/read", uri="schema://main")
    listed = server.request("resources/read", uri="databases://list")
    own_cluster.start()
    until(lambda: not server.call("execute_sql", sql=SELECT_ONE).is_error, "the database is served again")

    assert failed.code == "unreachable"
    assert str(own_cluster.port) in failed.text
    assert schema.code == "unreachable"
    assert resource["error"]["message"].startswith("unreachable: ")
    assert listed["result"]["contents"][0]["text"] == "main"


def test_a_statement_is_stopped_at_its_deadline(
    environment: dict[str, str], start_server: StartServer, activity: Activity
) -> None:
    server = start_server({**environment, "PG_MCP_SERVER_QUERY_TIMEOUT": "0.5"})

    failed = server.call("execute_sql", sql=RUNAWAY)

    assert failed.code == "timeout"
    assert "0.5 s" in failed.text
    activity.until_nothing_runs()
    assert server.call("execute_sql", sql=SELECT_ONE).rows == [[1]]


@linux_only
def test_a_stopped_worker_fails_only_its_call(
    environment: dict[str, str], start_server: StartServer, activity: Activity
) -> None:
    only_one = {"PG_MCP_DATABASE_MIN_POOL_SIZE": "1", "PG_MCP_DATABASE_MAX_POOL_SIZE": "1"}
    server = start_server({**environment, **only_one, "PG_MCP_SERVER_QUERY_TIMEOUT": "1"})
    call = server.start_call("execute_sql", sql=RUNAWAY)
    activity.until_running(RUNAWAY)

    for worker in workers_of(server.pid):
        os.kill(worker, signal.SIGSTOP)
    failed = server.result_of(call)

    assert failed.code == "timeout"
    assert server.call("execute_sql", sql=SELECT_ONE).rows == [[1]]
    activity.until_nothing_runs()


@linux_only
def test_a_stopped_worker_does_not_keep_the_server_from_ending(server: RawServer, activity: Activity) -> None:
    server.start_call("execute_sql", sql=RUNAWAY)
    activity.until_running(RUNAWAY)
    children = descendants(server.pid)
    for worker in workers_of(server.pid):
        os.kill(worker, signal.SIGSTOP)

    server.close_stdin()

    assert server.wait() == 0
    assert [child for child in children if is_running(child)] == []
    activity.until_gone()


def test_a_cancelled_call_leaves_nothing_running(
    surviving_server: RawServer, survivors_activity: Activity
) -> None:
    call = surviving_server.start_call("execute_sql", sql=RUNAWAY)
    survivors_activity.until_running(RUNAWAY)

    surviving_server.notify("notifications/cancelled", requestId=call, reason="the user pressed stop")

    survivors_activity.until_nothing_runs()
    assert surviving_server.call("execute_sql", sql=SELECT_ONE).rows == [[1]]


def test_other_calls_are_served_while_a_runaway_runs(
    surviving_server: RawServer, survivors_activity: Activity
) -> None:
    runaway = surviving_server.start_call("execute_sql", sql=RUNAWAY)
    survivors_activity.until_running(RUNAWAY)

    for number in range(5):
        assert surviving_server.call("execute_sql", sql=f"select {number}").rows == [[number]]

    assert not surviving_server.has_reply(runaway)
    surviving_server.notify("notifications/cancelled", requestId=runaway)
    survivors_activity.until_nothing_runs()


def _host_leaves(server: RawServer) -> None:
    server.close_stdin()


def _terminate(server: RawServer) -> None:
    server.send_signal(signal.SIGTERM)


def _interrupt(server: RawServer) -> None:
    server.send_signal(signal.SIGINT)


@linux_only
@pytest.mark.parametrize("stop", [_host_leaves, _terminate, _interrupt])
def test_a_server_that_is_stopped_ends_its_query(
    stop: Callable[[RawServer], None], server: RawServer, activity: Activity
) -> None:
    server.start_call("execute_sql", sql=RUNAWAY)
    activity.until_running(RUNAWAY)
    children = descendants(server.pid)

    stop(server)

    assert server.wait() == 0
    activity.until_gone()
    assert [child for child in children if is_running(child)] == []
    assert "Traceback" not in server.stderr


@linux_only
def test_a_killed_server_leaves_no_workers_and_no_backends(server: RawServer, activity: Activity) -> None:
    server.start_call("execute_sql", sql=RUNAWAY)
    activity.until_running(RUNAWAY)
    children = descendants(server.pid)

    server.send_signal(signal.SIGKILL)

    assert server.wait() == -signal.SIGKILL
    until(lambda: not any(is_running(child) for child in children), "its processes are gone")
    activity.until_gone()


def test_an_idle_server_that_is_stopped_exits_at_once(server: RawServer, activity: Activity) -> None:
    assert server.call("execute_sql", sql=SELECT_ONE).rows == [[1]]

    server.send_signal(signal.SIGTERM)

    assert server.wait() == 0
    activity.until_gone()
