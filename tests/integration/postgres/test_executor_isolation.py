"""A statement changes nothing and leaves nothing in its session, even if it was not validated."""

from collections.abc import Callable
from contextlib import suppress

import psycopg
import pytest

from pgmcp.errors import StatementFailedError
from pgmcp.execution.supervisor import Supervisor
from testing.statement_run import run, value

pytestmark = pytest.mark.anyio

Supervise = Callable[..., Supervisor]

READ_ONLY = "25006"


SETUP = """
create table kept (n int);
insert into kept values (1);
create sequence numbers;
create function run(statement text) returns text language plpgsql as 'begin execute statement; return 1; end';
create function has_last_value() returns boolean language plpgsql as
    'begin return lastval() > 0; exception when object_not_in_prerequisite_state then return false; end';
"""


@pytest.fixture(scope="module")
def url(module_database: str) -> str:
    execute(module_database, SETUP)
    return module_database


@pytest.fixture
def own_url(new_database: Callable[[], str]) -> str:
    """The URL of a database whose settings a test may change."""
    return new_database()


@pytest.fixture
def supervisor(supervise: Supervise, url: str) -> Supervisor:
    return supervise(url)


def execute(url: str, sql: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []


@pytest.mark.parametrize(
    "sql",
    [
        "insert into kept values (2)",
        "update kept set n = 2",
        "delete from kept",
        "truncate kept",
        "drop table kept",
        "create table other (n int)",
        "create temporary table other (n int)",
        "select n into other from kept",
        "select nextval('numbers')",
        "with gone as (delete from kept returning n) select n from gone",
        "select * from kept for update",
        "explain analyze delete from kept",
        "set transaction read write",
        "do 'begin set transaction read write; delete from kept; end'",
        "grant select on kept to public",
    ],
)
async def test_a_write_that_got_past_validation_is_refused_by_the_transaction(
    supervisor: Supervisor, url: str, sql: str
) -> None:
    with pytest.raises(StatementFailedError) as raised:
        await run(supervisor, sql, wrapped=False)

    assert raised.value.sqlstate in {READ_ONLY, "25001"}
    assert execute(url, "select n, (select last_value from numbers) from kept") == [(1, 1)]


async def test_a_write_is_rolled_back_even_in_a_read_write_transaction(
    supervise: Supervise, url: str
) -> None:
    supervisor = supervise(url, read_only=False)

    for sql in ("delete from kept", "create table other (n int)", "commit", "rollback and chain"):
        await run(supervisor, sql, wrapped=False)

    assert execute(url, "select n, to_regclass('other') from kept") == [(1, None)]


@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize(
    "sql",
    [
        "select 1; select 2",
        "commit; drop table kept",
        "rollback; begin; drop table kept; commit",
        "set transaction read write; delete from kept; commit",
    ],
)
async def test_two_statements_in_one_text_are_refused_by_the_server(
    supervise: Supervise, url: str, sql: str, read_only: bool
) -> None:
    with pytest.raises(StatementFailedError, match="multiple commands"):
        await run(supervise(url, read_only=read_only), sql, wrapped=False)

    assert execute(url, "select n from kept") == [(1,)]


@pytest.mark.parametrize(
    "sql", ["select 1) as q; drop table kept; --", "1; drop table kept; select 1", "drop table kept"]
)
async def test_a_statement_cannot_close_the_query_around_it(
    supervisor: Supervisor, url: str, sql: str
) -> None:
    with pytest.raises(StatementFailedError, match=r"syntax error|multiple commands"):
        await run(supervisor, sql)

    assert execute(url, "select n from kept") == [(1,)]


async def test_a_wrapped_statement_cannot_make_its_transaction_writable(
    supervisor: Supervisor, url: str
) -> None:
    """Only BEGIN READ ONLY comes before the statement, so the statement itself takes the snapshot."""
    writable = "set_config('transaction_read_only', 'off', true)"

    with pytest.raises(StatementFailedError, match="before any query"):
        await run(supervisor, f"select {writable}, run('insert into kept values (2)')")

    assert execute(url, "select n from kept") == [(1,)]


async def test_the_session_is_the_same_for_the_next_statement(supervisor: Supervisor) -> None:
    """The tests below would prove nothing if each statement had a separate session."""
    first = await value(supervisor, "select pg_backend_pid()")

    assert await value(supervisor, "select pg_backend_pid()") == first


@pytest.mark.parametrize(
    ("statement", "trace"),
    [
        ("select set_config('work_mem', '1234kB', false)", "select current_setting('work_mem') = '1234kB'"),
        ("set work_mem = '1234kB'", "select current_setting('work_mem') = '1234kB'"),
        (
            "set session characteristics as transaction read write",
            "select current_setting('transaction_read_only') = 'off'",
        ),
        ("select pg_advisory_lock(1)", "select exists (select from pg_locks where locktype = 'advisory')"),
        (
            "select pg_advisory_lock(1), 1/(random() > 2)::int",
            "select exists (select from pg_locks where locktype = 'advisory')",
        ),
        (
            "select run('prepare p as select 1')",
            "select exists (select from pg_prepared_statements where name = 'p')",
        ),
        (
            "select run('prepare p as select 1'), 1/(random() > 2)::int",
            "select exists (select from pg_prepared_statements where name = 'p')",
        ),
        (
            "select run('declare c cursor with hold for select 1')",
            "select exists (select from pg_cursors where name = 'c')",
        ),
        ("select run('listen news')", "select exists (select from pg_listening_channels())"),
        (
            "select run('set session search_path to evil'), set_config('role', 'pg_monitor', false)",
            "select current_setting('search_path') ~ 'evil' or current_user = 'pg_monitor'",
        ),
        (
            "select set_config('standard_conforming_strings', 'off', false)",
            "select current_setting('standard_conforming_strings') = 'off'",
        ),
        (
            "select set_config('my.word', 'kept', false)",
            "select coalesce(current_setting('my.word', true), '') = 'kept'",
        ),
        ("select lo_open(lo_create(0), 131072)", "select exists (select from pg_largeobject_metadata)"),
        ("select pg_export_snapshot()", "select pg_export_snapshot() is null"),
        ("reset all", "select current_setting('statement_timeout') = '0'"),
        ("deallocate all", "select current_setting('statement_timeout') = '0'"),
        ("listen news", "select exists (select from pg_listening_channels())"),
        ("prepare p as select 1", "select exists (select from pg_prepared_statements where name = 'p')"),
        (
            "declare c cursor with hold for select 1",
            "select exists (select from pg_cursors where name = 'c')",
        ),
        ("select setseed(0.5)", "select random() = 0.985467261063278"),
        ("commit", "select current_setting('transaction_read_only') = 'off'"),
        ("rollback and chain", "select current_setting('transaction_read_only') = 'off'"),
        ("set session authorization pg_monitor", "select session_user = 'pg_monitor'"),
        ("set role pg_monitor", "select current_user = 'pg_monitor'"),
    ],
)
async def test_a_statement_leaves_no_trace_in_its_session(
    supervisor: Supervisor, statement: str, trace: str
) -> None:
    backend = await value(supervisor, "select pg_backend_pid()")
    with suppress(StatementFailedError):
        await run(supervisor, statement, wrapped=False)

    assert await value(supervisor, trace) is False
    assert await value(supervisor, "select pg_backend_pid()") == backend


@pytest.mark.parametrize(
    ("statement", "trace"),
    [
        ("select nextval('numbers')", "select has_last_value()"),
        ("select run('create temp table t (n int)')", "select to_regclass('pg_temp.t') is not null"),
        ("select pg_advisory_lock(1)", "select exists (select from pg_locks where locktype = 'advisory')"),
    ],
)
async def test_a_statement_that_may_write_leaves_no_trace_in_its_session(
    supervise: Supervise, url: str, statement: str, trace: str
) -> None:
    supervisor = supervise(url, read_only=False)
    await run(supervisor, statement)

    assert await value(supervisor, trace) is False


async def test_a_session_is_reset_if_the_role_may_not_release_its_locks(
    supervise: Supervise, own_url: str
) -> None:
    execute(
        own_url,
        "create role unlocking_denied login password 'x'; "
        "revoke execute on function pg_catalog.pg_advisory_unlock_all() from public",
    )
    supervisor = supervise(own_url, params={"user": "unlocking_denied", "password": "x"})
    backend = await value(supervisor, "select pg_backend_pid()")

    await run(supervisor, "select pg_advisory_lock(7)")

    locks = "select count(*) from pg_locks where locktype = 'advisory' and objid = 7"
    assert await value(supervisor, locks) == 0
    assert await value(supervisor, "select current_setting('search_path')") == '"$user", public'
    assert await value(supervisor, "select pg_backend_pid()") == backend


async def test_a_timeout_that_a_statement_turned_off_applies_to_the_next(supervisor: Supervisor) -> None:
    await run(supervisor, "select set_config('statement_timeout', '0', false)")

    assert await value(supervisor, "select current_setting('statement_timeout') <> '0'") is True
    assert await value(supervisor, "select current_setting('lock_timeout') <> '0'") is True


@pytest.mark.parametrize(
    ("setting", "of_the_role", "in_force"),
    [
        ("standard_conforming_strings", "off", "on"),
        ("search_path", "pg_temp, public", "pg_temp, public"),
        ("search_path", '"$user", public', '"$user", public'),
        ("row_security", "off", "off"),
        ("DateStyle", "German", "German, DMY"),
        ("IntervalStyle", "iso_8601", "iso_8601"),
        ("bytea_output", "escape", "escape"),
        ("extra_float_digits", "0", "0"),
        ("client_encoding", "LATIN1", "UTF8"),
        ("default_transaction_read_only", "off", "off"),
    ],
)
async def test_settings_of_a_role_apply_except_those_that_change_how_literals_are_read(
    supervise: Supervise, own_url: str, setting: str, of_the_role: str, in_force: str
) -> None:
    value_of_role = of_the_role if setting == "search_path" else f"'{of_the_role}'"
    execute(
        own_url, f'alter role all in database "{own_url.rpartition("/")[2]}" set {setting} = {value_of_role}'
    )

    assert await value(supervise(own_url), f"select current_setting('{setting}')") == in_force


async def test_a_string_with_a_backslash_ends_where_the_validator_saw_its_end(
    supervise: Supervise, own_url: str
) -> None:
    execute(own_url, f'alter database "{own_url.rpartition("/")[2]}" set standard_conforming_strings = off')
    supervisor = supervise(own_url)

    with pytest.raises(StatementFailedError, match="two meanings"):
        await value(supervisor, r"select 'a\' || 'b'")
    assert await value(supervisor, r"select E'a\\' || 'b'") == r"a\b"


async def test_a_temporary_table_never_hides_a_real_one(supervise: Supervise, url: str) -> None:
    supervisor = supervise(url, read_only=False)
    await run(supervisor, "create temporary table kept (n int)", wrapped=False)

    assert await value(supervisor, "select n from kept") == 1
