"""The role of the README's script can read, and can do nothing else."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgmcp.execution.role import PARAMETERS_SQL, PRIVILEGES_SQL, read_privileges

_README = Path(__file__).parents[3] / "README.md"
_ROLE = "readme_reader"  # not the name in the script: the demo shop of the same cluster has that role
_PASSWORD = "change-me"


@pytest.fixture
def admin(new_database: Callable[[], str]) -> Iterator[psycopg.Connection]:
    """A superuser's session in a database with two tables: one created before the script ran, one after."""
    with psycopg.connect(new_database(), autocommit=True) as connection:
        connection.execute("create table before_it (id integer); insert into before_it values (1)")
        connection.execute(_script(connection.info.dbname).encode())
        connection.execute("create table after_it (id integer); insert into after_it values (2)")
        yield connection
        connection.execute(f"drop owned by {_ROLE}; drop role {_ROLE}".encode())


@pytest.fixture
def reader(admin: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """A session of the role without its default of read-only transactions, the only guard it can turn off."""
    conninfo = make_conninfo(admin.info.dsn, user=_ROLE, password=_PASSWORD)
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute("set default_transaction_read_only = off")
        yield connection


def _script(dbname: str) -> str:
    grants, revokes = re.findall(r"^```sql\n(.*?)^```$", _README.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert f"password '{_PASSWORD}'" in grants
    return f"{grants}{revokes}".replace("pgmcp_reader", _ROLE).replace("database shop", f"database {dbname}")


def test_an_owner_who_may_create_no_role_changes_nothing(new_database: Callable[[], str]) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as admin:
        dbname = admin.info.dbname
        admin.execute(f"create role readme_owner login password '{_PASSWORD}'".encode())
        admin.execute(f"alter database {dbname} owner to readme_owner".encode())
        try:
            owner_url = make_conninfo(url, user="readme_owner", password=_PASSWORD)
            with (
                psycopg.connect(owner_url, autocommit=True) as owner,
                pytest.raises(psycopg.errors.InsufficientPrivilege, match="create role"),
            ):
                owner.execute(_script(dbname).encode())

            changed = admin.execute(
                "select count(*) + (select count(*) from pg_default_acl) from pg_roles where rolname = %s",
                [_ROLE],
            )
            assert changed.fetchone() == (0,)
            may_create_temporary = admin.execute(
                "select has_database_privilege('public', current_database(), 'TEMPORARY')"
            )
            assert may_create_temporary.fetchone() == (True,)
        finally:
            admin.execute(f"alter database {dbname} owner to current_user; drop role readme_owner".encode())


def test_the_role_starts_read_only_and_with_a_timeout(admin: psycopg.Connection) -> None:
    conninfo = make_conninfo(admin.info.dsn, user=_ROLE, password=_PASSWORD)
    with psycopg.connect(conninfo) as connection:
        settings = connection.execute(
            "select current_setting('default_transaction_read_only'), current_setting('statement_timeout')"
        ).fetchone()

    assert settings == ("on", "1min")


def test_the_role_reads_tables_made_before_the_script_and_after_it(reader: psycopg.Connection) -> None:
    rows = reader.execute("select id from before_it union all select id from after_it order by id").fetchall()

    assert rows == [(1,), (2,)]


def test_pgmcp_does_not_warn_about_the_role(reader: psycopg.Connection) -> None:
    row = reader.execute(PRIVILEGES_SQL.encode()).fetchone()
    parameters = reader.execute(PARAMETERS_SQL.encode()).fetchone()

    assert row is not None
    assert parameters is not None
    *rights, has_parameters = row
    assert has_parameters
    assert read_privileges([*rights, *parameters]).risks == ()


@pytest.mark.parametrize(
    "statement",
    [
        "insert into before_it values (3)",
        "update before_it set id = 3",
        "delete from after_it",
        "truncate after_it",
        "select id from before_it for update",
        "drop table before_it",
        "alter table before_it add column name text",
        "create table mine (id integer)",
        "create temporary table mine (id integer)",
        "create schema mine",
        "create role mine",
        "copy before_it to program 'true'",
        "select pg_read_file('postgresql.conf')",
        "select rolpassword from pg_authid",
    ],
)
def test_the_role_can_do_nothing_else(statement: str, reader: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute(statement.encode())
