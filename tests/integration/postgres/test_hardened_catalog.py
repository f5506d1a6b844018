"""If a server revokes parts of the catalog from PUBLIC, pgmcp knows less, but it accepts no more statements.

All tests share one database. Each test revokes a part, and grants it again at the end.
"""

import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path

import anyio
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

import pgmcp
import worker
from pgmcp.catalog.hidden import find_hidden
from pgmcp.catalog.introspection import read_catalog
from pgmcp.catalog.row_security import read_row_security
from pgmcp.catalog.sampling import sample
from pgmcp.cli.doctor.examination import examine_remote
from pgmcp.cli.doctor.report import CheckResult, Status
from pgmcp.errors import CatalogDeniedError, DeadlineExceededError, PgmcpError, SqlRejectedError
from pgmcp.execution.catalog_access import (
    OPTIONAL_FUNCTIONS,
    USE_BY_PART,
    USE_BY_RELATION,
    find_unreadable,
    grant,
)
from pgmcp.execution.policy import PolicyReader
from pgmcp.execution.role import RoleCheck, RolePrivileges
from pgmcp.execution.spawn import Spawn
from pgmcp.execution.supervisor import Supervisor
from pgmcp.settings.load import load_settings
from pgmcp.validation import FunctionPolicy, validate
from testing.activity import Backends
from testing.injected import RecordedSpawn
from testing.own_statements import OwnSession, own_session
from testing.statement_run import run, value
from worker.protocol import StatementOrigin

pytestmark = pytest.mark.anyio

NAME = "pgmcp on a hardened server"

VITAL = ("pg_class", "pg_attribute", "pg_namespace", "pg_type")
VITAL_TO_STATEMENTS = (*VITAL, "pg_constraint", "pg_operator", "pg_cast", "pg_range")
OPTIONAL = tuple(part for part in USE_BY_RELATION if part not in VITAL_TO_STATEMENTS)
# Without pg_depend and one more part, pgmcp does not know which functions exist.
TOGETHER = (*(part for part in OPTIONAL if part != "pg_depend"), *OPTIONAL_FUNCTIONS)


def called_functions() -> list[str]:
    """Return the functions of pg_catalog that pgmcp's own statements call."""
    sources = [
        path.read_text("utf-8")
        for package in (pgmcp, worker)
        for path in Path(*package.__path__).rglob("*.py")
    ]
    return sorted({name for text in sources for name in re.findall(r"pg_catalog\.(\w+)\(", text)})


NEEDED_FUNCTIONS = tuple(name for name in called_functions() if name not in OPTIONAL_FUNCTIONS)

_ROLES = """
create role hardened_reader login password 'a password';
create role hardened_owner;
create role hardened_installer;
"""
OBJECTS = """
create table a (id int primary key, name text default 'x', check (name <> 'y'));
comment on table a is 'plain';
insert into a values (1, 'x');
create index on a (name);
create view shown as select * from a;
create extension file_fdw;
create extension postgres_fdw;
create server files foreign data wrapper file_fdw;
create server far foreign data wrapper postgres_fdw;
create foreign table by_program (line text) server files options (program 'true');
create foreign table elsewhere (line text) server far;
create table parent (line text);
create foreign table child () inherits (parent) server files options (program 'true');
create table parted (line text) partition by list (line);
create table part_x partition of parted for values in ('x');
insert into parted values ('x'), ('x');
create sequence counter;
create view counting as select nextval('counter') as n;
create table guarded (id int);
alter table guarded enable row level security;
create policy p on guarded using (nextval('counter') > 0);
create view over_guarded as select * from guarded;
alter view over_guarded owner to hardened_owner;
create function log_it() returns int language sql volatile as 'notify x; select 1';
create function hides_it() returns int language sql stable as 'select log_it()';
create function lower(int) returns int language sql volatile as 'notify x; select 1';
create function "Odd.name"(int) returns int language sql volatile as 'notify x; select 1';
create function same(int, int) returns bool language sql volatile as 'notify x; select true';
create operator === (function = same, leftarg = int, rightarg = int);
create domain checked as int check (same(value, 1));
create aggregate total (int) (sfunc = int4pl, stype = int);
create function keep(int, int) returns int language sql volatile as 'notify x; select 1';
create aggregate keeping (int) (sfunc = keep, stype = int);
create type mood as enum ('calm');
create table moods (mood mood);
create function at_planning() returns int language sql immutable as 'select public.log_it()';
create table with_index (id int);
create index on with_index ((id + public.at_planning()));
create table with_exclusion (id int, exclude using btree ((id + public.at_planning()) with =));
create table with_statistics (id int);
create statistics planned on (id + public.at_planning()), id from with_statistics;
create table with_key (id int) partition by range ((id + public.at_planning()));
create table with_key_1 partition of with_key for values from (0) to (9) partition by range (id);
create table above_index (id int);
create table below () inherits (above_index);
create index on below ((id + public.at_planning()));
create table above_check (id int);
create table below_check (check (id > public.at_planning())) inherits (above_check);
grant select on all tables in schema public to hardened_reader;
grant create on schema public to hardened_installer;
do $$ begin execute format('grant create on database %I to hardened_installer', current_database()); end $$;
set role hardened_installer;
create extension pg_trgm;
create function similarity(int) returns int language sql volatile as 'notify x; select 1';
alter extension pg_trgm add function similarity(int);
reset role;
"""
TRAPS = (
    "select log_it()",
    "select hides_it()",
    "select lower(1)",
    'select "Odd.name"(1)',
    "select 1 === 2",
    "select 1::checked",
    "select keeping(id) from a",
    "select nextval('counter')",
    "select similarity(1)",
    "table counting",
    "table guarded",
    "table over_guarded",
    "table by_program",
    "table parent",
    "table with_index",
    "table with_exclusion",
    "table with_statistics",
    "table with_key",
    "table with_key_1",
    "table above_index",
    "table above_check",
    "table below_check",
)
PLAIN = (
    "select * from a",
    "select count(*), max(id), upper(name), pg_catalog.lower(name) from a where id = 1 group by name",
    "table elsewhere",
)


class Hardened:
    """A database in which a test revokes parts of the catalog from PUBLIC.

    Attributes:
        url: the superuser's URL.
        reader_url: the URL of a role whose only right is SELECT on the tables.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.reader_url = make_conninfo(url, user="hardened_reader", password="a password")

    def execute(self, statements: Sequence[str]) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    @contextmanager
    def without(self, parts: Sequence[str]) -> Iterator[str]:
        """Revoke parts of pg_catalog from PUBLIC until the block ends; yield `reader_url`."""
        revoked = self._signatures(parts)
        self.execute([f"revoke all on {each} from public" for each in revoked])
        try:
            yield self.reader_url
        finally:
            self.execute(
                [
                    f"grant {'execute' if each.startswith('function') else 'select'} on {each} to public"
                    for each in revoked
                ]
            )

    def _signatures(self, parts: Sequence[str]) -> list[str]:
        with psycopg.connect(self.url, options="-c search_path=") as connection:
            rows = connection.execute(
                "select format('function pg_catalog.%%I(%%s)',"
                " proname, pg_get_function_identity_arguments(oid))"
                " from pg_proc where pronamespace = 'pg_catalog'::regnamespace and proname = any(%s)",
                [list(parts)],
            ).fetchall()
        relations = [part for part in parts if part in USE_BY_RELATION or part in OTHER_VIEWS]
        return [f"pg_catalog.{part}" for part in relations] + [text for (text,) in rows]


OTHER_VIEWS = ("pg_event_trigger", "pg_stat_activity", "pg_stat_ssl", "pg_settings")
"""Relations that only `pgmcp doctor` reads, or that pgmcp does not read at all."""


@pytest.fixture(scope="module")
def hardened(module_database: str) -> Iterator[Hardened]:
    database = Hardened(module_database)
    database.execute([_ROLES, OBJECTS])
    yield database
    roles = "hardened_reader, hardened_owner, hardened_installer"
    database.execute([f"drop owned by {roles} cascade", f"drop role {roles}"])


@pytest.mark.parametrize("name", sorted(OPTIONAL_FUNCTIONS))
async def test_the_grant_in_a_hint_is_enough(hardened: Hardened, name: str) -> None:
    with hardened.without([name]) as url, own_session(url) as session:
        missing = await find_unreadable(session.fetch)
        commands = grant(missing - USE_BY_RELATION.keys()).removeprefix("an administrator runs ")
        role = "the role of this connection"
        hardened.execute([commands.replace(role, "hardened_reader")])
        try:
            assert name in missing
            assert await find_unreadable(session.fetch) == frozenset()
        finally:
            hardened.execute(
                [f"{commands.replace('GRANT', 'REVOKE').replace(f'TO {role}', 'FROM hardened_reader')}"]
            )


async def read_policy(session: OwnSession) -> FunctionPolicy:
    return await PolicyReader(session.fetch, allowed=(), denied=()).read()


async def read_role(session: OwnSession, *, must_be_read_only: bool = False) -> RolePrivileges:
    role = RoleCheck("main", session.fetch, must_be_read_only=must_be_read_only)
    await role.admit()
    return await role.privileges()


async def check_guards(session: OwnSession) -> None:
    """Check that no trap is accepted, and that plain reads are accepted."""
    policy = await read_policy(session)
    for sql in TRAPS:
        with pytest.raises(SqlRejectedError):
            validate(sql, functions=policy)
    for sql in PLAIN:
        validate(sql, functions=policy)


@pytest.mark.parametrize(
    "parts", [*((part,) for part in (*OPTIONAL, *OPTIONAL_FUNCTIONS)), TOGETHER], ids=lambda parts: parts[0]
)
async def test_revoked_parts_of_the_catalog_allow_plain_reads_and_no_trap(
    hardened: Hardened, parts: Sequence[str]
) -> None:
    with hardened.without(parts) as url, own_session(url) as session:
        await check_guards(session)
        catalog = await read_catalog(session.fetch)
        await read_row_security(session.fetch)
        await sample(catalog, session.fetch, session.fetch, max_rows=10)
        privileges = await read_role(session)

        assert session.run("select * from public.a").rows == [[1, "x"]]
        table = catalog.find("a")
        assert table is not None
        assert [column.name for column in table.columns] == ["id", "name"]
        assert (privileges.role, privileges.risks) == ("hardened_reader", ())


async def read_schema(session: OwnSession) -> None:
    catalog = await read_catalog(session.fetch)
    await sample(catalog, session.fetch, session.fetch, max_rows=10)
    await find_hidden(session.fetch, ["part_x"], catalog)


async def read_row_policies(session: OwnSession) -> None:
    await read_row_security(session.fetch)


READS = (check_guards, read_schema, read_row_policies, read_role)


@pytest.fixture(scope="module")
async def text_by_read(hardened: Hardened) -> dict[object, str]:
    """The statements that each function of READS sends."""
    texts: dict[object, str] = {}
    for read in READS:
        with own_session(hardened.reader_url) as session:
            await read(session)
            texts[read] = "\n".join(session.own_statements)
    return texts


@pytest.mark.parametrize("name", NEEDED_FUNCTIONS)
async def test_without_a_needed_function_a_refusal_names_the_grant(
    hardened: Hardened, text_by_read: dict[object, str], name: str
) -> None:
    refusals: list[PgmcpError] = []
    with hardened.without([name]) as url, suppress_into(refusals), own_session(url) as session:
        assert session.run("select * from public.a").rows == [[1, "x"]]
        for read in READS:
            if f".{name}(" in text_by_read[read]:
                with suppress_into(refusals):
                    await read(session)

    for refusal in refusals:
        assert re.search(rf"permission denied for (function|aggregate) {name} ", f"{refusal} ")
        assert f"GRANT EXECUTE ON FUNCTION pg_catalog.{name} TO" in refusal.hint


@contextmanager
def suppress_into(refusals: list[PgmcpError]) -> Iterator[None]:
    try:
        yield
    except CatalogDeniedError as error:
        refusals.append(error)


def test_a_role_that_may_not_execute_set_config_gets_the_grant_in_the_error(
    hardened: Hardened,
) -> None:
    with (
        hardened.without(["set_config"]) as url,
        pytest.raises(CatalogDeniedError) as denied,
        own_session(url),
    ):
        pass

    assert "no statement can be run here" in str(denied.value)
    assert "GRANT EXECUTE ON FUNCTION pg_catalog.set_config TO" in denied.value.hint


async def test_the_parts_that_may_not_be_used_are_named(hardened: Hardened) -> None:
    parts = (*OPTIONAL, *OPTIONAL_FUNCTIONS)
    with hardened.without(parts) as url, own_session(url) as session:
        assert await find_unreadable(session.fetch) == set(parts)


async def test_a_view_that_calls_a_revoked_function_counts_as_revoked(hardened: Hardened) -> None:
    with hardened.without(["row_security_active"]) as url, own_session(url) as session:
        assert await find_unreadable(session.fetch) == {"row_security_active", "pg_stats"}


@pytest.mark.parametrize("part", VITAL_TO_STATEMENTS)
async def test_without_a_vital_part_the_error_names_it_and_the_grant(hardened: Hardened, part: str) -> None:
    with (
        hardened.without([part]) as url,
        own_session(url) as session,
        pytest.raises(CatalogDeniedError, match=rf"may not read {part}") as denied,
    ):
        await read_policy(session)

    assert f"GRANT SELECT ON pg_catalog.{part}" in denied.value.hint


@pytest.mark.parametrize(
    ("part", "sql", "words"),
    [
        ("pg_policy", "table guarded", "GRANT SELECT ON pg_catalog.pg_policy"),
        ("pg_index", "table with_index", "GRANT SELECT ON pg_catalog.pg_index"),
        ("pg_rewrite", "table shown", "GRANT SELECT ON pg_catalog.pg_rewrite"),
        ("pg_proc", "select log_it()", "GRANT SELECT ON pg_catalog.pg_proc"),
        (
            "pg_get_functiondef",
            "select hides_it()",
            "GRANT EXECUTE ON FUNCTION pg_catalog.pg_get_functiondef(oid)",
        ),
    ],
)
async def test_a_refusal_for_an_unreadable_part_says_so(
    hardened: Hardened, part: str, sql: str, words: str
) -> None:
    with hardened.without([part]) as url, own_session(url) as session:
        policy = await read_policy(session)

        with pytest.raises(SqlRejectedError, match=f"may not (read|execute) {part}") as refused:
            validate(sql, functions=policy)

    assert words in refused.value.hint


@pytest.mark.parametrize(
    ("parts", "is_known"),
    [(("pg_proc",), True), (("pg_proc", "pg_roles"), True), (("pg_proc", "pg_shdepend"), False)],
)
async def test_without_pg_proc_only_what_a_superuser_added_to_an_extension_is_trusted(
    hardened: Hardened, parts: Sequence[str], is_known: bool
) -> None:
    with hardened.without(parts) as url, own_session(url) as session:
        policy = await read_policy(session)

    with pytest.raises(SqlRejectedError):
        validate("select similarity(1)", functions=policy)
    with nullcontext() if is_known else pytest.raises(SqlRejectedError):
        validate("select word_similarity('a', 'b')", functions=policy)


async def test_a_role_with_unknown_attributes_is_refused_if_only_readers_are_served(
    hardened: Hardened,
) -> None:
    with hardened.without(["pg_roles"]) as url, own_session(url) as session:
        assert not (await read_role(session)).knows_attributes
        with pytest.raises(CatalogDeniedError, match="its attributes are not known") as denied:
            await read_role(session, must_be_read_only=True)

    assert "GRANT SELECT ON pg_catalog.pg_roles" in denied.value.hint


async def test_a_role_that_may_write_is_known_without_pg_roles(hardened: Hardened) -> None:
    hardened.execute(["grant insert on a to hardened_reader", "grant pg_write_all_data to hardened_reader"])
    try:
        with hardened.without(["pg_roles"]) as url, own_session(url) as session:
            privileges = await read_role(session)
    finally:
        hardened.execute(
            ["revoke insert on a from hardened_reader", "revoke pg_write_all_data from hardened_reader"]
        )

    assert "it is a member of pg_write_all_data" in privileges.risks


async def test_a_session_that_does_not_know_its_pid_is_used_as_if_it_were_pooled(hardened: Hardened) -> None:
    with hardened.without(["pg_backend_pid"]) as url, own_session(url) as session:
        assert session.facts.connected.backend is None
        assert session.facts.is_pooled
        rows = session.run("select current_setting('search_path')", StatementOrigin.CALLER).rows

    assert rows == [['"$user", public']]


async def test_pg_temp_is_last_if_a_pooled_session_may_not_look_for_temporary_tables(
    hardened: Hardened,
) -> None:
    with hardened.without(["pg_backend_pid", "pg_my_temp_schema"]) as url, own_session(url) as session:
        assert session.facts.is_pooled
        rows = session.run("select current_setting('search_path')", StatementOrigin.CALLER).rows

    assert rows == [['"$user", public, pg_temp']]


async def test_defaults_are_known_without_pg_settings(hardened: Hardened) -> None:
    hardened.execute(["alter role hardened_reader set statement_timeout = '7s'"])
    try:
        with hardened.without(["pg_show_all_settings"]) as url, own_session(url) as session:
            limit = session.facts.limits(60_000).statement
    finally:
        hardened.execute(["alter role hardened_reader reset all"])

    assert limit.ms == 7_000
    assert limit.description == "statement_timeout = 7s, set for the role, the database or the server"


async def examine(url: str, **variables: str) -> dict[str, CheckResult]:
    settings = load_settings({"PG_MCP_DATABASE_URL": url, **variables}, env_file=None)
    results = [result async for result in examine_remote(settings, None)]
    return {each.check.removeprefix("database main: "): each for each in results}


async def test_doctor_names_what_is_missing_and_its_grant(hardened: Hardened) -> None:
    only_doctors = ("pg_sleep", "pg_is_in_recovery", "host", "inet_client_addr", "inet_server_addr")
    with hardened.without((*TOGETHER, *OTHER_VIEWS, *only_doctors)) as url:
        results = await examine(url)

    failed = [each for each in results.values() if each.status is Status.FAIL]
    assert failed == []
    assert results["connection"].status is Status.OK
    assert results["read-only"].status is Status.OK
    for check, words in [
        ("catalog", "GRANT EXECUTE ON FUNCTION pg_catalog.inet_client_port()"),
        ("role", "GRANT SELECT ON pg_catalog.pg_roles"),
        ("login triggers", "GRANT SELECT ON pg_catalog.pg_event_trigger"),
        ("TLS", "GRANT SELECT ON pg_catalog.pg_stat_ssl"),
        ("timeout", "GRANT EXECUTE ON FUNCTION pg_catalog.pg_sleep"),
        ("cancel", "GRANT"),
        ("statistics", "GRANT SELECT ON pg_catalog.pg_stats"),
    ]:
        assert results[check].status is Status.WARN, results[check]
        assert words in results[check].hint
    for part in TOGETHER:
        assert USE_BY_PART[part] in results["catalog"].text


async def test_doctor_claims_no_more_than_it_may_read(hardened: Hardened) -> None:
    with hardened.without(("pg_stat_activity", "pg_stats", "pg_proc", "pg_policy")) as url:
        results = await examine(url)
    with hardened.without(("row_security_active",)) as url:
        grants = (await examine(url))["grants"]

    assert results["role"].text == (
        "hardened_reader has no known right to change anything; not known: whether it owns functions"
    )
    assert (
        "row policies, which the role may not read, filter 1 of them: public.guarded"
        in results["grants"].text
    )
    assert "it is not known where row policies filter rows" in grants.text


@pytest.mark.parametrize("parts", [("pg_type",), ("pg_operator",), ("pg_depend", "pg_proc")])
async def test_doctor_fails_if_no_statement_can_be_checked(hardened: Hardened, parts: Sequence[str]) -> None:
    with hardened.without(parts) as url:
        results = await examine(url)

    assert [check for check, each in results.items() if each.status is Status.FAIL] == ["catalog"]
    assert "no statement can be checked" in results["catalog"].text
    assert f"GRANT SELECT ON pg_catalog.{parts[0]}" in results["catalog"].hint


async def test_doctor_names_the_grant_if_no_statement_can_run(hardened: Hardened) -> None:
    with hardened.without(["set_config"]) as url:
        results = await examine(url)

    (failure,) = [each for check, each in results.items() if check != "model"]
    assert failure.check.endswith("connection")
    assert failure.text.startswith("catalog_denied: no statement can be run here")
    assert "GRANT EXECUTE ON FUNCTION pg_catalog.set_config" in failure.hint


SLEEP = "select pg_sleep(600)"


async def late_error(
    supervisor: Supervisor, backends: Backends, act: Callable[[int], None]
) -> DeadlineExceededError:
    """Run a sleep past its deadline, and return the error; call `act` with the pid of the running backend."""

    async def disturb() -> None:
        act(await backends.until_running(SLEEP))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(disturb)
        with pytest.raises(DeadlineExceededError) as late:
            await run(supervisor, SLEEP, timeout_s=3)
    return late.value


@pytest.mark.skipif(sys.platform == "win32", reason="stops processes with signals")
async def test_a_killed_workers_backend_that_may_not_be_ended_is_given_up(
    hardened: Hardened, supervise: Callable[..., Supervisor], spawn: Spawn, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = RecordedSpawn(spawn)
    with hardened.without(["pg_terminate_backend"]) as url, Backends(hardened.url, NAME) as backends:
        supervisor = supervise(make_conninfo(url, application_name=NAME), spawn=recorded)
        await value(supervisor, "select 1")

        late = await late_error(supervisor, backends, lambda _: os.kill(recorded.pids[0], signal.SIGSTOP))

        assert await value(supervisor, "select 7") == 7
        await backends.until_ended(SLEEP)
    assert not late.is_stopped
    assert "given up after 3 s" in str(late)
    assert (
        "could not end an orphaned backend: permission denied for function pg_terminate_backend"
        in caplog.text
    )


@pytest.mark.skipif(sys.platform == "win32", reason="stops processes with signals")
async def test_a_backend_that_does_not_end_when_terminated_is_given_up(
    hardened: Hardened, supervise: Callable[..., Supervisor], spawn: Spawn, caplog: pytest.LogCaptureFixture
) -> None:
    recorded = RecordedSpawn(spawn)
    stopped: list[int] = []

    def stop_both(backend: int) -> None:
        stopped.append(backend)
        os.kill(backend, signal.SIGSTOP)
        os.kill(recorded.pids[0], signal.SIGSTOP)

    with Backends(hardened.url, NAME) as backends:
        supervisor = supervise(make_conninfo(hardened.reader_url, application_name=NAME), spawn=recorded)
        await value(supervisor, "select 1")
        try:
            late = await late_error(supervisor, backends, stop_both)
            assert await value(supervisor, "select 7") == 7
        finally:
            os.kill(stopped[0], signal.SIGCONT)
        await backends.until_ended(SLEEP)

    assert not late.is_stopped
    assert "given up after 3 s" in str(late)
    assert f"backend {stopped[0]} of a killed worker still runs" in caplog.text


@pytest.mark.skipif(sys.platform == "win32", reason="stops processes with signals")
async def test_a_backend_that_the_server_says_it_did_not_signal_is_given_up(
    new_database: Callable[[], str],
    supervise: Callable[..., Supervisor],
    spawn: Spawn,
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorded = RecordedSpawn(spawn)
    url = make_conninfo(new_database(), application_name=NAME)
    stopped: list[int] = []

    def stop_both(backend: int) -> None:
        stopped.append(backend)
        os.kill(backend, signal.SIGSTOP)
        os.kill(recorded.pids[0], signal.SIGSTOP)

    with psycopg.connect(url, autocommit=True) as admin, Backends(url, NAME) as backends:
        admin.execute(
            "create or replace function pg_catalog.pg_terminate_backend(pid int, timeout bigint default 0)"
            " returns bool language sql as 'select false'"
        )
        supervisor = supervise(url, spawn=recorded)
        await value(supervisor, "select 1")
        try:
            late = await late_error(supervisor, backends, stop_both)
            assert await value(supervisor, "select 7") == 7
        finally:
            os.kill(stopped[0], signal.SIGCONT)
        await backends.until_ended(SLEEP)

    assert not late.is_stopped
    assert "given up after 3 s" in str(late)
    assert f"backend {stopped[0]} of a killed worker still runs: the server did not end it" in caplog.text
