"""Every line of the server is valid by the protocol's published JSON schema (tests/data/protocol)."""

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import psycopg
import pytest

from testing.conversations import session_conversation, stateless_conversation
from testing.mcp_server import server_environment
from testing.openai_endpoint import ScriptedEndpoint, readings
from testing.raw_jsonrpc import SESSION_VERSION, STATELESS_META, STATELESS_VERSION, RawServer

SCHEMAS = Path(__file__).parents[2] / "data" / "protocol"

RESULT_BY_METHOD = {
    "completion/complete": "CompleteResult",
    "initialize": "InitializeResult",
    "logging/setLevel": "EmptyResult",
    "ping": "EmptyResult",
    "prompts/get": "GetPromptResult",
    "prompts/list": "ListPromptsResult",
    "resources/list": "ListResourcesResult",
    "resources/read": "ReadResourceResult",
    "resources/subscribe": "EmptyResult",
    "resources/templates/list": "ListResourceTemplatesResult",
    "resources/unsubscribe": "EmptyResult",
    "server/discover": "DiscoverResult",
    "subscriptions/listen": "SubscriptionsListenResult",
    "tools/call": "CallToolResult",
    "tools/list": "ListToolsResult",
}


@cache
def schema_of(version: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((SCHEMAS / f"{version}.json").read_text("utf-8"))
    return schema


@cache
def validator_of(definition: str, version: str) -> jsonschema.Draft202012Validator:
    """Return a validator that does not check the schema itself; that would take longer than all the lines."""
    return jsonschema.Draft202012Validator(
        {"$defs": schema_of(version)["$defs"], "$ref": f"#/$defs/{definition}"}
    )


def check(value: Any, definition: str, version: str) -> None:
    """Fail if a value does not match the protocol's definition with this name."""
    validator_of(definition, version).validate(value)


def check_line(line: bytes, method_by_id: dict[Any, str], version: str) -> None:
    message = json.loads(line)
    if "method" in message and "id" in message:
        check(message, "ServerRequest", version)
    elif "method" in message:
        check(message, "JSONRPCNotification", version)
        check(message, "ServerNotification", version)
    elif "error" in message:
        check(message, "JSONRPCErrorResponse", version)
    else:
        check(message, "JSONRPCResultResponse", version)
        asks = message["result"].get("resultType") == "input_required"
        expected = "InputRequiredResult" if asks else RESULT_BY_METHOD[method_by_id[message["id"]]]
        check(message["result"], expected, version)


@pytest.mark.parametrize("version", [SESSION_VERSION, STATELESS_VERSION])
def test_every_line_is_what_the_published_schema_says(
    version: str, shop_environment: dict[str, str], folder: Path
) -> None:
    stateless = version == STATELESS_VERSION
    conversation = stateless_conversation() if stateless else session_conversation()
    if stateless:
        wanted = {"resourcesListChanged": True, "resourceSubscriptions": ["schema://shop"]}
        listening = {"_meta": STATELESS_META, "notifications": wanted}
        opening = {"jsonrpc": "2.0", "id": "listen", "method": "subscriptions/listen", "params": listening}
        conversation.insert(1, opening)
    with RawServer(shop_environment | {"PG_MCP_SERVER_USE_READONLY_TRANSACTIONS": "false"}, folder) as server:
        for message in conversation:
            params = message.get("params", {})
            if message["method"] == "tools/call":
                params["_meta"] = params.get("_meta", {}) | {
                    "progressToken": 7,
                    "io.modelcontextprotocol/logLevel": "warning",
                }
            server.write_line(json.dumps(message).encode())
            if "id" in message and message["id"] != "listen":
                server.receive(message["id"])
        server.write_line(b"this is not json")
        server.receive(None)
        server.close_stdin()
        server.wait()

    method_by_id = {message["id"]: message["method"] for message in conversation if "id" in message}
    lines = server.stdout.splitlines()
    for line in lines:
        check_line(line, method_by_id, version)
    notified = {message["method"] for line in lines if "method" in (message := json.loads(line))}
    assert {"notifications/message", "notifications/progress"} <= notified
    assert len(lines) - len(notified) >= len(method_by_id)


@pytest.mark.parametrize("version", [SESSION_VERSION, STATELESS_VERSION])
def test_questions_and_changes_are_what_the_published_schema_says(
    version: str, new_database: Callable[[], str], endpoint: ScriptedEndpoint, folder: Path
) -> None:
    url = new_database()
    endpoint.script(lambda _: readings(("one", "SELECT 1 AS n"), ("two", "SELECT 2 AS n")))
    question = {"name": "query", "arguments": {"question": "How many are there?"}}
    environment = server_environment(url, database_name="stock", openai_base_url=endpoint.base_url)
    with RawServer(environment, folder) as server:
        if version == SESSION_VERSION:
            server.initialize({"elicitation": {}})
            server.request("resources/subscribe", uri="schema://stock")
        else:
            server.discover()
            wanted = {"resourcesListChanged": True, "resourceSubscriptions": ["schema://stock"]}
            server.send("subscriptions/listen", notifications=wanted)
        server.request("resources/list")
        server.call("search_schema")
        with psycopg.connect(url) as connection:
            connection.execute("create table parts (id int)")
        server.call("refresh_schema")
        server.wait_for_notifications("notifications/resources/updated")
        server.wait_for_notifications("notifications/resources/list_changed")
        if version == SESSION_VERSION:
            call = server.send("tools/call", **question)
            server.next_question()
            server.notify("notifications/cancelled", requestId=call)
            server.wait_for_notifications("notifications/cancelled")
        else:
            forms: dict[str, Any] = {
                "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}}
            }
            asked = server.request("tools/call", **question, _meta=forms)["result"]
            assert asked["resultType"] == "input_required"
            for asking in asked["inputRequests"].values():
                check(asking, "InputRequest", version)
        server.close_stdin()
        server.wait()

    for line in server.stdout.splitlines():
        check_line(line, server.method_by_id, version)
