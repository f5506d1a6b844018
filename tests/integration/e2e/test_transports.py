"""pgmcp's stdio transport and the SDK's transport give the same answers, in each protocol era."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import mcp_types as types
import pytest
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.shared.message import SessionMessage

from pgmcp.composition import open_backend
from pgmcp.settings.load import load_settings
from pgmcp.surface import Backend, Caller, Surface, SurfaceSettings
from pgmcp.transport.http.sdk_server import build_sdk_server
from pgmcp.transport.stdio.descriptors import HostDescriptors
from pgmcp.transport.stdio.server import StdioServer
from testing.conversations import session_conversation, stateless_conversation

pytestmark = pytest.mark.anyio

SESSION_VERSIONS = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]


@asynccontextmanager
async def open_surface(environment: dict[str, str]) -> AsyncIterator[Surface]:
    loop = asyncio.get_running_loop()
    surface_settings: asyncio.Future[SurfaceSettings] = loop.create_future()
    backend: asyncio.Future[Backend] = loop.create_future()
    settings = load_settings(environment, env_file=None)
    async with open_backend(settings, None, None) as built:
        surface_settings.set_result(SurfaceSettings(("shop",), answers_questions=True))
        backend.set_result(built)
        yield Surface(surface_settings, backend)


async def converse_over_stdio(surface: Surface, conversation: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send the messages one after the other, each when the one before is answered, and return the answers."""
    reading, host_writes = os.pipe()
    host_reads, writing = os.pipe()
    server = StdioServer(surface, HostDescriptors(reading, writing))
    server.start()
    answers: list[dict[str, Any]] = []
    with os.fdopen(host_reads, "rb") as lines:
        for message in conversation:
            os.write(host_writes, json.dumps(message).encode() + b"\n")
            if "id" in message:
                answers.append(json.loads(await asyncio.to_thread(lines.readline)))
        os.close(host_writes)
        await server.ended.wait()
        await server.close()
    os.close(reading)
    os.close(writing)
    return answers


def sdk_server(surface: Surface) -> Server[Any]:
    """Return the SDK's server of a surface, with the features that need a session."""
    server = build_sdk_server(surface)

    async def nothing(_: ServerRequestContext[Any, Any], __: Any) -> types.EmptyResult:
        return types.EmptyResult()

    of_sessions: list[tuple[str, type[types.RequestParams]]] = [
        ("logging/setLevel", types.SetLevelRequestParams),
        ("resources/subscribe", types.SubscribeRequestParams),
        ("resources/unsubscribe", types.UnsubscribeRequestParams),
    ]
    for method, params_type in of_sessions:
        server.add_request_handler(method, params_type, nothing)
    return server


async def converse_with_sdk(surface: Surface, conversation: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send the messages, each after the answer to the one before, and return the answers."""
    server = sdk_server(surface)
    options = server.create_initialization_options(NotificationOptions(resources_changed=True))
    to_server, from_host = anyio.create_memory_object_stream[SessionMessage | Exception](10)
    to_host, from_server = anyio.create_memory_object_stream[SessionMessage](10)
    answers = []
    async with to_server, from_host, to_host, from_server, anyio.create_task_group() as group:
        group.start_soon(server.run, from_host, to_host, options)
        for message in conversation:
            await to_server.send(SessionMessage(types.jsonrpc_message_adapter.validate_python(message)))
            if "id" in message:
                answer = await from_server.receive()
                answers.append(answer.message.model_dump(by_alias=True, exclude_unset=True, mode="json"))
        group.cancel_scope.cancel()
    return answers


@pytest.mark.parametrize("version", [*SESSION_VERSIONS, "2026-07-28"])
async def test_both_transports_give_the_same_answers(version: str, shop_environment: dict[str, str]) -> None:
    stateless = version == "2026-07-28"
    conversation = stateless_conversation() if stateless else session_conversation(version)
    with anyio.fail_after(60):
        async with open_surface(shop_environment) as surface:
            await surface.call_tool("search_schema", {}, CALLER)  # so that no list changes later
            ours = await converse_over_stdio(surface, conversation)
            theirs = await converse_with_sdk(surface, conversation)

    assert [answer["id"] for answer in ours] == [message["id"] for message in conversation if "id" in message]
    for our, their in zip(ours, theirs, strict=True):
        assert comparable(our) == comparable(their), our["id"]


def comparable(answer: dict[str, Any]) -> Any:
    """Return an answer without the parts that differ between calls; of an error, return only the code."""
    if "error" in answer:
        return answer["id"], answer["error"]["code"]
    text = json.dumps(answer["result"], sort_keys=True)
    for pattern, replacement in VARYING:
        text = re.sub(pattern, replacement, text)
    result: dict[str, Any] = json.loads(text)
    result.pop("capabilities", None)  # the SDK cannot know that tools and prompts never change here
    return answer["id"], result


VARYING: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"data-[0-9a-f]{8}", "data-fence"),
    (r"\d+ ms", "0 ms"),
    (r'"elapsed_ms": \{[^}]*\}', '"elapsed_ms": {}'),
]


CALLER = Caller()
