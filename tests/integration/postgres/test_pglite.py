"""PGlite has one session for all connections. pgmcp recognises this, and keeps the state of other clients."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from pgmcp.execution.supervisor import SHARED_SESSION, Supervisor
from scripts.engines.packages import is_prepared
from scripts.engines.pglite import PGLITE_BUILD, TIMESCALE_BUILD, Build
from testing.statement_run import value

pytestmark = pytest.mark.anyio

Supervise = Callable[..., Supervisor]


def _url(build: Build, engine: str) -> Iterator[str]:
    if not is_prepared(build.name, build.wanted):
        pytest.skip(f"npm's packages are missing: python -m scripts.check_engines {engine}")
    with build.serve() as url:
        yield url


@pytest.fixture(scope="module")
def pglite_url() -> Iterator[str]:
    yield from _url(PGLITE_BUILD, "pglite")


@pytest.fixture(scope="module")
def old_pglite_url() -> Iterator[str]:
    """PGlite 0.3, whose backend has no row in pg_stat_activity and the pid 0."""
    yield from _url(TIMESCALE_BUILD, "timescaledb")


async def test_a_read_leaves_the_temporary_tables_of_other_clients(
    supervise: Supervise, pglite_url: str
) -> None:
    with psycopg.connect(pglite_url, autocommit=True, prepare_threshold=None) as other:
        other.execute("create temporary table kept as select 1 as n")
        supervisor = supervise(pglite_url)

        assert await value(supervisor, "select 2") == 2
        assert supervisor.pooler == SHARED_SESSION
        assert other.execute("select n from kept").fetchone() == (1,)


async def test_an_engine_without_backend_processes_is_recognised(
    supervise: Supervise, old_pglite_url: str
) -> None:
    supervisor = supervise(old_pglite_url)

    # The engine set this path in its one session; pg_settings.reset_val is pg_catalog.
    assert await value(supervisor, "select current_schemas(false)::text") == "{public}"
    assert supervisor.pooler == SHARED_SESSION
