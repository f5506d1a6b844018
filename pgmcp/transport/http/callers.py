"""Reads the caller and the trace context of an HTTP request.

Hosts of protocols before 2026-07-28 have sessions, whose ids contain what the host said in `initialize`:

    initialize ─▶ the answer has Mcp-Session-Id: `HostFacts`, encrypted, bound to the principal
    request    ─▶ with that id ─▶ `HostFacts`
                  without an id, or with one that cannot be read ─▶ no session

The server stores nothing, so any server with the same keys can read the id. An id that cannot be read is not
answered with 404, because an id grants nothing, and many hosts do not initialize again.
"""

import secrets
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Final

import mcp_types as types
import msgspec
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION, MODERN_PROTOCOL_VERSIONS
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Scope, Send

from pgmcp.fleet.encryption import Encryptor, NotDecryptedError
from pgmcp.identity import Principal
from pgmcp.surface import Caller
from pgmcp.surface.caller import (
    ELICITATION_VERSIONS,
    Channel,
    caller_name,
    channel_of_request,
    shows_forms,
    supports_apps,
)
from pgmcp.transport.http.authentication.principal import PRINCIPAL_KEY
from pgmcp.transport.http.questions import ask_of
from pgmcp.untrusted import escape_untrusted, shorten

SESSION_HEADER: Final = "mcp-session-id"

_SCOPE_KEY: Final = "pgmcp.host"
_MAX_ID_CHARACTERS: Final = 2_000


class HostFacts(msgspec.Struct, frozen=True, array_like=True):
    """The facts about a host that later requests need.

    Attributes:
        name: its name and version.
        shows_forms: whether a call can ask it questions (`elicitation/create`).
        shows_apps: whether it shows the result view (MCP Apps).
    """

    name: str
    shows_forms: bool
    shows_apps: bool


class Sessions:
    """Writes and reads the ids of sessions.

    Args:
        keys: the first one encrypts, and each of them decrypts. None are needed for a single server.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._encryptor = Encryptor(keys or (secrets.token_urlsafe(32),), purpose=b"pgmcp: sessions")

    def open(self, params: Mapping[str, Any], principal: Principal | None) -> str | None:
        """Return a session id for a host with these parameters of `initialize`; None if it needs none.

        A host needs one if it shows forms or the result view.
        """
        requested, capabilities = params.get("protocolVersion"), params.get("capabilities")
        version = requested if requested in HANDSHAKE_PROTOCOL_VERSIONS else LATEST_HANDSHAKE_VERSION
        can_ask = version in ELICITATION_VERSIONS and shows_forms(capabilities)
        facts = HostFacts(caller_name(params.get("clientInfo")), can_ask, supports_apps(capabilities))
        if not (facts.shows_forms or facts.shows_apps):
            return None
        return self._encryptor.encrypt(msgspec.json.encode(facts), bound_to=_binding(principal)).hex()

    def read(self, session_id: str | None, principal: Principal | None) -> HostFacts | None:
        """Return the facts in an id; None if no server with these keys made it for this principal."""
        if not session_id or len(session_id) > _MAX_ID_CHARACTERS:
            return None
        try:
            opened = self._encryptor.decrypt(bytes.fromhex(session_id), bound_to=_binding(principal))
            return msgspec.json.decode(opened, type=HostFacts)
        except (NotDecryptedError, ValueError, msgspec.DecodeError):
            return None


def note_host(scope: Scope, host: HostFacts | None) -> None:
    """Note the host of a request."""
    scope[_SCOPE_KEY] = host


def host_of(scope: Scope | None) -> HostFacts | None:
    """Return the host of a request; None without a session."""
    found: HostFacts | None = None if scope is None else scope.get(_SCOPE_KEY)
    return found


def with_session_id(session_id: str, send: Send) -> Send:
    """Return a `send` that adds the id to a successful answer."""

    async def send_with_id(message: Message) -> None:
        if message["type"] == "http.response.start" and message["status"] == 200:
            MutableHeaders(scope=message)[SESSION_HEADER] = session_id
        await send(message)

    return send_with_id


def _binding(principal: Principal | None) -> bytes:
    return msgspec.json.encode(None if principal is None else principal.id)


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
