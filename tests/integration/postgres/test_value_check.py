"""Comparisons in a query, checked against the values of a real table."""

import psycopg
import pytest

from pgmcp.catalog.introspection import read_catalog
from pgmcp.lookup.value_check import check_listed, check_unlisted, drop_met, resolve
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
            INSERT INTO heroes VALUES ('Abc ', 'Rome', 'ab', 'J.J.', 'Good');
            INSERT INTO heroes SELECT 'hero ' || n, 'city ' || n, n::text, 'nick ' || n, 'Good'
                               FROM generate_series(1, 500) AS n;
            """
        )
        connection.execute("ANALYZE")
    return module_database


async def mismatches(url: str, condition: str) -> list[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        resolve_as_own(connection)
        fetch = fetch_with(connection)
        catalog = await read_catalog(fetch)
        # The statements below are a caller's.
        connection.execute("SET search_path = public")
        comparisons = resolve(find_references(f"SELECT FROM heroes AS h WHERE {condition}"), catalog)
        found = check_listed(comparisons) + await check_unlisted(comparisons, catalog, fetch)
        return [mismatch.describe() for mismatch in await drop_met(found, fetch)]


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
async def test_a_condition_that_some_row_meets_is_no_mismatch(url: str, condition: str) -> None:
    assert await mismatches(url, condition) == []


@pytest.mark.parametrize(
    ("condition", "told"),
    [
        ("h.side = 'good'", "heroes.side = 'good' is not in the data; it holds 'Good'"),
        ("trim(h.side) = 'good'", "heroes.side = 'good' is not in the data; it holds 'Good'"),
        ("lower(h.side) = 'Good'", "lower(heroes.side) is never 'Good': write the text in that case"),
        ("h.name = 'abc '", "heroes.name = 'abc ' is not in the data; it holds 'Abc '"),
    ],
)
async def test_a_condition_that_no_row_meets_is_reported_with_existing_values(
    url: str, condition: str, told: str
) -> None:
    (found,) = await mismatches(url, condition)

    assert found.startswith(told)
