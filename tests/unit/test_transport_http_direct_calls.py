"""Which requests are answered without the SDK; slow calls, and calls whose client disconnects."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import anyio
import pytest
from mcp.server.streamable_http_manager import StreamableHTTPASGIApp, StreamableHTTPSessionManager
from starlette.datastructures import Headers

from pgmcp.surface import Backend, Caller, Surface, SurfaceSettings, ToolReply
from pgmcp.transport.http.direct_calls import ClientGoneError, DirectCall, DirectCalls
from pgmcp.transport.http.sdk_server import build_sdk_server
from testing.http_server import request, tool_call
from testing.raw_jsonrpc import SESSION_VERSION, STATELESS_VERSION

pytestmark = pytest.mark.anyio

PROTOCOL = "io.modelcontextprotocol/"


class SlowSurface(Surface):
    """Answers a call once `may_answer` is set."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        surface_settings: asyncio.Future[SurfaceSettings] = loop.create_future()
        backend: asyncio.Future[Backend] = loop.create_future()
        super().__init__(surface_settings, backend)
        surface_settings.set_result(SurfaceSettings(database_names=("shop",)))
        self.may_answer = asyncio.Event()
        self.is_cancelled = False

    async def call_tool(self, name: str, raw_arguments: Mapping[str, Any], caller: Caller) -> ToolReply:
        try:
            await self.may_answer.wait()
        except asyncio.CancelledError:
            self.is_cancelled = True
            raise
        return ToolReply.from_text(f"{name} for {caller.protocol_version}")


class Client:
    """The client's side of an ASGI connection: `messages` to the server, and `sent` by the server."""

    def __init__(self) -> None:
        self.has_left = asyncio.Event()
        self.has_received = asyncio.Event()
        self.has_pinged = asyncio.Event()
        self.messages: list[dict[str, Any]] = []
        self.sent: list[dict[str, Any]] = []

    async def receive(self) -> dict[str, Any]:
        if self.messages:
            return self.messages.pop(0)
        await self.has_left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        self.sent.append(message)
        self.has_received.set()
        if b": ping" in message.get("body", b""):
            self.has_pinged.set()

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent)


def read(
    surface: Surface, headers: dict[str, str], body: Any, changes: list[tuple[str, str]] | None = None
) -> DirectCall | None:
    raw = [("content-type", "application/json"), *headers.items(), *(changes or [])]
    encoded = [(name.lower().encode(), value.encode()) for name, value in raw]
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DirectCalls(surface).read(Headers(raw=encoded), content, takes_events=True)


@pytest.mark.parametrize(
    "version", ["2024-11-05", "2025-03-26", "2025-06-18", SESSION_VERSION, STATELESS_VERSION]
)
async def test_plain_calls_of_every_protocol_version_are_answered_directly(version: str) -> None:
    headers, body = tool_call("execute_sql", version, sql="select 1")
    body["params"].setdefault("_meta", {})["traceparent"] = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71-01"

    call = read(SlowSurface(), headers, body)

    assert call is not None
    assert (call.version, call.params.arguments) == (version, {"sql": "select 1"})


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "no_such_tool"},
        {"name": None},
        {"arguments": None},
        {"arguments": [1]},
        {"task": {}},
        {"requestState": "x"},
        {"_meta": {"progressToken": 1}},
        {"_meta": {"traceparent": 1}},
        {"_meta": {"vendor/key": "x"}},
    ],
)
@pytest.mark.parametrize("version", [SESSION_VERSION, STATELESS_VERSION])
async def test_calls_that_are_not_plain_are_left_to_the_sdk(version: str, changes: dict[str, Any]) -> None:
    headers, body = tool_call("execute_sql", version, sql="select 1")
    meta = {**body["params"].get("_meta", {}), **changes.get("_meta", {})}
    body["params"] |= changes | ({"_meta": meta} if meta else {})

    assert read(SlowSurface(), headers, body) is None


@pytest.mark.parametrize(
    "changes",
    [
        {"MCP-Protocol-Version": "2099-01-01"},
        {"MCP-Protocol-Version": SESSION_VERSION},
        {"Mcp-Method": "tools/list"},
        {"Mcp-Name": "query"},
        {"Accept": "text/html"},
    ],
)
async def test_headers_that_do_not_fit_the_body_are_left_to_the_sdk(changes: dict[str, str]) -> None:
    headers, body = tool_call("execute_sql", sql="select 1")

    assert read(SlowSurface(), headers | changes, body) is None


@pytest.mark.parametrize("name", ["MCP-Protocol-Version", "Mcp-Method", "Mcp-Name", "Content-Type"])
async def test_a_header_that_comes_twice_or_not_at_all_is_left_to_the_sdk(name: str) -> None:
    headers, body = tool_call("execute_sql", sql="select 1")
    without = {key: value for key, value in headers.items() if key != name}

    assert read(SlowSurface(), headers, body, [(name, headers.get(name, "application/json"))]) is None
    assert name == "Content-Type" or read(SlowSurface(), without, body) is None


@pytest.mark.parametrize(
    "meta",
    [
        {f"{PROTOCOL}clientCapabilities": None},
        {f"{PROTOCOL}clientCapabilities": {"elicitation": 1}},
        {f"{PROTOCOL}clientInfo": {"name": 1}},
        {f"{PROTOCOL}clientInfo": None},
        {f"{PROTOCOL}protocolVersion": "2025-11-25"},
    ],
)
async def test_an_envelope_that_is_not_valid_is_left_to_the_sdk(meta: dict[str, Any]) -> None:
    headers, body = tool_call("execute_sql", sql="select 1")
    body["params"]["_meta"] = body["params"]["_meta"] | meta

    assert read(SlowSurface(), headers, body) is None


@pytest.mark.parametrize("body", [b"", b"[]", b"\xff", b"[" * 5000, b'{"jsonrpc":"1.0"}'])
async def test_requests_that_are_not_calls_are_left_to_the_sdk(body: bytes) -> None:
    headers, _ = tool_call("execute_sql", sql="select 1")

    assert read(SlowSurface(), headers, body) is None


@pytest.mark.parametrize("request_id", [None, True, 1.5])
async def test_an_id_that_is_not_valid_is_left_to_the_sdk(request_id: Any) -> None:
    headers, body = tool_call("execute_sql", sql="select 1")

    assert read(SlowSurface(), headers, body | {"id": request_id}) is None


async def test_another_method_is_left_to_the_sdk() -> None:
    assert read(SlowSurface(), *request("tools/list")) is None


def direct_call(surface: Surface) -> DirectCall:
    call = read(surface, *tool_call("execute_sql", sql="select 1"))
    assert call is not None
    return call


async def test_an_answer_in_time_is_one_json_text_of_known_length() -> None:
    surface, client = SlowSurface(), Client()
    surface.may_answer.set()
    call = direct_call(surface)

    await DirectCalls(surface).answer(call, {}, client.receive, client.send)

    headers = dict(client.sent[0]["headers"])
    assert headers == {b"content-type": b"application/json", b"content-length": b"%d" % len(client.body)}
    message = json.loads(client.body)
    assert message["id"] == call.id
    assert message["result"]["resultType"] == "complete"
    assert message["result"]["content"][0]["text"] == f"execute_sql for {STATELESS_VERSION}"


async def test_an_answer_that_takes_long_becomes_a_stream_that_is_kept_alive() -> None:
    surface, client = SlowSurface(), Client()
    calls = DirectCalls(surface, keep_alive_s=0.001)
    answering = asyncio.create_task(calls.answer(direct_call(surface), {}, client.receive, client.send))

    with anyio.fail_after(10):
        await client.has_received.wait()
        surface.may_answer.set()
        await answering

    assert dict(client.sent[0]["headers"])[b"content-type"] == b"text/event-stream"
    comments, _, data = client.body.partition(b"event: message\r\ndata: ")
    assert set(comments.split(b"\r\n\r\n")) == {b": ping", b""}
    assert data.endswith(b"\r\n\r\n")
    assert json.loads(data)["result"]["isError"] is False


@pytest.mark.parametrize("version", [SESSION_VERSION, STATELESS_VERSION])
async def test_a_long_call_that_the_sdk_answers_is_kept_alive_too(
    version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The SDK's intervals of 15 s cannot be set.
    monkeypatch.setattr("sse_starlette.sse.EventSourceResponse.DEFAULT_PING_INTERVAL", 0.001)
    monkeypatch.setattr("mcp.server._streamable_http_modern._SSE_PING_INTERVAL", 0.001)
    surface, client = SlowSurface(), Client()
    headers, body = tool_call("execute_sql", version, sql="select 1")
    body["params"].setdefault("_meta", {})["example.com/key"] = "only the SDK reads this"
    assert read(surface, headers, body) is None
    client.messages.append({"type": "http.request", "body": json.dumps(body).encode(), "more_body": False})
    raw = {"host": "localhost", "content-type": "application/json", **headers}
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "query_string": b"",
        "headers": [(name.lower().encode(), text.encode()) for name, text in raw.items()],
    }
    manager = StreamableHTTPSessionManager(build_sdk_server(surface), stateless=True)

    async with manager.run(), asyncio.TaskGroup() as answering:
        answering.create_task(StreamableHTTPASGIApp(manager)(scope, client.receive, client.send))
        with anyio.fail_after(10):
            await client.has_pinged.wait()
            surface.may_answer.set()

    assert dict(client.sent[0]["headers"])[b"content-type"].startswith(b"text/event-stream")
    last = client.body.rpartition(b"data: ")[2].splitlines()[0]
    assert json.loads(last)["result"]["isError"] is False


async def test_a_client_that_leaves_cancels_its_call() -> None:
    surface, client = SlowSurface(), Client()
    client.has_left.set()

    with pytest.raises(ClientGoneError):
        await DirectCalls(surface).answer(direct_call(surface), {}, client.receive, client.send)

    assert surface.is_cancelled


async def test_the_end_of_the_server_cancels_the_call() -> None:
    surface, client = SlowSurface(), Client()

    with anyio.CancelScope() as running:
        asyncio.get_running_loop().call_soon(running.cancel)
        await DirectCalls(surface).answer(direct_call(surface), {}, client.receive, client.send)

    assert running.cancelled_caught
    assert client.sent == []
