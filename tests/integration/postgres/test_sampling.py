"""Sampling of tables that were never analysed, by workers on a real PostgreSQL."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from pgmcp.catalog.catalog import Catalog, Column
from pgmcp.catalog.introspection import read_catalog
from pgmcp.catalog.sampling import SAMPLE_LIMITS, add_samples, sample
from pgmcp.catalog.scope import CatalogScope
from pgmcp.execution.policy import PolicyReader
from pgmcp.execution.result import Rows
from pgmcp.execution.supervisor import Supervisor
from pgmcp.open_database import CATALOG_LIMITS
from pgmcp.validation import validate
from worker.protocol import StatementOrigin

pytestmark = pytest.mark.anyio

Supervise = Callable[..., Supervisor]

EVERYTHING = CatalogScope()
ROWS = 300
TABLES = f"""
CREATE TABLE heroes (
    id int PRIMARY KEY, race text, "Home Town" varchar(40), email text, note text, level int,
    joined date, rare text, long text, boss_id int REFERENCES heroes
);
INSERT INTO heroes
SELECT n, (ARRAY['Human', 'Elf, "wood"', E'Or\\\\c'])[1 + n % 3], 'it''s ' || n % 2, 'e' || n % 3,
       'note ' || n, n % 5, date '2024-01-01' + n % 10, CASE WHEN n = 7 THEN 'once' ELSE 'often' END,
       repeat('x', 80), NULL
FROM generate_series(1, {ROWS}) AS n;
CREATE TABLE parted (state text, day date) PARTITION BY LIST (state);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN ('open');
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN ('shut');
INSERT INTO parted SELECT CASE WHEN n < 200 THEN 'open' ELSE 'shut' END FROM generate_series(1, {ROWS}) AS n;
CREATE MATERIALIZED VIEW races AS SELECT race FROM heroes;
CREATE TABLE kept_back (state text);
INSERT INTO kept_back SELECT 'mine' FROM generate_series(1, 50);
CREATE VIEW seen AS SELECT race FROM heroes;
CREATE TABLE analysed (state text);
INSERT INTO analysed SELECT 'unique ' || n FROM generate_series(1, 50) AS n;
ANALYZE analysed;
INSERT INTO analysed SELECT 'since then' FROM generate_series(1, 500);
CREATE ROLE sampler LOGIN PASSWORD 'pass';
GRANT SELECT ON ALL TABLES IN SCHEMA public TO sampler;
ALTER TABLE kept_back ENABLE ROW LEVEL SECURITY;
CREATE POLICY everything ON kept_back USING (true);
"""


@pytest.fixture
def admin_url(new_database: Callable[[], str]) -> Iterator[str]:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLES.encode())
        yield url
        connection.execute("DROP OWNED BY sampler; DROP ROLE sampler")


@pytest.fixture
def supervisor(admin_url: str, supervise: Supervise) -> Supervisor:
    return supervise(admin_url, params={"user": "sampler", "password": "pass"})


async def read(
    supervisor: Supervisor,
    *,
    max_rows: int = 10_000,
    scope: CatalogScope = EVERYTHING,
    timeout_s: float = 5,
) -> Catalog:
    """Return the catalog with samples, as pgmcp assembles it."""

    async def fetch(sql: str) -> Rows:
        return await supervisor.execute(
            sql, CATALOG_LIMITS, origin=StatementOrigin.OWN, can_be_wrapped=False, timeout_s=30
        )

    functions = await PolicyReader(fetch, allowed=(), denied=()).read()

    async def probe(sql: str) -> Rows:
        statement = validate(sql, functions=functions)
        return await supervisor.execute(
            statement.text,
            SAMPLE_LIMITS,
            origin=StatementOrigin.OWN,
            can_be_wrapped=True,
            timeout_s=timeout_s,
        )

    catalog = await read_catalog(fetch, scope=scope)
    return add_samples(catalog, await sample(catalog, fetch, probe, max_rows=max_rows))


def columns(catalog: Catalog, table: str) -> dict[str, Column]:
    found = catalog.find(table)
    assert found is not None
    return {column.name: column for column in found.columns}


async def test_short_lists_and_ranges_of_a_table_that_was_never_analysed_are_sampled(
    supervisor: Supervisor,
) -> None:
    heroes = columns(await read(supervisor), "heroes")

    assert set(heroes["race"].values) == {"Human", 'Elf, "wood"', "Or\\c"}
    assert set(heroes["Home Town"].values) == {"it's 0", "it's 1"}
    assert heroes["level"].value_range == ("0", "4")
    assert heroes["joined"].value_range == ("2024-01-01", "2024-01-10")


async def test_only_short_lists_of_short_texts_are_sampled(supervisor: Supervisor) -> None:
    heroes = columns(await read(supervisor), "heroes")

    assert heroes["note"].values == heroes["long"].values == ()
    assert set(heroes["rare"].values) == {"often", "once"}
    assert not heroes["rare"].may_hold_others
    assert heroes["id"].value_range is heroes["boss_id"].value_range is None


async def test_columns_that_look_sensitive_or_are_hidden_are_not_sampled(supervisor: Supervisor) -> None:
    heroes = columns(await read(supervisor, scope=CatalogScope(hidden_values=("heroes.r*",))), "heroes")

    assert heroes["email"].values == heroes["race"].values == ()
    assert heroes["Home Town"].values


async def test_values_from_a_part_of_a_large_table_may_be_incomplete(
    admin_url: str, supervisor: Supervisor
) -> None:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE big (state text, number int);"
            "INSERT INTO big SELECT 's' || n % 4, n FROM generate_series(1, 100000) AS n;"
            "GRANT SELECT ON big TO sampler"
        )

    big = columns(await read(supervisor, max_rows=1_000), "big")

    assert sorted(big["state"].values) == ["s0", "s1", "s2", "s3"]
    assert big["state"].may_hold_others
    assert big["number"].value_range is None  # a name that looks like that of a key


async def test_all_partitions_and_materialised_views_are_sampled(supervisor: Supervisor) -> None:
    catalog = await read(supervisor)

    assert columns(catalog, "parted")["state"].values == ("open", "shut")
    assert len(columns(catalog, "races")["race"].values) == 3


@pytest.mark.parametrize("table", ["seen", "kept_back"])
async def test_views_and_tables_under_row_level_security_are_not_sampled(
    table: str, supervisor: Supervisor
) -> None:
    catalog = await read(supervisor)

    assert all(column.values == () for column in columns(catalog, table).values())


async def test_analysed_tables_are_not_sampled(supervisor: Supervisor) -> None:
    analysed = columns(await read(supervisor), "analysed")

    assert "since then" not in analysed["state"].values


async def test_foreign_tables_are_not_sampled_even_as_partitions(
    admin_url: str, supervisor: Supervisor
) -> None:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(
            "CREATE FOREIGN DATA WRAPPER nowhere; CREATE SERVER far FOREIGN DATA WRAPPER nowhere;"
            "CREATE FOREIGN TABLE remote (state text) SERVER far;"
            "CREATE TABLE spread (state text) PARTITION BY LIST (state);"
            "CREATE TABLE near PARTITION OF spread FOR VALUES IN ('near');"
            "CREATE FOREIGN TABLE away PARTITION OF spread FOR VALUES IN ('away') SERVER far;"
            "INSERT INTO spread SELECT 'near' FROM generate_series(1, 50);"
            "GRANT SELECT ON remote, spread TO sampler"
        )

    catalog = await read(supervisor)

    assert columns(catalog, "spread")["state"].values == ()
    assert columns(catalog, "remote")["state"].values == ()
    assert columns(catalog, "heroes")["race"].values


async def test_a_locked_table_lacks_only_its_own_values(admin_url: str, supervisor: Supervisor) -> None:
    with psycopg.connect(admin_url) as connection:
        connection.execute("LOCK TABLE parted_1 IN ACCESS EXCLUSIVE MODE")

        catalog = await read(supervisor, timeout_s=0.3)

        assert columns(catalog, "parted")["state"].values == ()
        assert columns(catalog, "heroes")["race"].values


async def test_a_name_that_needs_quotes_cannot_change_the_statement(
    admin_url: str, supervisor: Supervisor
) -> None:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(
            """CREATE TABLE "a'b"".c; --" ("x""y'z" text);
            INSERT INTO "a'b"".c; --" SELECT 'v' FROM generate_series(1, 9);
            GRANT SELECT ON "a'b"".c; --" TO sampler"""
        )

    catalog = await read(supervisor)
    table = next(table for table in catalog.tables if table.name.startswith("a'b"))

    assert table.columns[0].values == ("v",)
