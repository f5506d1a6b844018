"""The script of `pgmcp setup-sql`, run once and repeatedly, as a superuser and as an owner."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgmcp.cli.hidden_columns import read_column
from pgmcp.cli.setup_sql import setup_script
from testing.command_line import run as run_command
from testing.mcp_server import server_environment

SCHEMAS = ["public", "Sales %"]
BOTH_SCHEMAS = ("--schema", "public", "--schema", "Sales %")
PASSWORD = "a password"


class Site:
    """A database with tables of two owners, its superuser, and the role that the script makes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.dbname = str(conninfo_to_dict(url)["dbname"])
        self.role = f"reader of {self.dbname}"
        self.owner = f"owner_{self.dbname}"
        self.admin(
            f"""
            create role {self.owner} login password '{PASSWORD}';
            alter database {self.dbname} owner to {self.owner};
            create schema "Sales %" authorization {self.owner};
            create table customers (id int, email text, phone text);
            insert into customers values (1, 'ada@example.com', '0123456789');
            alter table customers owner to {self.owner};
            create table "Sales %".orders (id int);
            create table of_superuser (id int);
            """
        )

    def script(
        self,
        *,
        schemas: Sequence[str] = SCHEMAS,
        hide: Sequence[str] = (),
        mask: Sequence[str] = (),
        owners: Sequence[str] = (),
    ) -> str:
        columns = [read_column(text, schemas) for text in hide]
        columns += [read_column(text, schemas, is_masked=True) for text in mask]
        return setup_script(
            self.role,
            self.dbname,
            schemas,
            connections=5,
            statement_timeout_s=60,
            columns=columns,
            owners=owners,
        )

    def admin(self, sql: str) -> None:
        self.run(self.url, sql)

    def run(self, url: str, sql: str) -> list[str]:
        """Run SQL; return the server's notices and warnings."""
        notices: list[str] = []
        with psycopg.connect(url, autocommit=True) as connection:
            connection.add_notice_handler(lambda notice: notices.append(str(notice.message_primary)))
            connection.execute(sql.encode())
        return notices

    @property
    def owner_url(self) -> str:
        return make_conninfo(self.url, user=self.owner, password=PASSWORD)

    @property
    def reader_url(self) -> str:
        self.admin(f"alter role \"{self.role}\" login password '{PASSWORD}'")
        return make_conninfo(self.url, user=self.role, password=PASSWORD)

    def read(self, sql: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.reader_url) as connection:
            return connection.execute(sql.encode()).fetchall()

    def ask(self, sql: str) -> object:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(sql.encode()).fetchone()
        assert row is not None
        return row[0]


@pytest.fixture
def site(new_database: Callable[[], str]) -> Site:
    return Site(new_database())


def check(site: Site, folder: Path, *options: str) -> subprocess.CompletedProcess[bytes]:
    """Run `pgmcp setup-sql --check` as the role."""
    arguments = ("--database", site.dbname, *options, "--check")
    return run_command(server_environment(site.reader_url), folder, "setup-sql", *arguments)


def test_a_superuser_can_run_the_script_again_and_later_tables_are_readable(site: Site) -> None:
    site.admin(site.script(schemas=["public"]))
    site.admin(site.script())
    site.run(site.owner_url, 'create table later (id int); create table "Sales %".later (id int)')
    site.admin("create table later_of_superuser (id int)")

    assert site.read("select count(*) from customers, of_superuser, later, later_of_superuser") == [(0,)]
    assert site.read('select count(*) from "Sales %".orders, "Sales %".later') == [(0,)]
    settings = site.ask(f"select array_to_string(rolconfig, ' ') from pg_roles where rolname = '{site.role}'")
    assert "default_transaction_read_only=on statement_timeout=60s" in str(settings)
    site.admin(f'drop owned by "{site.role}"; drop role "{site.role}"')  # as docs/dba.md says


def test_the_script_changes_nothing_in_another_database(new_database: Callable[[], str], site: Site) -> None:
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed")
    other = make_conninfo(site.url, dbname=conninfo_to_dict(new_database())["dbname"])
    site.run(other, "create table there (id int); grant create on schema public to public")
    script = setup_script(
        site.role, site.dbname, ["public"], connections=5, statement_timeout_s=60, revokes=True
    )

    psql = ["psql", "-qX", other]
    ran = subprocess.run(psql, input=script.encode(), check=True, capture_output=True)

    expected = f"this script is for the database {site.dbname}, and this is "
    assert expected in ran.stderr.decode()
    assert site.ask(f"select count(*) from pg_roles where rolname = '{site.role}'") == 0
    with psycopg.connect(other) as connection:
        found = connection.execute(
            "select has_schema_privilege('public', 'public', 'CREATE'), relacl is null from pg_class "
            "where relname = 'there'"
        )
        assert found.fetchone() == (True, True)


def test_the_script_takes_no_rights_from_other_roles(site: Site) -> None:
    site.admin("grant create on schema public to public")

    script = site.script()
    site.admin(script)

    assert script.count("REVOKE CREATE ON SCHEMA") == 1
    assert site.ask(f"select has_database_privilege('public', '{site.dbname}', 'TEMPORARY')") is True
    assert site.ask("select has_schema_privilege('public', 'public', 'CREATE')") is True


def test_an_existing_role_that_the_script_did_not_create_keeps_its_settings(site: Site) -> None:
    site.admin(f'create role "{site.role}" login')

    site.admin(site.script())

    assert site.ask(f"select rolconfig is null from pg_roles where rolname = '{site.role}'") is True
    assert site.ask(f"select rolconnlimit from pg_roles where rolname = '{site.role}'") == -1
    assert site.read("select id from customers") == [(1,)]


def test_an_owner_who_may_create_no_role_changes_nothing(site: Site) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege, match="and you may not create it"):
        site.run(site.owner_url, site.script())

    assert site.ask("select count(*) from pg_default_acl") == 0
    assert site.ask(f"select count(*) from pg_roles where rolname = '{site.role}'") == 0


def test_an_owner_can_grant_its_tables_to_an_existing_role(site: Site) -> None:
    site.admin(f'create role "{site.role}" login')

    site.run(site.owner_url, site.script())
    site.run(site.owner_url, "create table later (id int)")

    assert site.read("select count(*) from customers, later") == [(0,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        site.read("select * from of_superuser")


@pytest.fixture
def other_owner(site: Site) -> Iterator[str]:
    """Yield the name of a second owner; the schema `theirs` has a table of this role, and an extension."""
    name = f"other_{site.dbname}"
    site.admin(
        f"""
        create role {name} login password '{PASSWORD}';
        create schema theirs authorization {name};
        create extension pg_stat_statements schema theirs;
        set role {name};
        create table theirs.things (id int);
        """
    )
    yield name
    site.admin(f"drop owned by {name} cascade; drop role {name}")


def test_each_owner_can_run_the_script_and_is_told_what_others_must_run(site: Site, other_owner: str) -> None:
    site.admin(f'create role "{site.role}" login; revoke connect on database {site.dbname} from public')
    site.admin(f"grant connect on database {site.dbname} to {other_owner}")
    other_url = make_conninfo(site.url, user=other_owner, password=PASSWORD)

    to_other = site.run(other_url, site.script(schemas=["Sales %", "theirs"]))
    to_owner = site.run(site.owner_url, site.script(schemas=["Sales %", "theirs"]))

    assert "the role may not connect: the database's owner has to run this script, too" in to_other
    sales = 'the role may not use the schema "Sales %": the schema\'s owner has to run this script, too'
    assert sales in to_other
    assert [text for text in to_owner if text.startswith("the role may not")] == []
    assert (
        f"later tables of {other_owner} will not be readable: that role has to run this script, too"
        not in (
            to_owner  # the other owner has run the script already
        )
    )
    assert site.read("select * from theirs.things") == []
    assert site.ask(f"select has_schema_privilege('{site.role}', 'Sales %', 'USAGE')") is True


def test_an_owner_gets_no_message_about_roles_that_add_no_tables(site: Site, other_owner: str) -> None:
    """Examples are the creator of an extension, and a database's owner who may not create in the schema."""
    site.admin(f'create role "{site.role}" login')

    notices = site.run(
        make_conninfo(site.url, user=other_owner, password=PASSWORD), site.script(schemas=["theirs"])
    )

    (about_role,) = notices
    assert "its settings stay as they are" in about_role


def test_a_hidden_column_cannot_be_read_and_the_others_can(site: Site) -> None:
    for _ in range(2):
        site.admin(site.script(hide=["public.customers.email"]))

    assert site.read("select id, phone from customers") == [(1, "0123456789")]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        site.read("select email from customers")


def test_a_hidden_column_is_hidden_in_partitions_too(site: Site, tmp_path: Path) -> None:
    site.admin(
        """
        create table events (id int, card text) partition by list (id);
        create table events_1 partition of events for values in (1);
        create table "Sales %".events_2 partition of events for values in (2);
        create view of_one as select card from events_1;
        """
    )
    site.admin(site.script(hide=["public.events.card"]))

    for table in ("events", "events_1", '"Sales %".events_2'):
        assert site.read(f"select id from {table}") == []
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            site.read(f"select card from {table}")
    site.admin("create table events_3 partition of events for values in (3)")
    checked = check(site, tmp_path, *BOTH_SCHEMAS, "--hide", "public.events.card")
    assert checked.stdout.decode().splitlines()[1:] == [
        "readable, but to be hidden: public.events_3.card",
        "left out, because of a hidden column: public.of_one (public.events_1.card)",
    ]


def test_check_names_a_schema_that_the_role_may_not_use_and_a_column_that_does_not_exist(
    site: Site, tmp_path: Path
) -> None:
    site.admin(site.script(schemas=["public"]))

    checked = check(site, tmp_path, *BOTH_SCHEMAS, "--hide", "public.customers.emial")

    assert checked.returncode == 1
    assert checked.stdout.decode().splitlines()[1:] == [
        "not usable: schema Sales %: it does not exist, or the role has no USAGE on it",
        "to be hidden, but not in the database: public.customers.emial",
    ]


def test_a_masked_column_is_shown_by_a_view(site: Site) -> None:
    script = site.script(mask=["public.customers.phone=left(phone, 3) || '…%'"])

    for url in (site.url, site.url, site.owner_url):
        site.run(url, script)

    assert site.read("select * from customers_masked") == [(1, "ada@example.com", "012…%")]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        site.read("select phone from customers")


def test_a_refused_column_names_the_view_that_masks_it(site: Site, tmp_path: Path) -> None:
    site.admin(site.script(mask=["public.customers.phone=left(phone, 3)"], hide=["public.customers.email"]))

    refused = run_command(server_environment(site.reader_url), tmp_path, "sql", "select * from customers")

    hint = "hint: the role may read only these columns of customers: id; customers_masked also has phone"
    assert hint in refused.stderr.decode()


def test_a_view_with_a_masked_column_leaves_a_hidden_one_out(site: Site) -> None:
    site.admin(site.script(hide=["public.customers.email"], mask=["public.customers.phone='…'"]))

    assert site.read("select * from customers_masked") == [(1, "…")]
    assert site.read("select id from customers") == [(1,)]


def test_hiding_another_column_keeps_the_views_other_grants(site: Site) -> None:
    phone = ["public.customers.phone='…'"]
    site.admin(site.script(mask=phone))
    site.admin(
        f"create role analyst_{site.dbname}; grant select on customers_masked to analyst_{site.dbname}"
    )

    site.admin(site.script(hide=["public.customers.email"], mask=phone))

    assert site.read("select * from customers_masked") == [(1, "…")]
    readers = "has_table_privilege('analyst_' || current_database(), 'customers_masked', 'select')"
    assert site.ask(f"select {readers}")
    site.admin(f"drop owned by analyst_{site.dbname}; drop role analyst_{site.dbname}")


def test_a_view_of_an_earlier_script_does_not_show_what_is_hidden_now(site: Site) -> None:
    site.admin(site.script(mask=["public.customers.phone='…'"]))

    site.admin(site.script(hide=["public.customers.email"]))

    assert site.ask("select to_regclass('customers_masked')") is None


@pytest.mark.parametrize(
    ("prepare", "hide", "mask", "problem"),
    [
        ("select", ["public.customers.emial"], [], "a column to hide is not in the table"),
        (
            "alter table customers enable row level security",
            [],
            ["public.customers.phone='x'"],
            "row-level security, which the view would not apply",
        ),
        (
            "create view customers_masked with (security_invoker) as select * from customers where id > 1",
            [],
            ["public.customers.phone='x'"],
            r'"public"."customers_masked" exists and was not made by this script(.|\n)*Rename it, or drop it',
        ),
    ],
)
def test_a_script_that_would_not_protect_is_refused(
    site: Site, prepare: str, hide: list[str], mask: list[str], problem: str
) -> None:
    site.admin(prepare)

    with pytest.raises(psycopg.errors.RaiseException, match=problem):
        site.admin(site.script(hide=hide, mask=mask))

    assert site.ask(f"select count(*) from pg_roles where rolname = '{site.role}'") == 0


def test_one_script_is_for_several_databases(new_database: Callable[[], str], site: Site) -> None:
    if shutil.which("psql") is None:
        pytest.skip("psql is not installed")
    other = conninfo_to_dict(new_database())["dbname"]
    site.run(make_conninfo(site.url, dbname=other), "create table there (id int)")
    script = setup_script(
        site.role, [site.dbname, str(other)], ["public"], connections=5, statement_timeout_s=60
    )

    for _ in range(2):
        psql = ["psql", "-qX", "-v", "ON_ERROR_STOP=1", site.url]
        subprocess.run(psql, input=script.encode(), check=True, capture_output=True)

    assert site.read("select id from customers") == [(1,)]
    with psycopg.connect(make_conninfo(site.reader_url, dbname=other)) as connection:
        assert connection.execute("select count(*) from there").fetchone() == (0,)


def test_check_covers_all_configured_or_the_named_databases_even_if_one_is_down(
    site: Site, tmp_path: Path
) -> None:
    site.admin(site.script())
    config = tmp_path / "databases.yaml"
    config.write_text("databases:\n  shop: {url_env: SHOP}\n  down: {host: 127.0.0.1, port: 1}\n")
    settings = server_environment(None, config_file=str(config)) | {"SHOP": site.reader_url}

    of_all = run_command(settings, tmp_path, "setup-sql", "--check")
    named = [
        run_command(settings, tmp_path, "setup-sql", "--database", name, "--check")
        for name in (site.dbname, "shop", "nowhere")
    ]

    assert of_all.returncode == 1
    shop, down = of_all.stdout.decode().splitlines()
    assert shop == "shop: readable: 2 tables and views in public"
    assert down.startswith("down: not checked: unreachable: ")
    assert [each.returncode for each in named] == [0, 0, 2]
    assert {each.stdout.decode() for each in named[:2]} == {"readable: 2 tables and views in public\n"}
    assert "nowhere" in named[2].stderr.decode()


def test_check_lists_missing_and_exposed_columns(site: Site, tmp_path: Path) -> None:
    site.admin(site.script())
    site.admin(
        f"""
        create table forgotten (id int);
        revoke select on forgotten from "{site.role}";
        alter table of_superuser enable row level security;
        create policy few on of_superuser for select to "{site.role}" using (id < 10);
        create policy of_the_owner on of_superuser to {site.owner} using (true);
        create policy additions on of_superuser for insert to public with check (true);
        create table of_others (id int);
        alter table of_others enable row level security;
        create policy theirs on of_others to {site.owner} using (true);
        create policy positive on of_others as restrictive to public using (id > 0);
        create view customers_v as select id, lower(email) as address, email from customers;
        create view customers_w as select email from customers_v;
        create view without_it as select id, phone from customers;
        create view customers_masked with (security_invoker) as select email from customers;
        create materialized view stored as select email from customers;
        create materialized view stored_for_callers as select email from customers_masked;
        create view inner_v as select id, email as contact from customers;
        revoke select on inner_v from "{site.role}";
        create view renamed as select contact as address from inner_v;
        create view without_it_either as select id from inner_v;
        create view whole as select c from customers as c;
        create view whole_too as select c.id, to_json(c) as content from customers as c;
        create schema elsewhere;
        create view elsewhere.leak as select email from customers;
        grant usage on schema elsewhere to "{site.role}";
        grant select on elsewhere.leak to "{site.role}";
        """
    )
    hide = ("--hide", "customers.email")

    before = check(site, tmp_path, *hide)
    site.admin(site.script(hide=["public.customers.email"]))
    shown = check(site, tmp_path, *hide)
    site.admin(
        "drop view customers_v, inner_v, whole, whole_too cascade;"
        " drop materialized view stored, stored_for_callers; drop schema elsewhere cascade"
    )
    after = check(site, tmp_path, *hide)

    assert before.returncode == 1
    assert before.stdout.decode().splitlines() == [
        "readable: 13 tables and views in public",
        "not readable: public.forgotten",
        "readable, but to be hidden: public.customers.email",
        "shown by a view: elsewhere.leak (public.customers.email)",
        "shown by a view: public.customers_v (public.customers.email)",
        "shown by a view: public.customers_w (public.customers.email)",
        "shown by a view: public.renamed (public.customers.email)",
        "shown by a view: public.stored (public.customers.email)",
        "shown by a view: public.stored_for_callers (public.customers.email)",
        "shown by a view: public.whole (public.customers.email)",
        "shown by a view: public.whole_too (public.customers.email)",
        "left out, because of a hidden column: public.inner_v (public.customers.email)",
        "filtered by policies: public.of_others: no policy allows rows for this role, so it sees none",
        "filtered by policies: public.of_superuser: few",
    ]
    assert shown.returncode == 0
    assert shown.stdout.decode().splitlines() == [
        "readable: 7 tables and views in public",
        "left out, because of a hidden column: elsewhere.leak (public.customers.email)",
        "left out, because of a hidden column: public.customers_v (public.customers.email)",
        "left out, because of a hidden column: public.customers_w (public.customers.email)",
        "left out, because of a hidden column: public.inner_v (public.customers.email)",
        "left out, because of a hidden column: public.renamed (public.customers.email)",
        "left out, because of a hidden column: public.stored (public.customers.email)",
        "left out, because of a hidden column: public.stored_for_callers (public.customers.email)",
        "left out, because of a hidden column: public.whole (public.customers.email)",
        "left out, because of a hidden column: public.whole_too (public.customers.email)",
        "filtered by policies: public.of_others: no policy allows rows for this role, so it sees none",
        "filtered by policies: public.of_superuser: few",
    ]
    assert after.returncode == 0
    assert after.stdout.decode().splitlines() == [
        "readable: 6 tables and views in public",
        "filtered by policies: public.of_others: no policy allows rows for this role, so it sees none",
        "filtered by policies: public.of_superuser: few",
    ]


def test_a_view_is_readable_again_once_its_own_column_is_hidden_too(site: Site, tmp_path: Path) -> None:
    site.admin(
        """
        create table orders (id int, customer int, total int);
        create view contacts as select c.id, c.email as contact, o.total
          from customers as c join orders as o on o.customer = c.id;
        create view of_contacts as select id, contact from contacts;
        create view ids as select id from contacts;
        create view swapped as select email as phone, phone as email from customers;
        create view of_swapped as select phone as number from swapped;
        create view not_swapped as select email as number from swapped;
        create view twice as select id, email from customers union all select id, 'nobody' from orders;
        create view ids_of_twice as select id from twice;
        create view addresses_of_twice as select email from twice;
        create view lowered as select id, lower(email) as email from customers;
        create view filtered as select id, email from customers where email <> '';
        create view grouped as select email, count(*) as n from customers group by email;
        create view nested as select id, email from (select * from customers) as c;
        create view listed as select id, email from customers order by lower(email);
        create table addresses (email text);
        create view "a view" as select id, email as "its email" from customers;
        """
    )
    hide = (
        "public.customers.email",
        "public.contacts.contact",
        "public.twice.email",
        "public.lowered.email",
        "public.filtered.email",
        "public.grouped.email",
        "public.nested.email",
        "public.listed.email",
        "public.a view.its email",
        "public.addresses.email",
    )
    site.admin(site.script(hide=hide))

    checked = check(site, tmp_path, *(word for column in hide for word in ("--hide", column)))

    lines = checked.stdout.decode().splitlines()
    left_out = {line.split(": ")[1].partition(" (")[0] for line in lines if line.startswith("left out")}
    assert checked.returncode == 0, lines
    assert site.read("select id, total from contacts") == []
    assert site.read("select id from ids") == []
    assert site.read('select id from "a view"') == [(1,)]
    assert left_out == {
        "public.of_contacts",
        "public.swapped",
        "public.of_swapped",
        "public.twice",
        "public.addresses_of_twice",
        "public.lowered",
        "public.filtered",
        "public.grouped",
        "public.nested",
        "public.listed",
    }


def test_later_tables_of_every_role_that_may_create_some_are_readable(site: Site) -> None:
    group, member, other = (f"{kind}_{site.dbname}" for kind in ("group", "member", "other"))
    site.admin(
        f"""
        create role {group}; create role {member} in role {group}; create role {other};
        grant create, usage on schema public to {group};
        """
    )
    try:
        site.admin(site.script(schemas=["public"], owners=[other]))
        site.admin(f"grant create, usage on schema public to {other}")
        for role in (group, member, other):
            site.admin(f"set role {role}; create table of_{role} (id int)")

        assert site.read(f"select count(*) from of_{group}, of_{member}, of_{other}") == [(0,)]
    finally:
        site.admin(f"drop owned by {group}, {member}, {other}; drop role {member}, {group}, {other}")
