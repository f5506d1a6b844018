"""Both eras of the protocol, with and without the SDK's client, and the content of standard output."""

import os
import re
import signal
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import MCPError

from pgmcp.errors import ErrorCode
from testing.mcp_server import connect, server_environment
from testing.raw_jsonrpc import SESSION_VERSION, STATELESS_VERSION, RawServer

pytestmark = pytest.mark.anyio

INVALID_PARAMS = -32602
METHOD_NOT_FOUND = -32601

# Acts like a careless library, in the server and its workers: it prints before the start, at imports and at
# exit, through Python's buffer, through C's buffer, and directly to the descriptor.
TALKATIVE = """
import atexit, ctypes, os, sys, warnings

print("before the start")

class Announcer:
    def find_spec(self, name, path=None, target=None):
        if name in ("limits", "mcp", "psycopg", "pydantic", "sqlglot", "tiktoken"):
            os.write(1, b"importing, said to the descriptor\\n")
            print("importing", name)
            ctypes.CDLL(None).puts(b"importing, said by C")
            warnings.warn("importing, warned of")

sys.meta_path.insert(0, Announcer())
atexit.register(print, "goodbye")
"""


CAPABILITIES = {
    "completions": {},
    "logging": {},
    "prompts": {"listChanged": False},
    "resources": {"subscribe": True, "listChanged": True},
    "tools": {"listChanged": True},
}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_sdk_client_finds_and_uses_everything_and_gets_errors_for_unknown_names(
    mode: str, shop_environment: dict[str, str], folder: Path
) -> None:
    with anyio.fail_after(30):
        async with connect(shop_environment, folder, mode) as client:
            tools = await client.list_tools()
            answer = await client.call_tool("execute_sql", {"sql": "select count(*) from categories"})
            resources = await client.list_resources()
            templates = await client.list_resource_templates()
            databases = await client.read_resource("databases://list")
            table = await client.read_resource("schema://shop/customers")
            with pytest.raises(MCPError, match="Unknown tool: drop_tables") as tool_error:
                await client.call_tool("drop_tables", {})
            with pytest.raises(MCPError, match="databases: shop") as resource_error:
                await client.read_resource("schema://nowhere")

    assert tool_error.value.code == INVALID_PARAMS
    assert resource_error.value.code == INVALID_PARAMS
    assert [tool.name for tool in tools.tools] == ["query", "execute_sql", "search_schema", "refresh_schema"]
    assert answer.structured_content is not None
    assert answer.structured_content["rows"] == [[27]]
    assert [str(resource.uri) for resource in resources.resources] == [
        "databases://list",
        "schema://shop",
        "ui://pgmcp/result",
    ]
    assert [template.uri_template for template in templates.resource_templates] == [
        "schema://{database}",
        "schema://{database}?page={page}",
        "schema://{database}/{table}",
        "result://{result}/{row}",
    ]
    assert [content.text for content in databases.contents if hasattr(content, "text")] == ["shop"]
    assert "signed_up_at" in str(table.contents[0])


def test_a_host_of_the_session_era_gets_the_version_it_asked_for(
    shop_environment: dict[str, str], folder: Path
) -> None:
    with RawServer(shop_environment, folder) as server:
        opened = server.initialize()["result"]

        assert opened["protocolVersion"] == SESSION_VERSION
        assert opened["serverInfo"]["name"] == "pgmcp"
        assert CAPABILITIES.items() <= opened["capabilities"].items()
        assert "execute_sql" in opened["instructions"]
        assert server.request("ping")["result"] == {}
        assert server.call("execute_sql", sql="select 1").rows == [[1]]


def test_a_host_of_the_stateless_era_needs_no_handshake(
    shop_environment: dict[str, str], folder: Path
) -> None:
    with RawServer(shop_environment, folder) as server:
        found = server.discover()["result"]

        assert STATELESS_VERSION in found["supportedVersions"]
        assert CAPABILITIES.items() <= found["capabilities"].items()
        assert "execute_sql" in found["instructions"]
        assert len(server.request("tools/list")["result"]["tools"]) == 4
        assert server.call("execute_sql", sql="select 1").rows == [[1]]
        assert (
            server.request("resources/read", uri="databases://list")["result"]["contents"][0]["text"]
            == "shop"
        )


def test_an_unknown_tool_is_a_protocol_error(shop_server: RawServer) -> None:
    reply = shop_server.request("tools/call", name="drop_tables", arguments={})

    assert reply["error"]["code"] == INVALID_PARAMS
    assert reply["error"]["message"] == "Unknown tool: drop_tables"


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("schema://nowhere", "databases: shop"),
        ("schema://shop/custmers", "near: customers"),
        ("file:///etc/passwd", "Unknown resource"),
    ],
)
def test_an_unknown_resource_is_a_protocol_error(uri: str, expected: str, shop_server: RawServer) -> None:
    reply = shop_server.request("resources/read", uri=uri)

    assert reply["error"]["code"] == INVALID_PARAMS
    assert expected in reply["error"]["message"]


def test_the_schema_can_be_read_as_resources(shop_server: RawServer) -> None:
    overview = shop_server.request("resources/read", uri="schema://shop")["result"]["contents"][0]
    table = shop_server.request("resources/read", uri="schema://shop/public.orders")["result"]["contents"][0]

    assert overview["mimeType"] == "text/plain"
    for name in ("customers", "orders", "order_items", "order_totals", "payments", "order_status"):
        assert name in overview["text"]
    assert "customers.id" in table["text"]
    assert "order_items" not in table["text"].splitlines()[0]


def test_an_unknown_method_is_a_protocol_error(shop_server: RawServer) -> None:
    assert shop_server.request("tables/drop")["error"]["code"] == METHOD_NOT_FOUND


@pytest.mark.parametrize("line", [b"{not json", b"[]", b"\xff\xfe", b'{"jsonrpc": "2.0"}', b""])
def test_an_invalid_line_affects_no_other_request(line: bytes, shop_server: RawServer) -> None:
    shop_server.write_line(line)

    assert shop_server.request("ping")["result"] == {}


@pytest.mark.parametrize(
    "line",
    [
        b'{"jsonrpc":"2.0","method":"initialize","params":{}}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled"}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":99}}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":[1]}}',
        b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1e400}}',
        b'{"jsonrpc":"2.0","method":"notifications/unheard","params":{"_meta":5}}',
        b'{"jsonrpc":"2.0","id":"question-1","result":{}}',
        b'{"jsonrpc":"2.0","id":[1],"result":5}',
        b'{"jsonrpc":"2.0","id":null,"error":{}}',
    ],
)
def test_notifications_and_responses_get_no_answer_whatever_they_contain(
    line: bytes, shop_server: RawServer
) -> None:
    before = len(shop_server.stdout.splitlines())
    shop_server.write_line(line)

    assert shop_server.request("ping")["result"] == {}
    assert len(shop_server.stdout.splitlines()) == before + 1


@pytest.mark.parametrize("meta", [5, "x", [1], None, {"progressToken": 1.5}, {"progressToken": {}}])
def test_meta_of_a_wrong_type_is_ignored(meta: Any, shop_server: RawServer) -> None:
    call = shop_server.send("tools/call", name="execute_sql", arguments={"sql": "select 1"}, _meta=meta)

    assert shop_server.result_of(call).rows == [[1]]


def test_the_empty_cursor_means_the_first_page(shop_server: RawServer) -> None:
    assert shop_server.request("prompts/list", cursor="")["result"]["prompts"]


def test_calls_answer_in_any_order(shop_server: RawServer) -> None:
    wanted = {shop_server.start_call("execute_sql", sql=f"select {number}"): number for number in range(20)}

    assert all(shop_server.result_of(request_id).rows == [[number]] for request_id, number in wanted.items())


@pytest.mark.parametrize("ending", ["the host leaves", "SIGTERM"])
def test_code_that_prints_cannot_write_into_the_protocol(
    ending: str, shop_environment: dict[str, str], folder: Path
) -> None:
    (folder / "sitecustomize.py").write_text(TALKATIVE)
    search_path = os.pathsep.join([str(folder), shop_environment.get("PYTHONPATH", "")])
    talkative = {**shop_environment, "PYTHONPATH": search_path, "LOG_LEVEL": "DEBUG"}
    with RawServer(talkative, folder) as server:
        server.initialize()
        assert server.call("query", question="How many active users are there?").is_error is False
        assert server.call("execute_sql", sql="drop table customers").code == ErrorCode.REJECTED
        if ending == "SIGTERM":
            server.send_signal(signal.SIGTERM)
        else:
            server.close_stdin()
        exit_code = server.wait()

    assert exit_code == 0
    assert server.stray_lines == []
    for printed in ("before the start", "said to the descriptor", "said by C", "warned of", "goodbye"):
        assert printed in server.stderr


def test_a_call_writes_one_line_of_log_to_standard_error(
    shop_environment: dict[str, str], folder: Path
) -> None:
    with RawServer({**shop_environment, "LOG_LEVEL": "INFO"}, folder) as server:
        server.initialize()
        server.call("execute_sql", sql="select 1")
        server.call("execute_sql", sql="select 2")  # no worker has to start

    (line,) = [line for line in server.stderr.splitlines() if "[call 2]" in line]
    assert re.search(r" INFO \[call 2\] .*: execute_sql answered after \d+ ms, 1 row$", line)
    assert server.stray_lines == []


def test_the_server_starts_in_time_and_ends_with_its_host(folder: Path) -> None:
    with RawServer(server_environment("postgresql://nobody@127.0.0.1:1/nothing"), folder) as server:
        server.initialize()
        server.close_stdin()

        assert server.wait() == 0
