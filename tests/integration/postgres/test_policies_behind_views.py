"""Row policies of tables under views, and SECURITY DEFINER functions in views: refused only where they run.

Each statement also runs directly as its role, as in psql. A sequence counts the calls of the policies'
function.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from tests.integration.postgres.test_policy_reader import passes, reader

pytestmark = pytest.mark.anyio

_OWNERS = ("super", "bypass", "holder", "member", "stranger", "team")
_READERS = ("super", "bypass", "holder", "stranger", "team")

_ROLES = """
create role {r}_super superuser; create role {r}_bypass bypassrls; create role {r}_holder;
create role {r}_member; grant {r}_holder to {r}_member; create role {r}_stranger; create role {r}_team;
grant create on schema public to {r}_holder, {r}_member;
"""

_TABLES = """
create sequence runs; grant usage on sequence runs to public;
create function note(int) returns bool language plpgsql as 'begin return nextval(''runs'') > 0; end';
create table plain (id int); create policy p on plain using (note(id));
create table forced (id int); create policy p on forced using (note(id));
alter table forced force row level security;
create table teamed (id int); create policy o on teamed using (id < 0);
create policy p on teamed to {r}_team using (note(id));
create table outermost (id int); create policy p on outermost using (id in (select t.id from teamed t));
create table parted (id int) partition by list (id); create table part partition of parted for values in (1);
create policy p on part using (note(id)); alter table part enable row level security;
create table parent (id int); create table child () inherits (parent);
create policy p on parent using (note(id)); alter table parent enable row level security;
do $$
declare t text;
begin
    foreach t in array '{{plain,forced,teamed,outermost,parted,part,parent,child}}'::text[] loop
        if t in ('plain', 'forced', 'teamed', 'outermost') then
            execute format('alter table %I enable row level security', t);
        end if;
        if t not in ('parent', 'parted') then execute format('insert into %I values (1)', t); end if;
        execute format('alter table %I owner to {r}_holder', t);
    end loop;
end $$;
"""

_VIEWS = """
create view {owner}_plain as select * from plain;
create view {owner}_forced as select * from forced;
create view {owner}_teamed as select * from teamed;
create view {owner}_outermost as select * from outermost;
create view {owner}_part as select * from part;
create view {owner}_parted as select * from parted;
create view {owner}_parent as select * from parent;
create view {owner}_asking_plain with (security_invoker = yes) as select * from plain;
create view {owner}_asking_forced with (security_invoker = t) as select * from forced;
create function {owner}_reads_plain() returns bigint language sql stable security definer
    as 'select count(*) from plain';
create function {owner}_reads_forced() returns bigint stable security definer
    begin atomic select count(*) from forced; end;
create view {owner}_calls_plain as select {owner}_reads_plain() as n;
create view {owner}_calls_forced as select {owner}_reads_forced() as n;
"""
_STORED = "create materialized view stored as select * from plain;"

# Views over a view of another owner; the inner view reads with the rights of its owner or of the user.
_CHAINS = {
    "stranger_over_super": "super_forced",
    "super_over_stranger": "stranger_plain",
    "super_over_asking": "super_asking_plain",
    "stranger_over_asking": "holder_asking_forced",
    "team_over_bypass": "bypass_forced",
    "super_over_calling": "stranger_calls_plain",
}

_READ_PAST_POLICIES = """
bypass_calls_forced bypass_calls_plain bypass_forced bypass_parent bypass_part bypass_plain
stranger_over_super super_calls_forced super_forced team_over_bypass
""".split()  # noqa: SIM905
"""Views that a role without policies may read, although policies apply to other roles there."""


@dataclass(frozen=True)
class _Guarded:
    """A database full of policies, and the prefix of its roles' names."""

    url: str
    prefix: str

    def execute(self, script: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(script.format(r=self.prefix).encode())

    def runs_policy(self, role: str, statement: str) -> bool:
        """Run a statement as a role, and return whether a policy's function was called."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute("alter sequence runs restart")
            connection.execute(sql.SQL("set role {}").format(sql.Identifier(f"{self.prefix}_{role}")))
            connection.execute(statement.encode())
            connection.execute("reset role")
            found = connection.execute("select is_called from runs").fetchone()
        return bool(found and found[0])

    @contextmanager
    def without(self, part: str) -> Iterator[None]:
        """Revoke a part of pg_catalog from PUBLIC until the block ends."""
        self.execute(f"revoke select on pg_catalog.{part} from public")
        try:
            yield
        finally:
            self.execute(f"grant select on pg_catalog.{part} to public")


@pytest.fixture(scope="module")
def guarded(module_database: str) -> Iterator[_Guarded]:
    made = _Guarded(module_database, f"g{uuid4().hex[:8]}")
    made.execute(_ROLES + _TABLES + _STORED)
    for owner in _OWNERS:
        made.execute(_VIEWS.replace("{owner}", owner))
        made.execute(
            f"""
            do $$
            declare v text;
            begin
                for v in select format('view %I', relname) from pg_class
                         where relname like '{owner}\\_%' and relkind = 'v'
                    union all select format('function %I()', proname) from pg_proc
                         where proname like '{owner}\\_%' loop
                    execute format('alter %s owner to %I', v, '{{r}}_{owner}');
                end loop;
            end $$"""
        )
    for chain, inner in _CHAINS.items():
        owner = chain.partition("_")[0]
        made.execute(
            f"create view {chain} as select * from {inner}; alter view {chain} owner to {{r}}_{owner}"
        )
    made.execute("grant select on all tables in schema public to public")
    yield made
    made.execute(
        "drop owned by {r}_super, {r}_bypass, {r}_holder, {r}_member, {r}_stranger, {r}_team cascade"
    )
    made.execute("drop role {r}_super, {r}_bypass, {r}_holder, {r}_member, {r}_stranger, {r}_team")


def _relations(guarded: _Guarded) -> list[str]:
    with psycopg.connect(guarded.url) as connection:
        found = connection.execute(
            "select relname from pg_class where relnamespace = 'public'::regnamespace "
            "and relkind in ('r', 'p', 'v', 'm') order by 1"
        ).fetchall()
    return [name for (name,) in found]


@pytest.mark.parametrize("role", _READERS)
async def test_a_relation_is_refused_if_and_only_if_a_policy_behind_it_runs(
    guarded: _Guarded, role: str
) -> None:
    policy = await reader(guarded.url, role=f"{guarded.prefix}_{role}").read()
    reads = [f"select * from {name}" for name in _relations(guarded)]

    runs = {read for read in reads if guarded.runs_policy(role, read)}
    assert {read for read in reads if not passes(read, policy)} == runs
    assert 0 < len(runs) < len(reads)


async def test_without_pg_roles_no_owner_counts_as_exempt_from_policies(
    guarded: _Guarded,
) -> None:
    role = f"{guarded.prefix}_stranger"
    with guarded.without("pg_roles"):
        policy = await reader(guarded.url, role=role).read()
    full = await reader(guarded.url, role=role).read()
    reads = [f"select * from {name}" for name in _relations(guarded)]

    refused = {read for read in reads if not passes(read, full)}
    more = {read for read in reads if not passes(read, policy)} - refused
    assert more == {f"select * from {name}" for name in _READ_PAST_POLICIES}
    assert [read for read in refused if passes(read, policy)] == []


async def test_without_pg_policy_a_relation_is_refused_if_any_policy_behind_it_can_run(
    guarded: _Guarded,
) -> None:
    role = f"{guarded.prefix}_stranger"
    with guarded.without("pg_policy"):
        policy = await reader(guarded.url, role=role).read()
    reads = [f"select * from {name}" for name in _relations(guarded)]

    refused = {read for read in reads if not passes(read, policy)}
    runs = {read for read in reads if guarded.runs_policy("stranger", read)}
    assert runs <= refused
    assert not refused & {f"select * from {name}" for name in _READ_PAST_POLICIES}


async def test_a_change_of_an_owners_attributes_gives_a_new_policy(guarded: _Guarded) -> None:
    policies = reader(guarded.url, role=f"{guarded.prefix}_stranger")
    read = "select * from bypass_plain"
    before = passes(read, await policies.read())
    guarded.execute("alter role {r}_bypass nobypassrls")
    try:
        after = passes(read, await policies.read())
    finally:
        guarded.execute("alter role {r}_bypass bypassrls")

    assert (before, after) == (True, False)
