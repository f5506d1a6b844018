"""A database in SQL_ASCII whose names, comments, labels, defaults, checks and rows are in Latin-1."""

import re
from collections.abc import Iterator

import psycopg
import pytest

from pgmcp.catalog.rendering import prompt_line, render_table
from pgmcp.cli.doctor.examination import examine_remote
from pgmcp.cli.doctor.report import Status
from pgmcp.demo.postgres import EmbeddedPostgres
from pgmcp.settings import load_settings
from testing.attack_run import pipeline_to

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


async def test_with_its_client_encoding_everything_is_read_and_can_be_named(database: str) -> None:
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


@pytest.mark.parametrize(("query", "names"), [("", Status.WARN), ("?client_encoding=latin1", None)])
async def test_doctor_examines_it_and_reports_names_that_cannot_be_read(
    database: str, query: str, names: Status | None
) -> None:
    settings = load_settings({"PG_MCP_DATABASE_URL": database + query}, env_file=None)

    findings = [finding async for finding in examine_remote(settings, None)]

    statuses = {finding.check.removeprefix("database main: "): finding.status for finding in findings}
    assert Status.FAIL not in statuses.values()
    assert statuses["catalog"] is Status.OK
    assert statuses.get("names") is names
