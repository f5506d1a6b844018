"""The compact schema has the content of plain CREATE TABLE statements, with fewer tokens."""

import asyncio
from collections.abc import Iterator
from datetime import date

import psycopg
import pytest

from pgmcp.catalog.catalog import Catalog
from pgmcp.catalog.introspection import read_catalog
from pgmcp.evaluation.contestants import create_tables
from pgmcp.execution.result import Column, Rows
from pgmcp.generation.context_file import DatabaseContext, load_context
from pgmcp.generation.prompt_writer import PromptWriter
from pgmcp.tokens import estimate_tokens
from pgmcp.validation.references import find_references
from testing.mcp_server import SHOP_CONTEXT
from testing.own_statements import resolve_as_own

MAX_SHARE = 0.6


@pytest.fixture(scope="module")
def catalog(shop_url: str) -> Catalog:
    with psycopg.connect(shop_url, autocommit=True) as connection:
        resolve_as_own(connection)

        async def fetch(sql: str) -> Rows:
            cursor = connection.execute(sql.encode())
            names = tuple(Column(column.name, "") for column in cursor.description or ())
            return Rows(names, [list(row) for row in cursor.fetchall()])

        return asyncio.run(read_catalog(fetch))


@pytest.fixture(scope="module")
def prompt(catalog: Catalog) -> str:
    writer = PromptWriter(max_tokens=8_000, count_tokens=estimate_tokens)
    _, user = writer.write("How many?", catalog, DatabaseContext(), today=date(2026, 11, 22), max_rows=1_000)
    return user["content"]


def test_the_prompt_takes_at_most_a_share_of_what_plain_statements_take(
    catalog: Catalog, prompt: str
) -> None:
    plain = "\n".join([create_tables(catalog), *facts(catalog)])

    assert estimate_tokens(prompt) <= MAX_SHARE * estimate_tokens(plain)


def test_the_plain_prompt_has_the_whole_schema(catalog: Catalog) -> None:
    plain = create_tables(catalog)

    assert "CREATE TABLE public.orders (" in plain
    assert "placed_at timestamp with time zone NOT NULL" in plain
    assert "FOREIGN KEY (customer_id) REFERENCES customers(id)" in plain
    assert "CREATE TYPE order_status AS ENUM (" in plain
    assert "COMMENT ON COLUMN public." in plain


def test_the_compact_prompt_has_every_name_and_fact(catalog: Catalog, prompt: str) -> None:
    for table in catalog.tables:
        line = next(line for line in prompt.splitlines() if f"{catalog.display_name(table)}(" in line)
        for column in table.columns:
            assert f"{column.name} " in line
            assert all(value in line for value in (*column.enum_labels, *column.values))
            assert all(bound in line for bound in column.value_range or ())


def test_every_table_that_verified_sql_reads_is_in_the_prompt(prompt: str) -> None:
    for verified in load_context(SHOP_CONTEXT)["shop"].verified:
        for _, relation in find_references(verified.sql).relations:
            assert f"{relation}(" in prompt


def facts(catalog: Catalog) -> Iterator[str]:
    """Return what the prompt says in addition to the dump, written as in the dump."""
    for table in catalog.tables:
        if table.estimated_rows is not None:
            yield f"-- {table.name} has about {table.estimated_rows} rows"
        for column in table.columns:
            if column.values:
                yield f"-- values of {table.name}.{column.name}: {', '.join(map(repr, column.values))}"
            if column.value_range:
                yield f"-- {table.name}.{column.name} is from {' to '.join(column.value_range)}"
