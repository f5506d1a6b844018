"""Reads the caller and the trace context of an HTTP request."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

import mcp_types as types
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from starlette.datastructures import Headers
from starlette.types import Scope

from pgmcp.identity import Principal
from pgmcp.surface import Caller
from pgmcp.surface.caller import Channel, caller_name, channel_of_request, supports_apps
from pgmcp.transport.http.authentication.principal import PRINCIPAL_KEY
from pgmcp.transport.http.questions import ask_of
from pgmcp.transport.http.sessions import host_of
from pgmcp.untrusted import escape_untrusted, shorten

_MAX_AGENT_CHARACTERS: Final = 100
_TRACE_HEADERS: Final = ("traceparent", "tracestate", "baggage")


def caller_of(
    meta: Mapping[str, Any],
    scope: Scope | None,
    headers: Mapping[str, str],
    protocol_version: str,
    *,
    params: Mapping[str, Any] | None = None,
) -> Caller:
    """Return the caller; before 2026-07-28, its host's name and abilities are those of the session.

    Args:
        params: parameters of a call that may repeat an earlier one, with a person's answer.
    """
    principal: Principal | None = scope.get(PRINCIPAL_KEY) if scope is not None else None
    agent = escape_untrusted(shorten(headers.get("user-agent", ""), _MAX_AGENT_CHARACTERS))
    if protocol_version in MODERN_PROTOCOL_VERSIONS:
        capabilities = meta.get(types.CLIENT_CAPABILITIES_META_KEY)
        return Caller(
            name=caller_name(meta.get(types.CLIENT_INFO_META_KEY)) or agent,
            protocol_version=protocol_version,
            shows_apps=supports_apps(capabilities),
            channel=channel_of_request(capabilities, params or {}),
            principal=principal,
        )
    host, ask = host_of(scope), ask_of(scope)
    return Caller(
        name=(host.name if host else "") or agent,
        protocol_version=protocol_version,
        shows_apps=host is not None and host.shows_apps,
        channel=Channel(elicit=partial(ask, "elicitation/create")) if ask else None,
        principal=principal,
    )


def with_trace_headers(params: Mapping[str, Any], headers: Headers | Mapping[str, str]) -> Mapping[str, Any]:
    """Return the parameters, with the trace context of the HTTP headers where `_meta` has none."""
    meta = params.get("_meta")
    meta = meta if isinstance(meta, Mapping) else {}
    if "traceparent" in meta:
        return params
    found = {name: headers[name] for name in _TRACE_HEADERS if name in headers}
    return {**params, "_meta": {**meta, **found}} if found else params
