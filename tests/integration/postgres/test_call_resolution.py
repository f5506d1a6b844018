"""pgmcp resolves names as the server does. The server's own choice is the expected value."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import anyio
import psycopg
import pytest
from psycopg.sql import Identifier, Literal

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import FunctionPolicy, validate
from tests.integration.postgres.test_hardened_catalog import TOGETHER, Hardened
from tests.integration.postgres.test_policy_reader import execute, passes, reader

pytestmark = pytest.mark.anyio

_DATA = Path(__file__).parents[2] / "data" / "names"
_PATH = "set search_path = shop, public"
_OVERLOADS = {
    "pick_a": ["text", "int"],
    "pick_b": ["bigint", "numeric"],
    "pick_c": ["float8", "text", "boolean"],
    "pick_d": ["citext", "mood"],
    "pick_e": ["anyelement", "text"],
    "pick_f": ["varchar", "int[]", "date"],
    "pick_g": ["name", "anyarray", "real"],
    "pick_h": ["things", "text", "timestamptz"],
    "pick_i": ["code", "mood", "numeric"],
    "pick_j": ["int, text", "bigint, bigint", "text, text"],
    "pick_k": ["numeric, int", "float8, float8", "int, anyelement"],
    "pick_l": ["int, int default 1", "text"],
    "pick_m": ["variadic int[]", "text, int", "int, text, int"],
    "lower": ["citext", "mood", "int"],
    "abs": ["text", "int, int"],
}
_READER = "pg_read_all_data"
_FROM_PEOPLE = {"arguments", "queries", "records"}


@pytest.fixture(scope="module")
def database(module_database: str) -> str:
    execute(module_database, (_DATA / "objects.sql").read_text("utf-8"))
    for name, signatures in _OVERLOADS.items():
        for signature in signatures:
            execute(
                module_database,
                f"create function public.{name}({signature}) returns text language sql immutable "
                f"as $$ select '{signature}' $$",
            )
    return module_database


def _lines(name: str) -> list[str]:
    return (_DATA / name).read_text("utf-8").splitlines()


def _set_up(connection: psycopg.Connection, name: str) -> None:
    """Run the SQL file of that name; if it extends the tables of `people.sql`, run that file first."""
    for file in ("people", name) if name in _FROM_PEOPLE else (name,):
        connection.execute((_DATA / f"{file}.sql").read_text("utf-8").encode())


def _choices(url: str, name: str) -> dict[str, str]:
    """Return the overload that the server chooses for each valid call; "" for a built-in function."""
    choices = {}
    with psycopg.connect(url, autocommit=True) as connection:
        for written in _lines("argument_lists.txt"):
            call = f"select {name}({written}) from things as t"
            try:
                (row,) = connection.execute(call.encode()).fetchall()
            except psycopg.Error:
                continue
            choices[call] = row[0] if row[0] in _OVERLOADS[name] else ""
    return choices


async def _policy_with_volatile(url: str, place: int) -> tuple[FunctionPolicy, dict[str, str]]:
    """Make one overload of each function volatile; return the policy and the signatures of these overloads.

    The overloads are immutable again at the end.
    """
    chosen = {name: signatures[place] for name, signatures in _OVERLOADS.items() if place < len(signatures)}
    types = [
        f"{name}({signature.removeprefix('variadic ').replace(' default 1', '')})"
        for name, signature in chosen.items()
    ]
    execute(url, "; ".join(f"alter function {each} volatile set lock_timeout = '1s'" for each in types))
    policy = await reader(url).read()
    execute(url, "; ".join(f"alter function {each} immutable" for each in types))
    return policy, chosen


@pytest.mark.parametrize("place", range(3))
async def test_only_the_overload_that_the_server_chooses_counts(database: str, place: int) -> None:
    policy, volatile = await _policy_with_volatile(database, place)
    choices_by_name = {name: await anyio.to_thread.run_sync(_choices, database, name) for name in volatile}

    wrong = [
        (call, choice, volatile[name])
        for name, choices in choices_by_name.items()
        for call, choice in choices.items()
        if passes(call, policy) is (choice == volatile[name])
    ]

    assert wrong == []
    assert all(len(set(choices.values())) > 1 for choices in choices_by_name.values())


async def test_an_expression_that_cannot_call_a_refused_function_passes(database: str) -> None:
    policy = await reader(database, setting=_PATH).read()
    with psycopg.connect(database) as connection:
        connection.execute(_PATH.encode())
        rows = {sql: str(connection.execute(sql.encode()).fetchall()) for sql in _lines("honest.sql")}

    assert [sql for sql, shown in rows.items() if "called" in shown] == []
    assert [sql for sql in rows if not passes(sql, policy)] == []


async def test_an_expression_that_may_call_a_refused_function_is_refused(database: str) -> None:
    policy = await reader(database, setting=_PATH).read()

    assert [sql for sql in _lines("attacks.sql") if passes(sql, policy)] == []


async def test_the_operator_of_order_by_using_is_chosen_by_the_type_of_its_argument(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    execute(url, (_DATA / "sorting.sql").read_text("utf-8"))
    policy = await reader(url).read()
    attacks, honest = _lines("sorting_attacks.sql"), _lines("sorting_honest.sql")
    with psycopg.connect(url) as connection:
        acting = [sql for sql in attacks + honest if _strikes(connection, sql)]

    assert acting == attacks
    assert [sql for sql in attacks if passes(sql, policy)] == []
    assert [sql for sql in honest if not passes(sql, policy)] == []


def _strikes(connection: psycopg.Connection, sql: str) -> bool:
    connection.execute(sql.encode())
    (count,) = connection.execute("select count(*) from struck").fetchone() or (0,)
    connection.rollback()
    return bool(count)


async def test_operators_that_are_not_written_are_chosen_by_the_types_of_their_operands(
    database: str,
) -> None:
    path = "set search_path = shop, public, hidden"
    policy = await reader(database, setting=path).read()
    with psycopg.connect(database) as connection:
        connection.execute(path.encode())
        for sql in _lines("operators_honest.sql"):
            connection.execute(sql.encode())  # a forbidden function would raise an error

    assert [sql for sql in _lines("operators_honest.sql") if not passes(sql, policy)] == []
    assert [sql for sql in _lines("operators_attacks.sql") if passes(sql, policy)] == []


@pytest.mark.parametrize(
    ("path", "sql", "is_accepted"),
    [
        ("early, pg_catalog, public", "select md5('a')", False),
        ("early, public", "select md5('a')", True),
        ("shop, public", "select shop.calls_helper()", True),
        ("hidden, shop, public", "select shop.calls_helper()", False),
        ("public", "select p.status from shop.plain p", True),
        ("public, shop, pg_catalog", "select upper('a')", False),
    ],
)
async def test_the_order_of_the_search_path_decides(
    database: str, path: str, sql: str, is_accepted: bool
) -> None:
    policy = await reader(database, setting=f"set search_path = {path}").read()

    assert passes(sql, policy) is is_accepted


async def test_a_column_of_a_table_in_a_schema_that_the_role_may_not_use_is_not_relied_on(
    database: str,
) -> None:
    role = f"r{uuid4().hex[:8]}"
    rights = f"grant usage on schema shop to {role}; grant select on shop.parcels to {role}"
    execute(database, f"create role {role}; {rights}")
    try:
        with psycopg.connect(database) as connection:
            connection.execute(f"set role {role}".encode())
            rows = connection.execute(b"select shop.reads_parcels(), shop.reads_own_parcels()").fetchall()
        policy = await reader(database, role=role, setting=_PATH).read()
    finally:
        execute(database, f"drop owned by {role}; drop role {role}")

    assert rows == [("called", 1)]
    assert not passes("select shop.reads_parcels()", policy)
    assert passes("select shop.reads_own_parcels()", policy)


@pytest.mark.parametrize(
    ("change", "sql", "is_accepted"),
    [
        ("alter table shop.plain add status text", "select p.status from plain p", True),
        ("alter table shop.plain drop status", "select p.status from plain p", False),
        ("create table shop.changed (state int)", "select big(state) from changed", False),
        ("alter table shop.changed alter state type numeric", "select big(c.state) from changed c", True),
        ("create table early.changed (id int)", "select status from early.changed", True),
        ("create type early.int8 as enum ('a')", "select big(1::int8)", False),
    ],
)
async def test_a_change_of_columns_or_types_gives_a_new_policy(
    database: str, change: str, sql: str, is_accepted: bool
) -> None:
    policies = reader(database, setting=_PATH)
    await policies.read()
    execute(database, change)

    assert passes(sql, await policies.read()) is is_accepted


async def test_a_condition_with_an_operator_of_the_database_leaves_out_no_secrets(database: str) -> None:
    execute(
        database,
        """
        create function early.same(name, name) returns bool language sql immutable as 'select true';
        create operator early.= (function = early.same, leftarg = name, rightarg = name);
        create function shop.shown() returns text language sql stable
            as $$ select max(histogram_bounds::text) from pg_stats where tablename = 'customers' $$;
        """,
    )
    sql = "select histogram_bounds from pg_stats where tablename = 'customers'"

    usual = await reader(database, setting=_PATH).read()
    early = await reader(database, setting="set search_path = early, pg_catalog").read()

    assert passes(sql, usual)
    assert not passes(sql, early)
    assert not passes("select shop.shown()", usual)


@pytest.mark.parametrize(
    ("name", "setting"),
    [
        ("rows", ""),
        ("queries", ""),
        ("overloads", ""),
        ("literals", ""),
        ("arguments", "set search_path = early, public"),
    ],
)
async def test_a_statement_is_refused_if_and_only_if_the_server_calls_a_function_that_counts(
    new_database: Callable[[], str], name: str, setting: str
) -> None:
    url = new_database()
    statements = [*_lines(f"{name}_attacks.sql"), *_lines(f"{name}_honest.sql")]
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        _set_up(connection, name)
        connection.execute(setting.encode())
        acting = {each for each in statements if _counts(connection, each)}

    policy = await reader(url, setting=setting).read()
    for_reader = await reader(url, setting=setting, role=_READER).read()
    with Hardened(url).without(TOGETHER):
        on_hardened = await reader(url, setting=setting, role=_READER).read()

    assert acting == set(_lines(f"{name}_attacks.sql"))
    assert {each for each in statements if not passes(each, policy)} == acting
    assert {each for each in statements if not passes(each, for_reader)} == acting
    assert [each for each in acting if passes(each, on_hardened)] == []


async def test_the_refusal_of_an_uncertain_call_names_a_rewrite_that_passes(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    execute(url, (_DATA / "rows.sql").read_text("utf-8"))

    policy = await reader(url).read()

    for sql, message, hint, corrected in _UNCERTAIN_CALLS:
        with pytest.raises(SqlRejectedError) as refusal:
            validate(sql, functions=policy)
        assert message in str(refusal.value)
        assert hint in str(refusal.value.hint)
        assert passes(corrected, policy)


_ROW = "from (select row(1, 2) as r) u"  # its fields have names and types, but no declared ones
_UNCERTAIN_CALLS = [
    (
        f"select (r).f1 + 1 {_ROW}",
        "operator + is not allowed: the type of (r).f1 is not known, so it could be public.+(mood, integer)",
        "CAST((r).f1 AS …) with the right type, or write OPERATOR(pg_catalog.+)",
        f"select CAST((r).f1 AS int) + 1, (r).f1 OPERATOR(pg_catalog.+) 1 {_ROW}",
    ),
    (
        f"select round((r).f1, 1) {_ROW}",
        "function round() is not allowed: the type of (r).f1 is not known, so it could be public.round(mood, "
        "integer), and it is volatile",
        "CAST((r).f1 AS …) with the right type, or write pg_catalog.round()",
        f"select round(CAST((r).f1 AS int), 1), pg_catalog.round((r).f1, 1) {_ROW}",
    ),
    (
        f"select (r).f1 in (1, 2), case (r).f1 when 1 then 2 end {_ROW}",
        "operator = is not allowed: the type of (r).f1 is not known, so it could be public.=(mood, integer)",
        "write CAST((r).f1 AS …) with the right type",
        f"select CAST((r).f1 AS int) in (1, 2), case CAST((r).f1 AS int) when 1 then 2 end {_ROW}",
    ),
    (
        f"select label3((select (r).f1 {_ROW}))",
        "the type of argument 1 is not known, so it could be public.label3(integer)",
        "write each value with a cast to its type",
        f"select label3(CAST((select (r).f1 {_ROW}) as text))",
    ),
    (
        f"select 1 from people p natural join (select (r).f1 {_ROW}) q(mood)",
        "the type of the right operand is not known",
        "write each value with a cast to its type",
        f"select 1 from people p join (select (r).f1 {_ROW}) q(m) on p.mood::text = CAST(q.m as text)",
    ),
    (
        f"select label4(n => (r).f1) {_ROW}",
        "the type of (r).f1 is not known, so it could be public.label4(integer)",
        "write CAST((r).f1 AS …) with the right type",
        f"select label4(n => CAST((r).f1 AS text)) {_ROW}",
    ),
    (
        "select (p).status from people q, generate_series(1, 2) p",
        "p is not known to have a column status, so it could be public.status(integer)",
        "check the name status",
        "select q.status from people q, generate_series(1, 2) p",
    ),
]


@pytest.mark.parametrize("name", ["bodies", "records"])
async def test_the_names_in_a_body_are_resolved_by_the_types_of_their_arguments(
    new_database: Callable[[], str], name: str
) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        _set_up(connection, name)
        named = connection.execute(
            "select 'select * from ' || proname || '()' from pg_proc where proname ~ '^(acting|honest)_' "
            "union all select 'select * from ' || relname from pg_class where relname ~ '^(acting|honest)_'"
        )
        statements = [str(sql) for (sql,) in named.fetchall()]
        acting = {each for each in statements if _counts(connection, each)}

    policy = await reader(url).read()
    for_reader = await reader(url, role=_READER).read()

    assert acting == {each for each in statements if each.startswith("select * from acting_")}
    assert {each for each in statements if not passes(each, policy)} == acting
    assert {each for each in statements if not passes(each, for_reader)} == acting


_RASTERS = """
create type raster;
create function raster_in(cstring) returns raster language internal immutable strict as 'byteain';
create function raster_out(raster) returns cstring language internal immutable strict as 'byteaout';
create type raster (input = raster_in, output = raster_out, internallength = variable);
create sequence calls;
create table tiles (id int, label text, rast raster);
insert into tiles values (1, 'tiles', '');
create domain tile as raster;
create table others (rast text);
create function st_valuecount(raster, int default 1, bool default true, float8[] default null,
    out value float8, out count int) returns setof record language sql stable as 'select 1.0, 1';
create function st_valuecount(raster, float8, float8 default 0) returns int language sql stable
    as 'select 1';
create function st_valuecount(text, text, int default 1, bool default true, float8[] default null,
    out value float8, out count int) returns setof record language sql stable
    as 'select nextval(''calls''), 1';
create function st_valuecount(text, text, float8) returns int language sql stable
    as 'select nextval(''calls'')::int';
create function st_setsrid(raster, int) returns raster language sql immutable as 'select $1';
alter extension vector add function st_valuecount(raster, int, bool, float8[]);
alter extension vector add function st_valuecount(raster, float8, float8);
alter extension vector add function st_valuecount(text, text, int, bool, float8[]);
alter extension vector add function st_valuecount(text, text, float8);
create view honest_tiles as select c.count from tiles, st_valuecount(rast, 1) as c;
create view acting_tiles as select c.count from tiles, st_valuecount(label, 'rast', 1) as c;
create function honest_count() returns int language sql stable
    as 'select st_valuecount(t.rast, 1, 3.0) from tiles t';
create function acting_count() returns int language sql stable
    as 'select st_valuecount(t.label, ''rast'', 3.0) from tiles t';
"""
_HONEST_RASTERS = [
    "select st_valuecount(rast, 1) from tiles",
    "select st_valuecount(rast, 2, 3.0) from tiles",
    "select t.id, (st_valuecount(t.rast, 1, true, '{1,2}')).* from tiles t",
    "select c.value, c.count from tiles t, st_valuecount(t.rast, 1) c",
    "select st_valuecount(st_setsrid(t.rast, 4326), 1) from tiles t",
    "select st_valuecount(rast::tile, 1) from tiles",
    "select st_valuecount(s.r, 1) from (select rast as r from tiles) s",
    "select (t.rast).st_valuecount from tiles t",
    "select * from honest_tiles",
    "select honest_count()",
]
_ACTING_RASTERS = [
    "select st_valuecount('tiles', 'rast')",
    "select st_valuecount('tiles', 'rast', 1, true, '{1,2}')",
    "select * from st_valuecount('tiles', 'rast', 1)",
    "select st_valuecount(label, 'rast', 3.0) from tiles",
    "select st_valuecount(t.label || '', 'rast'::varchar) from tiles t",
    "select public.st_valuecount('tiles', 'rast', 3.0)",
    "select st_valuecount(x, 'rast') from (values ('tiles')) v(x)",
    "select st_valuecount(l, 'rast') from (select label as l from tiles) s",
    "select * from acting_tiles",
    "select acting_count()",
]


async def test_a_function_of_an_extension_is_refused_for_the_types_that_name_a_table(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute(b"create extension vector")
        connection.execute(_RASTERS.encode())
        acting = {each for each in _HONEST_RASTERS + _ACTING_RASTERS if _counts(connection, each)}

    policy = await reader(url).read()

    assert acting == set(_ACTING_RASTERS)
    assert {each for each in _HONEST_RASTERS + _ACTING_RASTERS if not passes(each, policy)} == acting
    assert not passes("select st_valuecount(rast, 1) from tiles", FunctionPolicy())


def _counts(connection: psycopg.Connection, sql: str) -> bool:
    """Return whether a statement calls a function that counts its calls."""
    counter = b"select last_value, is_called from calls"
    before = connection.execute(counter).fetchone()
    connection.execute(sql.encode())
    return connection.execute(counter).fetchone() != before


async def test_operators_in_the_bodies_of_postgresqls_own_functions_are_resolved_in_version_13(
    oldest_url: str,
) -> None:
    attacks, honest = _lines("text_bodies_attacks.sql"), _lines("text_bodies_honest.sql")
    url = f"{oldest_url.removesuffix('postgres')}text_bodies"
    execute(oldest_url, "create database text_bodies")
    execute(url, (_DATA / "text_bodies.sql").read_text("utf-8"))
    execute(oldest_url, "alter database text_bodies set search_path = early, pg_catalog, public")
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        acting = [each for each in attacks + honest if _counts(connection, each)]

    policy = await reader(url).read()

    assert acting == attacks
    assert [each for each in attacks + honest if not passes(each, policy)] == attacks


async def test_operators_in_stored_bodies_of_postgresqls_own_functions_are_known(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    statements = _lines("text_bodies_attacks.sql")[4:-4] + _lines("text_bodies_honest.sql")
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        connection.execute((_DATA / "text_bodies.sql").read_text("utf-8").encode())
        connection.execute(b"set search_path = early, pg_catalog, public")
        acting = [each for each in statements if _counts(connection, each)]

    policy = await reader(url, setting="set search_path = early, pg_catalog, public").read()

    assert acting == []
    assert [each for each in statements if not passes(each, policy)] == []


async def test_a_refusal_names_the_operator_in_the_body_of_a_function_of_postgresql(oldest_url: str) -> None:
    url = f"{oldest_url.removesuffix('postgres')}refused_bodies"
    execute(oldest_url, "create database refused_bodies")
    execute(url, (_DATA / "text_bodies.sql").read_text("utf-8"))
    policy = await reader(url).read()

    with pytest.raises(
        SqlRejectedError, match=r"obj_description\(\) .* uses public\.is_equal|public\.counted"
    ):
        validate("select obj_description(1259, 'pg_class')", functions=policy)


_RULES = """
create sequence calls;
create schema early;
create function early.is_equal({type}, {type}) returns boolean language plpgsql as
    'begin perform nextval(''public.calls''); return true; end';
create operator early.= (leftarg = {type}, rightarg = {type}, function = early.is_equal);
create table people (id int primary key);
create rule noted as on insert to people do also select 1;
create view shown as select id from people;
create materialized view stored as select id from people;
create view definitions as select definition from pg_views;
create view views as select * from information_schema.views;
create function definition_of(oid) returns text language sql stable as 'select pg_get_viewdef($1)';
create function in_plpgsql(oid) returns text language plpgsql as
    'begin return pg_catalog.pg_get_ruledef($1); end';
create function on_own_path(oid) returns text language sql stable set search_path = pg_catalog, early
    as 'select pg_get_viewdef($1)';
create operator @@@@ (rightarg = oid, function = pg_get_viewdef);
"""
_READS_OF_RULES = [
    "select pg_get_viewdef('public.shown'::regclass)",
    "select pg_get_viewdef('public.shown', true)",
    "select pg_catalog.pg_get_viewdef('public.shown'::regclass, 30)",
    "select (oid).pg_get_viewdef from pg_class where relname ~ '^shown$'",
    "select pg_get_ruledef(oid) from pg_rewrite where rulename ~ '^noted$'",
    "select * from pg_views",
    "select definition from pg_matviews",
    "select * from pg_rules",
    "select view_definition from information_schema.views",
    "select * from definitions",
    "select * from views",
    "select definition_of('shown'::regclass)",
    "select in_plpgsql(oid) from pg_rewrite where rulename ~ '^noted$'",
    "select @@@@ 'shown'::regclass::oid",
]
_OTHER_READS = [
    "select on_own_path('shown'::regclass)",
    "select table_name from information_schema.tables",
    "select table_name from information_schema.view_table_usage",
    "select pg_get_constraintdef(oid), pg_get_functiondef('in_plpgsql'::regproc) from pg_constraint",
]


@pytest.mark.parametrize("server", ["cluster", "tls_server", "oldest_url"])
async def test_operators_in_the_queries_of_postgresqls_own_functions_are_resolved(
    request: pytest.FixtureRequest, server: str
) -> None:
    found = request.getfixturevalue(server)
    admin = found if isinstance(found, str) else found.url("postgres")
    for type_name in ("oid", "name"):  # only views are looked up by the name of their rule
        statements = [each for each in _READS_OF_RULES if type_name == "oid" or "rule" not in each]
        database = f"rules_{uuid4().hex}"
        execute(admin, f"create database {database}")
        url = f"{admin.removesuffix('postgres')}{database}"
        execute(url, _RULES.format(type=type_name))
        for path in ("early, pg_catalog, public", "pg_catalog, early, public"):
            execute(admin, f"alter database {database} set search_path = {path}")
            expected = statements if path.startswith("early") else []
            await _check_refusals(url, [*statements, *_OTHER_READS], expected)
        execute(admin, f"drop database {database} with (force)")


async def _check_refusals(url: str, statements: list[str], expected: list[str]) -> None:
    """Check that exactly these statements act, and that exactly these are refused."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        assert [each for each in statements if _counts(connection, each)] == expected

    policy = await reader(url).read()

    assert [each for each in statements if not passes(each, policy)] == expected


_OWN_PATHS = {
    "a--b, pg_catalog": "a--b",  # reading it as SQL finds a comment
    "a=b, pg_catalog": "a=b",
    "\u212a, pg_catalog": "\u212a",  # the Kelvin sign; Python makes an ASCII `k` of it
    "\u00c4, pg_catalog": "\u00c4",
    'AbC , "pg_catalog"': "abc",
    '"Ab""C",pg_catalog': 'Ab"C',
    "x" * 70 + ", pg_catalog": "x" * 63,
    "\u00e4" * 32 + ", pg_catalog": "\u00e4" * 31,
    "sales, pg_catalog": "",
    "pg_catalog, a--b": "",
    "": "",
}
"""Values of search_path, and the schema that comes before pg_catalog and has a function that counts calls."""


@pytest.mark.parametrize("server", ["cluster", "tls_server", "oldest_url"])
async def test_a_functions_own_search_path_is_read_as_the_server_reads_it(
    request: pytest.FixtureRequest, server: str
) -> None:
    found = request.getfixturevalue(server)
    admin = found if isinstance(found, str) else found.url("postgres")
    database = f"paths_{uuid4().hex}"
    execute(admin, f"create database {database} encoding 'UTF8' template template0")
    url = f"{admin.removesuffix('postgres')}{database}"
    execute(url, "create sequence calls; create schema a; create schema k; create schema sales")
    for schema in set(filter(None, _OWN_PATHS.values())):
        name = Identifier(schema).as_string()
        execute(
            url,
            f"""
            create schema {name};
            create function {name}.lower(text) returns text language plpgsql as
                'begin perform nextval(''public.calls''); return $1; end'""",
        )
    for number, path in enumerate(_OWN_PATHS):
        execute(
            url,
            f"""
            select set_config('search_path', {Literal(path).as_string()}, false);
            create function public.f{number}() returns text language sql stable set search_path from current
                as $$ select lower('A') $$""",
        )
    statements = [f"select public.f{number}()" for number, _ in enumerate(_OWN_PATHS)]
    expected = [sql for sql, schema in zip(statements, _OWN_PATHS.values(), strict=True) if schema]

    await _check_refusals(url, statements, expected)
    execute(admin, f"drop database {database} with (force)")


_EXTENSION = """
create sequence calls;
create schema geo;
create extension vector schema geo;
create function geo.half(float8) returns float8 language sql immutable as 'select $1 / 2';
create function geo.twice(float8) returns float8 language sql immutable as 'select 2 * $1';
create function geo.area(float8) returns float8 language sql immutable
    as 'select geo.twice($1) * geo.half($1)';
create function geo.label(int) returns text language plpgsql stable
    as $$ declare n int := $1; begin if n < 0 then return spelled(-n); end if; return spelled(n); end $$;
create function geo.spelled(bigint) returns text language sql immutable as 'select $1::text';
create function geo.add_twice(float8, float8) returns float8 language sql immutable as 'select $1 + 2 * $2';
create aggregate geo.sum_of_twice(float8) (sfunc = geo.add_twice, stype = float8, initcond = '0');
create aggregate geo.sum_of_half(float8) (sfunc = float8pl, finalfunc = geo.half, stype = float8);
create function geo.logged(int) returns int language plpgsql as 'begin return $1; end';
create function geo.quiet(int) returns int language sql immutable as 'select geo.logged($1)';
create function geo.on_path(float8) returns float8 language sql immutable set search_path = pg_catalog, geo
    as 'select 2 * $1';
alter extension vector add function geo.half(float8);
alter extension vector add function geo.add_twice(float8, float8);
alter extension vector add aggregate geo.sum_of_twice(float8);
alter extension vector add aggregate geo.sum_of_half(float8);
create aggregate sum_of_more(float8) (sfunc = geo.add_twice, stype = float8, initcond = '0');
create function own_sum() returns float8 language sql
    as 'select geo.sum_of_twice(x) from (values (1.5)) v(x)';
alter extension vector add function geo.twice(float8);
alter extension vector add function geo.area(float8);
alter extension vector add function geo.label(int);
alter extension vector add function geo.spelled(bigint);
alter extension vector add function geo.logged(int);
alter extension vector add function geo.quiet(int);
alter extension vector add function geo.on_path(float8);
create function counted() returns boolean language plpgsql
    as 'begin perform nextval(''public.calls''); return true; end';
create function times(int, float8) returns float8 language sql as 'select counted()::int::float8';
create operator * (leftarg = int, rightarg = float8, function = times);
create function spelled(int) returns text language sql as 'select counted()::text';
create function own_area(float8) returns float8 language sql stable as 'select geo.area($1)';
create view areas as select geo.area(1.5) as area;
alter database {database} set search_path = public, geo;
"""
_HONEST_BODIES = [
    "select half(1.5), geo.half(2)",
    "select on_path(1.5)",
    "select quiet(5)",
    "select sum_of_half(x) from (values (1.5::float8)) v(x)",
    "select 2 * 3, 1.5::float8 * 2.5::float8",
]
_ACTING_BODIES = [
    "select twice(1.5)",
    "select geo.twice(1.5)",
    "select area(1.5)",
    "select label(5)",
    "select own_area(1.5)",
    "select * from areas",
    "select sum_of_twice(x) from (values (1.5::float8)) v(x)",
    "select sum_of_more(x) from (values (1.5::float8)) v(x)",
    "select own_sum()",
    "select 2 * 1.5::float8",
]


async def test_objects_of_the_database_that_an_extensions_body_calls_are_found(
    new_database: Callable[[], str],
) -> None:
    url = new_database()
    execute(url, _EXTENSION.replace("{database}", url.rpartition("/")[2]))
    with psycopg.connect(url, autocommit=True, prepare_threshold=None) as connection:
        acting = [each for each in _HONEST_BODIES + _ACTING_BODIES if _counts(connection, each)]

    policy = await reader(url).read()

    assert acting == _ACTING_BODIES
    assert [each for each in _HONEST_BODIES + _ACTING_BODIES if not passes(each, policy)] == acting
    assert not passes("select logged(5)", policy)
