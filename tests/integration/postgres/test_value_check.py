"""Comparisons in a query, checked against the values of a real table."""

import psycopg
import pytest

from pgmcp.catalog.introspection import read_catalog
from pgmcp.errors import DeadlineExceededError
from pgmcp.execution.result import Rows
from pgmcp.lookup.value_check import check_listed, check_unlisted, confirm_mismatches, resolve
from pgmcp.validation.references import find_references
from testing.own_statements import fetch_with, resolve_as_own

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def url(module_database: str) -> str:
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute(
            """
            CREATE EXTENSION citext;
            CREATE TABLE heroes (name text, city citext, code char(5), nick text, side text);
            CREATE TABLE places (town text, plain text COLLATE "C", folded citext, kind text);
            INSERT INTO places VALUES ('Gießen', 'École', 'Rome', 'city'), ('Wien', 'Lyon', 'Lyon', 'city');
            INSERT INTO heroes VALUES ('Abc ', 'Rome', 'ab', 'J.J.', 'Good');
            INSERT INTO heroes SELECT 'hero ' || n, 'city ' || n, n::text, 'nick ' || n, 'Good'
                               FROM generate_series(1, 500) AS n;
            """
        )
        connection.execute("ANALYZE")
    return module_database


async def mismatches(
    url: str, condition: str, *, table: str = "heroes", can_read_rows: bool = True
) -> list[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        resolve_as_own(connection)
        fetch = fetch_with(connection)
        catalog = await read_catalog(fetch)
        # The tested statements are a caller's, so names resolve in `public`.
        connection.execute("SET search_path = public")
        comparisons = resolve(find_references(f"SELECT FROM {table} AS h WHERE {condition}"), catalog)
        found = check_listed(comparisons) + await check_unlisted(comparisons, catalog, fetch)

        async def fetch_unless_rows_are_read(sql: str) -> Rows:
            if not can_read_rows and " AS t WHERE" in sql.replace(") AS t WHERE", ""):
                raise DeadlineExceededError("too slow")
            return await fetch(sql)

        return [
            mismatch.describe() for mismatch in await confirm_mismatches(found, fetch_unless_rows_are_read)
        ]


@pytest.mark.parametrize(
    "condition",
    [
        "lower(trim(h.name)) = 'abc'",
        "h.name ILIKE 'ABC%'",
        "h.city = 'ROME'",
        "lower(h.city) = 'rome'",
        "h.code = 'ab'",
        "replace(h.nick, '.', '') = 'JJ'",
        "initcap(lower(h.side)) = 'Good'",
        "h.side LIKE 'G__d'",
        "h.side = 'Good' AND h.name = 'nobody at all'",
    ],
)
async def test_a_condition_that_holds_for_a_row_is_not_a_mismatch(url: str, condition: str) -> None:
    assert await mismatches(url, condition) == []


@pytest.mark.parametrize(
    ("condition", "reported"),
    [
        ("h.side = 'good'", "heroes.side = 'good' is not in the data; it holds 'Good'"),
        ("trim(h.side) = 'good'", "heroes.side = 'good' is not in the data; it holds 'Good'"),
        ("lower(h.side) = 'Good'", "lower(heroes.side) is never 'Good': write the text in that case"),
        ("h.name = 'abc '", "heroes.name = 'abc ' is not in the data; it holds 'Abc '"),
    ],
)
async def test_a_condition_that_holds_for_no_row_is_reported_with_existing_values(
    url: str, condition: str, reported: str
) -> None:
    (found,) = await mismatches(url, condition)

    assert found.startswith(reported)


@pytest.mark.parametrize(
    "condition",
    [
        # Python's upper() changes ß to SS; PostgreSQL's upper() usually does not.
        "upper(h.town) = 'GIEßEN'",
        "upper(h.town) LIKE 'GIEß%'",
        "h.town = initcap(upper('GIEßEN'))",
        # In the collation C, lower() changes only the letters of ASCII.
        "lower(h.plain) = 'École'",
        "lower(h.plain) = 'Éclair'",
        "h.folded = 'ROME'",
        "h.kind = any ('{city,town}'::text[])",
        "h.kind = 'city of dreams'::varchar(4)",
    ],
)
async def test_postgresql_decides_how_letters_change_case_and_compare(url: str, condition: str) -> None:
    assert await mismatches(url, condition, table="places") == []


async def test_a_text_computed_by_the_query_is_compared_as_postgresql_computes_it(url: str) -> None:
    assert await mismatches(url, "upper(h.town) = upper('Gießen')", table="places") == []
    (found,) = await mismatches(url, "h.town = upper('Wien')", table="places")
    assert found == "places.town = 'WIEN' is not in the data; it holds 'Wien'"
    (found,) = await mismatches(url, "h.folded = 'ROME'::text", table="places")
    assert found == "places.folded = 'ROME' is not in the data; it holds 'Rome'"


@pytest.mark.parametrize(
    ("condition", "reported"),
    [
        ("upper(h.town) = 'GIEßEN'", []),
        ("lower(h.plain) = 'École'", []),
        ("h.folded = 'LYON'", []),
        ("lower(trim(h.kind)) = 'metropolis'", []),
        ("lower(h.town) = 'Wien'", ["lower(places.town) is never 'Wien': write the text in that case"]),
        ("h.town = 'wien'", ["places.town = 'wien' is not in the data; it holds 'Wien'"]),
    ],
)
async def test_if_the_table_takes_too_long_to_read_the_condition_is_evaluated_for_the_values_alone(
    url: str, condition: str, reported: list[str]
) -> None:
    assert await mismatches(url, condition, table="places", can_read_rows=False) == reported
