"""Errors explain relations that the catalog leaves out."""

import asyncio
from collections.abc import Iterator
from functools import partial

import psycopg
import pytest

from pgmcp.catalog.hidden import find_hidden
from pgmcp.catalog.introspection import read_catalog
from pgmcp.catalog.rendering import prompt_line
from pgmcp.catalog.scope import CatalogScope
from pgmcp.errors import InvalidArgumentError, StatementFailedError
from pgmcp.execution.result import Rows
from testing.attack_run import pipeline_to
from testing.own_statements import resolve_as_own

pytestmark = pytest.mark.anyio

OBJECTS = """
create table vehicles (id int, wheel text);
create table cars () inherits (vehicles);
create table vehicles_2024 () inherits (vehicles);
create table ev (id int, year int, month int) partition by list (year);
create table ev_2025 partition of ev for values in (2025) partition by list (month);
create table "ev 2025 1" partition of ev_2025 for values in (1);
create schema staging;
create table staging.raw (id int, secret text);
create extension vector;
create table settings_of_vector (key text);
alter extension vector add table settings_of_vector;
create schema internals;
alter extension vector add schema internals;
create table internals.chunk (at date);
create table closed (id int primary key);
create sequence counter;
create type pair as (a int, b int);
grant usage on schema staging, internals to hidden_reader;
grant select on vehicles, cars, vehicles_2024, ev, ev_2025, "ev 2025 1", staging.raw, settings_of_vector,
    internals.chunk to hidden_reader;
"""


@pytest.fixture(scope="module")
def database(module_database: str) -> Iterator[str]:
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute("create role hidden_reader")
        connection.execute(OBJECTS.encode())
        yield module_database
        connection.execute("drop owned by hidden_reader; drop role hidden_reader")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vehicles_2024", "inherits from public.vehicles and has the same columns"),
        ("ev_2025", "public.ev_2025 is a partition of public.ev; query public.ev"),
        ('"ev 2025 1"', 'public."ev 2025 1" is a partition of public.ev; query public.ev'),
        ("staging.raw", "is in the schema staging, which PG_MCP_DATABASE_EXCLUDE_SCHEMAS"),
        ("raw", "is in the schema staging, which PG_MCP_DATABASE_EXCLUDE_SCHEMAS"),
        ("settings_of_vector", "belongs to the extension vector"),
        ("chunk", "belongs to the extension vector"),
        ("pg_class", "is part of PostgreSQL's system catalog"),
        ("information_schema.tables", "is part of PostgreSQL's system catalog"),
        ("closed", "may not be read by this role"),
        ("counter", "public.counter is a sequence, not a table"),
        ("pair", "public.pair is a composite type, not a table"),
        ("closed_pkey", "public.closed_pkey is an index, not a table"),
    ],
)
def test_a_name_that_is_not_listed_is_explained(database: str, name: str, expected: str) -> None:
    (relation,) = explain(database, name)

    assert expected in relation


def test_columns_are_named_unless_their_schema_is_excluded(database: str) -> None:
    partition, excluded = explain(database, "ev_2025", "staging.raw")

    assert "columns of public.ev_2025: id, year, month" in partition
    assert "secret" not in excluded


@pytest.mark.parametrize("name", ["vehicles", "cars", "nothing", "a'b", "a.b.c", "", '"'])
def test_names_that_are_listed_or_missing_are_not_explained(database: str, name: str) -> None:
    assert explain(database, name) == []


async def test_search_schema_explains_a_table_that_is_not_listed(database: str) -> None:
    async with pipeline_to(database) as pipeline:
        with pytest.raises(
            InvalidArgumentError, match=r"ev_2025 is a partition of public\.ev; query"
        ) as error:
            await pipeline.schema.find_tables("", database=None, names=["ev_2025"], limit=10)
        catalog, (cars,) = await pipeline.schema.find_tables("", database=None, names=["cars"], limit=10)

    assert "columns of public.ev_2025: id, year, month" in str(error.value)
    assert prompt_line(cars, catalog).endswith(" -- inherits from vehicles, which shows its rows too")


@pytest.mark.parametrize(
    ("name", "reason"),
    [("pair", "is a composite type"), ("closed_pkey", "is an index"), ("ev_2025", "is a p")],
)
async def test_an_error_explains_a_relation_that_is_not_a_table(
    database: str, name: str, reason: str
) -> None:
    async with pipeline_to(database) as pipeline:
        with pytest.raises(StatementFailedError) as error:
            await pipeline.execute_sql(f"select nope from {name}")

    assert f"public.{name} {reason}" in error.value.hint


async def test_a_name_may_begin_with_its_database(database: str) -> None:
    async with pipeline_to(database) as pipeline:
        catalog, found = await pipeline.schema.find_tables("", database=None, names=["cars"], limit=10)
        (configured,) = pipeline.databases.names
        own, schema = catalog.database, pipeline.schema
        for name in (f'"{own}".public.cars', f"{configured}.public.cars", f"{configured}.PUBLIC.cars"):
            assert await schema.find_tables("", database=None, names=[name], limit=10) == (catalog, found)
            outcome = await schema.find_tables_in_all("", names=[name], limit=10)
            assert outcome.results[configured].tables == found

        for name, expected in (
            (f"{configured}.public.ev_2025", "ev_2025 is a partition of public.ev"),
            (f"{own}.public.ev_2025", "ev_2025 is a partition of public.ev"),
            (f"{configured}.public.carz", "no table is called"),
            ("elsewhere.public.cars", "no table is called"),
        ):
            for find in (partial(schema.find_tables, database=None), schema.find_tables_in_all):
                with pytest.raises(InvalidArgumentError, match=expected) as error:
                    await find("", names=[name], limit=10)

    assert error.value.hint == (
        f"three parts mean database.schema.table, and this database is {own}; write schema.table; near: cars"
    )


def explain(url: str, *names: str) -> list[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set role hidden_reader")
        resolve_as_own(connection)

        async def fetch(sql: str) -> Rows:
            return Rows(columns=(), rows=[list(row) for row in connection.execute(sql.encode())])

        async def find() -> list[str]:
            catalog = await read_catalog(fetch, scope=CatalogScope(exclude_schemas=("staging",)))
            assert catalog.find("cars") is not None
            return [relation.describe() for relation in await find_hidden(fetch, names, catalog)]

        return asyncio.run(find())
