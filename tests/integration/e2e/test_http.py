"""The surface over HTTP for clients of both protocol eras, and calls whose client disconnects."""

import json
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import httpx2
import psycopg
import pytest
from mcp import Client
from mcp.server.subscriptions import ResourcesListChanged, ResourceUpdated
from mcp_types.version import SUPPORTED_PROTOCOL_VERSIONS

from testing.activity import Activity, until, with_application_name
from testing.http_server import (
    BOTH,
    VERSIONS,
    HttpServerProcess,
    http_client,
    message_of,
    request,
    rows_of,
    send_request,
    tool_call,
)
from testing.mcp_server import SHOP_CONTEXT, server_environment
from testing.prestarted import COMMAND
from testing.raw_jsonrpc import SESSION_VERSION, STATELESS_VERSION

NAME = "e2e http"
RUNAWAY = "select count(*) from order_items a, order_items b where a.unit_price + b.unit_price < 0"
SECONDS = "select count(*) from generate_series(1, 3000000) n where n % 7 = 3"


@pytest.fixture(scope="module")
def server(shop_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServerProcess]:
    environment = server_environment(
        with_application_name(shop_url, NAME), database_name="shop", context_file=str(SHOP_CONTEXT)
    )
    with HttpServerProcess(environment, tmp_path_factory.mktemp("server")) as server:
        yield server
    assert "Traceback" not in server.log


@pytest.fixture
def client(server: HttpServerProcess) -> Iterator[httpx2.Client]:
    with http_client(server.port) as client:
        yield client


@pytest.fixture(scope="module")
def activity(shop_admin_url: str) -> Iterator[Activity]:
    with Activity(shop_admin_url, NAME) as activity:
        yield activity


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_the_sdks_client_uses_the_whole_surface(server: HttpServerProcess, mode: str) -> None:
    async with Client(server.url, mode=mode) as client:
        tools = await client.list_tools()
        answer = await client.call_tool("execute_sql", {"sql": "select count(*) from customers"})
        schema = await client.read_resource("schema://shop")
        prompts = await client.list_prompts()

        assert client.protocol_version == (STATELESS_VERSION if mode == "auto" else SESSION_VERSION)
    assert [tool.name for tool in tools.tools] == ["query", "execute_sql", "search_schema", "refresh_schema"]
    assert answer.structured_content is not None
    assert answer.structured_content["row_count"] == 1
    assert schema.contents
    assert len(prompts.prompts) == 3


@pytest.mark.parametrize("path", ["/mcp", "/mcp/"])
@pytest.mark.parametrize("version", VERSIONS)
def test_both_paths_answer_without_a_redirect(client: httpx2.Client, path: str, version: str) -> None:
    headers, body = tool_call("execute_sql", version, sql="select 1")

    response = client.post(path, headers=headers, json=body)

    assert response.status_code == 200
    assert rows_of(response) == [[1]]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_that_accepts_only_json_gets_json(client: httpx2.Client, version: str) -> None:
    headers, body = tool_call("execute_sql", version, sql="select 1")

    response = client.post("/mcp", headers={**headers, "Accept": "application/json"}, json=body)

    assert response.headers["content-type"] == "application/json"
    assert rows_of(response) == [[1]]


def test_a_result_that_another_server_may_hold_names_the_settings_that_share_it(
    client: httpx2.Client,
) -> None:
    headers, body = request("resources/read", uri="result://absent/1")

    message = message_of(client.post("/mcp", headers=headers, json=body))["error"]["message"]

    assert "if several servers answer behind a load balancer" in message
    assert "PG_MCP_RATE_LIMIT_STORAGE_URL and PG_MCP_HTTP_STATE_KEYS" in message


@pytest.mark.parametrize("sql", ["select 1 as n, null as nothing, 'é' as text", "select no_such_column"])
@pytest.mark.parametrize("version", SUPPORTED_PROTOCOL_VERSIONS)
def test_a_direct_call_is_answered_as_the_sdk_would_answer_it(
    client: httpx2.Client, version: str, sql: str
) -> None:
    headers, body = tool_call("execute_sql", version, sql=sql)
    direct = client.post("/mcp", json=body, headers=headers)
    body["params"].setdefault("_meta", {})["example.com/key"] = "the SDK has to look at this one"
    by_sdk = client.post("/mcp", json=body, headers=headers)

    assert direct.headers["content-length"]
    assert direct.headers["content-type"] == "application/json"
    assert without_chance(message_of(direct)) == without_chance(message_of(by_sdk))


def without_chance(message: dict[str, Any]) -> str:
    """Return a message without the parts that differ between calls: the fence and the time."""
    text = json.dumps(message, sort_keys=True)
    return re.sub(r'data-[0-9a-f]+|\d+(\.\d+)? ms|"(execute|validate)": [\d.]+', "…", text)


@pytest.mark.parametrize("method", ["tools/list", "resources/list", "resources/read", "server/discover"])
def test_results_of_2026_07_28_say_how_long_they_may_be_kept(client: httpx2.Client, method: str) -> None:
    headers, body = request(method, **({"uri": "schema://shop"} if method == "resources/read" else {}))

    result = message_of(client.post("/mcp", headers=headers, json=body))["result"]

    assert (result["ttlMs"], result["cacheScope"], result["resultType"]) == (0, "private", "complete")
    assert result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "pgmcp"


def test_discover_offers_what_works_without_a_session(client: httpx2.Client) -> None:
    headers, body = request("server/discover")

    result = message_of(client.post("/mcp", headers=headers, json=body))["result"]

    assert result["supportedVersions"] == [STATELESS_VERSION]
    assert result["capabilities"] == {
        "completions": {},
        "extensions": {"io.modelcontextprotocol/ui": {}},
        "prompts": {"listChanged": False},
        "resources": {"listChanged": True, "subscribe": True},
        "tools": {"listChanged": True},
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_a_long_call_reports_its_stages_if_the_client_asks(client: httpx2.Client, version: str) -> None:
    headers, body = tool_call("execute_sql", version, sql="select 1")
    body["params"].setdefault("_meta", {})["progressToken"] = "mine"

    response = client.post("/mcp", headers=headers, json=body)

    assert response.headers["content-type"].startswith("text/event-stream")
    messages = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: ")]
    progress = [each["params"] for each in messages if each.get("method") == "notifications/progress"]
    assert {each["progressToken"] for each in progress} == {"mine"}
    assert [each["message"] for each in progress][-1] == "running the statement"
    assert messages[-1]["result"]["structuredContent"]["rows"] == [[1]]


@pytest.mark.parametrize("accept", [BOTH, "application/json"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_that_leaves_stops_its_statement(
    client: httpx2.Client, server: HttpServerProcess, activity: Activity, version: str, accept: str
) -> None:
    headers, body = tool_call("execute_sql", version, sql=RUNAWAY)

    with send_request(server.port, {**headers, "Accept": accept}, body):
        activity.until_running("order_items a")

    activity.until_nothing_runs()
    headers, body = tool_call("execute_sql", version, sql="select 1")
    assert rows_of(client.post("/mcp", headers=headers, json=body)) == [[1]]


def test_a_web_page_of_this_machine_may_call_and_read_the_answer(client: httpx2.Client) -> None:
    origin = {"Origin": "http://localhost:6274"}
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,mcp-method,mcp-protocol-version,x-evil",
    }
    headers, body = tool_call("execute_sql", sql="select 1")

    preflight = client.options("/mcp", headers={**origin, **asked})
    answer = client.post("/mcp", headers={**headers, **origin}, json=body)
    of_another = client.options("/mcp", headers={"Origin": "https://evil.example", **asked})

    assert preflight.status_code == 204
    allowed = preflight.headers["access-control-allow-headers"]
    assert allowed == "authorization, content-type, mcp-method, mcp-protocol-version"
    for response in (preflight, answer):
        assert response.headers["access-control-allow-origin"] == "http://localhost:6274"
        assert response.headers["vary"] == "Origin"
    assert rows_of(answer) == [[1]]
    assert of_another.status_code == 403
    assert "access-control-allow-origin" not in of_another.headers


@pytest.mark.anyio
async def test_a_stream_is_notified_of_a_changed_schema_and_a_new_table(
    server: HttpServerProcess, shop_admin_url: str
) -> None:
    uri = "schema://shop/categories"
    with psycopg.connect(shop_admin_url, autocommit=True) as connection:
        found = connection.execute("select obj_description('categories'::regclass)").fetchone()
        async with Client(server.url) as client:
            await client.call_tool("search_schema", {})
            with anyio.fail_after(20):
                async with client.listen(resources_list_changed=True, resource_subscriptions=[uri]) as events:
                    connection.execute("comment on table categories is 'changed'")
                    try:
                        await client.call_tool("refresh_schema", {})
                        event = await anext(aiter(events))
                        connection.execute(
                            "create table of_a_listener (id int); grant select on of_a_listener to public"
                        )
                        await client.call_tool("refresh_schema", {})
                        listed = await anext(aiter(events))
                    finally:
                        connection.execute("drop table if exists of_a_listener")
                        connection.execute(f"comment on table categories is {literal(found)}".encode())

    assert event == ResourceUpdated(uri=uri)
    assert listed == ResourcesListChanged()


def literal(row: tuple[Any, ...] | None) -> str:
    assert row is not None
    return "'" + str(row[0]).replace("'", "''") + "'"


def test_a_lost_version_header_is_logged_once(client: httpx2.Client, server: HttpServerProcess) -> None:
    headers, body = tool_call("execute_sql", sql="select 1")
    del headers["MCP-Protocol-Version"]

    answers = [client.post("/mcp", headers=headers, json=body) for _ in range(3)]

    assert [rows_of(answer) for answer in answers] == [[[1]]] * 3
    server.until_logged(re.compile("without its MCP-Protocol-Version header"))
    assert server.log.count("without its MCP-Protocol-Version header") == 1


def test_a_forwarded_address_counts_only_from_a_trusted_proxy(
    client: httpx2.Client, server: HttpServerProcess
) -> None:
    refused = client.get("/mcp", headers={"Host": "evil.example", "X-Forwarded-For": "203.0.113.7"})

    assert refused.status_code == 421
    server.until_logged(re.compile(r"a request from 127\.0\.0\.1 is refused"))
    assert "203.0.113.7" not in server.log


def test_health_probes_are_answered_for_any_host_name(client: httpx2.Client) -> None:
    by_address = {"Host": "10.1.2.3:8765"}

    assert client.get("/healthz", headers=by_address).text == "ok\n"
    assert client.get("/readyz", headers=by_address).json() == {"ready": True}
    assert client.get("/readyz?verbose", headers=by_address).status_code == 421
    assert client.get("/readyz?verbose").json() == {
        "ready": True,
        "stopping": False,
        "databases": {"shop": "reachable"},
    }


def test_sigterm_lets_running_calls_end_and_accepts_no_more(
    shop_url: str, shop_admin_url: str, tmp_path: Path
) -> None:
    name = "e2e http stop"
    headers, body = tool_call("execute_sql", SESSION_VERSION, sql=SECONDS)
    listen_headers, listen_body = request(
        "subscriptions/listen", notifications={"resourcesListChanged": True}
    )
    answers: list[httpx2.Response] = []
    environment = server_environment(with_application_name(shop_url, name))
    with (
        HttpServerProcess(environment, tmp_path) as server,
        Activity(shop_admin_url, name) as activity,
        http_client(server.port) as client,
        http_client(server.port) as listener,
        listener.stream("POST", "/mcp", headers=listen_headers, json=listen_body) as stream,
    ):
        lines = stream.iter_lines()
        next(lines)  # the stream is open
        calling = threading.Thread(
            target=lambda: answers.append(client.post("/mcp", headers=headers, json=body))
        )
        calling.start()
        activity.until_running("generate_series")
        server.send_signal(signal.SIGTERM)
        server.until_logged(re.compile("stopping"))
        rest = "\n".join(lines)
        calling.join()

        assert server.wait() == 0
        with pytest.raises(httpx2.ConnectError):
            client.get("/healthz")
    assert rows_of(answers[0]) == [[428572]]
    assert json.loads(rest.rpartition("data: ")[2])["result"]["resultType"] == "complete"
    assert "Traceback" not in server.log


def test_calls_that_outlast_the_stop_are_ended_on_the_server(
    shop_url: str, shop_admin_url: str, tmp_path: Path
) -> None:
    name = "e2e http outlast"
    answers: list[httpx2.Response] = []
    environment = server_environment(with_application_name(shop_url, name), http_stop_timeout="0.2")
    with (
        HttpServerProcess(environment, tmp_path) as server,
        Activity(shop_admin_url, name) as activity,
        http_client(server.port) as client,
    ):

        def call(version: str) -> None:
            headers, body = tool_call("execute_sql", version, sql=RUNAWAY)
            answers.append(client.post("/mcp", headers={**headers, "Accept": "application/json"}, json=body))

        calling = [threading.Thread(target=call, args=[version]) for version in VERSIONS]
        for each in calling:
            each.start()
        until(lambda: len(activity.running("order_items a")) == len(VERSIONS), "both statements run")
        server.send_signal(signal.SIGTERM)
        for each in calling:
            each.join()

        assert server.wait() == 0
        activity.until_gone()
    assert [answer.status_code for answer in answers] == [503, 503]
    assert {message_of(answer)["error"]["message"] for answer in answers} == {"the server is stopping"}


def test_a_port_in_use_is_an_error_that_says_so(
    server: HttpServerProcess, shop_environment: dict[str, str], tmp_path: Path
) -> None:
    ended = subprocess.run(
        [*COMMAND, "serve", "--http", f"127.0.0.1:{server.port}"],
        env=shop_environment,
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
        check=False,
    )

    assert ended.returncode == 2
    assert "address already in use" in ended.stderr.decode()
