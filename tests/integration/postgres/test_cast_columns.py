"""Tables with columns whose types have casts by volatile functions can be read if no cast is called."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import FunctionPolicy, validate
from pgmcp.validation.domain_literals import (
    FUNCTIONS_OF_ONE_TYPE,
    FUNCTIONS_THAT_GIVE_ELEMENTS,
    FUNCTIONS_THAT_KEEP_TYPES,
    FUNCTIONS_THAT_MAKE_ARRAYS,
    FUNCTIONS_THAT_MAKE_MULTIRANGES,
    PREFIXES_OF_ONE_TYPE,
)
from pgmcp.validation.explicit_casts import FUNCTIONS_THAT_CAST
from pgmcp.validation.shipped_lists import builtin
from tests.integration.postgres.test_policy_reader import passes, reader

pytestmark = pytest.mark.anyio

_CASTS = Path(__file__).parents[2] / "data" / "traps" / "casts.sql"

_HARMLESS: dict[str, list[tuple[object, ...]]] = {
    "select count(*) from people": [(3,)],
    "select name from people where id = 2": [("Bo",)],
    "select id, mood, moods, feeling from people where id = 1": [(1, "glad", "{glad}", "glad")],
    "select name from people order by mood, name": [("Bo",), ("Ada",), ("Cy",)],
    "select name from people where mood is null": [("Cy",)],
    "select p.mood as m, count(*) from people p where id = 1 group by p.mood": [("glad", 1)],
    "select p.name from people p join people q using (id, mood) where q.id = 1": [("Ada",)],
    "select count(distinct mood) from people": [(2,)],
    "select mood from cheerful": [("glad",)],
    "select name from people where mood = 'sad'": [("Bo",)],
    "select name from people where mood in ('sad', 'glad') and mood <> 'glad'": [("Bo",)],
    "select name from people where mood = 'sad'::mood": [("Bo",)],
    "select name from people where cast('sad' as mood) >= mood or mood in ('sad'::public.mood)": [("Bo",)],
    "select name from people where mood = any (array['sad'::mood]) and mood = any ('{sad}'::mood[])": [
        ("Bo",)
    ],
    "select name from people where mood between 'sad' and 'sad'": [("Bo",)],
    "select 'sad'::mood, '{sad}'::mood[], coalesce(mood, mood 'glad') from people where id = 3": [
        ("sad", "{sad}", "glad")
    ],
    "select m from (values ('sad'::mood)) as v (m) where m >= 'sad'": [("sad",)],
    "select count(*) from people where mood = any (enum_range(null::mood))": [(2,)],
    "select name from people where mood::text like 's%'": [("Bo",)],
    "select name from people where 'sad' = any (moods)": [("Bo",)],
    "select mood || '!' from people where id = 1": [("glad!",)],
    "select coalesce(mood, 'sad') as m from people order by 1 limit 1": [("sad",)],
    "select case mood when 'sad' then 1 else 0 end::int from people where id = 2": [(1,)],
    "select sum(case when mood = 'sad' then 1 else 0 end)::int from people": [(1,)],
    "select (count(*) filter (where mood = 'glad'))::int, id::bigint from people group by 2 limit 0": [],
    "select mood from people where id = 1 union all select 'sad' order by 1": [("sad",), ("glad",)],
    "select max(mood), min(mood), array_agg(mood order by id) from people": [
        ("glad", "sad", "{glad,sad,NULL}")
    ],
    "select m.b, m.a::bigint from (select id, mood from people) as m (a, b) where m.a = 0": [],
    "with p as (select mood as m from people) select m, count(*)::int from p where m = 'sad' group by m": [
        ("sad", 1)
    ],
    "select unnest(moods) as m, lag(mood) over (order by id) from people where id = 1": [("glad", None)],
    "select row_to_json(p)->>'mood', to_jsonb(mood)::text, json_agg(mood)::text from people p "
    "where id = 1 group by p.*, mood": [("glad", '"glad"', '["glad"]')],
    "select array_length(moods, 1)::int, array_to_string(moods, ',')::text from people where id = 2": [
        (2, "sad,glad")
    ],
    "select (pair).second, (p).name from people p where id = 2": [(2, "Bo")],
    "select b.id::bigint from boxes b": [(1,)],
    "select * from boxes": [(1,)],
    "select json_array(b.id, p.mood)::text from boxes b join people p using (id)": [('[1, "glad"]',)],
    "select id, weight from parcels where weight is null": [(2, None)],
    "select id, tone from sounds order by tone": [(1, "low")],
    "select concat(s), concat(tone), pg_typeof(tone)::text from sounds s": [("(1,low)", "low", "tone")],
    "select count(s) from sounds s": [(1,)],
    "select s, s.* from sounds s": [("(1,low)", 1, "low")],
    "select id, tone::text, tone::varchar(2) || '!' from sounds where tone::text like 'l%'": [
        (1, "low", "lo!")
    ],
    "select json_agg(s)::text, json_agg(tone)::text, max(to_jsonb(s)->>'tone') from sounds s group by id": [
        ('[{"id":1,"tone":"low"}]', '["low"]', "low")
    ],
    "select id from sounds union all select 2 order by 1": [(1,), (2,)],
    "select t.id, t.tone from sounds s join sounds t using (id)": [(1, "low")],
    "with n (a, b) as (select id, id + 1 from sounds) select tone, a from sounds, n where b = 2": [
        ("low", 1)
    ],
    "select tone, v.y from sounds, (values (1, 'x')) as v (x, y)": [("low", "x")],
    "select tone, n from sounds, generate_series(1, 1) as g (n)": [("low", 1)],
    "select * from shown where id = 1": [(1, "GLAD", "glad")],
    "select id from things where colour = 'red'": [(1,)],
    "select colour, colour::varchar(3) from things": [("red", "red")],
    "select json_agg(t.id) from things t": [([1],)],
    "select id, one, more from counts where one = '5'": [(1, 5, "{5}")],
    "select cardinality(more), more[1], array_to_string(more, ',') from counts where id = '1'": [(1, 5, "5")],
    "select unnest(more), 5 = any (more), more is null from counts": [(5, True, False)],
    "select row_to_json(c)->>'id', json_build_object('more', more)::text from counts c": [
        ("1", '{"more" : [5]}')
    ],
    "select (pair).second from counts where (pair).second = 'x' and (pair).first = '5'": [("x",)],
    # A column of the domain itself: a literal that is compared with it gets the base type.
    "select id from counts where one in ('5', '6') and one between '1' and '9' and one <> '6'": [(1,)],
    "select coalesce(one, '0'), nullif(one, '6'), greatest(one, '1'), one || ' pieces' from counts": [
        (5, 5, 5, "5 pieces")
    ],
    "select case one when '5' then 'five' end, case when true then one else '1' end from counts": [
        ("five", 5)
    ],
    "select one from counts union all select '6'": [(5,), (6,)],
    "select lag(one) over (), lag(one, 1, 0) over (), lag(one::int, 1, '7') over () from counts": [
        (None, 0, 7)
    ],
    "select coalesce(array_agg(one), '{}'), array_agg(one) filter (where one = '5') is null from counts": [
        ("{5}", False)
    ],
    "select array[one, 6] = '{5,6}', array[one + 0] = '{5}', (array[one])[1] = '5' from counts": [
        (True, True, True)
    ],
    "select more[1], '5' = any (more), more[1] = '5' from counts": [(5, True, True)],
    "select tone::text, mood::int8 is null from sounds, (select null as mood) m": [("low", True)],
    "select t.colour, s.tone::text, to_json(s.tone) from things t, sounds s where t.colour = 'red'": [
        ("red", "low", "low")
    ],
    "select e from counts, unnest(more) as e where e = '5' and '5' = any (more) and more[1] = '5'": [(5,)],
    "select string_agg(one::text, ','), array_to_string(array_agg(one), ',', '-') from counts": [("5", "5")],
    "select (c).one = '5', c.one = '5', to_jsonb(c)->>'one' = '5' from counts c": [(True, True, True)],
    "select rank('5') within group (order by one), max(one) = '5' from counts": [(1, True)],
    "select more || null, coalesce(more, null), more is distinct from null from counts": [
        ("{5}", "{5}", True)
    ],
    "select lower(span) = '1', '5' = upper(span), isempty(span) from counts": [(True, True, False)],
    "select two_of(one, 'x'), first_of(one, 6) from counts": [(2, 5)],
    # SQL/JSON aggregates, whose argument is more than one node of the tree.
    "select json_arrayagg(mood) over (partition by id) from people where id = 1": [(["glad"],)],
    "select json_arrayagg(mood order by id) filter (where id < 3) from people": [(["glad", "sad"],)],
    "select x.json_arrayagg::text from (select json_arrayagg(p.mood) from people p where id = 1) x": [
        ('["glad"]',)
    ],
    "select json_arrayagg(b) from boxes b": [([{"id": 1}],)],
    "select json_objectagg(id: mood) from people where id = 1": [({"1": "glad"},)],
    "select json_objectagg(mood: id) over () from people where id = 1": [({"glad": 1},)],
    # If the relation has a column of that name, a qualified name is the column, not a function.
    "select o.amount, orders.status from orders o, orders": [(5, "open")],
    "select sum(o.amount) from public.orders o": [(5,)],
    "select orders.amount from public.orders": [(5,)],
    "select x.amount, x.status from (select * from orders) x": [(5, "open")],
    "with x as (select * from orders) select x.amount from x": [(5,)],
    "with x (m) as (select o.amount from orders o) select x.m from x": [(5,)],
    # Functions with the name of a built-in function, but with another number of arguments.
    "select count(mood), max(mood), count(tone), count(orders.*) from orders": [(1, "glad", 1, 1)],
    "select more || id, array_cat(more, array[id]), array_position(more, 5) from counts": [
        ([5, 1], [5, 1], 1)
    ],
    "select coalesce(more, array[]::int[]), lag(more, 1, more) over () from counts": [("{5}", "{5}")],
}
"""Statements that call no cast, each with its rows as psql shows them."""

_CASTING = [
    "select mood::int from people",
    "select cast(p.mood as integer) from people p",
    "select coalesce(mood, 'sad')::int from people",
    "select (case when true then mood end)::int from people",
    "select max(mood)::int from people",
    "select (array_agg(mood))[1]::int from people",
    "select array[mood]::int[] from people",
    "select moods::int[] from people",
    "select moods[1]::int from people",
    "select feeling::int from people",
    "select (pair).first::int from people",
    "select m::int from people, unnest(moods) as m",
    "select unnest::int from people, unnest(moods)",
    "select f::int from (select mood as f from people) p",
    "select max::int from (select max(mood) from people) p",
    "select coalesce::int from (select coalesce(mood, 'sad') from people) p",
    "select p.b::int from people as p (a, n, b)",
    "with p (a, b) as (select id, mood from people) select b::int from p",
    "select x::int from (select null as x union all select mood from people) s",
    "select column1::int from people, lateral (values (mood)) v",
    "select v.x::int from people, lateral (values (1, mood)) v (y, x)",
    "select (select mood from people limit 1)::int",
    "select (array(select mood from people))[1]::int",
    "select (p).mood::int from people p",
    "select (r).mood::int from (select p as r from people p) s",
    "select (p.*).mood::int from people p",
    "select nullif(mood, 'sad')::int from people",
    "select (lag(mood) over (order by id))::int from people",
    "select (mode() within group (order by mood))::int from people",
    "select as_number(mood) from people",
    "select as_number(m) from (select mood as m from people) p",
    "with recursive r as (select id, mood from people union all select p.id, p.mood from people p, r "
    "where p.id = r.id + 1) search depth first by mood set o select (o[1]).f1::int from r",
    "select * from numbers",
    "select * from counted",
    "select b::int from boxes b",
    "select boxes::int from boxes",
    "select (null::people).mood::int",
    "select (null::public.people[])[1].mood::int",
    "select (null::_people)[1].mood::int",
    "select (json_populate_record(null::people, '{}')).mood::int",
    "select 1::grams",
    "select * from counts where more = '{5}'",
    "select coalesce(more, '{5}') from counts",
    "select array_append(more, '5') from counts",
    "select more || '{5}' from counts",
    "select * from counts where more in ('{5}', '{6}')",
    "select * from counts where row(more) = row('{5}')",
    "select * from counts where '{5}' in (select more from counts)",
    "select case more when '{5}' then 1 end from counts",
    "select case when true then '{5}' else more end from counts",
    "select coalesce(pair, '(5,x)') from counts",
    "select more from counts union all select '{5}'",
    "select s.column2 from counts, lateral (values (1, more), (2, '{5}')) s",
    "select lag(s.a, 1, '{5}') over () from (select more as a from counts) s",
    "select coalesce(c, '(1,5,{5},)') from counts c",
    "select '5'::counted_number = 5",
    "select json_populate_record(c, '{}') from counts c",
    "select * from counts c, jsonb_populate_recordset(c, '[]')",
    # A column of the domain itself, as an argument of a polymorphic function or in an array or row.
    "select lag(one, 1, '5') over () from counts",
    "explain select lead(one, 1, null) over () from counts",
    "select first_of(one, '5') from counts",
    "select one === '5' from counts",
    "select array_agg(one) = '{5}' from counts",
    "select array[one] = '{5}' from counts",
    "select array[one, one] || '{5}' from counts",
    "select array[coalesce(one, one)] = '{5}' from counts",
    "select array[(select one from counts)] = '{5}'",
    "select array(select one from counts) = '{5}'",
    "select array_fill(one, '{1}') = '{5}' from counts",
    "select (array_agg(one))[1:1] = '{5}' from counts",
    "select array_append(array_agg(one), null) from counts",
    "select array_position(array_agg(one), '5') from counts",
    "select width_bucket(one, '{5}') from counts",
    "select array_eq(array_agg(one), '{5}') from counts",
    "select any_value_transfn(one, '5') from counts",
    "select range_eq(span, '[1,5)') from counts",
    "select lower_span from (select range_union(span, span) as lower_span from counts) c "
    "where lower_span = '[1,5)'",
    "select rank('{5}') within group (order by array[one]) from counts group by one",
    "select array[u] = '{5}' from counts, lateral (values (one)) as v (u)",
    "with a as (select array_agg(one) from counts), b (z) as (select * from a) select z = '{5}' from b",
    "select lag(b, 1, '5') over () from counts as c (a, b)",
    "select lag(first, 1, '5') over () from (select (pair).* from counts) c",
    "select lag(first, 1, '5') over () from (select array[pair] as pairs from counts) c, unnest(pairs)",
    "select lag(c.one, 1, '5') over () from shown_counts c",
    "select coalesce(c, '(1,5,{5},)') from shown_counts c",
    "select array[c] = '{}' or array[c] = '{\"(1,5,,)\"}' from counts c",
    "select span = '[1,5)' from counts",
    "select lag(one, 1, '5'::unknown) over () from counts",
    "select array_agg(one) = cast('{5}' as pg_catalog.unknown) from counts",
    "select more from counts union all select array[id] from counts",
    "select array[more, array[id]] from counts",
    "select greatest(more, array[id]) from counts",
    "select coalesce(nullif(more, more), array[id]) from counts",
    "select case when id = 1 then array[id] else more end from counts",
    "select lag(more, 1, array[id]) over () from counts",
    "select m::int from json_to_record('{}') as x (m mood)",
    "select json_value('\"sad\"', '$' returning mood)::int",
    "select m::int from json_table('[]', '$[*]' columns (m mood path '$.m')) j",
    "select unnest(range_agg(span)) = '[1,5)' from counts",
    "select first::int from (select (pair).* from people) p",
    "select first::int from (select array[pair] as pairs from people) p, unnest(pairs)",
    "select 'sad'::mood::int",
    "select m::int from (select 'sad'::mood as m) v",
    "select as_number('sad'::mood)",
    "select ('{sad}'::mood[])[1]::int",
    "select '{sad}'::mood[]::int[]",
    "select (enum_range('sad'::mood, null))[1]::int",
    "select 'sad'::feeling::int",
    "select to_json('red'::colour)",
    "select 'red'::colour || 'x'",
    "select u::int from unnest('{sad}'::mood[]) u",
    "select coalesce('sad'::mood, 'sad')::int",
    "select 'sad'::mood = any ('{sad}'::mood[]), 'sad'::mood::int",
    "select 'red'::colour || 'x' = 'y'",
    "select 1 = 'low'::tone",
    "select '(5)'::grams = '(5)'::grams",
    "select coalesce(weight, 1) from parcels",
    "select weight from parcels union all select 1",
    "select tone + 1 from sounds",
    "select (tone + 1)::text from sounds",
    "select tone::int from sounds",
    "select (select tone from sounds) + 1",
    "select row_to_json(s, tone) from sounds s",
    "select upper(s::text), s + 1 from sounds s",
    "select id from sounds union all select tone from sounds",
    "select * from sounds union all select 1, 1",
    "select count(*), s from sounds s group by s union all select 1, null",
    "select 1 from sounds s join sounds t using (tone)",
    "select 1 from sounds natural join sounds t",
    "with n (a) as (select tone from sounds) select a + 1 from n",
    "with n (a) as (table sounds) select a from n",
    "select a from sounds as s (b, a)",
    "select v.x + 1 from sounds, lateral (values (tone)) as v (x)",
    "select u + 1 from sounds, unnest(array[tone]) as u (u)",
    "select j.b from (sounds join parcels using (id)) as j (a, b, c)",
    "select tone from sounds union all select 1",
    "select to_json(colour) from things",
    "select row_to_json(t) from things t",
    "select t.to_json from things t",
    "select jsonb_agg(t) from things t",
    "select json_build_object('c', colour) from things",
    "select json_array(colour) from things",
    "select json_arrayagg(colour) from things",
    "select json_arrayagg(t) over () from things t",
    "select json_objectagg('c': colour) from things",
    "select json_objectagg(colour: 1) filter (where true) from things",
    "select json_arrayagg(mood)::int from people",
    "select p.as_number from people p",
    "select o.of_mood, o.amount from (select mood as of_mood from orders) x, orders o",
    "select amount.of_mood from (select mood as amount from orders) x, orders amount",
    "select count(mood::int::text, 'x') from orders",
    "select of_mood(variadic array[mood]) from orders",
    "select orders.of_mood from orders join sounds orders using (id)",
    "select max(tone, 1) from orders",
    "select json_object('c': colour) from things",
    "select json_query(colour, '$') from things",
    "select colour::text from things",
    "select colour || 'x' from things",
    "select 'x' || colour from things",
    "select quote_literal(colour) from things",
    "select * from things_json",
    "select * from things_array",
    "select * from things_text",
]


@pytest.fixture(scope="module")
def casts(module_database: str) -> Iterator[psycopg.Connection]:
    """A session in a database full of casts that count their calls."""
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute(_CASTS.read_text("utf-8").encode())
        yield connection


@pytest.fixture(scope="module")
async def policy(casts: psycopg.Connection, module_database: str) -> FunctionPolicy:
    return await reader(module_database).read()


def _calls(connection: psycopg.Connection) -> object:
    return connection.execute("select last_value, is_called from calls").fetchone()


@pytest.mark.parametrize("sql", _HARMLESS)
async def test_a_statement_that_cannot_call_a_cast_is_accepted(
    casts: psycopg.Connection, policy: FunctionPolicy, sql: str
) -> None:
    before = _calls(casts)

    validate(sql, functions=policy)

    assert casts.execute(sql.encode()).fetchall() == _HARMLESS[sql]
    assert _calls(casts) == before


@pytest.mark.parametrize("sql", _CASTING)
async def test_a_statement_that_may_call_a_cast_is_refused(policy: FunctionPolicy, sql: str) -> None:
    assert not passes(sql, policy)


async def test_only_the_known_built_in_functions_call_a_cast(
    casts: psycopg.Connection,
) -> None:
    casts.execute("create type every as enum ('one')")
    casts.execute("create table of_every (e every, es every[])")
    casts.execute("insert into of_every values ('one', '{one}')")
    casts.execute(_CASTS_TO_EVERY_TYPE.encode())
    calling = {
        str(name)
        for name, call in casts.execute(_CALLS_WITH_ANY_TYPE.encode()).fetchall()
        if _calls_a_cast(casts, f"select {call} from of_every t")
    }

    assert calling >= {"to_json", "json_agg", "quote_literal", "textanycat"}
    assert calling <= FUNCTIONS_THAT_CAST


def _calls_a_cast(connection: psycopg.Connection, sql: str) -> bool:
    before = _calls(connection)
    with suppress(psycopg.Error):  # not every function accepts these arguments
        connection.execute(sql.encode())
    return _calls(connection) != before


_CASTS_TO_EVERY_TYPE = """
do $do$
declare
    target text;
begin
    for target in
        select format('pg_catalog.%I', typname) from pg_type
        where typnamespace = 'pg_catalog'::regnamespace and typtype in ('b', 'r', 'm') and typname !~ '^pg_'
    loop
        execute format('create function to_%s(every) returns %s language plpgsql as
            ''begin perform nextval(''''calls''''); return null; end''', md5(target), target);
        execute format('create cast (every as %s) with function to_%s(every)', target, md5(target));
    end loop;
end $do$
"""

_CALLS_WITH_ANY_TYPE = """
select p.proname, format('pg_catalog.%I(%s) %s', p.proname, string_agg(
           case when a.type::regtype::text ~ '^any(compatible)?array' then 'array[' || v.value || ']'
                when a.type::regtype::text ~ '^"?any|record' then v.value
                when a.type::regtype::text = 'text' then '''x'''
                else 'null::' || a.type::regtype end, ', ' order by a.place),
           case p.prokind when 'w' then 'over ()' end)
from pg_proc p, unnest(p.proargtypes) with ordinality a (type, place), (values ('e'), ('es'), ('t')) v (value)
where p.pronamespace = 'pg_catalog'::regnamespace and p.prorettype <> 'trigger'::regtype
  and exists (select from unnest(p.proargtypes) t where t::regtype::text ~ '^"?any|record')
group by p.oid, v.value
"""


async def test_every_polymorphic_function_is_known(casts: psycopg.Connection) -> None:
    found = casts.execute(_POLYMORPHIC_FUNCTIONS.encode()).fetchall()
    callable_ones = [row for row in found if (listed := builtin("", row[0])) and listed.reason is None]
    of_one_type = {name for name, parameters, _ in callable_ones if parameters > 1}
    with_such_results = {name for name, _, is_polymorphic in callable_ones if is_polymorphic}

    assert len(with_such_results) > 20
    assert {name for name in of_one_type if not name.startswith(PREFIXES_OF_ONE_TYPE)} <= (
        FUNCTIONS_OF_ONE_TYPE | _OF_ENUMS
    )
    assert with_such_results - _OF_ENUMS - _REFUSED_BY_TYPE <= (
        FUNCTIONS_THAT_MAKE_ARRAYS
        | FUNCTIONS_THAT_KEEP_TYPES
        | FUNCTIONS_THAT_MAKE_MULTIRANGES
        | FUNCTIONS_THAT_GIVE_ELEMENTS
    )


_OF_ENUMS = {"enum_cmp", "enum_eq", "enum_first", "enum_ge", "enum_gt", "enum_larger", "enum_last"} | {
    "enum_le",
    "enum_lt",
    "enum_ne",
    "enum_range",
    "enum_smaller",
}
"""Functions that accept enums but no domains."""

_REFUSED_BY_TYPE = {"json_populate_record", "json_populate_recordset"} | {
    "jsonb_populate_record",
    "jsonb_populate_recordset",
}

_POLYMORPHIC_FUNCTIONS = """
select p.proname, (select count(*) from unnest(p.proargtypes) t where t::regtype::text ~ '^any'),
       p.prorettype::regtype::text ~ '^any'
from pg_proc p
where p.pronamespace = 'pg_catalog'::regnamespace
  and exists (select from unnest(p.proargtypes) t where t::regtype::text ~ '^any')
"""


async def test_the_refusal_names_the_column_and_the_cast_and_what_is_possible(policy: FunctionPolicy) -> None:
    with pytest.raises(
        SqlRejectedError, match=r"column mood may be cast here, and a cast of its type uses .*mood_number"
    ) as explicit:
        validate("select id, mood::int from people", functions=policy)
    with pytest.raises(
        SqlRejectedError, match=r"column tone may be cast here, and a cast of its type uses .*tone_number"
    ) as implicit:
        validate("select id, tone + 1 from sounds", functions=policy)
    with pytest.raises(
        SqlRejectedError, match=r"^the result of best_mood\(\) may be cast here, and a cast of its type uses"
    ):
        validate("select best_mood()::int", functions=policy)

    assert "compare it with a literal" in explicit.value.hint
    assert explicit.value.position is not None
    assert "group or count by it" in implicit.value.hint
    assert implicit.value.position == len("select id, ")
