"""PGlite has one session for all connections. pgmcp recognises this, and keeps the state of other clients.

TimescaleDB runs in PGlite, so the catalog of its hypertables is tested here.
"""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from pgmcp.catalog.introspection import read_catalog
from pgmcp.execution.supervisor import SHARED_SESSION, Supervisor
from testing.packages import is_prepared
from testing.pglite import PGLITE_BUILD, TIMESCALE_BUILD, TIMESCALE_MODULE, Build
from testing.statement_run import value
from testing.trapped_database import own_fetch

pytestmark = pytest.mark.anyio

Supervise = Callable[..., Supervisor]


HYPERTABLES = """
create extension timescaledb;
create table reading (at timestamptz not null, sensor int, value float8);
select create_hypertable('reading', 'at', chunk_time_interval => interval '1 day');
insert into reading select '2026-01-01'::timestamptz + n * interval '1 hour', n % 3, n
  from generate_series(1, 500) as n;
"""
CONTINUOUS_AGGREGATE = """
create materialized view daily with (timescaledb.continuous) as
select time_bucket('1 day', at) as day, sensor, avg(value) from reading group by 1, 2 with no data
"""


def _url(build: Build, engine: str, *extension: str) -> Iterator[str]:
    if not is_prepared(build.name, build.wanted):
        pytest.skip(f"npm's packages are missing: uv run python -m scripts.check_engines {engine}")
    with build.serve(*extension) as url:
        yield url


@pytest.fixture(scope="module")
def pglite_url() -> Iterator[str]:
    yield from _url(PGLITE_BUILD, "pglite")


@pytest.fixture(scope="module")
def old_pglite_url() -> Iterator[str]:
    """PGlite 0.3, whose backend has no row in pg_stat_activity and the pid 0."""
    yield from _url(TIMESCALE_BUILD, "timescaledb")


@pytest.fixture(scope="module")
def timescale_url() -> Iterator[str]:
    yield from _url(TIMESCALE_BUILD, "timescaledb", *TIMESCALE_MODULE)


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


async def test_a_hypertable_has_the_rows_of_its_chunks_and_internal_relations_are_not_listed(
    supervise: Supervise, timescale_url: str
) -> None:
    with psycopg.connect(timescale_url, autocommit=True, prepare_threshold=None) as connection:
        for statement in (
            *HYPERTABLES.split(";\n")[:-1],
            CONTINUOUS_AGGREGATE,
            "call refresh_continuous_aggregate('daily', null, null)",
            "analyze",
        ):
            connection.execute(statement.encode())
        counted = connection.execute("select count(*) from reading").fetchone()
        internal = connection.execute(
            "select count(*) from pg_class where relnamespace = '_timescaledb_internal'::regnamespace"
            " and relname in ('_materialized_hypertable_2', '_partial_view_2', '_direct_view_2')"
        ).fetchone()

    catalog = await read_catalog(own_fetch(supervise(timescale_url)))

    assert {table.name: table.estimated_rows for table in catalog.tables} == {"daily": None, "reading": 500}
    assert (counted, internal) == ((500,), (3,))
