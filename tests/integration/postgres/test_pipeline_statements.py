"""Statements with missing names, on a worker and a real PostgreSQL."""

from collections.abc import AsyncIterator, Callable

import psycopg
import pytest

from pgmcp.catalog.cache import SchemaCache
from pgmcp.catalog.catalog import Catalog
from pgmcp.catalog.introspection import read_catalog
from pgmcp.errors import StatementFailedError
from pgmcp.execution.policy import PolicyReader
from pgmcp.execution.result import RowLimits, Rows
from pgmcp.execution.role import RoleCheck
from pgmcp.execution.supervisor import Supervisor
from pgmcp.open_database import CATALOG_LIMITS, logger
from pgmcp.pipeline.call import Call, Database, Operation, Request, Stage
from pgmcp.pipeline.statements import StatementRunner
from pgmcp.pipeline.tracer import Tracer
from pgmcp.refreshing_cache import RefreshingCache
from pgmcp.validation import FunctionPolicy
from worker.protocol import StatementOrigin

pytestmark = pytest.mark.anyio


class Swapped:
    """A database on which a script runs just before the catalog is read for the second time.

    Attributes:
        reads: how often the catalog was read so far.
    """

    def __init__(self, url: str, supervisor: Supervisor, script: str) -> None:
        self._url = url
        self._supervisor = supervisor
        self._script = script
        self.reads = 0
        policies = PolicyReader(self._fetch, allowed=(), denied=())
        functions: RefreshingCache[FunctionPolicy] = RefreshingCache(
            policies.read, refresh_interval_s=3600, logger=logger, name="functions"
        )
        schema = SchemaCache(self._read, refresh_interval_s=3600, clock=lambda: 0.0)
        role = RoleCheck("main", self._fetch, must_be_read_only=False)
        self._closing = (schema.close, functions.close, role.close)
        self.database = Database("main", supervisor, schema, role, functions)

    async def close(self) -> None:
        for close in self._closing:
            await close()

    async def run(self, sql: str) -> tuple[Rows | None, Call]:
        call = Call(id=1, operation=Operation.EXECUTE_SQL)
        limits = RowLimits(max_rows=10, max_bytes=1000, max_cell_bytes=100)
        request = Request(call=call, database=self.database, limits=limits, deadline_s=30)
        return await StatementRunner(statement_timeout_s=5, tracer=Tracer([])).run(request, sql), call

    async def _fetch(self, sql: str) -> Rows:
        return await self._supervisor.execute(
            sql, CATALOG_LIMITS, origin=StatementOrigin.OWN, can_be_wrapped=False, timeout_s=30
        )

    async def _read(self, old: Catalog | None) -> Catalog:
        self.reads += 1
        if self.reads == 2:
            with psycopg.connect(self._url, autocommit=True) as connection:
                connection.execute(self._script.encode())
        return await read_catalog(self._fetch, old=old)


@pytest.fixture
async def swapped(
    new_database: Callable[[], str], supervise: Callable[..., Supervisor]
) -> AsyncIterator[Callable[[str, str], Swapped]]:
    databases: list[Swapped] = []

    def make(before: str, script: str) -> Swapped:
        url = new_database()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(before.encode())
        databases.append(Swapped(url, supervise(url), script))
        return databases[-1]

    yield make
    for each in databases:
        await each.close()


@pytest.mark.parametrize(
    ("before", "script", "sql"),
    [
        ("SELECT 1", "CREATE TABLE late AS SELECT 7 AS id", "SELECT id FROM late"),
        (
            "CREATE TABLE orders AS SELECT 6 AS old_id",
            "ALTER TABLE orders ADD id int DEFAULT 7",
            "SELECT id FROM orders",
        ),
    ],
)
async def test_a_statement_runs_again_if_the_missing_table_now_exists(
    before: str, script: str, sql: str, swapped: Callable[[str, str], Swapped]
) -> None:
    database = swapped(before, script)
    await database.database.schema.get()

    rows, call = await database.run(sql)

    assert rows is not None
    assert rows.rows == [[7]]
    assert database.reads == 2
    assert Stage.EXECUTE in call.elapsed_ms


async def test_a_name_that_stays_missing_causes_one_read_and_gets_similar_names(
    swapped: Callable[[str, str], Swapped],
) -> None:
    database = swapped("CREATE TABLE orders (id int)", "SELECT 1")
    await database.database.schema.get()

    with pytest.raises(StatementFailedError) as failed:
        await database.run("SELECT id FROM order_s")

    assert database.reads == 2
    assert "tables near order_s: orders" in failed.value.hint
    assert failed.value.sql == "SELECT id FROM order_s"
