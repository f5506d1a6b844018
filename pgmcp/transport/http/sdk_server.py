"""Makes the surface's functions the handlers of the SDK's server, which implements all protocol versions."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar, get_args

import anyio
import mcp_types as types
from mcp.server.caching import CacheableMethod, CacheHint
from mcp.server.context import CallNext, HandlerResult, ServerMiddleware, ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from pgmcp.answers.budget import encode_json
from pgmcp.identity import Principal
from pgmcp.surface import INSTRUCTIONS, SERVER_INFO, Caller, RequestError, Surface
from pgmcp.surface.caller import APPS_EXTENSION
from pgmcp.transport.http.callers import caller_of, with_trace_headers
from pgmcp.transport.http.changes import ChangeStreams, principal_of
from pgmcp.transport.progress import Progress

Context = ServerRequestContext[Any, Any]
Answer = Callable[[Context, Any], Awaitable[dict[str, Any]]]
T = TypeVar("T")

_LAST_PROGRESS_TIMEOUT_S: Final = 1.0
"""How long an answer may wait for progress notifications that are still to be sent."""

# For `server/discover`, which only clients since protocol 2026-07-28 call; earlier ones get no notifications.
_CAPABILITIES: Final[dict[str, Any]] = {
    "completions": {},
    "extensions": {APPS_EXTENSION: {}},
    "prompts": {"listChanged": False},
    "resources": {"listChanged": True, "subscribe": True},
    "tools": {"listChanged": True},
}


def build_sdk_server(surface: Surface, changes: ChangeStreams | None = None) -> Server[Any]:
    """Return the SDK's server for a surface.

    Args:
        changes: serves `subscriptions/listen`, with its own `server/discover`; None: neither is added.
    """
    server: Server[Any] = Server(
        SERVER_INFO["name"],
        version=SERVER_INFO["version"],
        title=SERVER_INFO["title"],
        instructions=INSTRUCTIONS,
        # The SDK would list the tools to look for arguments that are repeated in headers; there are none.
        get_tool_input_schema=lambda _: None,
        cache_hints=dict.fromkeys(get_args(CacheableMethod), CacheHint(ttl_ms=0, scope="private")),
    )
    server.middleware = [_Trace(surface)]  # instead of the SDK's own spans, which are not configured here
    for method, params_type, answer in _handlers(surface):
        server.add_request_handler(method, params_type, _handler(answer))
    if changes is not None:
        server.add_request_handler(
            "server/discover", types.RequestParams, _handler(_async_handler(_discover))
        )
        server.add_request_handler(
            "subscriptions/listen", types.SubscriptionsListenRequestParams, changes.listen
        )
    return server


def _handlers(surface: Surface) -> list[tuple[str, type[types.RequestParams], Answer]]:
    """Return each method with the type of its parameters and the function that answers it."""
    paged = types.PaginatedRequestParams
    return [
        (
            "tools/list",
            paged,
            lambda context, params: surface.list_tools(params.cursor, principal_of(context)),
        ),
        ("tools/call", types.CallToolRequestParams, _ToolCalls(surface)),
        (
            "resources/list",
            paged,
            lambda context, params: surface.list_resources(params.cursor, principal_of(context)),
        ),
        (
            "resources/templates/list",
            paged,
            _async_handler(lambda params: surface.list_templates(params.cursor)),
        ),
        (
            "resources/read",
            types.ReadResourceRequestParams,
            lambda context, it: surface.read_resource(str(it.uri), _caller(context)),
        ),
        ("prompts/list", paged, _async_handler(lambda params: surface.list_prompts(params.cursor))),
        (
            "prompts/get",
            types.GetPromptRequestParams,
            lambda _, params: surface.get_prompt(params.name, params.arguments or {}),
        ),
        (
            "completion/complete",
            types.CompleteRequestParams,
            lambda context, it: _complete(surface, it, principal_of(context)),
        ),
    ]


def _handler(answer: Answer) -> Any:
    async def handle(context: Context, params: Any) -> dict[str, Any]:
        try:
            result = await _run_in_own_task(answer(context, params))
        except RequestError as error:
            raise MCPError(code=error.code, message=str(error), data=error.data) from error
        if context.protocol_version in MODERN_PROTOCOL_VERSIONS:
            return {"resultType": "complete", **result}
        return result

    return handle


async def _run_in_own_task(work: Awaitable[T]) -> T:
    """Run work that is cancelled only once, so that it can clean up.

    The SDK cancels with anyio's scopes. A scope cancels every await until the scope ends, so it would also
    cancel the work that stops a statement on the server.
    """
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        task.cancel()
        with anyio.CancelScope(shield=True):
            await asyncio.wait([task])
        raise


def _async_handler(answer: Callable[[Any], dict[str, Any]]) -> Answer:
    async def handle(_: Context, params: Any) -> dict[str, Any]:
        return answer(params)

    return handle


def _discover(_: Any) -> dict[str, Any]:
    return {
        "supportedVersions": list(MODERN_PROTOCOL_VERSIONS),
        "capabilities": _CAPABILITIES,
        "instructions": INSTRUCTIONS,
    }


async def _complete(
    surface: Surface, params: types.CompleteRequestParams, principal: Principal | None
) -> dict[str, Any]:
    reference = params.ref.model_dump(exclude_none=True)
    chosen = (params.context.arguments if params.context else None) or {}
    return await surface.complete(reference, params.argument.name, params.argument.value, chosen, principal)


class _ToolCalls:
    """Answers `tools/call`, with progress for hosts that ask for it."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface

    def __call__(
        self, context: Context, params: types.CallToolRequestParams
    ) -> Coroutine[Any, Any, dict[str, Any]]:
        """Return the call, ready to run."""
        token = _meta(context).get("progressToken")
        if isinstance(token, str | int) and not isinstance(token, bool):
            return self._call_with_progress(context, params, token)
        return self._call(params, _caller(context))

    async def _call(self, params: types.CallToolRequestParams, caller: Caller) -> dict[str, Any]:
        reply = await self._surface.call_tool(params.name, params.arguments or {}, caller)
        # Only encode_json can write the rows, which are JSON already.
        result: dict[str, Any] = json.loads(encode_json(reply.as_result()))
        return result

    async def _call_with_progress(
        self, context: Context, params: types.CallToolRequestParams, token: str | int
    ) -> dict[str, Any]:
        waiting: asyncio.Queue[tuple[int, str] | None] = asyncio.Queue()
        progress = Progress(lambda number, message: waiting.put_nowait((number, message)))
        sender = asyncio.get_running_loop().create_task(_send_progress(context, token, waiting))
        try:
            result = await self._call(params, replace(_caller(context), report=progress.report))
            progress.stop()
            waiting.put_nowait(None)
            await asyncio.wait([sender], timeout=_LAST_PROGRESS_TIMEOUT_S)
            return result
        finally:
            progress.stop()
            sender.cancel()


async def _send_progress(
    context: Context, token: str | int, waiting: "asyncio.Queue[tuple[int, str] | None]"
) -> None:
    while (notification := await waiting.get()) is not None:
        number, message = notification
        await context.session.send_progress_notification(
            token, number, message=message, related_request_id=str(context.request_id)
        )


def _meta(context: Context) -> Mapping[str, Any]:
    meta = (context.params or {}).get("_meta")
    return meta if isinstance(meta, Mapping) else {}


def _caller(context: Context) -> Caller:
    request = context.request
    scope, headers = (None, {}) if request is None else (request.scope, request.headers)
    return caller_of(_meta(context), scope, headers, context.protocol_version, params=context.params)


class _Trace(ServerMiddleware[Any]):
    """Wraps requests in spans, if the settings enable them."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Answer a request or accept a notification."""
        trace = self._surface.trace
        if trace is None or ctx.request_id is None:
            return await call_next(ctx)
        facts = {"mcp.protocol.version": ctx.protocol_version, "jsonrpc.request.id": str(ctx.request_id)}
        with trace(ctx.method, _with_trace_headers(ctx), facts) as mark_failed:
            try:
                result = await call_next(ctx)
            except MCPError as error:
                mark_failed(str(error.error.code))
                raise
            if isinstance(result, dict) and result.get("isError") is True:
                mark_failed("tool_error")
            return result


def _with_trace_headers(context: Context) -> Mapping[str, Any]:
    return with_trace_headers(context.params or {}, context.request.headers if context.request else {})
