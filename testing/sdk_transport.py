"""The surface behind the SDK's server on streams in memory, to compare pgmcp's stdio transport with."""

from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.shared.message import SessionMessage

from pgmcp.surface import Surface
from pgmcp.transport.http.sdk_server import build_sdk_server


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
