"""An answer mentions row-level security if policies apply to the session's role."""

from collections.abc import Awaitable, Callable

import psycopg
import pytest

from pgmcp.catalog.introspection import read_catalog
from pgmcp.catalog.rendering import render_table
from pgmcp.catalog.row_security import RowSecurity, read_row_security
from pgmcp.execution.result import RowLimits, Rows, StatementOrigin
from pgmcp.execution.supervisor import Supervisor

pytestmark = pytest.mark.anyio

SCHEMA = """
create schema archive;
create table rls_open (id int);
create table rls_filtered (id int, tenant text);
create table rls_forced (id int);
create table archive.rls_filtered (id int);
create table rls_parent (id int) partition by range (id);
create table rls_part partition of rls_parent for values from (0) to (10);
insert into rls_filtered values (1, 'a'), (2, 'b');
insert into rls_forced values (1);
insert into rls_open values (1);
alter table rls_filtered enable row level security;
create policy of_tenant on rls_filtered using (tenant = 'a');
alter table rls_forced enable row level security;
alter table rls_forced force row level security;
alter table rls_parent enable row level security;
create view of_owner as select * from rls_filtered;
create view of_caller with (security_invoker = t) as select * from rls_filtered;
create view above_of_caller with (security_invoker = on) as select * from of_caller;
create view of_open as select * from rls_open;
create rule added as on insert to of_open do instead insert into rls_forced values (new.id);
create materialized view kept as select * from rls_filtered;
"""
RELATIONS = [
    "rls_open", "rls_filtered", "archive.rls_filtered", "rls_forced", "rls_parent", "rls_part",
    "of_owner", "of_caller", "above_of_caller", "of_open", "kept",
]  # fmt: skip


@pytest.fixture
def database(new_database: Callable[[], str]) -> str:
    """The superuser's URL; the tables belong to `rls_owner`."""
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        for role in ("rls_owner", "rls_reader", "rls_bypass bypassrls"):
            name = role.split()[0]
            connection.execute(f"drop role if exists {name}; create role {role}".encode())
        connection.execute("grant create on schema public to rls_owner")
        connection.execute(f"grant create on database {connection.info.dbname} to rls_owner".encode())
        connection.execute("set role rls_owner")
        connection.execute(SCHEMA.encode())
        connection.execute("grant usage on schema archive to rls_reader, rls_bypass")
        connection.execute(
            "grant select on all tables in schema public, archive to rls_reader, rls_bypass, postgres"
        )
    return url


@pytest.mark.parametrize(
    ("role", "covered"),
    [
        ("rls_reader", {"rls_filtered", "rls_forced", "rls_parent", "of_caller", "above_of_caller"}),
        ("rls_owner", {"rls_forced"}),
        ("rls_bypass", set()),
        ("postgres", set()),
    ],
)
async def test_row_policies_of_the_sessions_role_are_found(
    role: str, covered: set[str], database: str, supervise: Callable[..., Supervisor]
) -> None:
    supervisor = supervise(database, params={"options": f"-c role={role}"})

    row_security = await read_row_security(_fetch(supervisor))

    assert {relation for relation in RELATIONS if row_security.covers(relation)} == covered


async def test_a_view_over_a_table_that_is_filtered_for_the_views_owner_is_filtered(
    database: str, supervise: Callable[..., Supervisor]
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("grant create on schema public to rls_reader")
        connection.execute("set role rls_reader")
        connection.execute("create view of_reader as select * from rls_filtered")
        connection.execute("grant select on of_reader to rls_bypass")
        connection.execute("set role rls_bypass")
        seen = connection.execute("select count(*) from of_reader").fetchone()

    row_security = await read_row_security(
        _fetch(supervise(database, params={"options": "-c role=rls_bypass"}))
    )

    assert seen == (1,)
    assert row_security.covers("of_reader")


async def test_the_full_detail_of_a_table_says_that_policies_apply(
    database: str, supervise: Callable[..., Supervisor]
) -> None:
    catalog = await read_catalog(_fetch(supervise(database, params={"options": "-c role=rls_reader"})))

    reported = {
        table.name for table in catalog.tables if "row-level security" in render_table(table, catalog)
    }

    assert reported == {"rls_filtered", "rls_forced", "rls_parent", "of_caller", "above_of_caller"}


async def test_the_catalog_is_read_even_if_pg_roles_is_not_readable(
    database: str, supervise: Callable[..., Supervisor]
) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("revoke select on pg_catalog.pg_roles from public")
    supervisor = supervise(database, params={"options": "-c role=rls_reader"})

    catalog = await read_catalog(_fetch(supervisor))

    assert catalog.find("rls_filtered") is not None
    row_security = await read_row_security(_fetch(supervisor))
    assert row_security.covers("rls_filtered")
    assert row_security.covers("of_caller")


def test_the_note_names_each_relation_once_and_only_some() -> None:
    names = [f"t{number}" for number in range(5)]
    row_security = RowSecurity(frozenset(("public", name) for name in names), frozenset(), ("public",))

    note = row_security.describe(["t0", "t0", "other", *names])

    assert note.startswith("row-level security applies to t0, t1, t2 and others: ")
    assert row_security.describe(["other"]) == ""


def _fetch(supervisor: Supervisor) -> Callable[[str], Awaitable[Rows]]:
    limits = RowLimits(max_rows=100_000, max_bytes=16 << 20, max_cell_bytes=1 << 20)

    async def fetch(sql: str) -> Rows:
        return await supervisor.execute(
            sql, limits, origin=StatementOrigin.OWN, can_be_wrapped=False, timeout_s=30
        )

    return fetch
