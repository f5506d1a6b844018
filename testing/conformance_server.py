"""The tools, resources and prompts that the conformance suite expects, on pgmcp's own HTTP app.

    python -m testing.conformance_server PORT

pgmcp itself has no images, sound or sampling. This server has them, so that the suite can check how the HTTP
app transports them.
"""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, get_args

import mcp_types as types
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError

from pgmcp.surface import Backend, Surface, SurfaceSettings
from pgmcp.transport.http.address import ListenAddress, open_sockets
from pgmcp.transport.http.health import DatabaseState
from pgmcp.transport.http.limits import HttpLimits
from pgmcp.transport.http.questions import ask_of
from pgmcp.transport.http.request_checks import LOOPBACK_NAMES, LOOPBACK_ORIGINS, HostCheck
from pgmcp.transport.http.server import HttpServer

Context = ServerRequestContext[Any, Any]
Result = dict[str, Any]

NAME = "pgmcp-conformance"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
WAV = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA="
MISSING_CAPABILITY = -32021  # of 2026-07-28

TEXT = {"type": "text", "text": "This is a simple text response for testing."}
IMAGE = {"type": "image", "data": PNG, "mimeType": "image/png"}
AUDIO = {"type": "audio", "data": WAV, "mimeType": "audio/wav"}


def resource_block(uri: str, text: str, mime_type: str = "text/plain") -> Result:
    return {"type": "resource", "resource": {"uri": uri, "mimeType": mime_type, "text": text}}


CONTENT_BY_TOOL: dict[str, list[Result]] = {
    "test_simple_text": [TEXT],
    "test_image_content": [IMAGE],
    "test_audio_content": [AUDIO],
    "test_embedded_resource": [resource_block("test://embedded-resource", "An embedded resource.")],
    "test_multiple_content_types": [
        {"type": "text", "text": "Multiple content types test:"},
        IMAGE,
        resource_block("test://mixed-content-resource", '{"test":"data","value":123}', "application/json"),
    ],
    "test_logging_tool": [TEXT],  # no client has asked for log messages, so this sends none
}


def ask_user(message: str, **types_by_property: str) -> Result:
    properties = {name: {"type": type_name} for name, type_name in types_by_property.items()}
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return {"method": "elicitation/create", "params": {"message": message, "requestedSchema": schema}}


def ask_model(text: str) -> Result:
    message = {"role": "user", "content": {"type": "text", "text": text}}
    return {"method": "sampling/createMessage", "params": {"messages": [message], "maxTokens": 100}}


ROOTS: Result = {"method": "roots/list", "params": {}}
USER_NAME = {"user_name": ask_user("What is your name?", name="string")}
CONFIRM = {"confirm": ask_user("Please confirm", ok="boolean")}

REQUESTS_BY_TOOL: dict[str, dict[str, Result]] = {
    "test_input_required_result_elicitation": USER_NAME,
    "test_streaming_elicitation": USER_NAME,
    "test_input_required_result_sampling": {"capital_question": ask_model("What is the capital of France?")},
    "test_input_required_result_list_roots": {"client_roots": ROOTS},
    "test_input_required_result_request_state": CONFIRM,
    "test_input_required_result_tampered_state": CONFIRM,
    "test_input_required_result_multiple_inputs": {
        **USER_NAME,
        "greeting": ask_model("Generate a greeting"),
        "client_roots": ROOTS,
    },
    "test_input_required_result_capabilities": {**USER_NAME, "greeting": ask_model("Generate a greeting")},
}
STATEFUL = (
    "test_input_required_result_request_state",
    "test_input_required_result_tampered_state",
    "test_input_required_result_multiple_inputs",
)
CAPABILITY_BY_METHOD = {"elicitation/create": "elicitation", "sampling/createMessage": "sampling"}
ROUNDS = (
    {"step1": ask_user("Step 1: What is your name?", name="string")},
    {"step2": ask_user("Step 2: What is your favorite color?", color="string")},
)


def choice_of(values: list[str], titles: list[str]) -> list[Result]:
    return [{"const": value, "title": title} for value, title in zip(values, titles, strict=True)]


OPTIONS = ["option1", "option2", "option3"]
VALUES = ["value1", "value2", "value3"]

PROPERTIES_BY_TOOL: dict[str, Result] = {
    "test_elicitation": {"username": {"type": "string"}, "email": {"type": "string", "format": "email"}},
    "test_elicitation_sep1034_defaults": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": True},
    },
    "test_elicitation_sep1330_enums": {
        "untitledSingle": {"type": "string", "enum": OPTIONS},
        "titledSingle": {
            "type": "string",
            "oneOf": choice_of(VALUES, ["First Option", "Second Option", "Third Option"]),
        },
        "legacyEnum": {
            "type": "string",
            "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"],
        },
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": OPTIONS}},
        "titledMulti": {
            "type": "array",
            "items": {"anyOf": choice_of(VALUES, ["First Choice", "Second Choice", "Third Choice"])},
        },
    },
}
"""The form's properties of each tool that asks while it is called. Protocols before 2026-07-28 allow that."""

TOOLS = (
    *CONTENT_BY_TOOL,
    *REQUESTS_BY_TOOL,
    *PROPERTIES_BY_TOOL,
    "test_sampling",
    "test_input_required_result_multi_round",
    "test_error_handling",
    "test_missing_capability",
    "test_tool_with_logging",
    "test_tool_with_progress",
)

PROMPTS: dict[str, tuple[str, ...]] = {
    "test_simple_prompt": (),
    "test_prompt_with_arguments": ("arg1", "arg2"),
    "test_prompt_with_embedded_resource": ("resourceUri",),
    "test_prompt_with_image": (),
    "test_input_required_result_prompt": (),
}


def text_of(text: str, *, is_error: bool = False) -> Result:
    return {"content": [{"type": "text", "text": text}], "isError": is_error}


def input_required(requests: Mapping[str, Result], state: str | None = None) -> Result:
    asked: Result = {"resultType": "input_required", "inputRequests": dict(requests)}
    return asked if state is None else {**asked, "requestState": state}


def answered(params: Any) -> dict[str, Any]:
    """Return the client's answers to earlier requests, by key."""
    return {key: _as_dict(value) for key, value in (params.input_responses or {}).items()}


def _as_dict(value: Any) -> Any:
    return value.model_dump(by_alias=True, mode="json") if hasattr(value, "model_dump") else value


async def call_tool(context: Context, params: types.CallToolRequestParams) -> Result:
    name = params.name
    if name in CONTENT_BY_TOOL:
        return {"content": CONTENT_BY_TOOL[name], "isError": False}
    if name in REQUESTS_BY_TOOL:
        return ask_first(context, params)
    if name in PROPERTIES_BY_TOOL:
        schema = {"type": "object", "properties": PROPERTIES_BY_TOOL[name], "required": []}
        return await ask_within(
            context, "elicitation/create", {"message": "Please fill this in", "requestedSchema": schema}
        )
    if name == "test_sampling":
        request = ask_model(str((params.arguments or {}).get("prompt")))
        return await ask_within(context, request["method"], request["params"])
    if name in OTHERS:
        return await OTHERS[name](context, params)
    raise MCPError(code=-32602, message="Unknown tool")


async def ask_within(context: Context, method: str, params: Result) -> Result:
    """Ask the client on the stream of this call, and return its answer as text."""
    ask = ask_of(context.request.scope if context.request else None)
    if ask is None:
        return text_of("the client cannot be asked", is_error=True)
    return text_of(f"the client answered: {json.dumps(await ask(method, params))}")


def ask_first(context: Context, params: types.CallToolRequestParams) -> Result:
    """Request all input of this tool from the client; return the result once the client has sent it all."""
    requests = REQUESTS_BY_TOOL[params.name]
    if params.name == "test_input_required_result_capabilities":
        requests = {key: each for key, each in requests.items() if can(context, each["method"])}
    given = answered(params)
    if not requests.keys() <= given.keys():
        return input_required(requests, "asked" if params.name in STATEFUL else None)
    if params.name == "test_input_required_result_request_state":
        return text_of("state-ok" if params.request_state == "asked" else "the state is another")
    return text_of(f"thank you: {json.dumps(given)}")


def can(context: Context, method: str) -> bool:
    meta = (context.params or {}).get("_meta") or {}
    declared = meta.get(types.CLIENT_CAPABILITIES_META_KEY) or {}
    return CAPABILITY_BY_METHOD[method] in declared


async def ask_in_rounds(_: Context, params: types.CallToolRequestParams) -> Result:
    done = int(params.request_state or 0) if "step1" in answered(params) or params.request_state else 0
    given = answered(params)
    if done == 0:
        return input_required(ROUNDS[0], "1")
    if done == 1 and "step1" in given:
        return input_required(ROUNDS[1], "2")
    return text_of("both steps are done") if "step2" in given else input_required(ROUNDS[done - 1], str(done))


async def fail(_: Context, __: types.CallToolRequestParams) -> Result:
    return text_of("This tool intentionally returns an error for testing", is_error=True)


async def need_sampling(context: Context, _: types.CallToolRequestParams) -> Result:
    if can(context, "sampling/createMessage"):
        return text_of("the client can sample")
    raise MCPError(
        code=MISSING_CAPABILITY,
        message="the client has not declared sampling",
        data={"requiredCapabilities": {"sampling": {}}},
    )


async def log(context: Context, _: types.CallToolRequestParams) -> Result:
    for text in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await context.session.send_log_message("info", text, related_request_id=str(context.request_id))
    return text_of("logged")


async def report_progress(context: Context, _: types.CallToolRequestParams) -> Result:
    token = ((context.params or {}).get("_meta") or {}).get("progressToken")
    for done in (0, 50, 100):
        assert isinstance(token, str | int)
        await context.session.send_progress_notification(
            token, done, total=100, related_request_id=str(context.request_id)
        )
    return text_of("done")


OTHERS: dict[str, Callable[[Context, types.CallToolRequestParams], Awaitable[Result]]] = {
    "test_input_required_result_multi_round": ask_in_rounds,
    "test_error_handling": fail,
    "test_missing_capability": need_sampling,
    "test_tool_with_logging": log,
    "test_tool_with_progress": report_progress,
}


async def list_tools(_: Context, __: Any) -> Result:
    schema = {"type": "object", "properties": {}}
    return {"tools": [{"name": name, "description": name, "inputSchema": schema} for name in TOOLS]}


async def list_resources(_: Context, __: Any) -> Result:
    uris = {
        "test://static-text": "text/plain",
        "test://static-binary": "image/png",
        "test://watched-resource": "text/plain",
    }
    return {"resources": [{"uri": uri, "name": uri, "mimeType": kind} for uri, kind in uris.items()]}


async def list_templates(_: Context, __: Any) -> Result:
    template = "test://template/{id}/data"
    return {
        "resourceTemplates": [{"uriTemplate": template, "name": "template", "mimeType": "application/json"}]
    }


async def read_resource(_: Context, params: types.ReadResourceRequestParams) -> Result:
    uri = str(params.uri)
    content: Result = {"uri": uri, "mimeType": "text/plain", "text": "The content of a static text resource."}
    if uri == "test://static-binary":
        content = {"uri": uri, "mimeType": "image/png", "blob": PNG}
    elif uri.startswith("test://template/"):
        number = uri.split("/")[3]
        data = {"id": number, "templateTest": True, "data": f"Data for ID: {number}"}
        content = {"uri": uri, "mimeType": "application/json", "text": json.dumps(data)}
    elif uri not in ("test://static-text", "test://watched-resource"):
        raise MCPError(code=-32602, message="Resource not found", data={"uri": uri})
    return {"contents": [content]}


async def list_prompts(_: Context, __: Any) -> Result:
    return {
        "prompts": [
            {
                "name": name,
                "description": name,
                "arguments": [{"name": each, "required": True} for each in arguments],
            }
            for name, arguments in PROMPTS.items()
        ]
    }


async def get_prompt(_: Context, params: types.GetPromptRequestParams) -> Result:
    given = params.arguments or {}
    if params.name == "test_input_required_result_prompt" and not answered(params):
        return input_required(
            {"user_context": ask_user("What context should the prompt use?", context="string")}
        )
    content: list[Result] = [{"type": "text", "text": f"A prompt for testing: {json.dumps(given)}"}]
    if params.name == "test_prompt_with_embedded_resource":
        content.insert(0, resource_block(given["resourceUri"], "Embedded resource content for testing."))
    if params.name == "test_prompt_with_image":
        content.insert(0, IMAGE)
    return {"messages": [{"role": "user", "content": each} for each in content]}


async def complete(_: Context, __: Any) -> Result:
    return {"completion": {"values": ["paris", "park", "party"], "total": 3, "hasMore": False}}


async def nothing(_: Context, __: Any) -> Result:
    return {}


HANDLERS: list[tuple[str, type[types.RequestParams], Callable[[Context, Any], Awaitable[Result]]]] = [
    ("tools/list", types.PaginatedRequestParams, list_tools),
    ("tools/call", types.CallToolRequestParams, call_tool),
    ("resources/list", types.PaginatedRequestParams, list_resources),
    ("resources/templates/list", types.PaginatedRequestParams, list_templates),
    ("resources/read", types.ReadResourceRequestParams, read_resource),
    ("resources/subscribe", types.SubscribeRequestParams, nothing),
    ("resources/unsubscribe", types.UnsubscribeRequestParams, nothing),
    ("prompts/list", types.PaginatedRequestParams, list_prompts),
    ("prompts/get", types.GetPromptRequestParams, get_prompt),
    ("completion/complete", types.CompleteRequestParams, complete),
    ("logging/setLevel", types.SetLevelRequestParams, nothing),
]


def build_server() -> Server[Any]:
    server: Server[Any] = Server(
        NAME,
        version="1",
        get_tool_input_schema=lambda _: None,
        cache_hints=dict.fromkeys(get_args(CacheableMethod), CacheHint(ttl_ms=0, scope="private")),
    )
    for method, params_type, handle in HANDLERS:
        server.add_request_handler(method, params_type, completed(handle))
    security = RequestStateSecurity(keys=["k" * 32])
    server.middleware = [RequestStateBoundary(security, default_audience=NAME)]
    return server


def completed(handle: Callable[[Context, Any], Awaitable[Result]]) -> Any:
    async def answer(context: Context, params: Any) -> Result:
        result = await handle(context, params)
        is_modern = context.protocol_version >= "2026"
        return {"resultType": "complete", **result} if is_modern else result

    return answer


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    surface_settings: asyncio.Future[SurfaceSettings] = loop.create_future()
    backend: asyncio.Future[Backend] = loop.create_future()

    async def check() -> Mapping[str, DatabaseState]:
        return {}

    server = HttpServer(
        Surface(surface_settings, backend),  # its futures are never set, so only `sdk_server` answers
        HostCheck(LOOPBACK_NAMES, LOOPBACK_ORIGINS),
        check,
        HttpLimits(stop_timeout_s=1),
        sdk_server=build_server(),
    )
    async with server.stopped_by_signals():
        await server.serve(open_sockets(ListenAddress("127.0.0.1", port)))


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
