"""A surface behind the SDK's own server: the judge of ours over stdio."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import mcp_types as types
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import NotificationOptions, Server
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from pydantic import BaseModel

from pgmcp.answers.budget import encode_json
from pgmcp.surface import INSTRUCTIONS, SERVER_INFO, Caller, RequestError, Surface

Ask = Callable[[Any], Awaitable[dict[str, Any]]]


def sdk_server(surface: Surface) -> Server[Any]:
    """Return the SDK's server of a surface."""
    server: Server[Any] = Server(
        SERVER_INFO["name"],
        version=SERVER_INFO["version"],
        title=SERVER_INFO["title"],
        instructions=INSTRUCTIONS,
    )

    async def call_tool(params: types.CallToolRequestParams) -> dict[str, Any]:
        reply = await surface.call_tool(params.name, params.arguments or {}, Caller())
        result: dict[str, Any] = json.loads(encode_json(reply.as_result()))  # rows are JSON already
        return result

    async def complete(params: types.CompleteRequestParams) -> dict[str, Any]:
        reference = params.ref.model_dump(exclude_none=True)
        return await surface.complete(reference, params.argument.name, params.argument.value, {})

    async def list_templates(params: types.PaginatedRequestParams) -> dict[str, Any]:
        return surface.list_templates(params.cursor)

    async def list_prompts(params: types.PaginatedRequestParams) -> dict[str, Any]:
        return surface.list_prompts(params.cursor)

    async def nothing(_: Any) -> dict[str, Any]:
        return {}

    paged = types.PaginatedRequestParams
    handlers: list[tuple[str, type[types.RequestParams], type[BaseModel], Ask]] = [
        ("tools/list", paged, types.ListToolsResult, lambda params: surface.list_tools(params.cursor)),
        ("tools/call", types.CallToolRequestParams, types.CallToolResult, call_tool),
        (
            "resources/list",
            paged,
            types.ListResourcesResult,
            lambda it: surface.list_resources(it.cursor),
        ),
        ("resources/templates/list", paged, types.ListResourceTemplatesResult, list_templates),
        (
            "resources/read",
            types.ReadResourceRequestParams,
            types.ReadResourceResult,
            lambda params: surface.read_resource(str(params.uri)),
        ),
        ("prompts/list", paged, types.ListPromptsResult, list_prompts),
        (
            "prompts/get",
            types.GetPromptRequestParams,
            types.GetPromptResult,
            lambda params: surface.get_prompt(params.name, params.arguments or {}),
        ),
        ("completion/complete", types.CompleteRequestParams, types.CompleteResult, complete),
        ("logging/setLevel", types.SetLevelRequestParams, types.EmptyResult, nothing),
        ("resources/subscribe", types.SubscribeRequestParams, types.EmptyResult, nothing),
        ("resources/unsubscribe", types.UnsubscribeRequestParams, types.EmptyResult, nothing),
    ]
    for method, params_type, result_type, ask in handlers:
        server.add_request_handler(method, params_type, _handler(result_type, ask))
    return server


def _handler(result_type: type[BaseModel], ask: Ask) -> Any:
    async def handle(_: ServerRequestContext[Any, Any], params: Any) -> BaseModel:
        try:
            return result_type.model_validate(await ask(params))
        except RequestError as error:
            raise MCPError(code=error.code, message=str(error), data=error.data) from error

    return handle


async def converse_with_sdk(surface: Surface, conversation: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Send the messages one after the other, each when the one before is answered, and return the answers."""
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
