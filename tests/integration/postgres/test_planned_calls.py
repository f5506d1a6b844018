"""Tables are refused if PostgreSQL calls an unsafe function while it plans a read of them, and only then."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import validate
from tests.integration.postgres.test_policy_reader import execute, passes, reader

pytestmark = pytest.mark.anyio

_TRAPS = Path(__file__).parents[2] / "data" / "traps"
_ATTACKS, _HONEST = (
    (_TRAPS / f"planned_{kind}.sql").read_text("utf-8").splitlines() for kind in ("attacks", "honest")
)


def write(url: str, sql: str) -> bool:
    """Return whether a statement writes in a new session; a session evaluates an index only once."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(b"truncate written")
        connection.execute(sql.encode())
        return connection.execute("select count(*) > 0 from written").fetchone() == (True,)


@pytest.fixture(scope="module")
def trapped(module_database: str) -> str:
    execute(module_database, (_TRAPS / "planned.sql").read_text("utf-8"))
    return module_database


async def test_only_tables_with_unsafe_calls_at_planning_are_refused(trapped: str) -> None:
    statements = [*_ATTACKS, *_HONEST]
    acting = [each for each in statements if write(trapped, each)]

    policy = await reader(trapped).read()

    assert acting == _ATTACKS
    assert [each for each in statements if not passes(each, policy)] == _ATTACKS


async def test_constraint_exclusion_makes_the_check_of_the_table_itself_count(trapped: str) -> None:
    assert write(trapped, "set constraint_exclusion = on; select * from child where id > 1")
    assert write(trapped, "set constraint_exclusion = on; select * from by_key_11 where id > 1")

    policy = await reader(trapped).read()

    assert not passes("select * from child", policy)
    assert not passes("select * from by_key_11", policy)


async def test_the_refusal_names_the_function_and_how_to_allow_it(trapped: str) -> None:
    policy = await reader(trapped).read()

    with pytest.raises(SqlRejectedError) as refused:
        validate("select * from in_predicate", functions=policy)

    assert str(refused.value) == (
        "in_predicate is not readable here: an index, CHECK, partition key or statistics object of "
        "public.in_predicate uses public.write_it, which is refused because it is volatile, so calling it "
        "may change something"
    )
    assert refused.value.hint.endswith(
        "an operator who trusts it adds public.write_it to PG_MCP_SERVER_ALLOWED_FUNCTIONS once"
    )


async def test_an_allowed_function_may_be_called_at_planning(trapped: str) -> None:
    policy = await reader(trapped, allowed=("public.trap",)).read()

    assert passes("select * from in_predicate", policy)
    assert not passes("select * from in_operator", policy)


async def test_an_index_on_a_function_that_wraps_one_in_c_stays_readable(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    execute(
        url,
        """
        create extension unaccent;
        create function immutable_unaccent(regdictionary, text) returns text language c immutable strict
            as '$libdir/unaccent', 'unaccent_dict';
        create function f_unaccent(text) returns text language sql immutable strict
            as $$ select public.immutable_unaccent(regdictionary 'public.unaccent', $1) $$;
        create function slug(text) returns text language sql immutable as $$
            select lower(public.f_unaccent($1)) $$;
        create table people (name text);
        create index on people (public.f_unaccent(name));
        create index on people (public.slug(name));
        create index on people (lower(public.immutable_unaccent('public.unaccent', name)));
        """,
    )
    policy = await reader(url).read()

    assert passes("select * from people", policy)
    assert not passes("select f_unaccent(name) from people", policy)
