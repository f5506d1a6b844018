"""Warnings that hosts can show: which ones, from which level, and only on request in 2026-07-28."""

from pathlib import Path
from typing import Any

import pytest

from testing.mcp_server import server_environment
from testing.raw_jsonrpc import RawServer

MESSAGE = "notifications/message"
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
ASKING: dict[str, Any] = {"_meta": {"io.modelcontextprotocol/logLevel": "warning"}}


@pytest.fixture
def careless(shop_admin_url: str) -> dict[str, str]:
    """A server with two reasons for warnings: its role is a superuser, and transactions are not read-only."""
    return server_environment(shop_admin_url, database_name="shop", server_use_readonly_transactions="false")


def texts(messages: list[dict[str, Any]]) -> str:
    return "\n".join(each["data"] for each in messages)


def test_a_host_with_a_session_gets_warnings_unasked(careless: dict[str, str], folder: Path) -> None:
    with RawServer(careless, folder) as server:
        server.initialize()

        messages = server.wait_for_notifications(MESSAGE, 2)

    assert {(each["level"], each["logger"]) for each in messages} == {("warning", "pgmcp")}
    assert "read-only transactions are off" in texts(messages)
    assert "it is a superuser" in texts(messages)


def test_a_database_that_is_down_is_reported_once_not_at_every_attempt(folder: Path) -> None:
    with RawServer(server_environment(NOWHERE), folder) as server:
        server.initialize()
        for _ in range(3):
            assert server.call("execute_sql", sql="select 'a secret value'").code == "unreachable"

        messages = server.wait_for_notifications(MESSAGE)

    assert len(messages) == 1
    assert "127.0.0.1" in texts(messages)
    assert "secret" not in texts(messages)


def test_a_host_that_wants_only_errors_gets_no_warnings(folder: Path) -> None:
    with RawServer(server_environment(NOWHERE), folder) as server:
        server.send("initialize", protocolVersion="2025-11-25", capabilities={}, clientInfo=CLIENT)
        server.request("logging/setLevel", level="error")
        server.notify("notifications/initialized")
        server.call("execute_sql", sql="select 1")
        server.request("ping")

        assert server.notifications(MESSAGE) == []


CLIENT = {"name": "raw", "version": "1"}


def test_only_a_stateless_request_that_asks_for_warnings_gets_the_earlier_ones(
    careless: dict[str, str], folder: Path
) -> None:
    with RawServer(careless, folder) as server:
        server.discover()
        server.call("execute_sql", sql="select 1")
        server.call("search_schema")
        server.request("tools/list", _meta={"io.modelcontextprotocol/logLevel": "error"})
        before = server.notifications(MESSAGE)
        level = server.request("logging/setLevel", level="error")
        server.request("tools/list", **ASKING)
        messages = server.notifications(MESSAGE)
        server.request("tools/list", **ASKING)
        again = server.notifications(MESSAGE)

    assert before == []
    assert level["error"]["code"] == -32601  # this request sets the level of a session
    assert "it is a superuser" in texts(messages)
    assert "read-only transactions are off" in texts(messages)
    assert again == messages


def test_no_statement_is_sent_to_the_hosts_log(careless: dict[str, str], folder: Path) -> None:
    with RawServer({**careless, "LOG_LEVEL": "DEBUG"}, folder) as server:
        server.initialize()
        server.request("logging/setLevel", level="debug")
        server.call("execute_sql", sql="select 'a secret value'")
        server.call("execute_sql", sql="drop table customers -- a secret value")

        assert "secret" not in texts(server.wait_for_notifications(MESSAGE, 2))
