"""Answers plain tool calls without the SDK, which would decode and encode each result again.

    POST ─▶ DirectCalls.read ─▶ a plain tool call ─▶ surface ─▶ one answer in JSON
                    └─────────▶ anything else ─▶ the SDK

A plain tool call is a `tools/call` without progress, whose headers and body agree as the protocol's version
requires. The SDK answers all other requests, invalid ones too, and calls that may ask on their stream. A call
that is still running after `KEEP_ALIVE_S` continues as a stream of events, with comments that keep proxies
from timing out.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import anyio
import mcp_types as types
import msgspec
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, MODERN_PROTOCOL_VERSIONS
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from pgmcp.answers.budget import encode_json
from pgmcp.surface import SERVER_INFO, Surface, ToolReply
from pgmcp.surface.asking import ASKING_TOOL
from pgmcp.transport.http.callers import caller_of, with_trace_headers
from pgmcp.transport.http.responses import event_of

KEEP_ALIVE_S: Final = 15.0

_METHOD: Final = "tools/call"
_VERSION_HEADER: Final = "mcp-protocol-version"
_MODERN_HEADERS: Final = (_VERSION_HEADER, "mcp-method", "mcp-name")
_MODERN_KEYS: Final = frozenset(
    {types.PROTOCOL_VERSION_META_KEY, types.CLIENT_INFO_META_KEY, types.CLIENT_CAPABILITIES_META_KEY}
)
_TRACE_KEYS: Final = frozenset({"traceparent", "tracestate", "baggage"})
_MAX_KNOWN_CLIENTS: Final = 1_000

_SERVER_META: Final = {types.SERVER_INFO_META_KEY: SERVER_INFO}
"""`_meta` of each result in version 2026-07-28."""

_JSON_HEADERS: Final = [(b"content-type", b"application/json")]
_EVENT_HEADERS: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]
_COMMENT: Final = b": ping\r\n\r\n"


class ClientGoneError(Exception):
    """The client has closed the connection."""


class _Params(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, Any] = {}
    meta: dict[str, Any] = msgspec.field(default={}, name="_meta")


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    jsonrpc: Literal["2.0"]
    id: int | str
    method: Literal["tools/call"]
    params: _Params


_decoder: Final = msgspec.json.Decoder(_Message)


@dataclass(frozen=True, slots=True)
class DirectCall:
    """A tool call that can be answered here.

    Attributes:
        version: version of the protocol.
        takes_events: whether the client accepts an event stream.
    """

    id: int | str
    params: _Params
    headers: Headers
    version: str
    takes_events: bool

    @property
    def is_stateless(self) -> bool:
        """Whether the call uses version 2026-07-28 or later."""
        return self.version in MODERN_PROTOCOL_VERSIONS


class DirectCalls:
    """Answers plain tool calls."""

    def __init__(self, surface: Surface, *, keep_alive_s: float = KEEP_ALIVE_S) -> None:
        self._surface = surface
        self._keep_alive_s = keep_alive_s
        self._known_clients: set[bytes] = set()

    def read(
        self, headers: Headers, body: bytes, *, takes_events: bool, may_ask: bool = False
    ) -> DirectCall | None:
        """Return the plain tool call in a request; None if the SDK has to handle the request.

        Args:
            takes_events: whether the client accepts an event stream.
            may_ask: whether the call may ask a host of a protocol before 2026-07-28 on that stream.
        """
        versions = headers.getlist(_VERSION_HEADER)
        version = versions[0] if len(versions) == 1 else ""
        if not _takes_json(headers) or version not in _DIRECT_VERSIONS:
            return None
        try:
            message = _decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if may_ask and message.params.name == ASKING_TOOL:
            return None
        call = DirectCall(message.id, message.params, headers, version, takes_events)
        agrees = self._agrees(call) if call.is_stateless else _is_plain(call.params.meta)
        return call if agrees and self._surface.has_tool(call.params.name) else None

    async def answer(self, call: DirectCall, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the call and send its reply; cancel the call if the client disconnects.

        Raises:
            ClientGoneError: the client has disconnected.
        """
        work = asyncio.ensure_future(self._run(call, scope))
        leaving = asyncio.ensure_future(_until_disconnected(receive))
        has_begun = False
        try:
            while True:
                await asyncio.wait(
                    (work, leaving), timeout=self._keep_alive_s, return_when=asyncio.FIRST_COMPLETED
                )
                if work.done():
                    break
                if leaving.done():
                    raise ClientGoneError
                if call.takes_events:
                    if not has_begun:
                        has_begun = True
                        await _begin(send, _EVENT_HEADERS)
                    await send({"type": "http.response.body", "body": _COMMENT, "more_body": True})
        finally:
            leaving.cancel()
            if not work.done():
                work.cancel()
                # Shielded, because anyio would also cancel this wait, during which the statement is stopped.
                with anyio.CancelScope(shield=True):
                    await asyncio.wait([work])
        body = work.result()
        if has_begun:
            body = event_of(body)
        else:
            await _begin(send, [*_JSON_HEADERS, (b"content-length", b"%d" % len(body))])
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _run(self, call: DirectCall, scope: Scope) -> bytes:
        result = (await self._traced(call, scope)).as_result()
        if call.is_stateless:
            result = {"resultType": "complete"} | result
            result["_meta"] = result.get("_meta", {}) | _SERVER_META
        return encode_json({"jsonrpc": "2.0", "id": call.id, "result": result})

    async def _traced(self, call: DirectCall, scope: Scope) -> ToolReply:
        params = call.params
        caller = caller_of(params.meta, scope, call.headers, call.version)
        trace = self._surface.trace
        if trace is None:
            return await self._surface.call_tool(params.name, params.arguments, caller)
        facts = {"mcp.protocol.version": call.version, "jsonrpc.request.id": str(call.id)}
        described = with_trace_headers({"name": params.name, "_meta": params.meta}, call.headers)
        with trace(_METHOD, described, facts) as mark_failed:
            reply = await self._surface.call_tool(params.name, params.arguments, caller)
            if reply.is_error:
                mark_failed("tool_error")
            return reply

    def _agrees(self, call: DirectCall) -> bool:
        """Return whether headers and `_meta` of a request of 2026-07-28 agree, and describe the client."""
        headers, meta = call.headers, call.params.meta
        found = [headers.getlist(name) for name in _MODERN_HEADERS]
        return (
            found == [[call.version], [_METHOD], [call.params.name]]
            and meta.get(types.PROTOCOL_VERSION_META_KEY) == call.version
            and types.CLIENT_CAPABILITIES_META_KEY in meta
            and _is_plain({key: value for key, value in meta.items() if key not in _MODERN_KEYS})
            and self._is_known(meta)
        )

    def _is_known(self, meta: Mapping[str, Any]) -> bool:
        """Return whether the client's description of itself is valid; results are cached."""
        capabilities = meta[types.CLIENT_CAPABILITIES_META_KEY]
        info = meta.get(types.CLIENT_INFO_META_KEY)
        key = encode_json((capabilities, info))
        if key in self._known_clients:
            return True
        try:
            types.ClientCapabilities.model_validate(capabilities)
            if types.CLIENT_INFO_META_KEY in meta:
                types.Implementation.model_validate(info)
        except ValueError:  # pydantic.ValidationError is a ValueError
            return False
        if len(self._known_clients) >= _MAX_KNOWN_CLIENTS:
            self._known_clients.clear()
        self._known_clients.add(key)
        return True


_DIRECT_VERSIONS: Final = frozenset((*HANDSHAKE_PROTOCOL_VERSIONS, *MODERN_PROTOCOL_VERSIONS))


def _is_plain(meta: Mapping[str, Any]) -> bool:
    """Return whether `_meta` has only a trace context; the SDK handles progress."""
    return meta.keys() <= _TRACE_KEYS and all(isinstance(text, str) for text in meta.values())


def _takes_json(headers: Headers) -> bool:
    content_types, accepted = headers.getlist("content-type"), headers.getlist("accept")
    return (
        len(content_types) == 1
        and content_types[0].partition(";")[0].strip().lower() == "application/json"
        and any("application/json" in each.lower() for each in accepted)
    )


async def _begin(send: Send, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": headers})


async def _until_disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
