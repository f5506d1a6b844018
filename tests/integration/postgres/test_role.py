"""The check of a role's rights with real roles, and the script for a role that can only read."""

from collections.abc import Callable

import anyio
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgmcp.cli.setup_sql import setup_script
from pgmcp.errors import RoleRefusedError
from pgmcp.execution.result import Rows
from pgmcp.execution.role import RoleCheck

pytestmark = pytest.mark.anyio

WRITES = [
    "insert into notes values (1)",
    "update notes set id = 2",
    "delete from notes",
    "truncate notes",
    "create table mine (id int)",
    "create temporary table mine (id int)",
    "create schema mine",
    "create role other",
    "drop table notes",
    "select nextval('counter')",
    "select pg_read_file('postgresql.conf')",
    "copy notes to program 'true'",
]


def role_check(url: str, *, must_be_read_only: bool) -> RoleCheck:
    async def fetch(statement: str) -> Rows:
        def run() -> Rows:
            with psycopg.connect(url) as connection:
                return Rows(columns=(), rows=[list(row) for row in connection.execute(statement.encode())])

        return await anyio.to_thread.run_sync(run)

    return RoleCheck("main", fetch, must_be_read_only=must_be_read_only)


@pytest.fixture
def reader_url(new_database: Callable[[], str]) -> str:
    """The URL of a role that `pgmcp setup-sql` made, in a database with a table and a sequence."""
    admin_url = new_database()
    database = str(conninfo_to_dict(admin_url)["dbname"])
    role = f"reader of {database}"
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute("create table notes (id int); create sequence counter")
        script = setup_script(role, database, ["public"], connections=5, statement_timeout_s=60, revokes=True)
        admin.execute(script.encode())
        admin.execute(
            sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal("a password"))
        )
        admin.execute("create table later (id int)")
    return make_conninfo(admin_url, user=role, password="a password")


async def test_a_superuser_is_refused_if_only_readers_are_served(new_database: Callable[[], str]) -> None:
    with pytest.raises(RoleRefusedError, match="it is a superuser"):
        await role_check(new_database(), must_be_read_only=True).admit()


async def test_a_role_made_by_setup_sql_is_served(reader_url: str) -> None:
    await role_check(reader_url, must_be_read_only=True).admit()


async def test_one_write_grant_is_a_risk(new_database: Callable[[], str], reader_url: str) -> None:
    parts = conninfo_to_dict(reader_url)
    with psycopg.connect(make_conninfo(new_database(), dbname=parts["dbname"])) as admin:
        admin.execute(
            sql.SQL("grant insert on notes to {}").format(sql.Identifier(str(parts["user"]))),
        )

    privileges = await role_check(reader_url, must_be_read_only=True).privileges()

    assert privileges.risks == ("it may write to 1 tables or views",)


async def test_every_other_way_to_write_is_a_risk(new_database: Callable[[], str], reader_url: str) -> None:
    parts = conninfo_to_dict(reader_url)
    role = f'"{parts["user"]}"'
    others = (f'"writers of {parts["dbname"]}"', f'"makers of {parts["dbname"]}"')
    risks: dict[str, tuple[str, ...]] = {}
    with psycopg.connect(make_conninfo(new_database(), dbname=parts["dbname"])) as admin:
        admin.autocommit = True
        admin.execute("create role {}; create role {} createrole".format(*others).encode())
        for grant, undo in [
            (f"grant update (id) on notes to {role}", f"revoke update (id) on notes from {role}"),
            (f"grant trigger on notes to {role}", f"revoke trigger on notes from {role}"),
            (f"grant maintain on notes to {role}", f"revoke maintain on notes from {role}"),
            (f"grant usage on sequence counter to {role}", f"revoke usage on sequence counter from {role}"),
            (
                f"grant delete on notes to {others[0]}; grant {others[0]} to {role} with inherit false",
                f"revoke {others[0]} from {role}",
            ),
            (f"grant {others[1]} to {role} with inherit false", f"revoke {others[1]} from {role}"),
            (
                f"select lo_create(4711); grant update on large object 4711 to {role}",
                "select lo_unlink(4711)",
            ),
            (
                "grant alter system on parameter work_mem, jit to public",
                "revoke alter system on parameter work_mem, jit from public",
            ),
            (
                f"grant set on parameter lo_compat_privileges, log_statement to {role}",
                f"revoke set on parameter lo_compat_privileges, log_statement from {role}",
            ),
            (
                f"alter table later owner to {role}; revoke all on later from {role}",
                "alter table later owner to postgres",
            ),
        ]:
            admin.execute(grant.encode())
            risks[grant] = (await role_check(reader_url, must_be_read_only=False).privileges()).risks
            admin.execute(undo.encode())
        admin.execute(f"revoke all on notes from {others[0]}; drop role {', '.join(others)}".encode())

    writes = ("it may write to 1 tables or views",)
    assert list(risks.values()) == [
        *[writes] * 3,
        ("it may advance or set 1 sequences",),
        writes,
        (f"it can become {others[1].strip(chr(34))}, which can do more than read",),
        ("it may write large objects",),
        ("it may change settings of the whole server with ALTER SYSTEM: jit, work_mem",),
        ("it may set lo_compat_privileges, which otherwise only a superuser may set",),
        ("it owns 1 relations, functions or schemas, on which it can grant itself any privilege",),
    ]


@pytest.mark.parametrize(
    "predefined",
    ["pg_read_all_data", "pg_read_all_settings", "pg_read_all_stats", "pg_stat_scan_tables", "pg_monitor"],
)
async def test_a_predefined_role_that_only_reads_is_not_a_risk(
    new_database: Callable[[], str], reader_url: str, predefined: str
) -> None:
    grant_to_reader(new_database(), reader_url, predefined)

    await role_check(reader_url, must_be_read_only=True).admit()


@pytest.mark.parametrize(
    "predefined",
    ["pg_signal_autovacuum_worker", "pg_read_server_files", "pg_write_server_files",
     "pg_execute_server_program", "pg_signal_backend",
     "pg_write_all_data", "pg_maintain", "pg_checkpoint", "pg_create_subscription"],
)  # fmt: skip
async def test_a_predefined_role_that_does_more_than_read_is_a_risk(
    new_database: Callable[[], str], reader_url: str, predefined: str
) -> None:
    grant_to_reader(new_database(), reader_url, predefined)

    with pytest.raises(RoleRefusedError, match=f"member of {predefined}"):
        await role_check(reader_url, must_be_read_only=True).admit()


def grant_to_reader(admin_url: str, reader_url: str, predefined: str) -> None:
    role = sql.Identifier(str(conninfo_to_dict(reader_url)["user"]))
    with psycopg.connect(admin_url, autocommit=True) as admin:
        admin.execute(sql.SQL("grant {} to {}").format(sql.Identifier(predefined), role))


def test_a_role_made_by_setup_sql_reads_present_and_future_tables(reader_url: str) -> None:
    with psycopg.connect(reader_url) as reader:
        reader.execute("select * from notes, later")
        reader.execute("select last_value from counter")


@pytest.mark.parametrize("statement", WRITES)
def test_a_role_made_by_setup_sql_cannot_write_even_in_a_read_write_transaction(
    reader_url: str, statement: str
) -> None:
    with psycopg.connect(reader_url, autocommit=True) as reader:
        reader.execute("set default_transaction_read_only = off")

        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            reader.execute(statement.encode())
