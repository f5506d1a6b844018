"""Notifications of a changed schema, in both protocol eras; only subscribed hosts get them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import psycopg
import pytest
from mcp.server.subscriptions import ResourcesListChanged, ResourceUpdated

from testing.mcp_server import connect, server_environment
from testing.raw_jsonrpc import RawServer

pytestmark = pytest.mark.anyio

UPDATED = "notifications/resources/updated"
LIST_CHANGED = "notifications/resources/list_changed"
INVALID_PARAMS = -32602


@dataclass
class Stock:
    """A database of one table, for a test to change.

    Attributes:
        environment: the environment of a server of this database.
    """

    url: str
    environment: dict[str, str]

    def run(self, statement: str) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.encode())


@pytest.fixture
def stock(new_database: Callable[[], str]) -> Stock:
    url = new_database()
    stock = Stock(url, server_environment(url, database_name="stock"))
    stock.run("CREATE TABLE parts (id int)")
    return stock


def uris(notifications: list[dict[str, Any]]) -> list[str]:
    return [each["uri"] for each in notifications]


def test_a_subscribed_schema_and_table_are_notified_of_a_change_found_by_refresh(
    stock: Stock, folder: Path
) -> None:
    with RawServer(stock.environment, folder) as server:
        server.initialize()
        server.call("search_schema")
        for uri in ("schema://stock", "schema://stock/parts", "schema://stock/public.parts"):
            assert server.request("resources/subscribe", uri=uri)["result"] == {}
        stock.run("ALTER TABLE parts ADD COLUMN name text")

        server.call("refresh_schema")

        assert uris(server.wait_for_notifications(UPDATED, 3)) == [
            "schema://stock",
            "schema://stock/parts",
            "schema://stock/public.parts",
        ]


def test_a_change_found_by_another_call_is_notified_too(stock: Stock, folder: Path) -> None:
    with RawServer(stock.environment, folder) as server:
        server.initialize()
        server.call("search_schema")
        server.request("resources/subscribe", uri="schema://stock")
        stock.run("ALTER TABLE parts RENAME TO pieces")

        assert server.call("execute_sql", sql="select * from parts").is_error

        assert uris(server.wait_for_notifications(UPDATED)) == ["schema://stock"]


def test_unchanged_or_unsubscribed_resources_cause_no_notification(stock: Stock, folder: Path) -> None:
    stock.run("CREATE TABLE shelves (id int)")
    with RawServer(stock.environment, folder) as server:
        server.initialize()
        server.call("search_schema")
        server.request("resources/subscribe", uri="schema://stock/shelves")
        server.request("resources/subscribe", uri="schema://stock")
        server.request("resources/unsubscribe", uri="schema://stock")
        stock.run("ALTER TABLE parts ADD COLUMN name text")

        server.call("refresh_schema")
        server.call("refresh_schema")
        stock.run("COMMENT ON TABLE shelves IS 'where parts lie'")
        server.call("refresh_schema")

        assert uris(server.wait_for_notifications(UPDATED)) == ["schema://stock/shelves"]


def test_a_host_that_neither_subscribed_nor_listed_gets_no_notification(stock: Stock, folder: Path) -> None:
    with RawServer(stock.environment, folder) as server:
        server.initialize()
        server.call("search_schema")
        stock.run("CREATE TABLE shelves (id int)")
        server.call("refresh_schema")
        server.request("ping")

        assert server.notifications(UPDATED) == []
        assert server.notifications(LIST_CHANGED) == []


def test_a_host_that_read_the_list_is_notified_when_it_changes(stock: Stock, folder: Path) -> None:
    with RawServer(stock.environment, folder) as server:
        server.initialize()
        before = listed(server)
        server.call("search_schema")
        server.wait_for_notifications(LIST_CHANGED)
        with_tables = listed(server)
        stock.run("ALTER TABLE parts ADD COLUMN name text")
        server.call("refresh_schema")  # a new column does not change the list
        stock.run("CREATE TABLE shelves (id int)")
        server.call("refresh_schema")

        assert len(server.wait_for_notifications(LIST_CHANGED, 2)) == 2
        assert "schema://stock/parts" not in before
        assert "schema://stock/parts" in with_tables
        assert "schema://stock/shelves" in listed(server)


def listed(server: RawServer) -> list[str]:
    return uris(server.request("resources/list")["result"]["resources"])


async def test_a_stateless_stream_sends_the_subscribed_changes(stock: Stock, folder: Path) -> None:
    with anyio.fail_after(30):
        async with connect(stock.environment, folder) as client:
            await client.call_tool("search_schema", {})
            async with client.listen(
                tools_list_changed=True,
                resources_list_changed=True,
                resource_subscriptions=["schema://stock/public.parts"],
            ) as stream:
                stock.run("ALTER TABLE parts ADD COLUMN name text")
                await client.call_tool("refresh_schema", {})
                updated = await anext(stream)
                stock.run("CREATE TABLE shelves (id int)")
                await client.call_tool("refresh_schema", {})
                listed = await anext(stream)

    assert updated == ResourceUpdated("schema://stock/public.parts")
    assert listed == ResourcesListChanged()
    assert stream.honored.tools_list_changed is True


def test_without_a_stream_a_stateless_host_gets_no_notification(stock: Stock, folder: Path) -> None:
    with RawServer(stock.environment, folder) as server:
        server.discover()
        server.request("resources/list")
        server.call("search_schema")
        stock.run("CREATE TABLE shelves (id int)")
        server.call("refresh_schema")
        server.request("resources/list")

        assert server.notifications(UPDATED) == server.notifications(LIST_CHANGED) == []


def test_subscriptions_are_bounded(stock: Stock, folder: Path) -> None:
    with RawServer(stock.environment, folder) as server:
        server.initialize()
        for number in range(1_000):
            server.request("resources/subscribe", uri=f"schema://stock/table_{number}")

        refused = server.request("resources/subscribe", uri="schema://stock/one_more")
        too_long = server.request("resources/subscribe", uri=f"schema://stock/{'x' * 1_000_000}")

        assert refused["error"]["code"] == too_long["error"]["code"] == INVALID_PARAMS
        assert len(str(too_long)) < 2_500
