"""XML on the system's PostgreSQL: the embedded one is built without libxml, so it executes none of this."""

from collections.abc import Iterator

import psycopg
import pytest

from pgmcp.errors import SqlRejectedError
from testing.attack_run import pipeline_to
from testing.tls_postgres import TlsPostgres

pytestmark = pytest.mark.anyio

OBJECTS = """
create table documents (id int primary key, body xml);
insert into documents values
    (1, '<r><i n="1">a</i><i n="2"/></r>'), (2, '<r xmlns:e="u"><e:i n="3">b</e:i></r>');
create table log (at text);
create function strike(int) returns boolean language plpgsql as
    $$ begin insert into log values ('struck'); return true; end $$;
create domain struck_number as int check (strike(value));
create function struck_path() returns text language plpgsql as
    $$ begin insert into log values ('struck'); return '@n'; end $$;
create view striking as select strike(1) as n;
"""
HONEST = (
    "select d.id, i.* from documents as d, xmltable('//i' passing d.body columns n int path '@n' not null,"
    " v text path 'text()' default 'none', whole xml path '.', pos for ordinality) as i order by 1, 2",
    "select x.* from documents as d, xmltable(xmlnamespaces('u' as e), '//e:i' passing by ref d.body"
    " columns n int path '@n', v text) as x where d.id = 2",
    "select (xpath('//i/@n', body))[2]::text, xmlexists('//i' passing body), body is document from documents",
    "select xmlserialize(content xmlelement(name c, xmlattributes(id as k), xmlforest(id as n)) as text)"
    " from documents order by id",
    "select n from documents, lateral xmltable('//i' passing body columns n text path concat('@', 'n')) as t",
    "with t as (select * from xmltable('/a' passing '<a>5</a>' columns n numeric(4, 1) path '.'))"
    " select n * 2 from t",
    "select query_to_xml('select id from documents order by id', true, false, '')",
    "select pg_catalog.query_to_xml($$select id from documents where id = 1;$$, id > 1, false, 'u')"
    " from documents order by id",
    "select query_to_xmlschema('table documents', nulls => true, tableforest => true, targetns => '')",
    "select query_to_xml_and_xmlschema('select id from documents', true, false, '')",
    "select * from ts_stat('select to_tsvector(body::text) from documents', 'd') order by word",
    "select ts_rewrite('a & b'::tsquery, 'select ''a''::tsquery, ''c''::tsquery')",
)
ACTING = (
    "select query_to_xml('select strike(1)', true, false, '')",
    "select query_to_xml('select * from striking', true, false, '')",
    "select query_to_xml('select 5::struck_number', true, false, '')",
    "select query_to_xml('select 1; select strike(1)', true, false, '')",
    "select query_to_xml('select str' || 'ike(1)', true, false, '')",
    "select query_to_xml('select str'\n'ike(1)', true, false, '')",
    r"select query_to_xml(E'select str\x69ke(1)', true, false, '')",
    r"select query_to_xml(U&'select str\0069ke(1)', true, false, '')",
    "select query_to_xml('select strike(1)'::text, true, false, '')",
    "select query_to_xml(query => 'select strike(1)', nulls => true, tableforest => false, targetns => '')",
    "select query_to_xml('select 1', strike(1), false, '')",
    "select query_to_xml('select query_to_xml(''select strike(1)'', true, false, '''')', true, false, '')",
    "select query_to_xml_and_xmlschema('select strike(1)', true, false, '')",
    "select * from ts_stat('select to_tsvector(struck_path())')",
    "select * from ts_stat('select to_tsvector(struck_path())', 'a')",
    "select ('select to_tsvector(struck_path())'::text).ts_stat",
    "select ts_rewrite('a'::tsquery, 'select ''a''::tsquery, (struck_path() || ''b'')::tsquery')",
    "select * from xmltable('/a' passing '<a>5</a>' columns n struck_number path '.')",
    "select * from xmltable('/a' passing '<a/>' columns n struck_number path 'b' default 5)",
    "select i.* from documents, xmltable('//i' passing body columns n public.struck_number path '@n') as i",
    "select * from xmltable('//i' passing ('<i n=\"1\"/>'::xml) columns n text path struck_path())",
    "select * from xmltable(struck_path() passing ('<a/>'::xml) columns n text path '.')",
    "select xmlelement(name a, xmlattributes(struck_path() as b))",
    "select xmlexists(struck_path() passing ('<a/>'::xml))",
)


@pytest.fixture(scope="module")
def url(tls_server: TlsPostgres) -> Iterator[str]:
    with psycopg.connect(tls_server.url("postgres"), autocommit=True) as admin:
        admin.execute("create database with_xml")
        try:
            url = tls_server.url("postgres", dbname="with_xml")
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(OBJECTS.encode())
            yield url
        finally:
            admin.execute("drop database with_xml with (force)")


@pytest.mark.parametrize("sql", HONEST)
async def test_xml_is_read_as_by_psql(sql: str, url: str) -> None:
    with psycopg.connect(url) as connection:
        expected = [[str(cell) for cell in row] for row in connection.execute(sql.encode())]

    async with pipeline_to(url) as pipeline:
        answer = await pipeline.execute_sql(sql)

    assert answer.rows is not None
    assert [[str(cell) for cell in row] for row in answer.rows.rows] == expected
    assert expected


@pytest.mark.parametrize("sql", ACTING)
async def test_xml_that_calls_a_writing_function_is_refused(sql: str, url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(sql.encode())
        acted = connection.execute("select exists (select from log)").fetchone()
        connection.rollback()

    async with pipeline_to(url) as pipeline:
        with pytest.raises(SqlRejectedError):
            await pipeline.execute_sql(sql)

    assert acted == (True,)
