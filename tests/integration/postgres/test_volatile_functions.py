"""Functions without a declared volatility are judged by their bodies; twins that act are refused.

Without the read-only transaction, PostgreSQL lets a volatile function write. So each twin first has to act on
the server, which shows that it is one.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.errors import SqlRejectedError
from testing.attack_run import pipeline_to, validated
from testing.tls_postgres import TlsPostgres
from tests.integration.postgres.test_policy_reader import execute, passes, reader

pytestmark = pytest.mark.anyio

_DATA = Path(__file__).parents[2] / "data" / "volatile"
_DATABASE, _ROLE = "of_volatile", "volatile_reader"
_ROLE_SQL = f"""
alter database {_DATABASE} set search_path = shop, public;
create role {_ROLE} login password 'a password';
grant usage, create on schema shop, hidden to {_ROLE};
grant all on all tables in schema shop, hidden to {_ROLE};
grant all on all sequences in schema shop to {_ROLE};
grant create, temporary on database {_DATABASE} to {_ROLE};
"""
_STATE = """
select txid_current_if_assigned() is not null,
       (select count(*) from pg_listening_channels()),
       (select count(*) from pg_locks where pid = pg_backend_pid() and mode <> 'AccessShareLock'
            and locktype <> 'virtualxid' and (locktype <> 'relation' or relation is not null)),
       current_setting('work_mem'), current_setting('search_path')
"""
"""Whether the transaction wrote or locked a row, and what else a statement may change in its session."""


@dataclass(frozen=True)
class _Database:
    """A database with the functions.

    Attributes:
        url: the superuser's URL.
        left_out: the end of the names of files for other versions: "_14" means 14 or later, "_13" means 13.
    """

    url: str
    left_out: str

    def lines(self, *names: str) -> list[str]:
        """Return the statements of these files, without those for other versions."""
        return [line for text in self.texts(*names) for line in text.splitlines()]

    def texts(self, *names: str) -> list[str]:
        """Return the contents of these files, without those for other versions."""
        found = (name for name in names if not name.endswith(self.left_out))
        return [(_DATA / f"{name}.sql").read_text("utf-8") for name in found]


@pytest.fixture(scope="module", params=["embedded", "installed", "oldest"])
def database(request: pytest.FixtureRequest) -> Iterator[_Database]:
    """A database with the functions, on three versions of PostgreSQL."""
    if request.param == "embedded":
        cluster: EmbeddedPostgres = request.getfixturevalue("cluster")
        admin = cluster.url()
    elif request.param == "installed":
        server: TlsPostgres = request.getfixturevalue("tls_server")
        admin = server.url("postgres")
    else:
        admin = request.getfixturevalue("oldest_url")
    execute(admin, f"create database {_DATABASE}")
    database = _Database(
        f"{admin.removesuffix('postgres')}{_DATABASE}", "_14" if request.param == "oldest" else "_13"
    )
    scripts = database.texts("objects", "writers", "objects_13", "objects_14")
    execute(database.url, "".join([*scripts, _ROLE_SQL]))
    yield database
    execute(admin, f"drop database {_DATABASE} with (force)")
    execute(admin, f"drop role {_ROLE}")


def _acts(url: str, sql: str, role: str) -> bool:
    """Return whether a statement changes something; undo it, unless that is only known after the commit."""
    with psycopg.connect(url) as connection, psycopg.connect(url, autocommit=True) as witness:
        witness.execute("listen heard")
        connection.execute(f"set role {role}".encode())
        before = connection.execute(_STATE).fetchone()
        connection.execute(sql.encode())
        if connection.execute(_STATE).fetchone() != before:
            connection.rollback()
            return True
        connection.commit()
        witness.execute("select 1")
        return any(witness.notifies(timeout=0)) or connection.execute(_STATE).fetchone() != before


@pytest.mark.parametrize(
    ("role", "files"), [("none", ["attacks", "attacks_13", "attacks_14"]), (_ROLE, ["policy_attacks"])]
)
async def test_a_function_that_acts_when_it_is_called_is_refused(
    database: _Database, role: str, files: list[str]
) -> None:
    policy = await reader(database.url, role=role).read()
    statements = database.lines(*files)

    assert [sql for sql in statements if not _acts(database.url, sql, role)] == []
    assert [sql for sql in statements if passes(sql, policy)] == []


async def test_a_function_that_only_reads_is_accepted_and_returns_its_rows(
    database: _Database,
) -> None:
    policy = await reader(database.url, role=_ROLE).read()
    statements = database.lines("honest", "honest_14")
    differing = []
    async with pipeline_to(database.url) as pipeline:
        for sql in statements:
            rows = (await pipeline.execute_sql(sql)).rows
            with psycopg.connect(database.url) as connection:
                expected = connection.execute(sql.encode()).fetchall()
            found = [] if rows is None else [list(map(_plain, row)) for row in rows.rows]
            if found != [list(map(_plain, row)) for row in expected]:
                differing.append((sql, found, expected))
    assert differing == []

    assert [sql for sql in statements if not passes(sql, policy)] == []
    assert [sql for sql in statements if _acts(database.url, sql, _ROLE)] == []


@pytest.mark.parametrize("read_only", [True, False])
async def test_no_acting_function_has_an_effect_through_the_server(
    database: _Database, read_only: bool
) -> None:
    async with pipeline_to(database.url, read_only=read_only) as pipeline:
        run = validated(pipeline)
        for sql in database.lines("attacks", "attacks_13", "attacks_14"):
            await run(sql)

    assert [each.statement for each in run.replies if not each.is_rejected] == []


@pytest.mark.parametrize(
    ("language", "body"),
    [
        ("plpgsql", r"begin perform 'a\', '; notify heard; --';" + "\n return 1; end"),
        ("plpgsql", r"begin perform 'a\\\', '; notify heard; --';" + "\n return 1; end"),
        ("sql", r"select 'a\', '; notify heard; select 1; --';" + "\n select 2"),
    ],
)
async def test_a_body_that_the_server_read_for_another_client_of_a_pooler_is_refused(
    database: _Database, language: str, body: str
) -> None:
    url = database.url
    execute(url, f"create or replace function shop.kept() returns int language {language} as $_${body}$_$")

    with psycopg.connect(url, autocommit=True) as pooled, psycopg.connect(url, autocommit=True) as witness:
        witness.execute("listen heard")
        pooled.execute("set standard_conforming_strings = off")
        pooled.execute("select kept()")
        pooled.execute("set standard_conforming_strings = on")
        witness.execute("select 1")
        list(witness.notifies(timeout=0))
        pooled.execute("select kept()")
        witness.execute("select 1")
        # Before version 18, the server read a body in LANGUAGE sql again in each statement.
        is_kept = language == "plpgsql" or witness.info.server_version >= 180000
        assert any(witness.notifies(timeout=0)) is is_kept

    assert not passes("select kept()", await reader(url).read())


async def test_a_volatile_function_is_judged_again_when_its_body_changes(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    execute(url, "create table t (id int); create function f() returns int language sql as 'select 1'")
    policies = reader(url)
    assert passes("select f()", await policies.read())

    execute(
        url,
        "create or replace function f() returns int language sql as 'insert into t values (1); select 1'",
    )

    assert not passes("select f()", await policies.read())


async def test_volatile_functions_beyond_the_limits_stay_refused(new_database: Callable[[], str]) -> None:
    url = new_database()
    long = "select 1 /* " + "x" * 10_000 + " */"
    execute(
        url,
        f"""
        create function long() returns int language sql as '{long}';
        create function short() returns int language sql as 'select 1';
        create function many() returns int begin atomic
            {"select 1;" * 3_000} end;
        """,
    )

    policy = await reader(url).read()

    assert passes("select short()", policy)
    assert not passes("select long()", policy)
    assert not passes("select many()", policy)


async def test_the_refusal_of_a_volatile_function_says_what_its_owner_can_do(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    execute(url, "create function f() returns int language plpgsql as 'begin notify x; return 1; end'")

    async with pipeline_to(url) as pipeline:
        with pytest.raises(SqlRejectedError, match=r"f\(\) is not allowed: it is volatile") as refused:
            await pipeline.execute_sql("select f()")

    assert "ALTER FUNCTION … STABLE" in refused.value.hint


def _plain(value: object) -> str:
    """Return a value of JSON or of psycopg as the same text."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, dict | list):
        return json.dumps(value, sort_keys=True)
    try:
        return str(float(str(value)))
    except ValueError:
        return str(value)
