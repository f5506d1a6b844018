"""Relations that the catalog leaves out are explained where somebody names them."""

import asyncio
from collections.abc import Callable

import psycopg
import pytest

from pgmcp.execution.result import Rows
from pgmcp.schema.hidden import find_hidden
from pgmcp.schema.introspection import read_catalog
from pgmcp.schema.scope import CatalogScope
from tests.own_statements import resolve_as_own

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
create table closed (id int);
grant usage on schema staging, internals to hidden_reader;
grant select on vehicles, cars, vehicles_2024, ev, ev_2025, "ev 2025 1", staging.raw, settings_of_vector,
    internals.chunk to hidden_reader;
"""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("vehicles_2024", "inherits from public.vehicles; its columns are those of public.vehicles"),
        ("ev_2025", "public.ev_2025 is a partition of public.ev; query public.ev"),
        ('"ev 2025 1"', 'public."ev 2025 1" is a partition of public.ev; query public.ev'),
        ("staging.raw", "is in the schema staging, which PG_MCP_DATABASE_EXCLUDE_SCHEMAS"),
        ("raw", "is in the schema staging, which PG_MCP_DATABASE_EXCLUDE_SCHEMAS"),
        ("settings_of_vector", "belongs to the extension vector"),
        ("chunk", "belongs to the extension vector"),
        ("pg_class", "is part of PostgreSQL's system catalog"),
        ("information_schema.tables", "is part of PostgreSQL's system catalog"),
        ("closed", "may not be read by this role"),
    ],
)
def test_a_name_that_is_not_listed_is_explained(
    new_database: Callable[[], str], name: str, expected: str
) -> None:
    (relation,) = explain(new_database(), name)

    assert expected in relation


def test_columns_are_named_but_not_of_excluded_schemas(new_database: Callable[[], str]) -> None:
    partition, excluded = explain(new_database(), "ev_2025", "staging.raw")

    assert "columns of public.ev_2025: id, year, month" in partition
    assert "secret" not in excluded


@pytest.mark.parametrize("name", ["vehicles", "cars", "nothing", "a'b", "a.b.c", "", '"'])
def test_what_is_listed_or_not_there_is_not_explained(new_database: Callable[[], str], name: str) -> None:
    assert explain(new_database(), name) == []


def explain(url: str, *names: str) -> list[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "do $$ begin create role hidden_reader; exception when duplicate_object then null; end $$"
        )
        connection.execute(OBJECTS.encode())
        connection.execute("set role hidden_reader")
        resolve_as_own(connection)

        async def fetch(sql: str) -> Rows:
            return Rows(columns=(), rows=[list(row) for row in connection.execute(sql.encode())])

        async def find() -> list[str]:
            catalog = await read_catalog(fetch, scope=CatalogScope(exclude_schemas=("staging",)))
            assert catalog.find("cars") is not None
            return [relation.describe() for relation in await find_hidden(fetch, names, catalog)]

        return asyncio.run(find())
