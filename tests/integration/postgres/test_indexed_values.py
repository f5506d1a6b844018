"""Words of a question are looked up in a large column only through an index."""

import psycopg
import pytest

from pgmcp.catalog.catalog import Catalog
from pgmcp.catalog.introspection import read_catalog
from pgmcp.catalog.scope import CatalogScope
from pgmcp.execution.result import Rows
from pgmcp.lookup.value_hints import find_indexed_values
from testing.own_statements import fetch_with, resolve_as_own

pytestmark = pytest.mark.anyio

TABLES = """
CREATE TABLE marks (
    id int PRIMARY KEY,
    title text,
    nick varchar(40),
    slug text UNIQUE,
    remark text,
    part text,
    api_token text
);
INSERT INTO marks
SELECT n, 'Mark ' || n, 'NICK ' || n, 'slug-' || n, 'remark ' || n, 'part ' || n, 'token ' || n
FROM generate_series(1, 3000) AS n;
CREATE INDEX ON marks (title, id);
CREATE INDEX ON marks (lower(nick));
CREATE INDEX ON marks (part) WHERE id > 10;
CREATE INDEX ON marks (api_token);
CREATE TABLE policed (title text UNIQUE);
INSERT INTO policed SELECT 'Policed ' || n FROM generate_series(1, 200) AS n;
ALTER TABLE policed ENABLE ROW LEVEL SECURITY;
CREATE ROLE indexed_reader LOGIN;
GRANT SELECT ON marks, policed TO indexed_reader;
CREATE POLICY all_rows ON policed USING (true);
"""


@pytest.fixture(scope="module")
def url(module_database: str) -> str:
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute(TABLES.encode())
        connection.execute("ANALYZE")
    return module_database


async def look_up(url: str, question: str, scope: CatalogScope | None = None) -> tuple[list[str], list[str]]:
    """Look up the words of a question; return the lines of the prompt, and the plans of the statements."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET ROLE indexed_reader")
        connection.execute("SET enable_seqscan = off")  # otherwise the planner scans a small table
        resolve_as_own(connection)
        fetch = fetch_with(connection)
        catalog = await read_catalog(fetch)
        if scope is not None:
            catalog = Catalog(catalog.tables, catalog.search_path, catalog.server_version, scope=scope)
        plans: list[str] = []

        async def explained(sql: str) -> Rows:
            plans.append("\n".join(str(row[0]) for row in (await fetch(f"EXPLAIN {sql}")).rows))
            return await fetch(sql)

        return await find_indexed_values(catalog, question, explained), plans


@pytest.mark.parametrize(
    ("question", "line"),
    [
        ("Where is the mark called MARK 42?", "\"MARK 42\" -> marks.title = 'Mark 42'"),
        ("Which marks are nick 7's?", "\"nick 7\" -> marks.nick = 'NICK 7'"),
        ("What about slug-77 of the marks?", "\"slug-77\" -> marks.slug = 'slug-77'"),
    ],
)
async def test_a_value_is_found_through_an_index(url: str, question: str, line: str) -> None:
    found, plans = await look_up(url, question)

    assert found == [line]
    assert len(plans) == 1
    assert "Seq Scan" not in plans[0]


@pytest.mark.parametrize(
    "question",
    [
        "Which marks have remark 5?",  # no index
        "Which marks have part 50?",  # the index leaves rows out
        "Which mark has token 9?",  # sensitive
        "Is policed 7 in policed?",  # under a row policy
        "How many marks are there per title?",  # has only words of the schema
        "Which marks are called Mark 99999 or x') OR ('a' = 'a?",
    ],
)
async def test_only_indexed_columns_are_read(url: str, question: str) -> None:
    found, plans = await look_up(url, question)

    assert found == []
    assert all("Seq Scan" not in plan for plan in plans)


@pytest.mark.parametrize("scope", [CatalogScope(with_values=False), CatalogScope(hidden_values=("marks.*",))])
async def test_values_that_may_not_be_shown_are_not_looked_up(url: str, scope: CatalogScope) -> None:
    assert await look_up(url, "Where is Mark 42 of the marks?", scope) == ([], [])
