"""Servers that revoke parts of the catalog from PUBLIC: less is known, and nothing more is let through."""

import asyncio
from collections.abc import Callable, Sequence

import psycopg
import pytest

from pgmcp.catalog_access import USE_BY_PART, Fetch, find_unreadable
from pgmcp.errors import CatalogDeniedError, SqlRejectedError
from pgmcp.execution.result import Rows
from pgmcp.schema.catalog import Catalog
from pgmcp.schema.introspection import read_catalog
from pgmcp.validation import FunctionPolicy, PolicyReader, validate
from tests.own_statements import resolve_as_own

VITAL = ("pg_class", "pg_attribute", "pg_namespace", "pg_type")
VITAL_TO_STATEMENTS = (*VITAL, "pg_constraint", "pg_operator", "pg_cast", "pg_range")
OPTIONAL = tuple(part for part in USE_BY_PART if part not in VITAL_TO_STATEMENTS)
# Without pg_depend and another part it is not known which functions there are.
TOGETHER = tuple(part for part in OPTIONAL if part != "pg_depend")

OBJECTS = """
create table a (id int primary key, name text default 'x');
comment on table a is 'plain';
insert into a values (1, 'x');
create view shown as select * from a;
create extension file_fdw;
create extension postgres_fdw;
create server files foreign data wrapper file_fdw;
create server far foreign data wrapper postgres_fdw;
create foreign table by_program (line text) server files options (program 'true');
create foreign table elsewhere (line text) server far;
create table parent (line text);
create foreign table child () inherits (parent) server files options (program 'true');
create sequence counter;
create view counting as select nextval('counter') as n;
create table guarded (id int);
alter table guarded enable row level security;
create policy p on guarded using (nextval('counter') > 0);
create view over_guarded as select * from guarded;
create function log_it() returns int language sql volatile as 'select 1';
create function lower(int) returns int language sql volatile as 'select 1';
create function "Odd.name"(int) returns int language sql volatile as 'select 1';
create function same(int, int) returns bool language sql volatile as 'select true';
create operator === (function = same, leftarg = int, rightarg = int);
create domain checked as int check (same(value, 1));
create aggregate total (int) (sfunc = int4pl, stype = int);
create function keep(int, int) returns int language sql volatile as 'select 1';
create aggregate keeping (int) (sfunc = keep, stype = int);
create type mood as enum ('calm');
create table moods (mood mood);
grant select on all tables in schema public to hardened_reader;
"""
TRAPS = (
    "select log_it()",
    "select lower(1)",
    'select "Odd.name"(1)',
    "select 1 === 2",
    "select 1::checked",
    "select keeping(id) from a",
    "select nextval('counter')",
    "table counting",
    "table guarded",
    "table over_guarded",
    "table by_program",
    "table parent",
)
PLAIN = (
    "select * from a",
    "select count(*), max(id), upper(name), pg_catalog.lower(name) from a where id = 1 group by name",
    "table elsewhere",
)


@pytest.fixture
def harden(new_database: Callable[[], str]) -> Callable[[Sequence[str]], str]:
    """Return a function that makes a database, revokes parts of its catalog, and returns its URL."""

    def make(parts: Sequence[str]) -> str:
        url = new_database()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(
                "do $$ begin create role hardened_reader; exception when duplicate_object then null; end $$"
            )
            connection.execute(OBJECTS.encode())
            for part in parts:
                connection.execute(f"revoke all on pg_catalog.{part} from public".encode())
        return url

    return make


def run(url: str, sql: str) -> Rows:
    with psycopg.connect(url) as connection:
        connection.execute("set role hardened_reader")
        resolve_as_own(connection)
        return Rows(columns=(), rows=[list(row) for row in connection.execute(sql.encode())])


def read_policy(url: str) -> FunctionPolicy:
    return asyncio.run(PolicyReader(fetcher(url), allowed=(), denied=()).read())


def read_schema(url: str) -> Catalog:
    return asyncio.run(read_catalog(fetcher(url)))


def fetcher(url: str) -> Fetch:
    async def fetch(sql: str) -> Rows:
        try:
            return run(url, sql)
        except psycopg.Error as error:
            pytest.fail(f"PostgreSQL refused a statement of ours: {error}\n{sql}")

    return fetch


@pytest.mark.parametrize("parts", [*((part,) for part in OPTIONAL), TOGETHER], ids="-".join)
def test_what_may_not_be_read_leaves_plain_reads_alone_and_lets_no_trap_through(
    harden: Callable[[Sequence[str]], str], parts: Sequence[str]
) -> None:
    url = harden(parts)

    policy = read_policy(url)
    catalog = read_schema(url)

    for sql in TRAPS:
        with pytest.raises(SqlRejectedError):
            validate(sql, functions=policy)
    for sql in PLAIN:
        validate(sql, functions=policy)
    assert run(url, "select * from public.a").rows == [[1, "x"]]
    table = catalog.find("a")
    assert table is not None
    assert [column.name for column in table.columns] == ["id", "name"]


def test_the_parts_that_may_not_be_read_are_named(harden: Callable[[Sequence[str]], str]) -> None:
    url = harden(OPTIONAL)

    assert asyncio.run(find_unreadable(fetcher(url))) == set(OPTIONAL)


@pytest.mark.parametrize("part", VITAL_TO_STATEMENTS)
def test_without_a_vital_part_the_error_names_it_and_the_grant(
    harden: Callable[[Sequence[str]], str], part: str
) -> None:
    url = harden((part,))

    with pytest.raises(CatalogDeniedError, match=rf"may not read {part}") as denied:
        read_policy(url)

    assert f"GRANT SELECT ON pg_catalog.{part}" in denied.value.hint


@pytest.mark.parametrize(
    ("part", "sql"),
    [("pg_policy", "table guarded"), ("pg_rewrite", "table shown"), ("pg_proc", "select log_it()")],
)
def test_a_refusal_for_an_unreadable_part_says_so(
    harden: Callable[[Sequence[str]], str], part: str, sql: str
) -> None:
    policy = read_policy(harden((part,)))

    with pytest.raises(SqlRejectedError, match=f"may not read {part}") as refused:
        validate(sql, functions=policy)

    assert "GRANT SELECT ON" in refused.value.hint
    assert f"pg_catalog.{part}" in refused.value.hint
