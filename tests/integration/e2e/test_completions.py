"""Completions of arguments of prompts and resources."""

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from testing.mcp_server import server_environment
from testing.raw_jsonrpc import RawServer
from tests.integration.e2e.conftest import StartServer

DATABASE = {"type": "ref/resource", "uri": "schema://{database}"}
TABLE = {"type": "ref/resource", "uri": "schema://{database}/{table}"}
QUESTION = {"type": "ref/prompt", "name": "ask_question"}

TABLES = """
CREATE SCHEMA sales;
CREATE TABLE sales.invoices (id int);
CREATE TABLE "Order Items" (id int);
CREATE TABLE orders (id int);
"""


@pytest.fixture(scope="module")
def server(shop_environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawServer]:
    """A server of two databases: it has read the schema of `shop`; `archive` is not reachable."""
    environment = {**shop_environment, "PG_MCP_DATABASES__archive__URL": "postgresql://nobody@127.0.0.1:1/"}
    with RawServer(environment, tmp_path_factory.mktemp("server")) as server:
        server.initialize()
        server.call("search_schema", detail="names", database="shop")
        yield server


def complete(
    server: RawServer, ref: dict[str, str], argument: str, typed: str, **chosen: str
) -> dict[str, Any]:
    reply = server.request(
        "completion/complete",
        ref=ref,
        argument={"name": argument, "value": typed},
        **({"context": {"arguments": chosen}} if chosen else {}),
    )
    completion: dict[str, Any] = reply["result"]["completion"]
    return completion


def test_databases_are_completed_with_the_default_one_first(server: RawServer) -> None:
    assert complete(server, DATABASE, "database", "")["values"] == ["shop", "archive"]
    assert complete(server, DATABASE, "database", "ARC")["values"] == ["archive"]


def test_tables_are_those_of_the_chosen_database(server: RawServer) -> None:
    found = complete(server, TABLE, "table", "order", database="shop")

    assert found["values"][:3] == ["order_items", "order_totals", "orders"]
    assert "public.orders" in found["values"]


def test_without_a_database_tables_of_the_default_one_are_completed(server: RawServer) -> None:
    assert "customers" in complete(server, TABLE, "table", "cust")["values"]


def test_typed_text_may_be_in_the_middle_of_a_name(server: RawServer) -> None:
    assert complete(server, TABLE, "table", "_items", database="shop")["values"][0] == "order_items"


def test_a_completion_does_not_connect_to_an_unused_database(server: RawServer) -> None:
    assert complete(server, TABLE, "table", "", database="archive")["values"] == []
    assert "no new worker" not in server.stderr


@pytest.mark.parametrize("argument", ["sql", "nothing"])
def test_arguments_without_known_values_have_no_completions(argument: str, server: RawServer) -> None:
    assert complete(server, QUESTION, argument, "")["values"] == []


def test_an_unknown_database_has_no_tables(server: RawServer) -> None:
    assert complete(server, TABLE, "table", "", database="nowhere")["values"] == []


def test_a_question_is_completed_to_a_verified_one(server: RawServer) -> None:
    found = complete(server, QUESTION, "question", "how many active")

    assert found["values"] == ["How many active users do we have?"]


def test_a_database_with_a_refused_role_reveals_no_names(
    shop_admin_url: str, start_server: StartServer
) -> None:
    server = start_server(server_environment(shop_admin_url, server_require_readonly_role="true"))
    assert server.call("search_schema").code == "role_refused"

    assert complete(server, TABLE, "table", "")["values"] == []


def test_completed_names_are_quoted_as_sql_needs_it(
    new_database: Callable[[], str], start_server: StartServer
) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(TABLES.encode())
    server = start_server(server_environment(url))
    server.call("search_schema")

    assert complete(server, TABLE, "table", "")["values"] == [
        '"Order Items"',
        "orders",
        "sales.invoices",
        'public."Order Items"',
        "public.orders",
    ]


def test_a_hundred_values_are_shown_and_all_are_counted(
    new_database: Callable[[], str], start_server: StartServer
) -> None:
    url = new_database()
    with psycopg.connect(url, autocommit=True) as connection:
        for number in range(150):
            connection.execute(f"CREATE TABLE part_{number:03} (id int)")
    server = start_server(server_environment(url))
    server.call("search_schema")

    found = complete(server, TABLE, "table", "part_")

    assert len(found["values"]) == 100
    assert found["total"] == 300  # each table is counted twice: with its schema and without
    assert found["hasMore"] is True


def test_the_catalog_of_the_default_database_is_read_for_a_completion(
    shop_environment: dict[str, str], start_server: StartServer
) -> None:
    server = start_server(shop_environment)
    typed = (complete(server, TABLE, "table", "cust")["values"] for _ in range(200))

    assert "customers" in next(found for found in typed if found)
