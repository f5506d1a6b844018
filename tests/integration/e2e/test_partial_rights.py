"""Relations that a role may not read are not reported as missing."""

from collections.abc import Callable, Iterator

import psycopg
import pytest

from testing.mcp_server import server_environment
from testing.raw_jsonrpc import RawServer
from tests.integration.e2e.conftest import StartServer

SCHEMA = """
create table visits (id int, tenant text);
insert into visits values (1, 'a'), (2, 'b');
alter table visits enable row level security;
create policy of_tenant on visits using (tenant = 'a');
create table people (id int, name text, salary numeric);
create table plain (id int);
create view pay as select salary from people;
grant select on visits, plain to partial_reader;
create table pays (id int, month int, salary numeric) partition by list (month);
create table pays_1 partition of pays for values in (1);
grant select (id, name) on people to partial_reader;
grant select (id, month) on pays, pays_1 to partial_reader;
"""


@pytest.fixture
def server(new_database: Callable[[], str], start_server: StartServer) -> Iterator[RawServer]:
    """A server whose role may read a table under a policy, and some columns of another."""
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create role partial_reader login password 'reads'")
        connection.execute(SCHEMA.encode())
    info = psycopg.conninfo.conninfo_to_dict(url)
    environment = server_environment(
        database_host=str(info["host"]),
        database_port=str(info["port"]),
        database_dbname=str(info["dbname"]),
        database_user="partial_reader",
        database_password="reads",
    )
    yield start_server(environment)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("drop owned by partial_reader; drop role partial_reader")


def test_a_result_under_row_policies_says_so(server: RawServer) -> None:
    filtered = server.call("execute_sql", sql="select count(*) from visits as v join plain on true")
    whole = server.call("execute_sql", sql="select count(*) from plain")
    full = server.call("search_schema", tables=["visits"], detail="full")

    assert [note for note in filtered.structured["notes"] if "row-level security applies to visits" in note]
    assert "row-level security applies to visits" in filtered.text
    assert whole.structured["notes"] == []
    assert "row-level security: its policies may hide rows" in full.text


def test_a_column_refused_by_grants_names_those_that_may_be_read(server: RawServer) -> None:
    refused = server.call("execute_sql", sql="select * from people")

    assert "permission denied for table people" in refused.text
    assert "the role may read only these columns of people: id, name" in refused.text
    assert "salary" not in refused.text


def test_a_column_of_a_partition_refused_by_grants_names_those_that_may_be_read(server: RawServer) -> None:
    refused = server.call("execute_sql", sql="select salary from pays_1")

    assert "permission denied for table pays_1" in refused.text
    assert "public.pays_1 is a partition of public.pays; query public.pays" in refused.text
    assert "the role may read only these columns of public.pays_1: id, month" in refused.text


def test_a_relation_without_readable_columns_is_refused_without_a_list(server: RawServer) -> None:
    refused = server.call("execute_sql", sql="select * from pay join plain on true")

    assert "permission denied for view pay" in refused.text
    assert "may be read" not in refused.text


def test_the_first_refresh_reports_no_tables_as_added(server: RawServer) -> None:
    first = server.call("refresh_schema")
    second = server.call("refresh_schema")

    assert first.text == "main: read for the first time, 4 tables"
    assert second.text == "main: nothing changed"
