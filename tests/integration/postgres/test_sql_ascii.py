"""Databases in encodings other than UTF8: SQL_ASCII with names, comments and rows in Latin-1, and LATIN1."""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from pgmcp.catalog.rendering import prompt_line, render_table
from pgmcp.cli.doctor.examination import examine_remote
from pgmcp.cli.doctor.report import Status
from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.errors import SqlRejectedError
from pgmcp.settings.load import load_settings
from testing.attack_run import pipeline_to
from testing.pgbouncer import PgBouncer, find_pgbouncer
from worker.text_encoding import choose_encoding

pytestmark = pytest.mark.anyio

_OBJECTS = """
create type chaleur as enum ('tiède', 'très chaud', 'froid');
create domain libellé as text check (value <> 'été');
create table cafés (
    numéro int primary key, libellé libellé default 'café', chaleur chaleur, check (libellé <> 'thé')
);
comment on table cafés is 'Les cafés';
comment on column cafés.libellé is 'Le libellé';
create index idée on cafés (libellé) where libellé <> 'é';
create view plus_chauds as select numéro, libellé from cafés where chaleur = 'très chaud';
insert into cafés values (1, 'café crème', 'très chaud'), (2, 'café crème', 'tiède');
create table plain (id int, note text, chaleur chaleur);
insert into plain values (1, 'café', 'très chaud'), (2, 'café', 'froid');
analyze;
"""


@pytest.fixture(scope="module")
def database(cluster: EmbeddedPostgres) -> Iterator[str]:
    with psycopg.connect(cluster.url(), autocommit=True) as admin:
        options = "encoding sql_ascii locale_provider libc locale 'C' template template0"
        admin.execute(f"create database in_ascii {options}".encode())
        try:
            url = cluster.url("in_ascii")
            with psycopg.connect(url, client_encoding="SQL_ASCII", autocommit=True) as connection:
                connection.execute(_OBJECTS.encode("latin-1"))
            yield url
        finally:
            admin.execute("drop database in_ascii with (force)")


async def test_with_the_databases_client_encoding_everything_can_be_read_and_named(database: str) -> None:
    async with pipeline_to(f"{database}?client_encoding=latin1") as pipeline:
        catalog, tables = await pipeline.schema.find_tables("café", database=None, names=[], limit=10)
        cafés = render_table(tables[0], catalog)
        sql = "select numéro, libellé from cafés where libellé = 'café crème' and chaleur = 'très chaud'"
        rows = (await pipeline.execute_sql(sql)).rows
        seen = (await pipeline.execute_sql("select libellé from plus_chauds")).rows

    assert re.sub(" +", " ", cafés).splitlines() == [
        'table "cafés" -- Les cafés; ~2 rows',
        ' "numéro" integer primary key',
        ' "libellé" "libellé" (text) default \'café\'::text holds {café crème} -- Le libellé',
        " chaleur chaleur one of {tiède|très chaud|froid}",
        " CHECK (((\"libellé\")::text <> 'thé'::text))",
        ' index "idée" btree ("libellé") WHERE (("libellé")::text <> \'é\'::text)',
    ]
    assert rows is not None
    assert rows.rows == [[1, "café crème"]]
    assert seen is not None
    assert seen.rows == [["café crème"]]


async def test_without_client_encoding_unreadable_bytes_are_marked(database: str) -> None:
    async with pipeline_to(database) as pipeline:
        catalog, (cafés, plain, *_) = await pipeline.schema.find_tables("", database=None, names=[], limit=10)
        rows = (await pipeline.execute_sql("select id, note, chaleur from plain order by id")).rows

    assert "".join(prompt_line(cafés, catalog)) == (
        '"caf\ufffds"("num\ufffdro" pk, "libell\ufffd" "libell\ufffd" (text) {…} /* Le libell\ufffd */, '
        "chaleur chaleur {froid|…}) -- Les caf\ufffds; ~2 rows"
    )
    assert prompt_line(plain, catalog) == "plain(id int, note {…}, chaleur chaleur {froid|…}) ~2 rows"
    assert rows is not None
    assert rows.rows == [[1, "caf\ufffd", "tr\ufffds chaud"], [2, "caf\ufffd", "froid"]]


@pytest.fixture
def path_of_latin1(database: str) -> Iterator[str]:
    """The database with a search path in Latin-1, which PostgreSQL 18 reports at login."""
    with psycopg.connect(database, client_encoding="SQL_ASCII", autocommit=True) as connection:
        name = database.rpartition("/")[2]
        connection.execute(
            f"""
            create schema "schéma"; create table "schéma".sales as select 1 as id, 'été' as season;
            alter database {name} set search_path = "schéma", public
            """.encode("latin-1")
        )
        yield database
        connection.execute(f"alter database {name} reset search_path".encode())
        connection.execute('drop schema "schéma" cascade'.encode("latin-1"))


@pytest.mark.parametrize(("query", "season"), [("", "\ufffdt\ufffd"), ("?client_encoding=latin1", "été")])
async def test_a_search_path_that_is_invalid_in_utf8_does_not_prevent_the_login(
    path_of_latin1: str, query: str, season: str
) -> None:
    async with pipeline_to(path_of_latin1 + query) as pipeline:
        rows = (await pipeline.execute_sql("select * from plain where id = 1")).rows
        sales = (await pipeline.execute_sql("select season from sales")).rows if query else None

    assert rows is not None
    assert rows.rows == [
        [1, "caf\ufffd" if not query else "café", "tr\ufffds chaud" if not query else "très chaud"]
    ]
    if sales is not None:
        assert sales.rows == [[season]]


@pytest.mark.parametrize(("query", "names"), [("", Status.WARN), ("?client_encoding=latin1", None)])
async def test_doctor_examines_a_sql_ascii_database_and_reports_unreadable_names(
    database: str, query: str, names: Status | None
) -> None:
    settings = load_settings({"PG_MCP_DATABASE_URL": database + query}, env_file=None)

    findings = [finding async for finding in examine_remote(settings, None)]

    statuses = {finding.check.removeprefix("database main: "): finding.status for finding in findings}
    assert Status.FAIL not in statuses.values()
    assert statuses["catalog"] is Status.OK
    assert statuses.get("names") is names


@pytest.fixture(scope="module")
def latin1(cluster: EmbeddedPostgres) -> Iterator[str]:
    """A database in LATIN1, whose path begins with a schema that shadows a function."""
    with psycopg.connect(cluster.url(), autocommit=True) as admin:
        options = "encoding latin1 locale_provider libc locale 'C' template template0"
        admin.execute(f"create database in_latin1 {options}".encode())
        try:
            url = cluster.url("in_latin1")
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(
                    """
                    create schema "schéma";
                    create table "schéma".sales as select 'été' as season;
                    create table log (at text);
                    create function discount() returns int immutable language sql as 'select 5';
                    create function "schéma".discount() returns int language plpgsql as
                        $$ begin insert into public.log values ('struck'); return 5; end $$;
                    alter database in_latin1 set search_path = "schéma", public;
                    """.encode("latin-1")
                )
            yield url
        finally:
            admin.execute("drop database in_latin1 with (force)")


@pytest.mark.parametrize("is_pooled", [False, True])
async def test_a_search_path_beyond_ascii_is_the_one_that_the_guard_knows(
    latin1: str, is_pooled: bool
) -> None:
    with psycopg.connect(latin1) as connection:
        connection.execute("select discount()")
        acted = connection.execute("select at from log").fetchall()
        connection.rollback()

    with ExitStack() as stack:
        url = latin1
        if is_pooled:
            program = find_pgbouncer()
            if program is None:
                pytest.skip("pgbouncer is not installed")
            url = stack.enter_context(PgBouncer(program, latin1, pool_size=2)).url(latin1)
        async with pipeline_to(url) as pipeline:
            with pytest.raises(SqlRejectedError, match=r"discount\(\) is not allowed: it is volatile"):
                await pipeline.execute_sql("select discount()")
            catalog, (sales,) = await pipeline.schema.find_tables("", database=None, names=["sales"], limit=1)
            rows = (await pipeline.execute_sql("select season from sales")).rows

    assert acted == [("struck",)]
    assert prompt_line(sales, catalog) == "sales(season text)"
    assert rows is not None
    assert rows.rows == [["été"]]


@pytest.mark.parametrize(
    ("encoding", "codec", "text", "invalid"),
    [("win1252", "cp1252", "5 € für Käse", b"\x81"), ("euc_jp", "euc_jp", "商品", b"\xfc\xa1")],
)
async def test_a_text_that_utf8_lacks_is_marked_and_the_rest_is_read(
    cluster: EmbeddedPostgres, encoding: str, codec: str, text: str, invalid: bytes
) -> None:
    name = f"in_{encoding}"
    with psycopg.connect(cluster.url(), autocommit=True) as admin:
        options = f"encoding {encoding} locale_provider libc locale 'C' template template0"
        admin.execute(f"create database {name} {options}".encode())
        try:
            with psycopg.connect(cluster.url(name), client_encoding=encoding, autocommit=True) as connection:
                for statement in (
                    b"create table items (id int, label text default 'INVALID')",
                    f"create table texts as select '{text}'::text as label".encode(codec),
                    b"insert into items values (1, 'plain'), (2, 'INVALID')",
                    b"comment on table items is 'INVALID'",
                    f"comment on table texts is '{text}'".encode(codec),
                ):
                    connection.execute(statement.replace(b"INVALID", invalid))
            async with pipeline_to(cluster.url(name)) as pipeline:
                _, (items, texts) = await pipeline.schema.find_tables("", database=None, names=[], limit=2)
                rows = (await pipeline.execute_sql("select label from items order by id")).rows
                found = (await pipeline.execute_sql(f"select label from texts where label = '{text}'")).rows
        finally:
            admin.execute(f"drop database {name} with (force)".encode())

    assert rows is not None
    assert found is not None
    (plain,), (marked,) = rows.rows
    assert (plain, set(str(marked)), set(items.comment)) == ("plain", {"\ufffd"}, {"\ufffd"})
    assert (found.rows, texts.comment) == ([[text]], text)


@contextmanager
def _database_in(cluster: EmbeddedPostgres, encoding: str) -> Iterator[str]:
    name = f"in_{encoding.lower()}"
    with psycopg.connect(cluster.url(), autocommit=True) as admin:
        options = f"encoding {encoding} locale_provider libc locale 'C' template template0"
        admin.execute(f"create database {name} {options}".encode())
        try:
            yield cluster.url(name)
        finally:
            admin.execute(f"drop database {name} with (force)".encode())


@pytest.mark.parametrize(
    ("encoding", "text"),
    [("EUC_JP", "10～20㎡ ①㈱髙－￡"), ("EUC_JIS_2004", "¥100—‾"), ("EUC_KR", "㉾ 가격")],  # noqa: RUF001
)
async def test_characters_that_python_lacks_in_an_encoding_are_read_and_found(
    cluster: EmbeddedPostgres, encoding: str, text: str
) -> None:
    with _database_in(cluster, encoding) as url:
        with psycopg.connect(url, client_encoding="utf8", autocommit=True) as connection:
            for statement in (
                f"create type kind as enum ('{text}')",
                f'create domain "{text}" as text',
                f"create table items (label \"{text}\" default '{text}', kind kind)",
                f"comment on table items is '{text}'",
                f"insert into items values ('{text}', '{text}'), ('other', null)",
            ):
                connection.execute(statement.encode())
        async with pipeline_to(url) as pipeline:
            _, (items,) = await pipeline.schema.find_tables("", database=None, names=[], limit=1)
            sql = f"select label, kind from items where label = '{text}' and kind = '{text}'"
            rows = (await pipeline.execute_sql(sql)).rows
            composite = (await pipeline.execute_sql("select items from items where kind is null")).rows

    assert items.comment == text
    assert rows is not None
    assert rows.rows == [[text, text]]
    assert composite is not None
    assert composite.rows == [["(other,)"]]


async def test_the_name_of_a_type_is_read_in_the_databases_encoding(cluster: EmbeddedPostgres) -> None:
    with _database_in(cluster, "LATIN2") as url:
        with psycopg.connect(url, client_encoding="utf8", autocommit=True) as connection:
            connection.execute("create type barwa as enum ('żółty')".encode())
            connection.execute('create table "łąki" (kolor barwa)'.encode())
            connection.execute("create type odcień as enum ('ciemny')".encode())
        async with pipeline_to(url) as pipeline:
            rows = (await pipeline.execute_sql("select 'żółty'::barwa as kolor, 'ciemny'::odcień as o")).rows

    assert rows is not None
    assert [column.type for column in rows.columns] == ["barwa", '"odcień"']
    assert rows.rows == [["żółty", "ciemny"]]


async def test_statements_with_a_backslash_or_a_tilde_can_be_sent_beside_shift_jis_2004(
    database: str,
) -> None:
    async with pipeline_to(f"{database}?client_encoding=shift_jis_2004") as pipeline:
        rows = (await pipeline.execute_sql(r"select 'C:\dir' as path, '~', 'a' ~ '\w'")).rows

    assert rows is not None
    assert rows.rows == [["C:\\dir", "~", True]]


_ENCODINGS_OF_SERVERS = """
EUC_CN EUC_JP EUC_JIS_2004 EUC_KR ISO_8859_5 ISO_8859_6 ISO_8859_7 ISO_8859_8 KOI8R KOI8U LATIN1 LATIN2 LATIN3
LATIN4 LATIN5 LATIN6 LATIN7 LATIN8 LATIN9 LATIN10 WIN866 WIN874 WIN1250 WIN1251 WIN1252 WIN1253 WIN1254
WIN1255 WIN1256 WIN1257 WIN1258 SHIFT_JIS_2004
"""


@pytest.mark.parametrize("encoding", _ENCODINGS_OF_SERVERS.split())
def test_every_character_is_the_one_that_postgresql_converts_it_to(
    cluster: EmbeddedPostgres, encoding: str
) -> None:
    high = range(0xA1, 0xFF)
    characters = [bytes([byte]) for byte in range(1, 256)]
    if encoding.startswith(("EUC", "SHIFT")):
        leads = range(0x81, 0xFF)
        characters += [bytes([lead, trail]) for lead in leads for trail in range(0x40, 0xFF)]
    if encoding == "EUC_JP":
        characters += [bytes([0x8F, lead, trail]) for lead in high for trail in high]

    with psycopg.connect(cluster.url()) as connection:
        connection.execute(
            """
            create function pg_temp.as_utf8(bytes bytea, encoding name) returns text language plpgsql as $$
            begin return convert_from(bytes, encoding); exception when others then return null; end $$
            """
        )
        converted = connection.execute(
            "select bytes, pg_temp.as_utf8(bytes, %s) from unnest(%s::bytea[]) as bytes",
            (encoding, characters),
        ).fetchall()
    known = choose_encoding("SQL_ASCII", encoding)

    read = [(character, known.decode(character)) for character, text in converted if text is not None]
    assert len(read) > 127
    assert read == [(character, text) for character, text in converted if text is not None]
