"""Prompts that a user starts by name; they mention only pgmcp's tools."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from testing.mcp_server import server_environment
from testing.raw_jsonrpc import RawServer
from tests.integration.e2e.conftest import StartServer

INVALID_PARAMS = -32602
PROMPTS = ["explore_database", "ask_question", "explain_slow_query"]
TOOLS = {"query", "execute_sql", "search_schema", "refresh_schema"}
MAX_CHARACTERS = 1_500


def text_of(server: RawServer, prompt: str, **arguments: str) -> str:
    """Return the one message of a prompt."""
    (message,) = server.request("prompts/get", name=prompt, arguments=arguments)["result"]["messages"]
    assert message["role"] == "user"
    text: str = message["content"]["text"]
    return text


def test_each_prompt_says_what_it_is_for_and_what_it_takes(shop_server: RawServer) -> None:
    prompts = shop_server.request("prompts/list")["result"]["prompts"]

    assert [prompt["name"] for prompt in prompts] == PROMPTS
    for prompt in prompts:
        assert prompt["title"]
        assert prompt["description"]
        assert all(argument["description"] for argument in prompt["arguments"])
        assert not any(argument.get("required") for argument in prompt["arguments"])


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_without_arguments_is_short_and_whole(prompt: str, shop_server: RawServer) -> None:
    text = text_of(shop_server, prompt)

    assert len(text) < MAX_CHARACTERS
    assert "{" not in text
    assert "the database shop" in text


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_prompt_names_only_tools_that_exist(prompt: str, shop_server: RawServer) -> None:
    named = set(re.findall(r"\b[a-z]+_(?:sql|schema)\b", text_of(shop_server, prompt)))

    assert named
    assert named <= TOOLS


def test_a_question_is_in_its_prompt_word_for_word(shop_server: RawServer) -> None:
    text = text_of(shop_server, "ask_question", question="How many {orders} in May?", database="shop")

    assert "How many {orders} in May?" in text
    assert "Call query" in text


def test_without_the_tool_query_the_prompt_does_not_name_it(shop_url: str, start_server: StartServer) -> None:
    text = text_of(start_server(server_environment(shop_url)), "ask_question", question="How many orders?")

    assert "Call query" not in text
    assert text.index("search_schema") < text.index("execute_sql")


def test_a_slow_statement_is_planned_before_it_is_run(shop_server: RawServer) -> None:
    text = text_of(shop_server, "explain_slow_query", sql="select * from orders")

    assert "```sql\nselect * from orders\n```" in text
    assert text.index("EXPLAIN before it") < text.index("EXPLAIN (ANALYZE, BUFFERS)")


def test_the_explain_statements_that_a_prompt_names_are_accepted(shop_server: RawServer) -> None:
    for explain in ("EXPLAIN", "EXPLAIN (ANALYZE, BUFFERS)"):
        assert not shop_server.call("execute_sql", sql=f"{explain} select * from orders").is_error


@pytest.mark.parametrize(
    ("prompt", "arguments", "expected"),
    [
        ("drop_tables", {}, "Unknown prompt: drop_tables"),
        ("explore_database", {"database": "nowhere"}, "databases: shop"),
        ("explore_database", {"databse": "shop"}, "this prompt takes database"),
        ("explore_database", {"database": ["shop"]}, "database: expected a string"),
        ("ask_question", {"question": {"text": "How many?"}}, "question: expected a string"),
        ("ask_question", {"question": "x" * 10_000}, "the question has 10000 characters"),
    ],
)
def test_an_unknown_prompt_is_a_protocol_error(
    prompt: str, arguments: dict[str, Any], expected: str, shop_server: RawServer
) -> None:
    reply = shop_server.request("prompts/get", name=prompt, arguments=arguments)

    assert reply["error"]["code"] == INVALID_PARAMS
    assert expected in reply["error"]["message"]


@pytest.mark.parametrize("opening", [RawServer.initialize, RawServer.discover])
def test_the_instructions_are_short_and_give_the_working_order(
    opening: Callable[[RawServer], dict[str, Any]], shop_environment: dict[str, str], folder: Path
) -> None:
    with RawServer(shop_environment, folder) as server:
        instructions = opening(server)["result"]["instructions"]

    assert len(instructions.encode()) < 2_048
    assert all(tool in instructions for tool in TOOLS)
