"""A database whose search_path leads to traps is connected to and read, and no trap is sprung.

Each trap raises a notice in the server's log before anything else, so that a read-only transaction hides
nothing. The traps have the exact operand types of built-in operators, functions and casts.
"""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.execution.result import RowLimits
from pgmcp.execution.supervisor import Supervisor
from pgmcp.schema.introspection import read_catalog
from pgmcp.validation.catalog_reader import PolicyReader
from pgmcp.validation.role import POSTURE_SQL
from tests.pgbouncer import PgBouncer, find_pgbouncer
from tests.statement_run import run, value
from worker.protocol import StatementOrigin

pytestmark = pytest.mark.anyio

SPRUNG = "a trap was sprung"
LIMITS = RowLimits(max_rows=100_000, max_bytes=64 << 20, max_cell_bytes=1 << 20)

_TRAPS = Path(__file__).parents[1] / "data" / "traps" / "search_path.sql"


class Trapped:
    """A database full of traps.

    Attributes:
        url: for its superuser, who owns the traps.
        reader_url: for a role that can only read.
    """

    def __init__(self, cluster: EmbeddedPostgres, url: str) -> None:
        self.url = url
        self.name = url.rpartition("/")[2]
        self._log_file = cluster.data_dir / "server.log"
        self._log_start = self._log_file.stat().st_size

    def sprung(self) -> list[str]:
        """Return what the server's log says of traps."""
        text = self._log_file.read_bytes()[self._log_start :].decode("utf8", "replace")
        return [line for line in text.splitlines() if SPRUNG in line and "LOG:" in line]

    def rows_logged(self) -> int:
        """Return how many traps have written a row."""
        with psycopg.connect(self.url, options="-c search_path=pg_catalog") as connection:
            tables = connection.execute(
                "select relnamespace::regnamespace from pg_class where relname = 'log'"
            ).fetchall()
            counts = [
                connection.execute(f"select count(*) from {table}.log".encode()).fetchone()
                for (table,) in tables
            ]
        return sum(row[0] for row in counts if row)


def _set_traps(url: str, schema: str, path: str) -> None:
    name = url.rpartition("/")[2]
    with psycopg.connect(url, autocommit=True, options="-c search_path=pg_catalog") as connection:
        connection.execute(f"create schema if not exists {schema}".encode())
        connection.execute(_TRAPS.read_text("utf-8").replace("SCHEMA", schema).encode())
        connection.execute(f"grant usage on schema {schema} to public".encode())
        connection.execute(f"grant select on {schema}.people, {schema}.shop to public".encode())
        connection.execute(
            sql.SQL("alter database {} set search_path = {}").format(sql.Identifier(name), sql.SQL(path))
        )
        for setting in (
            "default_transaction_read_only = off",
            "default_transaction_isolation = serializable",
        ):
            connection.execute(sql.SQL("alter database {} set " + setting).format(sql.Identifier(name)))


@pytest.fixture(params=["s, pg_catalog, public", '"$user", public'], ids=["before pg_catalog", "in public"])
def trapped(
    request: pytest.FixtureRequest, cluster: EmbeddedPostgres, new_database: Callable[[], str]
) -> Trapped:
    """Traps in a schema before pg_catalog, and on the default path."""
    url = new_database()
    _set_traps(url, "s" if request.param.startswith("s,") else "public", request.param)
    return Trapped(cluster, url)


@pytest.fixture(params=[True, False], ids=["read only", "not read only"])
def read_only(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


async def _read_everything(supervisor: Supervisor) -> None:
    async def fetch(statement: str) -> object:
        return await run(supervisor, statement, limits=LIMITS, wrapped=False, origin=StatementOrigin.OWN)

    catalog = await read_catalog(fetch)  # type: ignore[arg-type]
    assert {table.name for table in catalog.tables} >= {"people", "shop"}
    people = next(table for table in catalog.tables if table.name == "people")
    assert [column.type for column in people.columns] == ["integer", "mood", "date"]
    assert people.columns[1].enum_labels == ("sad", "happy")
    await PolicyReader(fetch, allowed=(), denied=()).read()  # type: ignore[arg-type]
    await fetch(POSTURE_SQL)


def _no_trap_was_sprung(trapped: Trapped) -> None:
    assert trapped.sprung() == []
    assert trapped.rows_logged() == 0


def test_the_traps_do_spring_where_names_are_resolved_on_the_path_of_the_database(trapped: Trapped) -> None:
    with psycopg.connect(trapped.url) as connection:
        connection.execute("select (5::oid)::text")

    assert trapped.sprung()


async def test_connecting_and_reading_the_catalog_springs_no_trap(
    supervise: Callable[..., Supervisor], trapped: Trapped, read_only: bool
) -> None:
    supervisor = supervise(trapped.url, read_only=read_only)

    await _read_everything(supervisor)
    assert await value(supervisor, "select 7") == 7
    assert await value(supervisor, "select 'sad'::mood") == "sad"

    _no_trap_was_sprung(trapped)


async def test_behind_pgbouncer_no_trap_is_sprung(
    supervise: Callable[..., Supervisor], trapped: Trapped
) -> None:
    program = find_pgbouncer()
    if program is None:
        pytest.skip("PgBouncer is not installed (Debian: apt-get install pgbouncer)")
    with PgBouncer(program, trapped.url, pool_size=2) as bouncer:
        supervisor = supervise(bouncer.url(trapped.url))

        await _read_everything(supervisor)
        assert await value(supervisor, "select 7") == 7
        await supervisor.close()

    _no_trap_was_sprung(trapped)
