import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import psycopg
import pytest

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.execution.connecting import ConnectionTarget
from pgmcp.execution.credentials import RotatingPassword
from pgmcp.execution.fork_server import ForkServer, can_fork
from pgmcp.execution.spawn import Spawn, spawn_cold
from pgmcp.execution.supervisor import Supervisor
from scripts.engines.postgres import NPM_VERSIONS, running_server
from testing.machine import memory_folder
from testing.packages import has_postgres_programs, postgres_programs
from testing.tls_postgres import TlsPostgres, find_programs


@pytest.fixture(scope="module")
def module_database(cluster: EmbeddedPostgres) -> Iterator[str]:
    """Superuser's URL of a database that all tests of a module share."""
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("create database of_the_module")
        yield cluster.url("of_the_module")
        connection.execute("drop database of_the_module with (force)")


@pytest.fixture(scope="module")
async def spawn() -> AsyncIterator[Spawn]:
    """The spawn function of this system."""
    if not can_fork():
        yield spawn_cold
        return
    server = ForkServer()
    yield server.spawn
    server.close()


@pytest.fixture
async def supervise(spawn: Spawn) -> AsyncIterator[Callable[..., Supervisor]]:
    """Return a function that creates supervisors for a URL; they are closed at the end."""
    supervisors: list[Supervisor] = []

    def make(
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        spawn: Spawn = spawn,
        max_workers: int = 1,
        max_waiting: int = 10,
        max_cost: float | None = None,
        memory_limit_mb: int = 0,
        read_only: bool = True,
        credentials: RotatingPassword | None = None,
    ) -> Supervisor:
        supervisor = Supervisor(
            ConnectionTarget(url, params or {}, credentials=credentials),
            spawn=spawn,
            min_workers=1,
            max_workers=max_workers,
            max_waiting=max_waiting,
            max_cost=max_cost,
            memory_limit_mb=memory_limit_mb,
            read_only=read_only,
        )
        supervisors.append(supervisor)
        return supervisor

    yield make
    for supervisor in supervisors:
        await supervisor.close()


@pytest.fixture(scope="session")
def tls_server() -> Iterator[TlsPostgres]:
    """A PostgreSQL with TLS, shared by the tests of a process."""
    programs = find_programs()
    if programs is None:
        pytest.skip("no PostgreSQL server is installed; the embedded one has no TLS")
    with tempfile.TemporaryDirectory(
        dir=memory_folder(), prefix="pgmcp-tls-", ignore_cleanup_errors=True
    ) as folder:
        Path(folder).chmod(0o711)
        logged = {"log_connections": "on", "log_disconnections": "on"}
        with TlsPostgres(programs, Path(folder), settings=logged) as server:
            yield server


@pytest.fixture(scope="session")
def oldest_url() -> Iterator[str]:
    """The superuser's URL of the oldest supported PostgreSQL, shared by the tests of a process."""
    version = NPM_VERSIONS[0]
    if not has_postgres_programs(version):
        pytest.skip("not prepared: uv run python -m scripts.check_engines postgres-13")
    with running_server(postgres_programs(version)) as (url, _):
        yield url
