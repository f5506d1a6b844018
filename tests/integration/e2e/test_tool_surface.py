"""The list of tools, as a model sees it before a call."""

import json
from pathlib import Path
from typing import Any

import pytest

from pgmcp.tokens import estimate_tokens
from testing.mcp_server import server_environment
from testing.raw_jsonrpc import RawServer
from tests.integration.e2e.conftest import StartServer

BUDGET_TOKENS = 2_000
JSON_BYTES_PER_TOKEN = 3
"""Deliberately low, so that the estimate is too high: a token of a schema has more bytes in any tokenizer."""

Tool = dict[str, Any]


@pytest.fixture
def tools(shop_server: RawServer) -> list[Tool]:
    return list_tools(shop_server)


def list_tools(server: RawServer) -> list[Tool]:
    tools: list[Tool] = server.request("tools/list")["result"]["tools"]
    return tools


def compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def shown_to_models(tools: list[Tool]) -> list[Tool]:
    return [{key: tool[key] for key in ("name", "description", "inputSchema")} for tool in tools]


def test_every_tool_is_annotated_as_read_only(tools: list[Tool]) -> None:
    for tool in tools:
        assert tool["annotations"]["readOnlyHint"] is True
        assert tool["annotations"]["destructiveHint"] is False
        assert tool["annotations"]["idempotentHint"] is True


def test_only_the_tool_that_asks_a_model_reaches_beyond_the_database(tools: list[Tool]) -> None:
    assert [tool["name"] for tool in tools if tool["annotations"]["openWorldHint"]] == ["query"]


def test_the_instructions_ask_a_hosts_model_to_restate_the_question(tools: list[Tool]) -> None:
    (description,) = [tool["description"] for tool in tools if tool["name"] == "query"]
    assert "Calls are independent: ask complete questions" in description


def test_every_tool_has_a_title_a_description_and_both_schemas(tools: list[Tool]) -> None:
    for tool in tools:
        assert tool["title"] == tool["annotations"]["title"]
        assert tool["description"]
        assert tool["inputSchema"]["type"] == "object"
        assert tool["outputSchema"]["type"] == "object"


def test_every_argument_is_described(tools: list[Tool]) -> None:
    arguments = {tool["name"]: tool["inputSchema"]["properties"] for tool in tools}

    assert {name: list(properties) for name, properties in arguments.items()} == {
        "query": ["question", "database", "return_type", "limit", "reading", "chart"],
        "execute_sql": ["sql", "database", "limit", "chart"],
        "search_schema": ["text", "database", "tables", "detail"],
        "refresh_schema": ["database"],
    }
    assert all(
        argument["description"] for properties in arguments.values() for argument in properties.values()
    )


def test_all_definitions_together_stay_within_their_budget(tools: list[Tool]) -> None:
    assert len(compact(tools).encode()) / JSON_BYTES_PER_TOKEN < BUDGET_TOKENS


def test_the_definitions_as_hosts_show_them_to_their_model_stay_within_the_budget(
    tools: list[Tool],
) -> None:
    assert estimate_tokens(compact(shown_to_models(tools))) < BUDGET_TOKENS


def test_exports_and_verified_tools_stay_within_the_same_budget(
    start_server: StartServer, shop_environment: dict[str, str], tmp_path: Path
) -> None:
    context = tmp_path / "context.yaml"
    context.write_text(
        "databases:\n  shop:\n    verified:\n"
        + "".join(
            f"      - {{question: Q{n}, tool: q{n}, sql: 'SELECT {n}', description: {'word ' * 70}}}\n"
            for n in range(10)
        )
    )
    exporting = {"PG_MCP_SERVER_EXPORT_DIR": str(tmp_path), "PG_MCP_CONTEXT_FILE": str(context)}
    listed = list_tools(start_server(shop_environment | exporting))
    tools = [tool for tool in listed if tool["title"] not in {f"Q{n}" for n in range(10)}]
    arguments = {tool["name"]: list(tool["inputSchema"]["properties"]) for tool in tools}

    assert arguments["query"][-2:] == ["chart", "export"]
    assert arguments["execute_sql"] == ["sql", "database", "limit", "chart", "export"]
    assert len(compact(tools).encode()) / JSON_BYTES_PER_TOKEN < BUDGET_TOKENS
    assert [tool["name"] for tool in tools if not tool["annotations"]["readOnlyHint"]] == list(arguments)[:2]
    assert 0 < len(listed) - len(tools) < 10
    assert estimate_tokens(compact(shown_to_models(listed))) < BUDGET_TOKENS


def test_without_a_model_and_verified_questions_there_is_no_query(
    shop_url: str, start_server: StartServer
) -> None:
    tools = list_tools(start_server(server_environment(shop_url)))

    assert [tool["name"] for tool in tools] == ["execute_sql", "search_schema", "refresh_schema"]


@pytest.mark.parametrize(
    "model", [{"openai_api_key": "sk-some-key"}, {"openai_base_url": "http://127.0.0.1:9/v1"}]
)
def test_a_model_is_enough_for_query(model: dict[str, str], shop_url: str, start_server: StartServer) -> None:
    tools = list_tools(start_server(server_environment(shop_url, **model)))

    assert "query" in [tool["name"] for tool in tools]
