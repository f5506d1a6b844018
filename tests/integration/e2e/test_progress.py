"""A host that asks for progress gets the stages of a call. Raw messages show everything that it receives."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from testing.mcp_server import server_environment
from testing.openai_endpoint import ScriptedEndpoint, sql
from testing.raw_jsonrpc import RawServer

PROGRESS = "notifications/progress"
VERIFIED = "How many active users do we have?"


@pytest.fixture(scope="module", params=["session", "stateless"])
def server(
    request: pytest.FixtureRequest,
    shop_environment: dict[str, str],
    shop_url: str,
    shared_endpoint: ScriptedEndpoint,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RawServer]:
    environment = server_environment(
        shop_url,
        database_name="shop",
        openai_base_url=shared_endpoint.base_url,
        openai_max_retries="0",
        context_file=shop_environment["PG_MCP_CONTEXT_FILE"],
    )
    with RawServer(environment, tmp_path_factory.mktemp("server")) as server:
        if request.param == "session":
            server.initialize()
        else:
            server.discover()
        yield server


def call_with_progress(server: RawServer, token: str, tool: str, **arguments: Any) -> list[dict[str, Any]]:
    """Call a tool with a progress token, and return its notifications before the reply."""
    request = server.send("tools/call", name=tool, arguments=arguments, _meta={"progressToken": token})
    server.receive(request)
    return [reported for reported in server.notifications(PROGRESS) if reported["progressToken"] == token]


def messages(reported: list[dict[str, Any]]) -> list[str]:
    """Return the messages of new stages, without the reminders of a stage that takes long."""
    return [each["message"] for each in reported if not each["message"].endswith(" s so far")]


def test_a_statement_reports_its_stages(server: RawServer) -> None:
    reported = call_with_progress(server, "direct", "execute_sql", sql="select 1")

    assert messages(reported) == ["checking the SQL", "running the statement"]


def test_a_verified_question_asks_no_model_and_says_none(server: RawServer) -> None:
    reported = call_with_progress(server, "verified", "query", question=VERIFIED)

    assert messages(reported) == ["checking the SQL", "running the statement"]


def test_a_question_reports_every_stage_and_its_repair(server: RawServer, endpoint: ScriptedEndpoint) -> None:
    endpoint.reply(sql("select nothing_of_that_name from orders"), sql("select count(*) from orders"))

    reported = call_with_progress(server, "repaired", "query", question="How many orders are there at all?")

    assert messages(reported) == [
        "reading the schema",
        "finding the tables for the question",
        "asking the model",
        "checking the SQL",
        "running the statement",
        "reading the schema",
        "finding the tables for the question",
        "repairing the SQL, attempt 2",
        "checking the SQL",
        "running the statement",
        "checking the answer",
    ]


def test_progress_only_grows_and_promises_no_total(server: RawServer, endpoint: ScriptedEndpoint) -> None:
    endpoint.reply(sql("select count(*) from orders"))

    reported = call_with_progress(server, "growing", "query", question="How many orders?")

    progress = [each["progress"] for each in reported]
    assert progress == sorted(set(progress))
    assert not any("total" in each for each in reported)


def test_sql_that_is_only_returned_is_planned_but_not_run(
    server: RawServer, endpoint: ScriptedEndpoint
) -> None:
    endpoint.reply(sql("select count(*) from orders"))

    reported = call_with_progress(server, "planned", "query", question="How many orders?", return_type="sql")

    assert "planning the statement" in messages(reported)
    assert "running the statement" not in messages(reported)


def test_a_host_that_did_not_ask_gets_no_progress(shop_environment: dict[str, str], folder: Path) -> None:
    with RawServer(shop_environment, folder) as server:
        server.initialize()
        server.call("query", question=VERIFIED)
        server.call("execute_sql", sql="select 1")

        assert server.notifications(PROGRESS) == []


def test_a_failed_statement_also_reports_its_stages(server: RawServer) -> None:
    reported = call_with_progress(server, "refused", "execute_sql", sql="drop table orders")

    assert messages(reported) == ["checking the SQL"]
