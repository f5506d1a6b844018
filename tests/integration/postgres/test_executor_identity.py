"""A statement runs with the role and the claims of one person, and the next one does not see them."""

import asyncio
from collections.abc import Callable, Iterator

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgmcp.errors import RoleNotTakenError, StatementFailedError
from pgmcp.execution.result import Identity, JsonScalar, RowLimits, StatementOrigin
from pgmcp.execution.supervisor import Supervisor
from testing.people import ALICE, BOB, FOREIGN, LOGIN, SUPPORT, TENANT_SETTING, create_people
from testing.pgbouncer import PgBouncer, find_pgbouncer
from testing.tcp_proxy import tcp_proxy

pytestmark = pytest.mark.anyio

TENANT = f"coalesce(current_setting('{TENANT_SETTING}', true), '')"
WHO = f"select current_user::text, session_user::text, {TENANT}"
LIMITS = RowLimits(max_rows=100, max_bytes=1 << 20, max_cell_bytes=1 << 16)


@pytest.fixture(scope="module")
def people_url(module_database: str) -> str:
    return create_people(module_database)


@pytest.fixture
def supervisor(people_url: str, supervise: Callable[..., Supervisor]) -> Supervisor:
    """A supervisor with one worker, so that each statement runs in the session of the previous one."""
    return supervise(people_url)


async def read(
    supervisor: Supervisor,
    sql: str,
    identity: Identity | None,
    *,
    origin: StatementOrigin = StatementOrigin.CALLER,
    can_be_wrapped: bool = True,
) -> list[list[JsonScalar]]:
    rows = await supervisor.execute(
        sql, LIMITS, origin=origin, can_be_wrapped=can_be_wrapped, timeout_s=20, identity=identity
    )
    return list(rows.rows)


def tenant(number: str) -> Identity:
    return Identity(SUPPORT, ((TENANT_SETTING, number),))


@pytest.mark.parametrize("origin", StatementOrigin)
async def test_role_and_claims_apply_to_one_statement_only(
    supervisor: Supervisor, origin: StatementOrigin
) -> None:
    assert await read(supervisor, WHO, tenant("1"), origin=origin) == [[SUPPORT, LOGIN, "1"]]
    assert await read(supervisor, WHO, Identity(ALICE), origin=origin) == [[ALICE, LOGIN, ""]]
    assert await read(supervisor, WHO, None, origin=origin) == [[LOGIN, LOGIN, ""]]


async def test_role_claims_and_statement_take_one_round_trip(
    people_url: str, supervise: Callable[..., Supervisor]
) -> None:
    async with tcp_proxy(int(conninfo_to_dict(people_url)["port"] or 0)) as proxy:
        supervisor = supervise(make_conninfo(people_url, port=proxy.port))
        await read(supervisor, WHO, Identity(ALICE))  # opens the session
        proxy.sent.clear()

        seen = await read(supervisor, WHO, tenant("1"))
        sent = bytes(proxy.sent)
        await supervisor.close()

    assert seen == [[SUPPORT, LOGIN, "1"]]
    messages = list(messages_of(sent))
    # A round trip ends with a Sync: the server then sends all replies, and the client waits for them.
    assert [kind for kind, _ in messages if kind in (b"S", b"H", b"Q")] == [b"S"]
    assert messages[-1][0] == b"S"
    together = b"".join(content for _, content in messages)
    assert all(each in together for each in (SUPPORT.encode(), TENANT_SETTING.encode(), WHO.encode()))


def messages_of(sent: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield type and content of the messages that a client sent (PostgreSQL manual, message formats)."""
    while sent:
        length = int.from_bytes(sent[1:5])
        yield sent[:1], sent[5 : 1 + length]
        sent = sent[1 + length :]


async def test_policies_choose_rows_by_role_and_by_claim(supervisor: Supervisor) -> None:
    count = "select count(*) from orders"

    assert await read(supervisor, count, Identity(ALICE)) == [[10]]
    assert await read(supervisor, count, Identity(BOB)) == [[20]]
    assert await read(supervisor, "select distinct tenant from orders", tenant("2")) == [[2]]
    assert await read(supervisor, count, tenant("")) == [[0]]


async def test_schemas_of_the_search_path_are_those_of_the_role(
    supervisor: Supervisor, module_database: str
) -> None:
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute(f"create schema {ALICE} authorization {ALICE}".encode())
    schemas = "select pg_catalog.current_setting('pgmcp.schemas')"

    seen = [
        await read(supervisor, schemas, each, origin=StatementOrigin.OWN) for each in (Identity(ALICE), None)
    ]

    assert seen == [[[f'["{ALICE}","public"]']], [['["public"]']]]


@pytest.mark.parametrize("role", ["none", FOREIGN, "absent", LOGIN.upper(), f'{ALICE}"; reset role; --'])
async def test_a_role_that_may_not_be_taken_fails_before_the_statement_runs(
    supervisor: Supervisor, role: str
) -> None:
    with pytest.raises(RoleNotTakenError):
        await read(supervisor, "select 1", Identity(role))

    assert await read(supervisor, WHO, None) == [[LOGIN, LOGIN, ""]]


async def test_after_a_failed_statement_nothing_of_the_role_is_left(supervisor: Supervisor) -> None:
    with pytest.raises(StatementFailedError):
        await read(supervisor, "select 1 / (tenant - tenant) from orders", tenant("1"))

    assert await read(supervisor, WHO, None) == [[LOGIN, LOGIN, ""]]


async def test_a_role_that_may_not_execute_set_config_can_still_be_taken(
    people_url: str, module_database: str, supervise: Callable[..., Supervisor]
) -> None:
    signature = "function pg_catalog.set_config(text, text, boolean)"
    with psycopg.connect(module_database, autocommit=True) as connection:
        connection.execute(f"revoke execute on {signature} from public".encode())
        connection.execute(f"grant execute on {signature} to {LOGIN}".encode())
        try:
            supervisor = supervise(people_url)
            for origin in StatementOrigin:
                assert await read(supervisor, WHO, tenant("1"), origin=origin) == [[SUPPORT, LOGIN, "1"]]
            with pytest.raises(StatementFailedError, match="permission denied for function set_config"):
                await read(supervisor, "select set_config('role', 'none', true)", tenant("1"))
        finally:
            connection.execute(f"grant execute on {signature} to public".encode())


async def test_a_session_keeps_the_name_of_a_host_but_not_of_a_principal(
    people_url: str, module_database: str, supervise: Callable[..., Supervisor]
) -> None:
    supervisor = supervise(make_conninfo(people_url, application_name="kept"))
    host, other_host = (Identity("", (), f"kept ({host})", keeps_name=True) for host in ("a", "b"))
    principal = Identity(ALICE, (), "kept alice (a)")
    names: list[object] = []
    with psycopg.connect(module_database, autocommit=True) as admin:
        for identity in (host, host, principal, None, principal, other_host):
            ((seen,),) = await read(supervisor, "select current_setting('application_name')", identity)
            kept = admin.execute(
                "select application_name from pg_stat_activity where application_name like 'kept%'"
            ).fetchall()
            names.append((seen, *(name for (name,) in kept)))

    assert names == [
        ("kept (a)", "kept (a)"),
        ("kept (a)", "kept (a)"),
        ("kept alice (a)", "kept (a)"),
        ("kept", "kept"),
        ("kept alice (a)", "kept"),
        ("kept (b)", "kept (b)"),
    ]


async def test_no_plan_with_the_claims_of_the_last_caller_is_reused(supervisor: Supervisor) -> None:
    """PL/pgSQL would keep a plan in which the function, wrongly declared immutable, is a constant."""
    sql = "select count_of_tenant(), (select count(*) from orders where tenant = 1)"

    seen = [await read(supervisor, sql, tenant(number)) for number in ("1", "2", "1")]

    assert seen == [[[15, 15]], [[15, 0]], [[15, 15]]]


async def test_behind_a_bouncer_each_transaction_has_its_own_role(
    people_url: str, module_database: str, supervise: Callable[..., Supervisor]
) -> None:
    program = find_pgbouncer()
    if program is None:
        pytest.skip("pgbouncer is not installed")
    with PgBouncer(program, people_url, pool_size=2) as bouncer:
        url = bouncer.url(people_url)
        supervisor = supervise(url, max_workers=4, max_waiting=100)
        people = [tenant("1"), Identity(ALICE), tenant("2"), Identity(BOB), None] * 12

        seen = await asyncio.gather(*(read(supervisor, WHO, each) for each in people))
        with psycopg.connect(url, prepare_threshold=None) as other:
            left = [other.execute(f"select current_user::text, {TENANT}".encode()).fetchone() for _ in "1234"]

    settings = [dict(each.settings).get(TENANT_SETTING, "") if each else "" for each in people]
    roles = [each.role if each else LOGIN for each in people]
    assert seen == [[[role, LOGIN, own]] for role, own in zip(roles, settings, strict=True)]
    assert left == [(LOGIN, "")] * 4
