"""Verified questions that the operator offers as separate tools."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp.server.subscriptions import ToolsListChanged

from testing.activity import until
from testing.mcp_server import connect, server_environment
from testing.openai_endpoint import ScriptedEndpoint
from testing.raw_jsonrpc import RawServer

pytestmark = pytest.mark.anyio

OWN = ["query", "execute_sql", "search_schema", "refresh_schema"]
TOOL_BUDGET_TOKENS = 250
JSON_BYTES_PER_TOKEN = 3

CONTEXT = """
databases:
  shop:
    verified:
      - question: Who are the {n} customers with most orders since {since}?
        tool: top_customers
        description: Customers with most orders; cancelled orders count
        parameters:
          n: {type: integer, min: 1, max: 20, default: 3, description: How many}
          since: {type: date, min: 2000-01-01, default: 2000-01-01}
        sql: |
          SELECT c.full_name, count(*) AS orders FROM orders o JOIN customers c ON c.id = o.customer_id
          WHERE o.placed_at >= {since} GROUP BY c.id ORDER BY orders DESC, c.id LIMIT {n}
      - question: Which products have a name with the word?
        tool: find-products
        parameters:
          word: {type: text, max_length: 40}
          price: {type: number, min: 0, default: 0}
        sql: SELECT {word} AS word, count(*) AS found FROM products WHERE name ILIKE '%' || {word} || '%' AND price >= {price}
      - question: How many orders has {customer} placed?
        tool: orders_of
        parameters: {customer: customers.full_name}
        sql: SELECT {customer} AS customer, count(*) FROM orders o JOIN customers c ON c.id = o.customer_id WHERE c.full_name = {customer}
      - question: How many orders have the status?
        tool: orders_with_status
        parameters:
          status: {type: text, enum: [paid, shipped]}
        sql: SELECT {status} AS status, count(*) > 0 FROM orders WHERE status::text = {status}
      - question: How many widgets are there?
        tool: widgets
        sql: SELECT count(*) FROM widgets
      - question: Clear the products
        tool: clear
        sql: DELETE FROM products
      - question: Top {n}
        tool: top
        parameters: {m: integer}
        sql: SELECT {m}
  second:
    verified:
      - question: How many widgets are there in the second one?
        tool: widgets
        sql: SELECT 1
      - question: Where is this?
        tool: where
        sql: SELECT current_database() AS here, current_setting('transaction_read_only') AS read_only
      - question: One too many
        tool: too_many
        sql: SELECT 1
"""  # noqa: E501 # a line of SQL is a line of YAML


@pytest.fixture(scope="module")
def environment(shop_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    context = tmp_path_factory.mktemp("context") / "context.yaml"
    context.write_text(CONTEXT)
    return server_environment(
        PG_MCP_DATABASES__SHOP__URL=shop_url,
        PG_MCP_DATABASES__SECOND__URL=shop_url,
        context_file=str(context),
        server_verified_tools="7",
    )


@pytest.fixture(scope="module")
def server(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawServer]:
    with RawServer(environment, tmp_path_factory.mktemp("server")) as server:
        server.initialize()
        yield server


def tools_of(server: RawServer) -> dict[str, dict[str, Any]]:
    return {tool["name"]: tool for tool in server.request("tools/list")["result"]["tools"]}


def test_verified_tools_are_listed_last_with_typed_parameters(server: RawServer) -> None:
    tools = tools_of(server)

    assert list(tools) == [
        *OWN,
        *("top_customers", "find-products", "orders_of", "orders_with_status", "widgets", "clear", "where"),
    ]  # fmt: skip
    top = tools["top_customers"]
    assert top["title"] == "Top customers"
    assert top["description"] == "Customers with most orders; cancelled orders count (database shop)"
    assert top["inputSchema"] == {
        "type": "object",
        "properties": {
            "n": {"type": "integer", "description": "How many", "minimum": 1, "maximum": 20, "default": 3},
            "since": {
                "type": "string",
                "format": "date",
                "description": "from 2000-01-01",
                "default": "2000-01-01",
            },
        },
    }
    assert tools["find-products"]["inputSchema"]["required"] == ["word"]
    for name in list(tools)[4:]:
        assert tools[name]["annotations"]["readOnlyHint"] is True
        definition = json.dumps(tools[name], separators=(",", ":")).encode()
        assert len(definition) / JSON_BYTES_PER_TOKEN < TOOL_BUDGET_TOKENS


def test_a_verified_tool_runs_the_operators_sql_and_says_so(server: RawServer) -> None:
    given = server.call("top_customers", n="2", since="2001-01-01")
    usual = server.call("top_customers")
    asked = server.call("query", question="Who are the 2 customers with most orders since 2001-01-01?")

    assert given.structured["source"] == "verified"
    assert given.structured["database"] == "shop"
    assert "since" not in given.structured["sql"]
    assert "placed_at >= date '2001-01-01'" in given.structured["sql"]
    assert "verified SQL of the operator" in given.text
    assert len(usual.rows) == 3
    assert given.rows == usual.rows[:2] == asked.rows


@pytest.mark.parametrize(
    "word",
    [
        "O'Brien",
        "' OR '1'='1",
        "'; DROP TABLE products; --",
        "\\' OR 1=1 --",
        "$$ $1 {price} {word}",
        "/* */ -- \u00e9\u4e2d",
        "%s %(word)s",
    ],
)
def test_a_text_argument_is_only_ever_a_value(word: str, server: RawServer) -> None:
    assert server.call("find-products", word=word).rows == [[word, 0]]


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("top_customers", {"n": 21}, "n: 21 is greater than 20"),
        ("top_customers", {"n": "many"}, 'n: expected an integer, got "many"'),
        ("top_customers", {"since": "1999-12-31"}, "since: 1999-12-31 is less than 2000-01-01"),
        ("top_customers", {"since": "last week"}, "since: expected a date"),
        ("top_customers", {"sinc": "2001-01-01"}, "did you mean since?"),
        ("find-products", {}, "word: field required"),
        ("find-products", {"word": ""}, "word: field required"),
        ("find-products", {"word": "x" * 41}, "word: it has 41 characters; at most 40"),
        ("find-products", {"word": "x", "price": -1}, "price: -1 is less than 0"),
        ("orders_of", {"customer": "Nobody at all"}, "customers.full_name has no value 'Nobody at all'"),
        ("orders_with_status", {"status": "lost"}, "status: lost is not one of paid, shipped"),
    ],
)
def test_types_and_bounds_of_a_verified_tools_arguments_are_enforced(
    tool: str, arguments: dict[str, Any], words: str, server: RawServer
) -> None:
    answer = server.call(tool, **arguments)

    assert answer.code == "invalid_argument"
    assert words in answer.text


def test_an_argument_that_is_a_columns_value_is_spelled_as_in_the_column(server: RawServer) -> None:
    name = server.call("execute_sql", sql="SELECT full_name FROM customers ORDER BY id LIMIT 1").rows[0][0]

    assert server.call("orders_of", customer=name.upper()).rows[0][0] == name
    assert server.call("orders_with_status", status="PAID").rows == [["paid", True]]


def test_an_unknown_argument_is_ignored_with_a_note(server: RawServer) -> None:
    answer = server.call("top_customers", purpose="test")

    assert "ignored the unknown argument 'purpose'" in answer.text


def test_a_tool_reads_its_own_database_under_the_same_guards(server: RawServer) -> None:
    where, cleared = server.call("where"), server.call("clear")

    assert (where.structured["database"], where.rows[0][1]) == ("second", "on")
    assert cleared.code == "rejected"
    assert "have it corrected in the context file" in cleared.text


def test_an_invalid_verified_tool_is_reported_with_a_hint_and_the_others_work(server: RawServer) -> None:
    def is_logged(words: str) -> bool:
        return words in server.stderr

    for words in (
        "the wording 'Top {n}' names {n}, its parameters are {m}",
        "database second: tool widgets is not offered: a tool in database shop has the same name; rename one",
        "database second: tool too_many is not offered: PG_MCP_SERVER_VERIFIED_TOOLS allows at most 7",
        'tool widgets of database shop cannot run (statement_failed: relation "widgets" does not exist',
        "tool clear of database shop cannot run (rejected: ",
        "correct its SQL in the context file",
    ):
        until(lambda words=words: is_logged(words), words)  # type: ignore[misc] # bound at once
    assert server.call("top_customers").rows


def test_a_changed_context_file_changes_the_tool_list_and_notifies_a_session(
    shop_url: str, shared_endpoint: ScriptedEndpoint, tmp_path: Path
) -> None:
    context = tmp_path / "context.yaml"
    entry = "databases: {main: {verified: [{question: One, tool: one, sql: SELECT 1 AS n}]}}"
    context.write_text(entry)
    environment = server_environment(
        shop_url, context_file=str(context), openai_base_url=shared_endpoint.base_url
    )
    with RawServer(environment, tmp_path) as server:
        server.initialize()
        before = list(tools_of(server))
        context.write_text(entry.replace("tool: one", "tool: uno").replace("SELECT 1", "SELECT 2"))
        renamed = server.call("query", question="one")  # any call reads the file

        server.wait_for_notifications("notifications/tools/list_changed")
        assert (before, list(tools_of(server))) == ([*OWN, "one"], [*OWN, "uno"])
        assert renamed.rows == server.call("uno").rows == [[2]]
        gone = server.request("tools/call", name="one", arguments={})
        assert gone["error"]["message"] == "Unknown tool: one"

        context.write_text("databases: {main: {}}")
        assert list(tools_of(server)) == OWN
        server.wait_for_notifications("notifications/tools/list_changed", 2)


async def test_a_stateless_stream_is_notified_of_verified_tools_and_can_call_them(
    shop_url: str, folder: Path
) -> None:
    context = folder / "context.yaml"
    context.write_text("databases: {main: {verified: [{question: One, tool: one, sql: SELECT 1 AS n}]}}")
    with anyio.fail_after(30):
        async with connect(server_environment(shop_url, context_file=str(context)), folder) as client:
            answer = await client.call_tool("one", {})
            async with client.listen(tools_list_changed=True) as stream:
                context.write_text("databases: {main: {}}")
                listed = await client.list_tools()
                event = await anext(stream)

    assert (answer.structured_content or {})["source"] == "verified"
    assert [tool.name for tool in listed.tools] == OWN
    assert event == ToolsListChanged()
