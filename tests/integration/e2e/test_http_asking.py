"""Questions over HTTP, with two servers that share a Redis and with a single server."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp.client.streamable_http import streamable_http_client
from mcp_types import ElicitRequestParams, ElicitResult

from pgmcp.view.reply_data import VIEW_META_KEY
from testing.http_server import HttpServerProcess, http_client, message_of, request, rows_of, tool_call
from testing.mcp_server import server_environment
from testing.openai_endpoint import ScriptedEndpoint, readings
from testing.raw_jsonrpc import SESSION_VERSION
from testing.redis_server import RedisServer, find_redis

QUESTION = "How many customers are active?"
USUAL, OTHER, THIRD = "ordered at all", "ordered this year", "ordered last year"
DRAFTS = readings((USUAL, "SELECT 1 AS n"), (OTHER, "SELECT 2 AS n"), (THIRD, "SELECT 3 AS n"))
ALICE, BOB = ({"Authorization": f"Bearer token-of-{name}"} for name in ("alice", "bob"))


@pytest.fixture(scope="module")
def environment(shop_url: str, shared_endpoint: ScriptedEndpoint) -> dict[str, str]:
    return server_environment(
        shop_url,
        openai_base_url=shared_endpoint.base_url,
        openai_max_retries="0",
        database_max_pool_size="1",
    )


@pytest.fixture(scope="module")
def fleet(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[HttpServerProcess]]:
    """Two servers with one Redis, for the principals alice and bob."""
    pytest.importorskip("redis", reason="the extra `fleet` is not installed")
    program = find_redis()
    if program is None:
        pytest.skip("redis-server is not installed (Debian's package redis-server)")
    hashes = [
        f"{name}={hashlib.sha256(f'token-of-{name}'.encode()).hexdigest()}" for name in ("alice", "bob")
    ]
    with ExitStack() as running:
        redis = running.enter_context(RedisServer(program))
        shared = {
            "PG_MCP_HTTP_TOKENS": ",".join(hashes),
            "PG_MCP_HTTP_STATE_KEYS": "k" * 64,
            "PG_MCP_RATE_LIMIT_STORAGE_URL": redis.url,
        }
        folders = [tmp_path_factory.mktemp(name) for name in ("one", "other")]
        servers = [HttpServerProcess({**environment, **shared}, folder) for folder in folders]
        for server in servers:
            running.enter_context(server)
        yield servers
    assert not any("Traceback" in server.log for server in servers)


def open_session(client: httpx2.Client, name: str, **capabilities: Any) -> dict[str, str]:
    """Return the header of a new session; empty if there is none."""
    headers, body = request(
        "initialize",
        SESSION_VERSION,
        protocolVersion=SESSION_VERSION,
        capabilities=capabilities or {"elicitation": {}},
        clientInfo={"name": name, "version": "1"},
    )
    response = client.post("/mcp", headers=headers, json=body)
    assert message_of(response)["result"]["protocolVersion"] == SESSION_VERSION
    session_id = response.headers.get("mcp-session-id")
    return {} if session_id is None else {"Mcp-Session-Id": session_id}


@dataclass
class OpenCall:
    """A call whose response is read message by message."""

    _lines: Iterator[str]

    def next(self) -> dict[str, Any]:
        """Return the next message."""
        line = next(line for line in self._lines if line.startswith("data: "))
        message: dict[str, Any] = json.loads(line.removeprefix("data: "))
        return message

    def rows(self) -> list[list[Any]]:
        """Return the rows of the answer, which must be the next message."""
        rows: list[list[Any]] = self.next()["result"]["structuredContent"]["rows"]
        return rows


@contextmanager
def asking(client: httpx2.Client, session: dict[str, str], **arguments: Any) -> Iterator[OpenCall]:
    headers, body = tool_call("query", SESSION_VERSION, question=QUESTION, **arguments)
    with client.stream("POST", "/mcp", headers={**headers, **session}, json=body) as response:
        yield OpenCall(response.iter_lines())


def answer(client: httpx2.Client, question: dict[str, Any], **message: Any) -> int:
    """Send a response to a question, and return the status."""
    headers = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": SESSION_VERSION}
    body = {"jsonrpc": "2.0", "id": question["id"], **message}
    return client.post("/mcp", headers=headers, json=body).status_code


def chosen(title: str) -> dict[str, Any]:
    return {"action": "accept", "content": {"reading": title}}


def test_any_server_of_a_fleet_accepts_the_answer_of_the_principal_that_was_asked(
    fleet: list[HttpServerProcess], endpoint: ScriptedEndpoint
) -> None:
    endpoint.script(lambda _: DRAFTS)
    with (
        http_client(fleet[0].port, headers=ALICE) as here,
        http_client(fleet[1].port, headers=ALICE) as there,
        http_client(fleet[0].port, headers=BOB) as stranger_here,
        http_client(fleet[1].port, headers=BOB) as stranger_there,
    ):
        session = open_session(there, "raw")
        for answering in (here, there):
            with asking(here, session) as call:
                question = call.next()
                for stranger in (stranger_here, stranger_there):
                    assert answer(stranger, question, result=chosen(THIRD)) == 202
                headers, body = tool_call("execute_sql", SESSION_VERSION, sql="SELECT 5 AS n")
                # An open question does not occupy the only connection.
                meanwhile = rows_of(here.post("/mcp", headers=headers, json=body))
                assert answer(answering, question, result=chosen(OTHER)) == 202

                assert question["method"] == "elicitation/create"
                assert question["params"]["requestedSchema"]["properties"]["reading"]["enum"][0] == USUAL
                assert meanwhile == [[5]]
                assert call.rows() == [[2]]
            # No call waits for this answer any more.
            assert answer(there, question, result=chosen(THIRD)) == 202

        headers, body = tool_call("query", SESSION_VERSION, question=QUESTION)
        of_stranger = stranger_here.post("/mcp", headers={**headers, **session}, json=body)
        assert rows_of(of_stranger) == [[1]]  # the session belongs to alice
    assert len(endpoint.requests) == 3


class AnswersElsewhere(httpx2.AsyncHTTPTransport):
    """Sends calls that carry an answer to another port, as a balancer without sticky sessions may."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port
        self.calls_moved = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request."""
        if b"inputResponses" in await request.aread():
            request.url = request.url.copy_with(port=self._port)
            request.headers["Host"] = f"127.0.0.1:{self._port}"
            self.calls_moved += 1
        return await super().handle_async_request(request)


@pytest.mark.anyio
async def test_the_sdks_client_is_answered_by_a_server_that_did_not_ask(
    fleet: list[HttpServerProcess], endpoint: ScriptedEndpoint
) -> None:
    async def choose(context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        return ElicitResult(action="accept", content={"reading": OTHER})

    endpoint.script(lambda _: DRAFTS)
    transport = AnswersElsewhere(fleet[1].port)
    async with httpx2.AsyncClient(headers=ALICE, transport=transport, timeout=30.0) as http:
        connection = streamable_http_client(fleet[0].url, http_client=http)
        async with Client(connection, mode="auto", elicitation_callback=choose) as client:
            result = await client.call_tool("query", {"question": QUESTION})

    assert (result.structured_content or {})["rows"] == [[2]]
    assert transport.calls_moved == 1
    assert len(endpoint.requests) == 1  # the encrypted state contains the drafts, so the model is asked once


@pytest.mark.parametrize(
    "reply",
    [
        {"result": {"action": "accept", "content": {}}},
        {"result": chosen("no such reading")},
        {"result": {"action": "decline"}},
        {"result": {"action": "cancel"}},
        {"result": {"action": "accept", "content": {"reading": OTHER, "more": "x" * 10_000}}},
        {"error": {"code": -32601, "message": "no forms here"}},
    ],
    ids=["empty", "foreign", "declined", "cancelled", "too long to be passed on", "error"],
)
def test_an_answer_without_a_choice_gives_the_usual_reading_through_another_server_too(
    reply: dict[str, Any], fleet: list[HttpServerProcess], endpoint: ScriptedEndpoint
) -> None:
    endpoint.script(lambda _: DRAFTS)
    with (
        http_client(fleet[0].port, headers=ALICE) as here,
        http_client(fleet[1].port, headers=ALICE) as there,
        asking(here, open_session(here, str(reply)[:90])) as call,
    ):
        answer(there, call.next(), **reply)

        result = call.next()["result"]["structuredContent"]

    assert (result["rows"], result["follow_up"]) == ([[1]], [OTHER, THIRD])


def test_each_of_two_open_calls_gets_its_own_answer(
    fleet: list[HttpServerProcess], endpoint: ScriptedEndpoint
) -> None:
    endpoint.script(lambda _: DRAFTS)
    with (
        http_client(fleet[0].port, headers=ALICE) as here,
        http_client(fleet[1].port, headers=ALICE) as there,
    ):
        session = open_session(here, "two calls")
        with asking(here, session) as first, asking(there, session, limit=7) as second:
            questions = first.next(), second.next()
            answer(here, questions[1], result=chosen(THIRD))
            answer(here, questions[0], result=chosen(OTHER))

            assert first.rows() == [[2]]
            assert second.rows() == [[3]]


def test_a_host_gets_a_form_it_can_show_and_without_a_choice_the_usual_reading(
    environment: dict[str, str], endpoint: ScriptedEndpoint, tmp_path: Path
) -> None:
    endpoint.script(lambda _: DRAFTS)
    with (
        HttpServerProcess({**environment, "PG_MCP_SERVER_ASK_TIMEOUT": "0.2"}, tmp_path) as server,
        http_client(server.port) as client,
    ):
        session = open_session(client, "silent")
        headers, body = tool_call("query", SESSION_VERSION, question=QUESTION)
        only_json = client.post(
            "/mcp", headers={**headers, **session, "Accept": "application/json"}, json=body
        )
        unknown = client.post("/mcp", headers={**headers, "Mcp-Session-Id": "00" * 40}, json=body)
        with asking(client, session) as call:
            question, withdrawn, silent = call.next(), call.next(), call.rows()
        no_forms = open_session(client, "no forms", elicitation={"url": {}})
        apps = {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}
        of_apps = open_session(client, "a host of apps", extensions=apps)
        headers, body = tool_call("execute_sql", SESSION_VERSION, sql="SELECT 1 AS n")
        viewed = client.post("/mcp", headers={**headers, **of_apps}, json=body)
        ended = client.delete("/mcp", headers=session)

    assert rows_of(only_json) == rows_of(unknown) == silent == [[1]]
    assert withdrawn["method"] == "notifications/cancelled"
    assert withdrawn["params"]["requestId"] == question["id"]
    assert no_forms == {}
    assert VIEW_META_KEY in message_of(viewed)["result"]["_meta"]
    assert (ended.status_code, ended.headers["allow"]) == (405, "POST")
    assert "Traceback" not in server.log
