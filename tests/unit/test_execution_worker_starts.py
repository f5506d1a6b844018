"""When workers are started after the database has refused connections."""

import asyncio
from pathlib import Path

import pytest

from pgmcp.errors import ConnectionLimitError, ExecutionError, UnreachableError
from pgmcp.execution.connecting import ConnectionTarget, Connector
from pgmcp.execution.spawn import worker_command, worker_environment
from pgmcp.execution.worker_process import WorkerProcess
from pgmcp.execution.worker_starts import (
    FIRST_DELAY_S,
    FREE_ATTEMPTS,
    MAX_DELAY_S,
    MAX_DELAY_WITHOUT_WORKERS_S,
    Backoff,
    WorkerStarts,
)
from testing.injected import Retries


def failed_times(count: int, *, now_s: float = 100.0) -> Backoff:
    backoff = Backoff()
    for _ in range(count):
        backoff.failed(now_s)
    return backoff


def test_starts_do_not_wait_before_the_first_failure() -> None:
    assert Backoff().wait_s(now_s=0.0) == 0.0


def test_starts_do_not_wait_after_the_first_failures() -> None:
    assert failed_times(FREE_ATTEMPTS).wait_s(100.0) == 0.0


def test_each_further_failure_doubles_the_wait() -> None:
    waits_s = [failed_times(FREE_ATTEMPTS + further).wait_s(100.0) for further in (1, 2, 3)]

    assert waits_s == [FIRST_DELAY_S, 2 * FIRST_DELAY_S, 4 * FIRST_DELAY_S]


def test_the_wait_has_an_upper_bound_however_often_it_failed() -> None:
    assert failed_times(2_000).wait_s(100.0) == MAX_DELAY_S


def test_the_wait_decreases_with_time_and_ends() -> None:
    backoff = failed_times(FREE_ATTEMPTS + 2, now_s=100.0)

    assert backoff.wait_s(100.0 + FIRST_DELAY_S) == FIRST_DELAY_S
    assert backoff.wait_s(100.0 + 2 * FIRST_DELAY_S) == 0.0
    assert backoff.wait_s(1_000.0) == 0.0


def test_a_successful_connection_ends_the_wait_and_resets_the_count() -> None:
    backoff = failed_times(10)
    backoff.succeeded()

    assert backoff.wait_s(100.0) == 0.0

    backoff.failed(100.0)

    assert backoff.wait_s(100.0) == 0.0


class Refusing(Connector):
    """Refuses each connection with the same error."""

    def __init__(self, error: ExecutionError) -> None:
        self.attempts = 0
        self._error = error

    async def open(self) -> WorkerProcess:
        self.attempts += 1
        raise self._error


def refusing(error: ExecutionError, *, has_workers: bool) -> tuple[WorkerStarts, Refusing, Retries]:
    """Return starts that the database always refuses, the connector, and the timer of the retries."""
    connector, retries = Refusing(error), Retries()
    starts = WorkerStarts(
        connector,
        "shop",
        on_connected=lambda worker: None,
        on_refused=lambda error: starts.try_again_later(has_workers=has_workers),
        on_retry=lambda: starts.begin(1),
        clock=retries.clock,
        call_later=retries.call_later,
    )
    return starts, connector, retries


async def attempt(starts: WorkerStarts) -> None:
    await asyncio.gather(*starts.tasks)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("has_workers", "longest_s"), [(False, MAX_DELAY_WITHOUT_WORKERS_S), (True, MAX_DELAY_S)]
)
async def test_at_a_limit_of_connections_attempts_are_made_one_at_a_time_and_ever_more_seldom(
    has_workers: bool, longest_s: float
) -> None:
    starts, connector, retries = refusing(ConnectionLimitError("too many"), has_workers=has_workers)
    starts.begin(1)
    for _ in range(9):
        await attempt(starts)
        assert not starts.may_begin or connector.attempts <= FREE_ATTEMPTS
        retries.run_retry()
    await attempt(starts)

    assert connector.attempts == 10
    assert retries.delays_s == [0.5, 0.5, 0.5, 1.0, 2.0, 4.0, *[longest_s] * 4]
    assert starts.is_limited


@pytest.mark.anyio
async def test_several_callers_at_a_limit_wait_for_one_retry() -> None:
    starts, _, retries = refusing(ConnectionLimitError("too many"), has_workers=False)
    starts.begin(1)
    await attempt(starts)
    for _ in range(5):
        starts.try_again_later(has_workers=False)

    assert retries.delays_s == [FIRST_DELAY_S]


@pytest.mark.anyio
async def test_other_failures_cause_no_retry() -> None:
    starts, _, retries = refusing(UnreachableError("down"), has_workers=False)
    starts.begin(1)
    await attempt(starts)

    assert retries.delays_s == []
    assert not starts.is_limited


@pytest.mark.anyio
async def test_no_retry_is_made_after_the_pool_was_closed() -> None:
    starts, connector, retries = refusing(ConnectionLimitError("too many"), has_workers=False)
    starts.begin(1)
    await attempt(starts)
    starts.cancel()
    retries.run_retry()

    assert connector.attempts == 1


@pytest.mark.parametrize(
    "name",
    [
        "PGPASSWORD",
        "PG_MCP_DATABASE_PASSWORD",
        "PG_MCP_DATABASE_URL",
        "PG_MCP_OPENAI_API_KEY",
        "OPENAI_API_KEY",
        "DATABASE_URL",
        "AWS_SECRET_ACCESS_KEY",
        "GITHUB_TOKEN",
        "LD_PRELOAD",
    ],
)
def test_a_worker_inherits_no_credential_and_nothing_unknown(name: str) -> None:
    assert worker_environment({name: "secret"}) == {}


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "LANG", "LC_ALL", "TZ", "PGSSLROOTCERT", "PGPASSFILE", "PGSERVICE", "PYTHONPATH"],
)
def test_a_worker_inherits_what_python_and_libpq_read(name: str) -> None:
    assert worker_environment({name: "value"}) == {name: "value"}


def test_the_worker_module_is_never_loaded_from_the_working_directory() -> None:
    program, *arguments = worker_command("worker")

    assert Path(program).is_absolute()
    assert arguments == ["-P", "-m", "worker"]


def test_a_connection_target_shows_no_credential() -> None:
    target = ConnectionTarget("postgresql://me:secret@host/db", {"password": "secret"})

    assert "secret" not in repr(target) + str(target)
