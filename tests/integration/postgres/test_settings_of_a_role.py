"""Settings of the role, the database and the encoding apply as in psql."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from pgmcp.errors import DeadlineExceededError, StatementFailedError
from pgmcp.execution.spawn import spawn_cold
from pgmcp.execution.supervisor import Supervisor
from pgmcp.quoting import quote_literal
from testing.own_statements import own_session
from testing.pgbouncer import PgBouncer, find_pgbouncer
from testing.statement_run import run, value

pytestmark = pytest.mark.anyio

Supervise = Callable[..., Supervisor]


class SettingsRole:
    """A role whose settings a test changes temporarily.

    Attributes:
        url: the role's URL of the module's database.
        owner_url: the superuser's URL.
        name: the name of the module's database.
    """

    def __init__(self, owner_url: str) -> None:
        self.owner_url = owner_url
        self.url = make_conninfo(owner_url, user="settings_role", password="a password")
        self.name = owner_url.rpartition("/")[2]

    def execute(self, *statements: str) -> None:
        with psycopg.connect(self.owner_url, autocommit=True) as admin:
            for statement in statements:
                admin.execute(statement.encode())

    @contextmanager
    def having(self, setting: str, of: str = "role settings_role") -> Iterator[str]:
        """Change a setting of the role, or of another scope, until the block ends; yield the role's URL."""
        self.execute(f"alter {of} set {setting}")
        try:
            yield self.url
        finally:
            self.execute(f"alter {of} reset all")


@pytest.fixture(scope="module")
def role(module_database: str) -> Iterator[SettingsRole]:
    role = SettingsRole(module_database)
    role.execute(
        "create role settings_role login password 'a password'",
        "create table busy as select 1 as id",
        "create table imported as select '03.02.2003'::text as day",
        "create table guarded as select 1 as id",
        'create schema "Mixed, Case"',
        'create table "Mixed, Case"."Order, Items" as select 1 as id, \'a\'::text as title',
        "alter table guarded enable row level security",
        "grant select on busy, imported, guarded to settings_role",
    )
    yield role
    role.execute("drop owned by settings_role", "drop role settings_role")


MEANINGS = [
    ("DateStyle = 'ISO, MDY'", "('01/02/03'::date)::text"),
    ("DateStyle = 'ISO, DMY'", "('01/02/03'::date)::text"),
    ("DateStyle = 'German, DMY'", "('01/02/03'::date)::text"),
    (
        "DateStyle = 'German, DMY'",
        "(select count(*) from imported where day = date '2003-02-03'::text)::text",
    ),
    ("DateStyle = 'SQL, DMY'", "concat(timestamp '2003-02-01 10:00', ' ', date '2003-02-01')"),
    ("DateStyle = 'Postgres, MDY'", "array[timestamptz '2003-02-01 10:00+00']::text"),
    ("DateStyle = 'Postgres, DMY'", "row(date '2003-02-01')::text"),
    ("DateStyle = 'SQL, MDY'", "daterange('2003-02-01', '2003-03-01')::text"),
    ("DateStyle = 'SQL, MDY'", "to_json(date '2003-02-01')::text"),
    ("IntervalStyle = 'sql_standard'", "('-1 2:00'::interval = '-26 hours')::text"),
    ("IntervalStyle = 'iso_8601'", "('1 day 2 hours'::interval)::text"),
    ("bytea_output = 'escape'", r"('\x61ff'::bytea)::text"),
    ("bytea_output = 'escape'", r"array['\x61ff'::bytea]::text"),
    ("bytea_output = 'escape'", r"row('\x61ff'::bytea)::text"),
    ("extra_float_digits = 0", "(0.1::float8 + 0.2::float8)::text"),
    ("extra_float_digits = -3", "(1/3::float8)::text"),
    ("array_nulls = off", "(('{NULL}'::text[])[1] is null)::text"),
    ("backslash_quote = off", r"E'a\'b'"),
    ("backslash_quote = on", r"E'a\'b'"),
    ("transform_null_equals = on", "coalesce((null = (select null::int))::text, 'null')"),
    ("timezone = 'Asia/Kolkata'", "(timestamptz '2026-01-01 00:00+00')::text"),
    ("timezone = 'Asia/Kolkata'", "(timestamptz '2026-01-01 00:00')::date::text"),
    ("lc_monetary = 'C'", "(12.5::money)::text"),
    ("xmloption = document", "current_setting('xmloption')"),
    ("xmlbinary = hex", "current_setting('xmlbinary')"),
    ("default_text_search_config = 'pg_catalog.simple'", "to_tsvector('the cats')::text"),
    ("row_security = off", "(select count(*) from guarded)::text"),
    ('search_path = "Mixed, Case", public', "current_schemas(false)::text"),
    ('search_path = "missing, here", nowhere', "count(*) from imported"),
    ("search_path = ''", "count(*) from public.imported"),
    ("search_path = ''", "count(*) from imported"),
    ("default_transaction_isolation = 'repeatable read'", "current_setting('transaction_isolation')"),
    ("role = pg_read_all_data", "concat(current_user, session_user)"),
]


def psql(url: str, expression: str) -> str:
    """Return the value of an expression for the role in a plain psycopg session, or its SQLSTATE."""
    with psycopg.connect(url) as connection:
        try:
            return str(connection.execute(f"select {expression}".encode()).fetchone())
        except psycopg.Error as error:
            return f"SQLSTATE {error.sqlstate}"


def own(url: str, expression: str, *, is_pooled: bool) -> str:
    with own_session(url) as session:
        session.facts = replace(session.facts, is_pooled=is_pooled)
        try:
            return str(tuple(session.run(f"select {expression}").rows[0]))
        except StatementFailedError as error:
            return f"SQLSTATE {error.sqlstate}"


@pytest.mark.parametrize("is_pooled", [False, True], ids=["direct", "pooled"])
@pytest.mark.parametrize(("setting", "expression"), MEANINGS)
def test_an_expression_means_what_it_means_in_psql(
    role: SettingsRole, setting: str, expression: str, is_pooled: bool
) -> None:
    with role.having(setting) as url:
        assert own(url, expression, is_pooled=is_pooled) == psql(url, expression)


@pytest.mark.parametrize(
    ("setting", "expression", "shown"),
    [
        ("bytea_output = 'escape'", r"'\x615cff'::bytea", r"\x615cff"),
        ("DateStyle = 'German, DMY'", "date '2003-02-01'", "2003-02-01"),
        ("DateStyle = 'SQL, MDY'", "timestamp '2003-02-01 10:00:00.5'", "2003-02-01 10:00:00.5"),
        ("DateStyle = 'Postgres, DMY'", "timestamptz '2003-02-01 10:00+00'", "2003-02-01 10:00:00+00"),
        ("DateStyle = 'Postgres, MDY'", "date '0044-03-15 BC'", "0044-03-15 BC"),
        ("DateStyle = 'SQL, DMY'", "date 'infinity'", "infinity"),
    ],
)
def test_bytes_and_dates_look_the_same_for_all_settings_of_the_role(
    role: SettingsRole, setting: str, expression: str, shown: str
) -> None:
    with role.having(setting) as url, own_session(url) as session:
        assert session.run(f"select {expression}").rows == [[shown]]


@pytest.mark.parametrize("path", ["''", "nowhere", "pg_temp", "pg_temp, nowhere", '"$user", "Mixed, Case"'])
async def test_own_statements_need_no_right_to_create_temporary_tables(role: SettingsRole, path: str) -> None:
    role.execute(f"revoke temporary on database {role.name} from public")
    with role.having(f"search_path = {path}") as url, own_session(url) as session:
        ((schemas,),) = (await session.fetch("select pg_catalog.current_setting('pgmcp.schemas')")).rows

    assert schemas == "[]"


@pytest.mark.parametrize("jit", ["on", "off"])
async def test_jit_is_off_for_own_statements_only(role: SettingsRole, jit: str) -> None:
    with role.having(f"jit = {jit}") as url, own_session(url) as session:
        ((for_own,),) = (await session.fetch("select pg_catalog.current_setting('jit')")).rows
        ((for_callers,),) = session.run("select current_setting('jit')").rows

    assert (for_own, for_callers) == ("off", jit)


PATHS = [
    "''",
    "nowhere",
    "'public, \"Mixed, Case\"'",  # one name
    '"$user", "Mixed, Case"',
    "public, pg_temp",
    "PUBLIC",
    "information_schema, pg_catalog",
]


@pytest.mark.parametrize(
    "privilege", ["grant temporary on database {} to", "revoke temporary on database {} from"]
)
@pytest.mark.parametrize("path", PATHS)
def test_the_search_path_is_the_same_as_in_psql(role: SettingsRole, path: str, privilege: str) -> None:
    role.execute(f"{privilege.format(role.name)} public")
    with role.having(f"search_path = {path}") as url:
        for expression in (
            "current_schema()::text",
            "current_schemas(true)::text",
            "current_setting('search_path')",
            "to_regclass('imported')::text",
        ):
            assert own(url, expression, is_pooled=False) == psql(url, expression)


def test_a_temporary_table_of_a_login_trigger_hides_no_table(role: SettingsRole) -> None:
    role.execute(
        "create or replace function greet() returns event_trigger language plpgsql as "
        "'begin create temporary table busy as select -1 as id; end'",
        f"grant temporary on database {role.name} to public",
        "create event trigger greeting on login execute function greet()",
    )
    try:
        seen = own(role.url, "id from busy", is_pooled=False)
        assert psql(role.url, "id from busy") == "(-1,)"
    finally:
        role.execute("drop event trigger greeting")

    assert seen == "(1,)"


@pytest.mark.parametrize(
    "expression",
    [
        "'plain'",
        r"E'a\\b\t\'c'",
        r"$$a\b$$",
        r"'it''s' || E'\\'",
        r"(select a from slashed)",
        quote_literal(r"a\b'c"),
    ],
)
async def test_strings_mean_what_they_mean_in_psql_where_backslashes_are_escapes(
    role: SettingsRole, supervise: Callable[..., Supervisor], expression: str
) -> None:
    role.execute(r"create or replace view slashed as select E'a\\b' as a; grant select on slashed to public")
    with role.having("standard_conforming_strings = off") as url:
        assert str((await value(supervise(url), f"select {expression}"),)) == psql(url, expression)


@pytest.mark.parametrize("statement", [r"select 'a\b'", r"select 1, N'\'", "select 'a'\n'\\b'"])
async def test_a_plain_string_with_a_backslash_is_refused_where_backslashes_are_escapes(
    role: SettingsRole, supervise: Callable[..., Supervisor], statement: str
) -> None:
    with role.having("standard_conforming_strings = off") as url:
        supervisor = supervise(url)
        with pytest.raises(StatementFailedError, match="standard_conforming_strings is off") as refused:
            await value(supervisor, statement)

        assert await value(supervisor, "select 1") == 1
    assert refused.value.sqlstate == "22P06"
    assert "E'...'" in refused.value.hint


def test_a_backslash_ends_no_literal_whatever_the_role_prefers(role: SettingsRole) -> None:
    with role.having("standard_conforming_strings = off") as url, own_session(url) as session:
        assert session.run(r"select 'a\\', 'b'").rows == [["a\\\\", "b"]]


@pytest.mark.parametrize(
    ("setting", "left", "expression"),
    [
        ("TimeZone", "Asia/Tokyo", "(timestamptz '2026-01-01 00:00+00')::date::text"),
        ("TimeZone", "Asia/Tokyo", "timestamptz '2026-01-01 00:00' = '2026-01-01 00:00+00'"),
        ("quote_all_identifiers", "on", "quote_ident('a')"),
        ("gin_fuzzy_search_limit", "5", "current_setting('gin_fuzzy_search_limit')"),
        ("restrict_nonsystem_relation_kind", "view, foreign-table", "count(*) from seen"),
    ],
)
async def test_settings_that_another_client_left_in_a_shared_session_do_not_apply(
    role: SettingsRole, setting: str, left: str, expression: str
) -> None:
    role.execute("create or replace view seen as select 1 as a", "grant select on seen to settings_role")
    with own_session(role.url) as session:
        session.facts = replace(session.facts, is_pooled=True)
        session.leave(setting, left)
        seen = session.run(f"select {expression}").rows[0]
        of_own = (await session.fetch(f"select pg_catalog.current_setting('{setting}')")).rows[0]

    assert str(tuple(seen)) == psql(role.url, expression)
    if setting != "gin_fuzzy_search_limit":  # no statement of pgmcp's own scans a GIN index
        assert str(tuple(of_own)) == psql(role.url, f"current_setting('{setting}')")


LEFT_IN_THE_SESSION = {
    "TimeZone": "Asia/Tokyo",
    "quote_all_identifiers": "on",
    "gin_fuzzy_search_limit": "5",
    "search_path": "",
    "DateStyle": "German, DMY",
    "IntervalStyle": "iso_8601",
    "bytea_output": "escape",
    "extra_float_digits": "-3",
    "array_nulls": "off",
    "transform_null_equals": "on",
    "backslash_quote": "off",
    "row_security": "off",
    "xmloption": "document",
    "default_text_search_config": "pg_catalog.german",
    "statement_timeout": "1ms",
    "lock_timeout": "1ms",
}


def test_settings_that_another_client_of_pgbouncer_left_do_not_apply(role: SettingsRole) -> None:
    program = find_pgbouncer() or pytest.skip(
        "PgBouncer is not installed (Debian: apt-get install pgbouncer)"
    )
    kept = [
        name
        for name in LEFT_IN_THE_SESSION
        if name not in ("search_path", "statement_timeout", "lock_timeout")
    ]
    query = "concat_ws(' | ', current_schemas(false), " + ", ".join(
        f"current_setting('{each}')" for each in kept
    )
    path = 'search_path = "Mixed, Case", public'
    with (
        role.having(path, of=f"database {role.name}"),
        PgBouncer(program, role.owner_url, pool_size=1) as bouncer,
    ):
        url = bouncer.url(role.owner_url)
        with psycopg.connect(url, prepare_threshold=None, autocommit=True) as other:
            for setting in LEFT_IN_THE_SESSION.items():
                other.execute("select set_config(%s, %s, false)", setting)
        expected = psql(role.owner_url, f"{query})")
        with own_session(url) as session:
            seen = session.run(f"select {query})").rows[0]
            rows = session.run('select id, title from "Order, Items"').rows

    assert str(tuple(seen)) == expected
    assert rows == [[1, "a"]]


@pytest.mark.parametrize("path", PATHS)
def test_behind_pgbouncer_the_search_path_is_the_same_as_in_psql(role: SettingsRole, path: str) -> None:
    program = find_pgbouncer() or pytest.skip(
        "PgBouncer is not installed (Debian: apt-get install pgbouncer)"
    )
    with (
        role.having(f"search_path = {path}", of=f"database {role.name}"),
        PgBouncer(program, role.owner_url, pool_size=1) as bouncer,
    ):
        url = bouncer.url(role.owner_url)
        for expression in (
            "current_schema()::text",
            "current_schemas(true)::text",
            "current_setting('search_path')",
            "to_regclass('imported')::text",
        ):
            assert own(url, expression, is_pooled=True) == psql(role.owner_url, expression)


@pytest.mark.parametrize("path", ["public", "nowhere, public", "pg_temp, public"])
def test_a_temporary_table_of_another_client_of_pgbouncer_hides_no_table(
    role: SettingsRole, path: str
) -> None:
    program = find_pgbouncer() or pytest.skip(
        "PgBouncer is not installed (Debian: apt-get install pgbouncer)"
    )
    with (
        role.having(f"search_path = {path}", of=f"database {role.name}"),
        PgBouncer(program, role.owner_url, pool_size=1) as bouncer,
    ):
        url = bouncer.url(role.owner_url)
        with own_session(url) as session:
            before = session.run("select id from busy").rows
            with psycopg.connect(url, prepare_threshold=None) as other:
                other.execute("create temporary table busy as select -1 as id")
            after = session.run("select id from busy").rows
        assert psql(url, "id from busy") == "(-1,)"

    assert (before, after) == ([[1]], [[1]])


async def test_a_limit_is_not_ascribed_to_the_server_if_another_client_of_pgbouncer_changed_it(
    supervise: Supervise, role: SettingsRole
) -> None:
    program = find_pgbouncer() or pytest.skip(
        "PgBouncer is not installed (Debian: apt-get install pgbouncer)"
    )
    with (
        role.having("statement_timeout = '200ms'", of=f"database {role.name}"),
        PgBouncer(program, role.owner_url, pool_size=1) as bouncer,
    ):
        url = bouncer.url(role.owner_url)
        with psycopg.connect(url, prepare_threshold=None, autocommit=True) as other:
            other.execute("set statement_timeout = '1h'")
        with pytest.raises(
            DeadlineExceededError,
            match="statement_timeout = 200ms, set for the role, the database or the server",
        ):
            await run(supervise(url), "select pg_sleep(60)")


LIMITS = [
    ("statement_timeout", "select pg_sleep(60)"),
    ("transaction_timeout", "select pg_sleep(60)"),
]


@pytest.mark.parametrize(
    ("scope", "owner"),
    [
        ("role settings_role", "the role"),
        ("role all", "all roles"),
        ("database of_the_module", "the database"),
        ("role settings_role in database of_the_module", "the role in this database"),
    ],
)
@pytest.mark.parametrize(("name", "statement"), LIMITS)
async def test_the_smaller_limit_of_a_role_or_database_ends_a_statement_and_is_named(
    supervise: Supervise, role: SettingsRole, name: str, statement: str, scope: str, owner: str
) -> None:
    with (
        role.having(f"{name} = '200ms'", of=scope) as url,
        pytest.raises(DeadlineExceededError, match=f"{name} = 200ms, set for {owner}$") as ended,
    ):
        await run(supervise(url), statement)

    assert ended.value.is_stopped


async def test_a_limit_in_the_connection_string_is_named_as_such(
    supervise: Supervise, role: SettingsRole
) -> None:
    url = make_conninfo(role.url, options="-c statement_timeout=200ms")

    with pytest.raises(
        DeadlineExceededError, match="statement_timeout = 200ms, set for the connection string"
    ) as ended:
        await run(supervise(url), "select pg_sleep(60)")

    assert "options in PG_MCP_DATABASE_URL" in ended.value.hint
    assert "administrator" not in ended.value.hint


async def test_a_limit_in_libpqs_variable_is_named_as_such(
    supervise: Supervise, role: SettingsRole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGOPTIONS", "-c statement_timeout=200ms")

    with pytest.raises(DeadlineExceededError, match="statement_timeout = 200ms, set by PGOPTIONS") as ended:
        await run(supervise(role.url, spawn=spawn_cold), "select pg_sleep(60)")

    assert "the environment variable PGOPTIONS" in ended.value.hint


@pytest.mark.parametrize("scope", ["role settings_role", "database of_the_module"])
async def test_the_server_is_not_blamed_for_a_limit_that_is_too_short_to_read_the_settings(
    supervise: Supervise, role: SettingsRole, scope: str
) -> None:
    with (
        role.having("statement_timeout = '1ms'", of=scope) as url,
        pytest.raises(DeadlineExceededError, match="statement_timeout = 1ms, set for the") as ended,
    ):
        await run(supervise(url), "select pg_sleep(60)")

    assert "set by the server" not in str(ended.value)


async def test_a_larger_limit_of_the_role_does_not_raise_pgmcps(
    supervise: Supervise, role: SettingsRole
) -> None:
    with (
        role.having("statement_timeout = '1h'") as url,
        pytest.raises(DeadlineExceededError, match=r"stopped after 0\.3 s"),
    ):
        await run(supervise(url), "select pg_sleep(60)", timeout_s=0.3)


@pytest.mark.parametrize("way", ["role", "connection string"])
def test_the_smaller_lock_timeout_ends_a_wait_and_is_named(role: SettingsRole, way: str) -> None:
    setting = "lock_timeout = '50ms'" if way == "role" else "lock_timeout = '1h'"
    options = "-c lock_timeout=50ms" if way == "connection string" else ""
    with role.having(setting) as url, psycopg.connect(role.owner_url) as holder:
        holder.execute("lock table busy in access exclusive mode")
        with (
            own_session(make_conninfo(url, options=options)) as session,
            pytest.raises(StatementFailedError) as failed,
        ):
            session.run("select * from busy")

    assert failed.value.sqlstate == "55P03"
    assert failed.value.hint.startswith(
        f"lock_timeout = 50ms, set for the {way}: another session holds a lock"
    )


@pytest.mark.parametrize(
    ("setting", "shown"),
    [
        ("statement_timeout = '2s'", "2s"),
        ("statement_timeout = '1h'", "10s"),
        ("lock_timeout = '2s'", "2s"),
        ("lock_timeout = '1h'", "5s"),
        ("idle_in_transaction_session_timeout = '2s'", "2s"),
        ("idle_in_transaction_session_timeout = '1h'", "10s"),
        ("transaction_timeout = '2s'", "2s"),
        ("transaction_timeout = '1h'", "1h"),
    ],
)
@pytest.mark.parametrize("way", ["role", "options"])
def test_the_smaller_of_two_limits_applies(role: SettingsRole, setting: str, shown: str, way: str) -> None:
    name, _, value = setting.partition(" = ")
    with role.having(setting if way == "role" else "work_mem = '8MB'") as url:
        options = f"-c {name}={value.strip(chr(39))}" if way == "options" else ""
        with own_session(make_conninfo(url, options=options)) as session:
            assert session.run(f"select current_setting('{name}')").rows == [[shown]]


@pytest.mark.parametrize("encoding", ["sjis", "gbk", "big5", "windows-1252", "euc_tw", "sql_ascii"])
async def test_statements_travel_in_utf8_whatever_the_connection_string_asks_for(
    supervise: Supervise, role: SettingsRole, encoding: str
) -> None:
    supervisor = supervise(make_conninfo(role.url, client_encoding=encoding))

    assert (await run(supervisor, "select '語', 'é', 'x'")).rows == [["語", "é", "x"]]


async def test_a_statement_beyond_ascii_is_refused_where_its_bytes_could_hold_a_quote(
    supervise: Supervise, ascii_url: str
) -> None:
    with pytest.raises(StatementFailedError, match="encoding"):
        await run(supervise(f"{ascii_url}?client_encoding=sjis"), "select 'テスト'")


@pytest.fixture
def ascii_url(role: SettingsRole) -> Iterator[str]:
    """A SQL_ASCII database with a table that holds text in LATIN1, and text in SJIS."""
    options = "encoding sql_ascii locale_provider libc locale 'C' template template0"
    role.execute(f"create database role_ascii {options}")
    url = role.owner_url.rpartition("/")[0] + "/role_ascii"
    try:
        with psycopg.connect(url, client_encoding="SQL_ASCII", autocommit=True) as connection:
            connection.execute(
                b"create table clients as select E'Supervis\\343o'::text as latin, E'\\203e'::text as sjis"
            )
        yield url
    finally:
        role.execute("drop database role_ascii with (force)")


@pytest.mark.parametrize(
    ("query", "column", "text"),
    [
        ("", "latin", "Supervis\ufffdo"),
        ("?client_encoding=latin1", "latin", "Supervisão"),
        ("?client_encoding=windows-1252", "latin", "Supervisão"),
        ("?client_encoding=Shift_JIS", "sjis", "テ"),
    ],
)
async def test_a_database_in_sql_ascii_is_read_with_its_bad_bytes_marked(
    supervise: Supervise, ascii_url: str, query: str, column: str, text: str
) -> None:
    supervisor = supervise(ascii_url + query)

    assert (await run(supervisor, f"select {column} from clients")).rows == [[text]]
    await supervisor.close()


async def test_libpqs_variable_for_the_encoding_counts_as_in_psql(
    ascii_url: str, supervise: Supervise, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGCLIENTENCODING", "latin1")
    supervisor = supervise(ascii_url, spawn=spawn_cold)

    assert (await run(supervisor, "select latin from clients")).rows == [["Supervisão"]]
    await supervisor.close()
