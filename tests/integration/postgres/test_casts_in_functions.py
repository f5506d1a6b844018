"""SQL functions that read tables with columns whose types have casts or checks by volatile functions.

pgmcp checks a body in the same way as a statement. The casts and checks count their calls.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from tests.integration.postgres.test_cast_columns import _CASTING, _HARMLESS, _calls
from tests.integration.postgres.test_policy_reader import passes, reader

pytestmark = pytest.mark.anyio

_TRAPS = Path(__file__).parents[2] / "data" / "traps"
_CASTS = _TRAPS / "casts.sql"

_OBJECTS = """
create domain small as int check (value < 100);
create table texts (id int, name text, mood text);
insert into texts values (1, 'A', 'sad');
create function reverse(int) returns int language plpgsql as
    'begin perform nextval(''calls''); return 1; end';
create function tone_eq(tone, tone) returns bool language plpgsql as
    'begin perform nextval(''calls''); return true; end';
create operator =%= (leftarg = tone, rightarg = tone, function = tone_eq);
create function gives_mood() returns mood language sql stable as 'select mood from people limit 1';
create function gives_colour() returns colour language sql stable as 'select colour from things limit 1';
create view json_of_result as select to_json(gives_colour()) as j;
create view number_of_result as select as_number(gives_mood()) as n;
create schema own;
create function own.reverse(text) returns text language plpgsql as
    'begin perform nextval(''public.calls''); return ''x''; end';
"""

_HARMLESS_FUNCTIONS = [
    ("() returns bigint SQL 'select count(*) from sounds'", "f()"),
    ("() returns int stable begin atomic select count(*)::int from sounds; end", "f()"),
    ("() returns bigint stable return (select count(*) from people)", "f()"),
    ("() returns bigint SQL $$ select count(*) from people where mood = 'sad' $$", "f()"),
    ("() returns bool SQL 'select tone is not null from sounds'", "f()"),
    ("() returns void SQL 'select tone from sounds'", "f()"),
    ("() returns setof int SQL 'select id from sounds order by tone'", "f()"),
    ("(m text) returns text SQL 'select m::mood::text'", "f('sad')"),
    (
        "(m text) returns bigint SQL 'select count(*) from people p where p.mood = m::mood'",
        "f('sad')",
    ),
    ("() returns text SQL 'select t.mood from texts t'", "f()"),
    ("() returns bigint SQL $$ select count(*) from texts where name <> 'mood' $$", "f()"),
    ("() returns text SQL $$ select 'people' || reverse(name) from texts $$", "f()"),
    ("(x text) returns text SQL 'select reverse(x)'", "f('A')"),
    ("(text) returns text SQL 'select reverse($1)'", "f('A')"),
    ("() returns setof people SQL 'select * from people'", "count(*) from f()"),
    ("() returns setof people SQL 'select * from people'", "mood from f() where id = 1"),
    ("() returns mood SQL 'select mood from people limit 1'", "f()"),
    ("() returns table (m mood) SQL 'select mood from people'", "m, count(*) from f() group by m"),
    ("() returns bigint SQL 'select count(*) from shown'", "f()"),
    ("() returns text SQL $$ select string_agg(name, ',' order by mood) from people $$", "f()"),
    (
        "() returns bool SQL "
        "$$ select exists (select from people where mood = any (array['sad'::mood])) $$",
        "f()",
    ),
]  # fmt: skip
"""A function's definition, and the select list that calls it. SQL is short for LANGUAGE sql STABLE AS."""

_CASTING_FUNCTIONS = [
    ("() returns int SQL 'select tone from sounds'", "f()"),
    ("() returns table (a int) SQL 'select tone from sounds'", "f()"),
    ("(out a int, out b int) SQL 'select id, tone from sounds'", "f()"),
    ("() returns record SQL 'select tone, id from sounds'", "* from f() as (a int, b int)"),
    ("() returns small SQL 'select tone from sounds'", "f()"),
    ("(x anyelement) returns anyelement SQL 'select tone from sounds'", "f(1)"),
    ("() returns int stable return (select tone from sounds)", "f()"),
    ("(m int default ('sad'::mood)::int) returns int SQL 'select m'", "f()"),
    ("(m text) returns int SQL 'select m::mood::int'", "f('sad')"),
    ("(text) returns int SQL 'select $1::mood::int'", "f('sad')"),
    ("(anyelement) returns int SQL 'select $1::int'", "f(mood) from people"),
    ("(m mood) returns int SQL 'select m::int'", "f('sad')"),
    ("(p pair) returns int SQL 'select p.first::int'", "f('(sad,1)')"),
    ("(x things) returns json SQL 'select to_json(x)'", "f(t) from things t"),
    ("() returns int SQL 'select mood::int from people; select 1'", "f()"),
    ("() returns int SQL 'with a as (select mood as q from people) select q::int from a'", "f()"),
    ("(x int) returns int SQL 'select reverse(x)'", "f(1)"),
    ("(int) returns int SQL 'select reverse($1)'", "f(1)"),
    ("(name int) returns int SQL 'select reverse(f.name) from texts'", "f(1)"),
    ("(id text) returns int SQL 'select reverse(id) from texts'", "f('1')"),
    ("(c pair) returns int SQL 'select reverse(c.second)'", "f('(sad,1)')"),
    ("() returns text set search_path = own, pg_catalog SQL $$ select reverse('A') $$", "f()"),
    ("() returns bool SQL 'select tone =%= tone from sounds'", "f()"),
    ("() returns int SQL $$ select ('5'::text).counted_number $$", "f()"),
    ("() returns int SQL 'select n.counted_number from generate_series(1, 1) n'", "f()"),
    ("(n text) returns int SQL 'select f.n.counted_number'", "f('1')"),
    ("() returns int SQL $$ select counted_number('5') $$", "f()"),
    ("() returns bool SQL $$ select pg_input_is_valid('5', 'counted_number') $$", "f()"),
    (
        """() returns int SQL
            $$ select (json_populate_record(c, '{"one": 5}')).one from counts c $$""",
        "f()",
    ),
    (
        "(x int[]) returns int SQL "
        "'select cardinality(coalesce(nullif(more, more), x)) from counts'",
        "f('{1}')",
    ),
    (
        "(int[]) returns int SQL "
        "'select cardinality(coalesce(nullif(more, more), $1)) from counts'",
        "f('{1}')",
    ),
    ("() returns counted_number SQL 'select id from counts'", "f()"),
    ("() returns setof people SQL 'select * from people'", "mood::int from f()"),
    ("() returns setof people SQL 'select * from people'", "(f()).mood::int"),
    ("() returns mood SQL 'select mood from people limit 1'", "f()::int"),
    ("(people) returns mood SQL 'select mood from people limit 1'", "(p.f)::int from people p"),
    ("() returns table (m mood) SQL 'select mood from people'", "m::int from f()"),
    ("() returns table (m mood) SQL 'select mood from people'", "x::int from f() as g (x)"),
    ("() returns int SQL 'select moods[1]::int from people'", "f()"),
    ("() returns int language plpgsql stable as 'begin return gives_mood()::int; end'", "f()"),
    ("() returns int SQL 'select n from number_of_result'", "f()"),
    ("() returns text SQL 'select j::text from json_of_result'", "f()"),
    ("(n int default gives_mood()::int) returns int SQL 'select n'", "f()"),
    ("() returns int SQL 'select gives_mood()::int'", "f()"),
    ("() returns bigint SQL 'select sum(number) from numbers'", "f()"),
]  # fmt: skip


@pytest.fixture(scope="module")
def casts(module_database: str) -> Iterator[psycopg.Connection]:
    """A session in a database full of casts that count their calls."""
    with psycopg.connect(module_database, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(_CASTS.read_text("utf-8").encode())
        connection.execute(_OBJECTS.encode())
        yield connection


def _create(connection: psycopg.Connection, functions: list[tuple[str, str]]) -> list[str]:
    """Create functions, and return the statements that call them; each text names its function f."""
    statements = []
    for definition, selected in functions:
        name = f"f_{uuid4().hex}"
        written = re.sub(r"\bSQL\b", "language sql stable as", f"create function f{definition}")
        connection.execute(re.sub(r"\bf\b", name, written).encode())
        statements.append(re.sub(r"\bf\b", name, f"select {selected}"))
    return statements


async def test_a_function_whose_body_calls_no_cast_is_accepted(
    casts: psycopg.Connection, module_database: str
) -> None:
    statements = _create(casts, _HARMLESS_FUNCTIONS)
    policy = await reader(module_database).read()

    before = _calls(casts)
    for statement in statements:
        casts.execute(statement.encode())
    assert _calls(casts) == before
    assert [each for each in statements if not passes(each, policy)] == []


async def test_a_function_whose_body_may_call_a_cast_is_refused(
    casts: psycopg.Connection, module_database: str
) -> None:
    statements = _create(casts, _CASTING_FUNCTIONS)
    policy = await reader(module_database).read()

    assert [each for each in statements if passes(each, policy)] == []


_OF_ARRAYS_OF_DOMAINS = {
    "select coalesce(array_agg(one), '{}'), array_agg(one) filter (where one = '5') is null from counts",
    "select more || null, coalesce(more, null), more is distinct from null from counts",
    "select coalesce(more, array[]::int[]), lag(more, 1, more) over () from counts",
}
"""Refused in a standard body, in which the server stores an explicit cast to an array of the domain."""


@pytest.mark.parametrize(
    ("body", "refused_beside"),
    [("language sql as $body$ {} $body$", set()), ("begin atomic {}; end", _OF_ARRAYS_OF_DOMAINS)],
)
async def test_a_body_is_judged_as_its_statement_is(
    casts: psycopg.Connection, module_database: str, body: str, refused_beside: set[str]
) -> None:
    made: dict[str, str] = {}
    for sql in (*_HARMLESS, *_CASTING):
        name = f"f{len(made)}"
        with suppress(psycopg.Error):  # a statement that is invalid in this database, or no SELECT
            casts.execute(f"create function {name}() returns void stable {body.format(sql)}".encode())
            made[name] = sql

    policy = await reader(module_database).read()
    accepted = {sql for name, sql in made.items() if passes(f"select {name}()", policy)}

    for name in made:
        casts.execute(f"drop function {name}".encode())
    assert len(made) > 150
    assert accepted == {sql for sql in made.values() if passes(sql, policy)} - refused_beside
    assert accepted.isdisjoint(_CASTING)


async def test_only_functions_that_call_a_cast_without_naming_it_are_refused(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    attacks, honest = (
        (_TRAPS / f"unnamed_casts_{kind}.sql").read_text("utf-8").splitlines()
        for kind in ("attacks", "honest")
    )
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute((_TRAPS / "unnamed_casts.sql").read_text("utf-8").encode())
        acting = {each for each in (*attacks, *honest) if _acts(connection, each)}

    policy = await reader(url).read()

    assert acting == set(attacks)
    assert {each for each in (*attacks, *honest) if not passes(each, policy)} == set(attacks)


def _acts(connection: psycopg.Connection, sql: str) -> bool:
    before = _calls(connection)
    connection.execute(sql.encode())
    return _calls(connection) != before
