"""A statement that fails on a real server gets a hint: similar names, or what to write instead."""

import psycopg
import pytest

from pgmcp.errors import StatementFailedError
from testing.attack_run import pipeline_to

pytestmark = pytest.mark.anyio

_OBJECTS = """
create table people (id int primary key, full_name text, birthday date, seen timestamptz, is_active boolean);
"""
SINGLE_QUOTES = "texts are written in single quotes: 'a'"


@pytest.fixture(scope="module")
def people_url(module_database: str) -> str:
    with psycopg.connect(module_database, autocommit=True) as admin:
        admin.execute(_OBJECTS.encode())
    return module_database


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ("select cast(id as datetime) from people", "PostgreSQL's name for this type is timestamp"),
        ("select id::double from people", "PostgreSQL's name for this type is double precision"),
        ("select full_name::nvarchar(5) from people", "PostgreSQL's name for this type is varchar"),
        ("show tables", "SHOW shows a setting; information_schema.tables lists tables"),
        ('select id from people where full_name = "Bob"', SINGLE_QUOTES),
        ("select id from people where full_name = \u2018Bob\u2019", SINGLE_QUOTES),
        ("select date_trunc(month, seen) from people", SINGLE_QUOTES),
        (
            "select lower(full_name) as low from people where low = 'bob'",
            "repeat the expression: only ORDER BY and GROUP BY can use a name after AS, such as low",
        ),
        ("select now() - 30", "add or subtract an interval, as in interval '30 days'"),
        ("select full_name + 'x' from people", "|| joins texts"),
        ("select id + full_name from people", "|| joins texts"),
        ("select round(1.5::float8, 2)", "round(a::numeric, 2) rounds to digits"),
        ("select string_agg(id, ',') from people", "string_agg(a::text, ',') joins other values"),
        ("select string_agg(full_name) from people", "string_agg(a, ',') needs a separator"),
        ("select id from people where is_active && is_active", "write AND"),
        ("select id from people where is_active || is_active", "write OR"),
        ("select date_trunc('month', '2020-01-01')", "give texts their type, as in date '2020-01-31'"),
    ],
)
async def test_the_hint_says_what_to_write_instead(people_url: str, sql: str, hint: str) -> None:
    async with pipeline_to(people_url) as pipeline:
        with pytest.raises(StatementFailedError) as failed:
            await pipeline.execute_sql(sql)

    assert failed.value.hint.startswith(hint)
    assert "explicit type casts" not in failed.value.hint


@pytest.mark.parametrize(
    ("sql", "hint"),
    [
        ('select "Full_Name" from people', 'Perhaps you meant to reference the column "people.full_name"'),
        ("select upper('a', 'b')", "No function matches the given name and argument types"),
        ("select sum(full_name) from people", "No function matches the given name and argument types"),
    ],
)
async def test_the_servers_own_hint_is_kept_if_pgmcp_knows_no_better_one(
    people_url: str, sql: str, hint: str
) -> None:
    async with pipeline_to(people_url) as pipeline:
        with pytest.raises(StatementFailedError) as failed:
            await pipeline.execute_sql(sql)

    assert failed.value.hint.startswith(hint)
    assert SINGLE_QUOTES not in failed.value.hint


async def test_an_unknown_type_without_a_known_replacement_gets_no_hint(people_url: str) -> None:
    async with pipeline_to(people_url) as pipeline:
        with pytest.raises(StatementFailedError, match='type "mood" does not exist') as failed:
            await pipeline.execute_sql("select id::mood from people")

    assert failed.value.hint == ""
