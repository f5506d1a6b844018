"""In a SECURITY DEFINER function that a view or row policy calls, `"$user"` is the schema of its owner."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from tests.integration.postgres.test_policy_reader import execute, passes, reader

pytestmark = pytest.mark.anyio

OBJECTS = """
create role definer_owner login;
create schema definer_owner authorization definer_owner;
create schema elsewhere authorization definer_owner;
grant create on schema public to definer_owner;
create sequence called;
grant all on sequence called to public;
create type mood as enum ('sad', 'happy');
create table guarded (i int);
insert into guarded values (1);
alter table guarded enable row level security;
alter table guarded owner to definer_owner;
create table t (i int);
insert into t values (1);
grant select on t to public;
create function public.either() returns bigint immutable language sql as 'select 1::bigint';
set role definer_owner;
create function definer_owner.hidden() returns bigint language sql as $$ select nextval('public.called') $$;
create function definer_owner.either() returns bigint language sql as $$ select nextval('public.called') $$;
create function definer_owner.lower(mood) returns text language sql
    as $$ select nextval('public.called')::text $$;
create function elsewhere.away() returns bigint language sql as $$ select nextval('public.called') $$;
create function definer_owner.away(text) returns bigint language sql as 'select 1::bigint';
create function public.away() returns bigint immutable language sql as 'select 1::bigint';
create view definer_owner.t as select definer_owner.hidden() as i;
create function public.invoker() returns bigint stable language plpgsql as 'begin return hidden(); end';

create function public.f_plpgsql() returns bigint stable security definer language plpgsql
    as 'begin return hidden(); end';
create function public.f_sql() returns bigint stable security definer language sql as 'select either()';
create function public.f_inner() returns bigint stable security definer language sql
    as 'select public.invoker()';
create function public.f_types() returns text stable security definer language sql
    as $$ select lower('sad'::public.mood) $$;
create function public.f_relation() returns bigint stable security definer language sql as 'select i from t';
create function public.f_no_call() returns bigint stable security definer language sql as 'select 1::bigint';
create function public.f_away() returns bigint stable security definer language sql as 'select away()';
create function public.f_own_path() returns bigint stable security definer set search_path = public
    language sql as 'select either()';
create policy by_function on guarded using (i = (select public.f_sql()));
"""
NAMES = ("f_plpgsql", "f_sql", "f_inner", "f_types", "f_relation", "f_no_call", "f_away", "f_own_path")
STATEMENTS = (*(f"select * from v_{name}" for name in NAMES), "select * from guarded")


@pytest.fixture(scope="module")
def database(module_database: str) -> Iterator[str]:
    execute(module_database, OBJECTS)
    for name in NAMES:
        execute(module_database, f"create view public.v_{name} as select public.{name}() as n")
    execute(module_database, "grant select on all tables in schema public to public")
    yield module_database
    execute(module_database, "drop owned by definer_owner cascade; drop role definer_owner")


def acts(url: str, statement: str) -> bool:
    """Run a statement as a reader, and return whether it advanced the sequence."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("alter sequence called restart")
        connection.execute("set role pg_monitor")
        connection.execute(statement.encode())
        connection.execute("reset role")
        return connection.execute("select is_called from called").fetchone() == (True,)


async def test_a_definer_function_is_judged_by_what_it_finds_in_its_owners_schema(database: str) -> None:
    policy = await reader(database, role="pg_monitor").read()

    refused = {each for each in STATEMENTS if not passes(each, policy)}

    assert refused == {each for each in STATEMENTS if acts(database, each)}
    assert len(refused) == 6


async def test_another_name_of_the_owner_gives_a_new_policy(database: str) -> None:
    policies = reader(database, role="pg_monitor")
    assert not passes("select * from v_f_sql", await policies.read())
    execute(database, "alter role definer_owner rename to renamed_owner")

    policy = await policies.read()

    assert passes("select * from v_f_sql", policy)
    assert not acts(database, "select * from v_f_sql")
    execute(database, "alter role renamed_owner rename to definer_owner")


HIDDEN = """
create sequence calls;
grant all on sequence calls to public;
create role hidden_owner;
grant create on schema public to hidden_owner;
create schema closed;
create schema owned authorization hidden_owner;
create schema late;
grant usage on schema late to public;
create function closed.f(text) returns text language sql immutable as 'select $1';
create function late.f(text) returns text language plpgsql as
    'begin perform nextval(''public.calls''); return $1; end';
create function closed.same(int, int) returns boolean language sql immutable as 'select true';
create operator closed.@@@@ (leftarg = int, rightarg = int, function = closed.same);
create function late.same(int, int) returns boolean language plpgsql as
    'begin perform nextval(''public.calls''); return true; end';
create operator late.@@@@ (leftarg = int, rightarg = int, function = late.same);
create function owned.upper(varchar) returns text language plpgsql as
    'begin perform nextval(''public.calls''); return $1; end';
create table t (i int);
insert into t values (1);
alter table t enable row level security;

create function skips_closed() returns text language sql stable set search_path = closed, late
    as $$ select f('x') $$;
create function skips_in_plpgsql() returns text language plpgsql stable set search_path = closed, late
    as $$ begin return f('x'); end $$;
create function skips_operator() returns boolean language sql stable
    set search_path = closed, pg_catalog, late as 'select 1 @@@@ 2';
create function finds_other() returns text language sql stable set search_path = closed, pg_catalog
    as $$ select upper('x') $$;

set role hidden_owner;
create function for_owner() returns text language sql stable security definer
    as $$ select upper('x'::varchar) $$;
create function for_owner_too() returns text language sql stable security definer
    as $$ select lower('x'::varchar) $$;
create view shown as select for_owner();
create view shown_too as select for_owner_too();
grant select on shown, shown_too to public;
reset role;
grant select on t to public;
create policy by_owner on t using (for_owner() is not null);
"""
ACTING_WITH_HIDDEN = [
    "select skips_closed()",
    "select skips_in_plpgsql()",
    "select skips_operator()",
    "select * from shown",
    "select * from t",
]
HONEST_WITH_HIDDEN = ["select finds_other()", "select * from shown_too"]


async def test_the_server_skips_schemas_that_the_role_or_the_owner_may_not_use(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    execute(url, HIDDEN)
    database = url.rpartition("/")[2].partition("?")[0]
    execute(url, f"alter database {database} set search_path = owned, closed, pg_catalog, public")
    statements = ACTING_WITH_HIDDEN + HONEST_WITH_HIDDEN
    acting = []
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("set role pg_monitor")
        for sql in statements:
            connection.execute("select setval('calls', 1, false)")
            connection.execute(sql.encode())
            if connection.execute("select nextval('calls')").fetchone() != (1,):
                acting.append(sql)

    policies = reader(url, role="pg_monitor")
    policy = await policies.read()

    assert acting == ACTING_WITH_HIDDEN
    assert [sql for sql in statements if not passes(sql, policy)] == ACTING_WITH_HIDDEN

    execute(url, "grant usage on schema owned to public")
    assert not passes("select upper('x'::varchar)", await policies.read())
    execute(url, "drop owned by hidden_owner cascade; drop role hidden_owner")
