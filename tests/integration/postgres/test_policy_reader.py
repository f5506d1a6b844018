"""The function policy that is read from a real catalog, and when it is read again."""

from collections.abc import Callable
from uuid import uuid4

import anyio
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.errors import ResultTooLargeError, SqlRejectedError
from pgmcp.execution.policy import PolicyReader
from pgmcp.execution.result import Rows, Truncation
from pgmcp.validation import FunctionPolicy, validate
from testing.own_statements import resolve_as_own
from testing.statements import ORDINARY_DATABASES, ordinary_objects, ordinary_reads

pytestmark = pytest.mark.anyio


def reader(
    url: str,
    *,
    role: str = "",
    setting: str = "",
    allowed: tuple[str, ...] = (),
    denied: tuple[str, ...] = (),
) -> PolicyReader:
    async def fetch(statement: str) -> Rows:
        def run() -> Rows:
            with psycopg.connect(url) as connection:
                if role:
                    connection.execute(f"set role {role}".encode())
                connection.execute(setting.encode())
                resolve_as_own(connection)
                return Rows(columns=(), rows=[list(row) for row in connection.execute(statement.encode())])

        return await anyio.to_thread.run_sync(run)

    return PolicyReader(fetch, allowed=allowed, denied=denied)


def execute(url: str, script: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script.encode())


def passes(sql: str, policy: FunctionPolicy) -> bool:
    try:
        validate(sql, functions=policy)
    except SqlRejectedError:
        return False
    return True


async def test_functions_are_allowed_by_what_they_declare(new_database: Callable[[], str]) -> None:
    url = new_database()
    execute(
        url,
        """
        create extension vector;
        create function tax(amount numeric) returns numeric language sql immutable as 'select amount * 0.2';
        create function log_it() returns void language plpgsql as 'begin notify x; end';
        create procedure tidy() language sql as 'select 1';
        create type price_range as range (subtype = numeric);
        create schema app;
        create function app.tax() returns int language sql volatile as 'notify x; select 1';
        """,
    )

    policy = await reader(url, role="pg_monitor").read()

    assert passes("select tax(1)", policy)
    assert passes(
        "select price_range(1, 2) && price_range(2, 3, '[]'), price_multirange(price_range(1, 2))", policy
    )
    assert passes("select cosine_distance('[1]'::vector, '[2]')", policy)
    assert not passes("select log_it()", policy)
    assert not passes("select app.tax()", policy)
    assert not passes("select tidy()", policy)


async def test_a_refusal_names_the_function_if_the_built_in_one_cannot_be_meant(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    execute(url, "create function round(float8, int) returns numeric language sql as 'notify x; select 1.0'")
    policy = await reader(url).read()

    with pytest.raises(SqlRejectedError, match=r"it is public\.round, and it is volatile") as refused:
        validate("select round(2.5::float8, 1)", functions=policy)
    validate("select round(2.5, 1)", functions=policy)

    assert refused.value.hint.startswith("if it only reads, its owner can declare that with ALTER FUNCTION")


async def test_the_policy_object_stays_the_same_until_its_sources_change(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    execute(url, "create table t (id int)")
    policies = reader(url)
    first = await policies.read()
    execute(url, "insert into t values (1); create table u (id int); analyze")

    assert await policies.read() is first


@pytest.mark.parametrize(
    ("change", "sql"),
    [
        ("create function f() returns int language sql as 'notify x; select 1'", "select f()"),
        ("create view v as select nextval('counter')", "select * from v"),
        ("create or replace view w as select nextval('counter') as n", "select * from w"),
        ("create operator === (function = g, leftarg = int, rightarg = int)", "select 1 === 2"),
        ("create domain d as int check (g(value, 1))", "select 1::d"),
        (
            "create domain e as int; create domain f as e; alter domain e add check (g(value, 1))",
            "select 1::f",
        ),
        ("create domain d as int check (g(value, 1)); create type c as (v d)", "select '(1)'::c"),
        ("create aggregate a (int) (sfunc = h, stype = int)", "select a(1)"),
        (
            "create function row_f(t) returns int language sql as 'notify x; select 1'",
            "select t.row_f from t",
        ),
        ("create function lower(int) returns int language sql as 'notify x; select 1'", "select lower(1)"),
        ("create function f() returns bool language sql stable as 'select g(1, 1)'", "select f()"),
        ("create function f() returns checked language sql stable as 'select 1'", "select f()"),
        ("create view v as select id::checked from t", "table v"),
        ("create view v as select array[id]::checked[] from t", "table v"),
        ("create table u (n checked)", "select null::u"),
        ("create domain row_domain as t check (g((value).id, 1))", "select t.row_domain from t"),
        ("create table u (m mood)", "select m::int from u"),
        ("alter table t add m mood", "select m + 1 from t"),
        ("alter table held rename m to feeling", "select feeling + 1 from held"),
        ("create function f() returns int language sql stable as 'select m from held'", "select f()"),
        ("create foreign table u () inherits (t) server files options (program 'true')", "table t"),
        ("alter table parted attach partition above_foreign for values in (1)", "table parted"),
        ("create foreign table u (n checked) server files options (filename 'PG_VERSION')", "table u"),
        ("create table u (s span)", "table u"),
        (
            "create function f() returns int language sql stable window as 'select h(1, 1)'",
            "select f() over ()",
        ),
        ("create aggregate a (checked) (sfunc = int4pl, stype = int)", "select a(1)"),
        ("alter type stone rename to rock", "select 1::rock"),
        (
            "create operator !== (function = g, leftarg = int, rightarg = int, negator = ==)",
            "select * from not_equal",
        ),
        ("create domain lower as text check (g(length(value), 1))", "select lower('X')"),
        ("create index on t ((id + public.planned()))", "table t"),
        ("create statistics x on (id + public.planned()), id from t", "table t"),
        ("alter table t add check (id > planned())", "table t"),
        ("create table u (id int) partition by range ((id + planned()))", "table u"),
        ("alter table indexed rename to t2", "table t2"),
        ("create table u (id int); alter table indexed inherit u", "table u"),
        ("alter table above_indexed rename to u", "table u"),
        (
            "create or replace function defaulted(x int = public.planned()) returns int"
            " language plpgsql immutable as 'begin return x; end'",
            "table by_default",
        ),
    ],
)
async def test_a_change_gives_a_new_policy_that_contains_it(
    new_database: Callable[[], str], change: str, sql: str
) -> None:
    url = new_database()
    execute(
        url,
        """
        create sequence counter;
        create table t (id int);
        create view w as select 1::bigint as n;
        create function g(int, int) returns bool language sql volatile as 'notify x; select true';
        create function h(int, int) returns int language sql volatile as 'notify x; select 1';
        create domain checked as int check (g(value, 1));
        create type mood as enum ('sad');
        create function k(mood) returns int language sql volatile as 'notify x; select 1';
        create cast (mood as int) with function k(mood) as implicit;
        create table held (m mood);
        create extension file_fdw;
        create server files foreign data wrapper file_fdw;
        create table parted (id int, kind int) partition by list (id);
        create table above_foreign (id int, kind int) partition by list (kind);
        create foreign table foreign_part partition of above_foreign for values in (1) server files
            options (program 'true');
        create function difference(a int, b int) returns float8 language plpgsql immutable as
            'begin return h(a, b); end';
        create type span as range (subtype = int, subtype_diff = difference);
        create type stone as enum ('hard');
        create function s(int) returns stone language sql volatile as 'notify x; select ''hard''::stone';
        create cast (int as stone) with function s(int);
        create operator == (function = int4eq, leftarg = int, rightarg = int);
        create view not_equal as select id from t where not (id == 1);
        create function planned() returns int language plpgsql immutable as
            'begin return public.h(1, 1); end';
        create table above_indexed (id int);
        create table indexed (id int);
        alter table indexed inherit above_indexed;
        create index on indexed ((id + public.planned()));
        create function defaulted(x int = 1) returns int language plpgsql immutable as 'begin return x; end';
        create table by_default (id int);
        create index on by_default ((id + public.defaulted()));
        """,
    )
    policies = reader(url)
    before = await policies.read()
    execute(url, change)

    after = await policies.read()

    assert after is not before
    assert not passes(sql, after)


@pytest.mark.parametrize(
    ("change", "sql"),
    [
        ("alter table locks rename to others", "select * from others where numbers = '{5}'"),
        ("alter table other.locks set schema public", "select * from locks where numbers = '{5}'"),
        ("alter table above rename to others", "select * from others"),
        ("alter table other.above set schema public", "select * from above"),
    ],
)
async def test_a_new_name_gives_a_new_policy_in_a_database_without_functions(
    new_database: Callable[[], str], change: str, sql: str
) -> None:
    schema = "other" if "other." in change else "public"
    url = new_database()
    execute(
        url,
        f"""
        create schema other;
        create domain locked as bigint check (pg_try_advisory_lock(value));
        create table {schema}.locks (numbers locked[]);
        create extension file_fdw;
        create server files foreign data wrapper file_fdw;
        create table {schema}.above (line text);
        create foreign table below () inherits ({schema}.above) server files options (program 'true');
        """,
    )
    policies = reader(url)
    await policies.read()
    execute(url, change)

    assert not passes(sql, await policies.read())


async def test_a_policy_knows_how_a_database_with_another_encoding_reads_names(
    cluster: EmbeddedPostgres,
) -> None:
    name = f"latin_{uuid4().hex}"
    locale = "locale_provider 'libc' locale 'C'"
    execute(cluster.url(), f"create database {name} encoding 'LATIN1' {locale} template template0")
    url = make_conninfo(cluster.url(name), client_encoding="utf8")
    accent = "é"
    execute(
        url,
        f"""
        create sequence counter;
        create view {accent * 40} as select nextval('counter');
        create function reads() returns bigint language sql stable as 'select count(*) from {accent * 40}';
        create table {accent * 31} (grün int);
        """,
    )

    policy = await reader(url).read()

    assert not passes(f"select * from {accent * 40}", policy)
    assert not passes("select reads()", policy)
    assert not passes(r'''select * from U&"\00e9"''', policy)
    assert passes(f"select grün as Größe from {accent * 31}", policy)
    execute(cluster.url(), f"drop database {name} with (force)")


async def test_temporary_objects_of_any_session_are_followed(new_database: Callable[[], str]) -> None:
    """A pooler can give pgmcp a session in which another client has created temporary objects."""
    url = new_database()
    with psycopg.connect(url, autocommit=True) as session:
        session.execute(
            """
            create table calls (at timestamptz);
            create table customers (id int);
            create function act() returns int language sql volatile as
                'insert into calls values (now()) returning 1';
            create temp view customers as select act() as id;
            create temp view another as select act() as id;
            create function pg_temp.similarity(text, text) returns int language sql volatile as
                'select act()';
            create function reads_another() returns int language sql stable as 'select id from another';
            create function calls_similarity() returns int language sql stable as
                'select pg_temp.similarity(null, null)';
            """
        )
        policy = await reader(url).read()
        acting = [
            "select id from customers",
            "table pg_temp.customers",
            "with a as (table another) table a",
            "select pg_temp.similarity('a', 'b')",
            "select reads_another()",
            "select calls_similarity()",
        ]
        for sql in acting:
            session.execute(sql.encode())

        assert session.execute("select count(*) from calls").fetchone() == (len(acting),)
        assert [sql for sql in acting if passes(sql, policy)] == []
        assert passes("table public.customers", policy)


POLICY_OBJECTS = """
create role {r}_reader; create role {r}_team; create role {r}_owner; create role {r}_bypass bypassrls;
grant all on schema public to {r}_owner;
create schema private;
create table members (id int); insert into members values (1);
create function private.is_member(wanted int) returns bool language sql stable security definer
    as 'select exists (select from members where id = wanted)';
create function private.strike(int) returns bool language sql volatile as 'notify x; select true';
create table teams (id int); insert into teams values (1), (2); alter table teams owner to {r}_owner;
create function private.definer_strike(wanted int) returns bool language sql stable security definer
    as 'select private.strike(wanted)';
grant usage on schema private to public; grant select on all tables in schema public to public;
create function count_teams() returns bigint language sql stable as 'select count(*) from teams';
create function count_by_loop() returns bigint language plpgsql stable
    as 'begin return count_teams() + (select count(*) from teams); end';
create function call_helper() returns bool language sql stable
    as 'select private.is_member(1) from teams limit 1';
"""
_STRIKING = "create policy p on teams {to} using (private.strike(id))"


@pytest.mark.parametrize(
    ("policies", "role", "rows"),
    [
        (_STRIKING.format(to=""), "{r}_reader", 2),  # row security is not enabled
        (_STRIKING.format(to="") + "; alter table teams enable row level security", "{r}_owner", 2),
        (_STRIKING.format(to="") + "; alter table teams enable row level security", "{r}_bypass", 2),
        (_STRIKING.format(to="") + "; alter table teams enable row level security", "", 2),
        (
            _STRIKING.format(to="to {r}_team") + "; create policy o on teams using (true); "
            "alter table teams enable row level security",
            "{r}_reader",
            2,
        ),
        (
            "create policy p on teams for insert with check (private.strike(id)); "
            "create policy o on teams using (id = 1); alter table teams enable row level security",
            "{r}_reader",
            1,
        ),
        (
            "create policy p on teams using ((select private.is_member(id))); "
            "alter table teams enable row level security",
            "{r}_reader",
            1,
        ),
    ],
)
async def test_a_table_is_readable_if_no_harmful_policy_applies_to_the_role(
    new_database: Callable[[], str], policies: str, role: str, rows: int
) -> None:
    url, prefix = new_database(), f"r{uuid4().hex[:8]}"
    execute(url, (POLICY_OBJECTS + policies).format(r=prefix))
    role = role.format(r=prefix)

    policy = await reader(url, role=role).read()
    assert passes("select count_teams(), count_by_loop() from teams", policy)
    assert not passes("select call_helper()", policy)  # here no policy calls the helper
    with psycopg.connect(url) as connection:
        if role:
            connection.execute(f"set role {role}".encode())
        assert len(connection.execute("select * from teams").fetchall()) == rows
        assert connection.execute("select count_teams(), count_by_loop()").fetchall() == [(rows, 2 * rows)]


@pytest.mark.parametrize("option", ["security_invoker", "security_invoker = on", "security_invoker = 1"])
async def test_policies_apply_to_the_reader_of_a_view_with_security_invoker(
    new_database: Callable[[], str], option: str
) -> None:
    url, prefix = new_database(), f"r{uuid4().hex[:8]}"
    script = (
        POLICY_OBJECTS
        + f"create view seen with ({option}) as select * from teams; alter view seen owner to {prefix}_team;"
        + "grant select on seen to public;"
        + _STRIKING.format(to="")
        + "; alter table teams enable row level security"
    )
    execute(url, script.format(r=prefix))

    assert passes("select * from seen", await reader(url).read())
    assert not passes("select * from seen", await reader(url, role=f"{prefix}_reader").read())
    with psycopg.connect(url) as connection:
        assert len(connection.execute("select * from seen").fetchall()) == 2


@pytest.mark.parametrize(
    ("policies", "role"),
    [
        (_STRIKING.format(to=""), "{r}_reader"),
        (_STRIKING.format(to="to {r}_team") + "; grant {r}_team to {r}_reader", "{r}_reader"),
        (_STRIKING.format(to="") + "; alter table teams force row level security", "{r}_owner"),
        ("create policy p on teams using (private.definer_strike(id))", "{r}_reader"),
        ("create policy p on teams using (pg_catalog.pg_try_advisory_lock(id))", "{r}_reader"),
    ],
)
async def test_a_policy_that_applies_is_followed(
    new_database: Callable[[], str], policies: str, role: str
) -> None:
    url, prefix = new_database(), f"r{uuid4().hex[:8]}"
    script = POLICY_OBJECTS + policies + "; alter table teams enable row level security"
    execute(url, script.format(r=prefix))

    policy = await reader(url, role=role.format(r=prefix)).read()
    assert not passes("select * from teams", policy)
    assert not passes("select count_teams()", policy)
    assert not passes("select count_by_loop()", policy)


@pytest.mark.parametrize(
    ("condition", "cause", "allowed"),
    [
        ("private.strike(id)", "private.strike", "private.strike"),
        ("private.definer_strike(id)", "private.strike", "private.strike"),
        ("pg_catalog.pg_try_advisory_lock(id)", "pg_try_advisory_lock", "pg_try_advisory_lock"),
        ("private.runs_text(id)", "EXECUTE", "private.runs_text"),
    ],
)
@pytest.mark.parametrize("relation", ["teams", "seen"])
async def test_a_refusal_names_the_policy_and_says_once_what_allows_it(
    new_database: Callable[[], str], condition: str, cause: str, allowed: str, relation: str
) -> None:
    url, prefix = new_database(), f"r{uuid4().hex[:8]}"
    script = (
        POLICY_OBJECTS
        + """
        create function private.runs_text(wanted int) returns bool language plpgsql stable
            as 'declare b bool; begin execute ''select '' || wanted into b; return b; end';
        create policy "by day" on teams for select using (true);
        alter table teams enable row level security;
        create view seen as select * from teams; alter view seen owner to {r}_team;
        create policy "only members" on teams for select using (
        """
        + condition
        + ");"
    )
    execute(url, script.format(r=prefix))
    role = f"{prefix}_reader"

    with pytest.raises(SqlRejectedError) as refusal:
        validate(f"select * from {relation}", functions=await reader(url, role=role).read())

    policy = f'the row policy "only members" of public.teams uses {cause}, which is refused because '
    assert f"{relation} is not readable here: {policy}" in str(refusal.value)
    assert f"adds {allowed} to PG_MCP_SERVER_ALLOWED_FUNCTIONS once" in (refusal.value.hint or "")
    assert passes(f"select * from {relation}", await reader(url, role=role, allowed=(allowed,)).read())


async def test_a_policy_for_the_owner_of_a_view_is_followed_through_the_view(
    new_database: Callable[[], str],
) -> None:
    url, prefix = new_database(), f"r{uuid4().hex[:8]}"
    script = (
        POLICY_OBJECTS
        + _STRIKING
        + """;
        create policy o on teams using (true); alter table teams enable row level security;
        create view seen as select * from teams; alter view seen owner to {r}_team;
        """
    )
    execute(url, script.format(r=prefix, to=f"to {prefix}_team"))

    policy = await reader(url, role=f"{prefix}_reader").read()

    assert passes("select * from teams", policy)
    assert not passes("select * from seen", policy)


async def test_a_change_that_makes_a_row_policy_apply_gives_a_new_function_policy(
    new_database: Callable[[], str],
) -> None:
    url, prefix = new_database(), f"r{uuid4().hex[:8]}"
    script = POLICY_OBJECTS + _STRIKING + "; alter table teams enable row level security"
    execute(url, script.format(r=prefix, to=f"to {prefix}_team"))
    policies = reader(url, role=f"{prefix}_reader")
    before = passes("select * from teams", await policies.read())
    execute(url, f"grant {prefix}_team to {prefix}_reader")

    after = passes("select * from teams", await policies.read())

    assert (before, after) == (True, False)


async def test_functions_of_an_extension_are_allowed_and_refused_with_it(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    execute(
        url,
        """
        create schema ext;
        create extension pg_trgm schema ext;
        create extension tablefunc;
        create extension vector;
        create function crosstab(int) returns int language sql as 'notify x; select 1';
        """,
    )
    crosstab = "select * from crosstab('select 1, 2, pg_sleep(3)') as (a int, b int)"

    policy = await reader(url, allowed=("extension:tablefunc",), denied=("extension:pg_trgm",)).read()
    execute(url, "drop function crosstab(int)")
    policy_without_namesake = await reader(url, allowed=("extension:tablefunc",)).read()

    assert not passes(crosstab, policy)
    assert passes(crosstab, policy_without_namesake)
    assert not passes("select ext.similarity('a', 'b')", policy)
    assert not passes("select 'a' operator(ext.<->) 'b'", policy)
    assert not passes("select 'a' operator(ext.<<->) 'b'", policy)
    assert passes("select 7 % 2, '[1]'::vector <-> '[2]'", policy)


@pytest.mark.parametrize(
    ("function", "read"),
    [
        ("f(int) returns int", "select (5).f"),
        ("f(anyelement) returns int", "select t.f from t"),
        ("f(record) returns int", "select t.f from t"),
        ("f(t, int default 1) returns int", "select t.f from t"),
        ("f(variadic t[]) returns int", "select t.f from t"),
        ("f(row_domain) returns int", "select t.f from t"),
        ("f(int, int default 1) returns int", "select c.f from generate_series(1, 2) as c"),
        ("f(variadic int[]) returns int", "select c.f from generate_series(1, 2) as c"),
    ],
)
async def test_a_function_that_column_notation_can_call_is_judged_there(
    new_database: Callable[[], str], function: str, read: str
) -> None:
    url = new_database()
    execute(
        url,
        f"""
        create table t (id int);
        insert into t values (1);
        create domain row_domain as t;
        create function {function} language plpgsql volatile as 'begin notify x; return 1; end';
        """,
    )
    execute(url, read)

    assert not passes(read, await reader(url).read())
    assert passes(read, FunctionPolicy())


async def test_views_of_an_extension_and_harmless_views_pass(new_database: Callable[[], str]) -> None:
    url = new_database()
    execute(
        url,
        """
        create extension pg_stat_statements;
        create view mine as select lower(relname::text) || random() as name from pg_class where oid > 5;
        """,
    )

    policy = await reader(url).read()

    assert passes("select * from pg_stat_statements", policy)
    assert passes("select * from mine", policy)


_WRITER = """
create table written (n int);
create schema hidden;
create function hidden.strike(int default 1) returns int language plpgsql volatile
    as 'begin insert into public.written values (1); return 1; end';
"""


def acts(url: str, sql: str) -> bool:
    """Return whether a statement calls the writer of `_WRITER`; undo what it wrote."""
    with psycopg.connect(url) as connection:
        connection.execute(sql.encode())
        (count,) = connection.execute("select count(*) from public.written").fetchone() or (0,)
        connection.rollback()
    return bool(count)


async def test_only_the_rule_for_select_counts_when_a_view_is_read(new_database: Callable[[], str]) -> None:
    url = new_database()
    execute(
        url,
        _WRITER
        + """
        create table base (id int); insert into base values (1);
        create rule added as on insert to base do also select hidden.strike();
        create view ruled as select id from base;
        create rule added as on insert to ruled do instead select hidden.strike();
        create rule changed as on update to ruled do instead insert into base select hidden.strike();
        create rule removed as on delete to ruled do also select hidden.strike();
        create view above_ruled as select id from ruled where id > 0;
        create view striking as select hidden.strike() as id;
        create rule added as on insert to striking do instead nothing;
        create view above_striking as select r.id from ruled as r, striking;
        """,
    )
    policy = await reader(url).read()
    reads = ["select * from base", "select * from ruled", "select count(*) from above_ruled"]
    twins = ["select * from striking", "select * from above_striking", "insert into ruled values (1)"]

    assert [sql for sql in reads if acts(url, sql) or not passes(sql, policy)] == []
    assert [sql for sql in twins if not acts(url, sql) or passes(sql, policy)] == []


_STORED_EQUALS = """
create type mood as enum ('sad', 'glad');
create table felt (id int, mood mood, n numeric); insert into felt values (1, 'sad', 1), (2, 'glad', 1);
create function hidden.equals(mood, text) returns bool language plpgsql volatile
    as 'begin perform hidden.strike(); return true; end';
create operator hidden.= (function = hidden.equals, leftarg = mood, rightarg = text);
create function hidden.equals(numeric, int) returns bool language plpgsql volatile
    as 'begin perform hidden.strike(); return true; end';
create operator hidden.= (function = hidden.equals, leftarg = numeric, rightarg = int);
create operator hidden.< (function = hidden.equals, leftarg = mood, rightarg = text);
create operator hidden.<= (function = hidden.equals, leftarg = mood, rightarg = text);
create operator hidden.>= (function = hidden.equals, leftarg = mood, rightarg = text);
"""
_STORED_BODIES = {
    "by_in": "select count(*) from felt where id in (1, 2) and mood in ({0}, {0})",
    "by_any": "select count(*) from felt where mood in (select {0})",
    "by_case": "select max(case mood when {0} then 1 end) from felt",
    "by_distinct": "select count(*) from felt where mood is distinct from {0}",
    "by_nullif": "select count(nullif(mood, {0})) from felt",
    "by_between": "select count(*) from felt where mood between {0} and {0}",
    "by_using": "select count(*) from felt join (select {1} as n) as f using (n)",
    "by_natural": "select count(*) from felt natural join (select {1} as n) as f",
    "by_operator": "select count(*) from felt where mood = {0}",
}


async def test_a_stored_tree_calls_only_the_operators_that_the_catalog_records_for_it(
    new_database: Callable[[], str],
) -> None:
    """The operators of `hidden` are on the path only while the functions are created."""
    url = new_database()
    stored = "create function {}() returns bigint stable begin atomic {}; end"
    bodies = _STORED_BODIES.items()
    harmless = [stored.format(name, body.format("'glad'::mood", "1.0")) for name, body in bodies]
    striking = [stored.format(f"{name}_strikes", body.format("'glad'::text", "1")) for name, body in bodies]
    defaults = """
        create function defaulting(n mood default nullif('sad'::mood, 'glad'::mood)) returns int
            language plpgsql stable as 'begin return 1; end';
        create function defaulting_strikes(n mood default nullif('sad'::mood, 'glad'::text)) returns int
            language plpgsql stable as 'begin return 1; end';
        create function in_both(n mood default 'sad') returns bool stable
            return n is distinct from 'glad'::mood;
        create function in_both_strikes(n mood default nullif('sad'::mood, 'glad'::text)) returns bool stable
            return n is distinct from 'glad'::mood;
        create view seen as select mood in ('sad', 'glad') as is_felt from felt;
        create view seen_strikes as select mood in ('sad'::text, 'glad') as is_felt from felt;
    """
    execute(
        url,
        _WRITER
        + _STORED_EQUALS
        + "set search_path = public, hidden;"
        + ";".join([*harmless, *striking])
        + ";"
        + defaults,
    )
    policy = await reader(url).read()
    functions = [*_STORED_BODIES, "defaulting", "in_both"]
    reads = [*(f"select {name}()" for name in functions), "select * from seen"]
    twins = [*(f"select {name}_strikes()" for name in functions), "select * from seen_strikes"]

    assert [sql for sql in reads if acts(url, sql) or not passes(sql, policy)] == []
    assert [sql for sql in twins if not acts(url, sql) or passes(sql, policy)] == []


async def test_without_pg_depend_a_stored_tree_may_call_any_operator_that_it_implies(
    new_database: Callable[[], str],
) -> None:
    url, role = new_database(), f"r{uuid4().hex[:8]}"
    execute(
        url,
        _WRITER
        + _STORED_EQUALS
        + f"""
        create function plain() returns bigint stable
            begin atomic select count(*) from felt where id = 1; end;
        create function implied() returns bool stable return 'sad'::mood is distinct from 'glad'::mood;
        set search_path = public, hidden;
        create function strikes() returns bool stable return 'sad'::mood is distinct from 'glad'::text;
        create role {role}; grant usage on schema hidden to {role};
        revoke select on pg_catalog.pg_depend from public;
        """,
    )

    policy = await reader(url, role=role).read()

    assert [passes(f"select {name}()", policy) for name in ("plain", "implied", "strikes")] == [
        True,
        False,
        False,
    ]


async def test_a_function_that_an_owner_added_to_an_extension_does_not_hide_built_in_ones(
    new_database: Callable[[], str],
) -> None:
    url, role = new_database(), f"r{uuid4().hex[:8]}"
    execute(
        url,
        _WRITER
        + f"""
        create role {role}; grant create on schema public to {role};
        do $$ begin execute format('grant create on database %I to {role}', current_database()); end $$;
        create function hidden.equals(int, int) returns bool language plpgsql volatile
            as 'begin perform hidden.strike(); return true; end';
        create operator === (function = hidden.equals, leftarg = int, rightarg = int);
        create function is_same(text, int) returns bool language sql immutable as 'select true';
        create operator === (function = is_same, leftarg = text, rightarg = int);
        set role {role};
        create extension btree_gin;
        create function public.ascii(anyelement) returns text language sql immutable as 'select null';
        alter extension btree_gin add function public.ascii(anyelement);
        """,
    )
    policy = await reader(url).read()

    assert acts(url, "select ascii('x'::text) === 1")
    assert not passes("select ascii('x'::text) === 1", policy)
    assert passes("select ascii(true) === 1", policy)
    execute(url, f"drop extension btree_gin; drop owned by {role}; drop role {role}")


_SALES = """
create schema ext; create extension tablefunc schema ext;
create table sales (city text, month text, total int);
insert into sales values ('Kiel', 'jan', 1), ('Kiel', 'feb', 2), ('Ulm', 'jan', 3), ('März', 'feb', 4);
create function hidden.is_fine(int) returns bool language plpgsql volatile
    as 'begin perform hidden.strike(); return true; end';
create domain checked as int check (hidden.is_fine(value));
create view striking as select 'a'::text as a, hidden.strike()::text as b, 'c'::text as c;
"""
_AS = "as ct(a text, b text)"
_PIVOTS = {
    "select * from ext.crosstab('select city, month, total from sales order by 1, 2') "
    "as ct(city text, one int, two int) order by 1": "[('Kiel', 2, 1), ('März', 4, None), ('Ulm', 3, None)]",
    "select u.name, ct.* from ext.crosstab($$select city, month, total from sales where city <> 'Ulm' "
    "order by 1$$, $m$values ('jan'), ('feb')$m$) as ct(city text, jan int, feb int) "
    "join (values ('Kiel', 'north')) as u (city, name) using (city)": "[('north', 'Kiel', 1, 2)]",
    "select count(*), max(row_name) from ext.crosstab2("
    "'select city, month, total::text from sales order by 1;')": "[(3, 'Ulm')]",
    "select * from ext.crosstab('select city, month, total from sales where city = ''März'' order by 1', 2) "
    "as ct(city text, one int)": "[('März', 4)]",
}
_STRUCK = "select ''a''::text, ''b''::text, hidden.strike()::text"
_STRIKING_PIVOTS = [
    f"select * from ext.crosstab('{_STRUCK}') {_AS}",
    f"select * from ext.crosstab('select * from striking') {_AS}",
    f"select * from ext.crosstab('select city, month, month from sales', 'select hidden.strike()') {_AS}",
    f"select * from ext.crosstab($$select 'a'::text, 'b'::text, hidden.strike()$$, $$select 'b'$$) {_AS}",
    f"select * from ext.crosstab3('{_STRUCK}')",
    f"select * from ext.crosstab('select 1; {_STRUCK}') {_AS}",
    f"select * from ext.crosstab('select ''a''::text, ''b''::text, hidden' || '.strike()::text') {_AS}",
    f"select * from ext.crosstab('{_STRUCK}'::text) {_AS}",
    rf"select * from ext.crosstab(E'select \'a\'::text, \'b\'::text, hidden.strike()::text') {_AS}",
    f"select * from ext.crosstab('select ''a''::text, ''b''::text, hidden'\n'.strike()::text') {_AS}",
    f"select * from ext.crosstab($$select a, b, b from ext.crosstab('{_STRUCK}') {_AS}$$) {_AS}",
    "select * from ext.crosstab('select city, month, 5::checked from sales') as ct(a text, b checked)",
    "select * from ext.crosstab('select city, month, total from sales', 'select ''jan''') "
    "as ct(a text, b checked)",
]
_OTHER_PIVOTS = [
    *(
        f"select * from ext.crosstab('{text}') {_AS}"
        for text in (
            "delete from sales returning city, month, month",
            "select rolname::text, rolname::text, rolpassword from pg_authid",
            "select city, month, month into kept from sales",
            "select city, month, month from sales for update",
            "explain select 1",
            "show work_mem",
            "select city, month, month from sales; -- more",
            "select city, month, month from sales; ;",
            "\ufeffselect city, month, month from sales",
            "select $1, $2, $3",
            "",
        )
    ),
    "select ext.crosstab(city) from sales",
    "select * from ext.connectby('sales', 'city', 'month', 'Ulm', 0) as t(a text, b text, c int)",
    f"select * from ext.crosstab(variadic array['select 1']) {_AS}",
]


async def test_a_pivot_is_accepted_if_its_text_would_be(new_database: Callable[[], str]) -> None:
    url = new_database()
    execute(url, _WRITER + _SALES)
    policy = await reader(url).read()
    with psycopg.connect(url) as connection:
        rows = {sql: str(connection.execute(sql.encode()).fetchall()) for sql in _PIVOTS}

    assert rows == _PIVOTS
    assert [sql for sql in _PIVOTS if acts(url, sql) or not passes(sql, policy)] == []
    assert [sql for sql in _STRIKING_PIVOTS if not acts(url, sql) or passes(sql, policy)] == []
    assert [sql for sql in _OTHER_PIVOTS if passes(sql, policy)] == []


async def test_a_refused_text_of_a_pivot_is_explained(new_database: Callable[[], str]) -> None:
    url = new_database()
    execute(url, _WRITER + _SALES)
    policy = await reader(url).read()
    accepted = validate(next(iter(_PIVOTS)), functions=policy)

    with pytest.raises(SqlRejectedError) as refused:
        validate(f"select a from ext.crosstab('select pg_sleep(1)') {_AS}", functions=policy)

    assert (accepted.tables, accepted.depends_on_literals) == (("sales",), True)
    assert "the SQL text in crosstab() is not allowed: function pg_sleep() is not allowed" in str(
        refused.value
    )
    assert (refused.value.position, refused.value.offending) == (14, "crosstab")


@pytest.mark.parametrize(
    ("change", "is_accepted"),
    [
        ("select 1", True),
        ("alter function ext.crosstab(text) set search_path = hidden", False),
        ("alter function ext.crosstab(text) security definer", False),
        ("alter function ext.crosstab(text) set role = postgres", False),
        (
            "create function public.crosstab(text) returns setof record language plpgsql stable "
            "as 'begin return query execute $1; end'",
            False,
        ),
        ("create function public.crosstab(int) returns int language sql volatile as 'select 1'", True),
    ],
)
async def test_a_pivot_is_refused_if_its_function_is_changed_or_may_be_another(
    new_database: Callable[[], str], change: str, is_accepted: bool
) -> None:
    url = new_database()
    execute(url, _WRITER + _SALES + change)
    policy = await reader(url, setting="set search_path = public, ext").read()
    pivot = f"select * from crosstab('select city, month, month from sales') {_AS}"

    assert passes(pivot, policy) is is_accepted


_ACTING = {
    "app": ["select audit.write('{}')"],
    "applications": ["select nextval('users_id_seq')"],
    "namesakes": [
        "select lower(c) from customers c",
        "select c.lower from customers c, lateral (select c as c) as c",
        "select last(name, 1) from customers",
        "select status(id, 'paid') from customers",
        "select log(name, 'info') from customers",
        "select replace(c, 'x') from customers c",
        "select next_invoice()",
    ],
    "postgres_18": ["select lo_create(0)"],
    "supabase": ["select audit(), handle_new_user()", "select private.is_member_of(null)"],
}
"""Statements that call functions which act, or which run with another role's privileges."""


@pytest.mark.parametrize("database", ORDINARY_DATABASES)
async def test_usual_reads_of_applications_are_accepted(
    new_database: Callable[[], str], database: str
) -> None:
    url = new_database()
    execute(url, ordinary_objects(database))
    policy = await reader(url).read()
    reads = ordinary_reads(database)
    with psycopg.connect(url, autocommit=True, options="-c default_transaction_read_only=on") as connection:
        for sql in reads:
            connection.execute(sql.encode())

    assert [sql for sql in reads if not passes(sql, policy)] == []
    assert [sql for sql in _ACTING[database] if passes(sql, policy)] == []


async def test_a_call_that_no_function_takes_names_those_that_exist(new_database: Callable[[], str]) -> None:
    url = new_database()
    execute(
        url,
        "create schema api; create function api.search(text, variadic int[]) returns int language sql stable "
        "as 'select 1'",
    )
    policy = await reader(url).read()

    with pytest.raises(SqlRejectedError, match="no function of that name takes these arguments") as refused:
        validate("select api.search(q => 'a')", functions=policy)

    assert refused.value.hint == "the database has api.search(text, integer[])"


async def test_a_function_with_another_number_of_arguments_is_ignored(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    execute(
        url,
        """
        create table hits (n int);
        create function lower(a text, b text) returns text volatile language sql as 'notify x; select a';
        create function upper(a int, b int default 1) returns int language sql as 'notify x; select 1';
        create function reverse(variadic a int[]) returns int volatile language sql as 'notify x; select 1';
        create function keep(state int, b int) returns int volatile language sql as 'notify x; select 1';
        create aggregate mode(a int order by b int) (sfunc = keep, stype = int);
        """,
    )

    policy = await reader(url).read()

    for sql in ("select lower('A')", "select upper('a', 'b', 'c')"):
        assert passes(sql, policy), sql
    assert passes("select mode() within group (order by n) from hits", policy)
    for sql in (
        "select lower('a', 'b')",
        "select lower(b => 'b', a => 'a')",
        "select upper(1)",
        "select upper(1, 2)",
        "select (1).upper",
        "select reverse(1)",
        "select reverse(1, 2, 3)",
        "select reverse(variadic array[1, 2])",
        "select mode(1) within group (order by n) from hits",
    ):
        assert not passes(sql, policy), sql


@pytest.mark.parametrize(
    ("catalog", "secret"),
    [
        ("pg_catalog.pg_subscription", "subconninfo"),
        ("pg_catalog.pg_stat_wal_receiver", "conninfo"),
        ("pg_catalog.pg_user_mappings", "umoptions"),
        ("information_schema.user_mapping_options", "option_value"),
        ("pg_catalog.pg_stats", "most_common_vals histogram_bounds most_common_elems"),
        ("pg_catalog.pg_stats_ext", "most_common_vals"),
        ("pg_catalog.pg_stats_ext_exprs", "most_common_vals histogram_bounds most_common_elems"),
    ],
)
def test_every_column_except_secret_ones_may_be_read(module_database: str, catalog: str, secret: str) -> None:
    policy = FunctionPolicy()
    with psycopg.connect(module_database) as connection:
        described = connection.execute(f"select * from {catalog}".encode()).description

    assert described
    columns = [column.name for column in described]
    secrets = secret.split()
    assert [name for name in columns if not passes(f"select {name} from {catalog}", policy)] == secrets
    assert [name for name in columns if not passes(f"select c.{name} from {catalog} c", policy)] == secrets


def test_a_condition_on_samples_counts_only_if_the_server_applies_it_first(module_database: str) -> None:
    with psycopg.connect(module_database) as connection:
        leakproof = connection.execute(
            "select distinct o.oprname from pg_operator o join pg_proc p on p.oid = o.oprcode"
            " where o.oprname in ('=', '<>', '~~') and o.oprleft = 'name'::regtype and p.proleakproof"
        ).fetchall()
        connection.execute("set search_path = pg_catalog")
        current_schema = connection.execute("select current_schema()").fetchone()

    # LIKE is ~~. A condition that is not leakproof may be evaluated after one that shows values in its error.
    assert sorted(leakproof) == [("<>",), ("=",)]
    assert current_schema == ("pg_catalog",)
    for condition, passing in (("= 'public'", True), ("like 'public'", False), ("= current_schema()", False)):
        sql = f"select most_common_vals from pg_stats where schemaname {condition}"
        assert passes(sql, FunctionPolicy()) is passing, sql


@pytest.mark.parametrize(
    ("catalog", "harmless", "showing"),
    [
        ("pg_stats", "tablename, avg_width", "histogram_bounds::text"),
        ("pg_stats s", "s.schemaname, null_frac", "to_json(s)"),
        ("pg_stats s join pg_class c on c.relname = s.tablename", "c.relname, s.n_distinct", "(s.*)::text"),
        ("pg_subscription", "subname, subenabled", "subconninfo"),
        ("information_schema.user_mapping_options", "option_name", "option_value"),
    ],
)
async def test_a_view_or_function_may_use_a_catalog_without_its_secret_column(
    module_database: str, catalog: str, harmless: str, showing: str
) -> None:
    execute(
        module_database,
        f"""
        drop schema if exists used cascade; create schema used;
        create view used.harmless as select {harmless} from {catalog};
        create view used.showing as select {showing} from {catalog};
        create function used.harmless() returns bigint language sql stable
            as 'select count(*) from (select {harmless} from {catalog}) as x';
        create function used.harmless_standard() returns bigint stable
            begin atomic select count(*) from (select {harmless} from {catalog}) as x; end;
        create function used.showing() returns setof text language sql stable
            as 'select x::text from (select {showing} from {catalog}) as x';
        create function used.showing_block() returns text language plpgsql stable
            as 'begin return (select x::text from (select {showing} from {catalog}) as x); end';
        create function used.showing_standard() returns setof text stable
            begin atomic select x::text from (select {showing} from {catalog}) as x; end;
        """,
    )

    policy = await reader(module_database).read()

    for read in ("table used.harmless", "select used.harmless()", "select used.harmless_standard()"):
        assert passes(read, policy), read
    showing_reads = [
        "table used.showing",
        *(f"select used.showing{each}()" for each in ("", "_block", "_standard")),
    ]
    assert [read for read in showing_reads if passes(read, policy)] == []


async def test_a_truncated_list_of_functions_is_an_error() -> None:
    async def fetch(_: str) -> Rows:
        return Rows(columns=(), rows=[["[]", ""]], truncated=Truncation.BYTES)

    with pytest.raises(ResultTooLargeError):
        await PolicyReader(fetch, allowed=(), denied=()).read()


async def test_a_row_that_can_be_cast_may_be_the_argument_of_any_function(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    execute(
        url,
        """
        create table boxes (id int);
        create function box_number(boxes) returns bigint language sql immutable as 'select 1';
        create cast (boxes as bigint) with function box_number(boxes) as implicit;
        create function log_it(bigint) returns int language plpgsql as 'begin notify x; return 1; end';
        """,
    )

    policy = await reader(url).read()

    assert not passes("select b.log_it from boxes b", policy)
    assert not passes("select boxes.pg_advisory_lock from boxes", policy)
    assert passes("select b.id, b.abs, b.nothing from boxes b", policy)
