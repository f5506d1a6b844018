"""Serves the paths of the server, and checks requests before their bodies are read.

/mcp, /mcp/          the protocol: POST only
/healthz, /readyz    for health checks
/metrics             for Prometheus, if the settings enable it; needs the same access as a call
/.well-known/…       where to get a token (RFC 9728)

All other paths get 404.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from starlette.datastructures import Headers, QueryParams
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pgmcp.transport.http.authentication.gate import Gate
from pgmcp.transport.http.authentication.principal import PRINCIPAL_KEY
from pgmcp.transport.http.health import Health
from pgmcp.transport.http.limits import Shares
from pgmcp.transport.http.request_checks import (
    HostCheck,
    answer_preflight,
    is_preflight,
    readable_by,
    refuse_ambiguous,
    with_origin_form,
)
from pgmcp.transport.http.responses import SERVER_ERROR, refusal
from pgmcp.untrusted import escape_untrusted, shorten

logger = logging.getLogger(__name__)

MAX_ADDRESS_CHARACTERS: Final = 60
MCP_PATHS: Final = ("/mcp", "/mcp/")
METRICS_PATH: Final = "/metrics"
_READING: Final = ("GET", "HEAD")
METRICS_TYPE: Final = "text/plain; version=0.0.4"


class HttpApp:
    """The server's ASGI application."""

    def __init__(
        self,
        exchanges: ASGIApp,
        host_check: HostCheck,
        health: Health,
        shares: Shares,
        gate: Gate | None = None,
        metrics: Callable[[], bytes] | None = None,
    ) -> None:
        """Combine these parts.

        Args:
            exchanges: answers the requests to /mcp that pass the checks.
            host_check: decides which Host and Origin headers are allowed.
            health: answers health checks.
            shares: counts the requests of each principal.
            gate: authenticates callers; None accepts the calls of all clients.
            metrics: returns the page /metrics; None answers 404 there.
        """
        self._exchanges = exchanges
        self._host_check = host_check
        self._health = health
        self._shares = shares
        self._gate = gate
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        scope = with_origin_form(scope)
        origin = Headers(scope=scope).get("origin")
        if origin is not None and self._host_check.allows_origin(origin):
            send = readable_by(origin, send)
        reply = refuse_ambiguous(scope) or await self._answer_directly(scope)
        if reply is not None:
            await reply(scope, receive, send)
            return
        with self._shares.use(scope.get(PRINCIPAL_KEY)) as is_free:
            await (self._exchanges if is_free else _too_many_requests())(scope, receive, send)

    async def _answer_directly(self, scope: Scope) -> Response | None:
        """Return the answer to everything but a call; None for a call."""
        # An encoded slash is not a separator, because proxies that route by path do not treat it as one.
        path: str = "" if b"%2f" in scope["raw_path"].lower() else scope["path"]
        is_verbose = "verbose" in QueryParams(scope["query_string"])
        # Probes use the server's address as Host, so these answers must not depend on the Host header.
        if path == "/healthz":
            return _refuse_to_write(scope) or PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})
        if path == "/readyz" and not is_verbose:
            return _refuse_to_write(scope) or await self._health.answer_ready(is_verbose=False)
        headers = Headers(scope=scope)
        refused = self._refuse_by_headers(headers, client_of(scope))
        if refused is not None:
            return refused
        if is_preflight(scope["method"], headers):
            return answer_preflight(headers)
        if self._gate is not None and self._gate.resource.serves_metadata_at(path):
            return _refuse_to_write(scope) or self._gate.resource.metadata()
        if path not in (*MCP_PATHS, "/readyz") and (path != METRICS_PATH or self._metrics is None):
            return PlainTextResponse("not found; the protocol is at /mcp\n", 404)
        return await self._refuse_caller(scope) or await self._answer_admitted(scope)

    async def _answer_admitted(self, scope: Scope) -> Response | None:
        if scope["path"] == "/readyz":
            return _refuse_to_write(scope) or await self._health.answer_ready(is_verbose=True)
        if scope["path"] == METRICS_PATH and self._metrics is not None:
            if scope["method"] not in _READING:
                return _refuse_to_write(scope)
            page = await asyncio.to_thread(self._metrics)
            return Response(page, headers={"Cache-Control": "no-store"}, media_type=METRICS_TYPE)
        if scope["method"] != "POST":
            # In protocol versions before 2026-07-28, GET opens a stream; nothing would ever be sent on it.
            return refusal(405, "only POST is answered here", headers={"Allow": "POST"})
        return None

    async def _refuse_caller(self, scope: Scope) -> Response | None:
        """Authenticate the caller and store the principal, or return the refusal."""
        if self._gate is None:
            return None
        admitted = await self._gate.admit(Headers(scope=scope), client_of(scope))
        if isinstance(admitted, Response):
            return admitted
        scope[PRINCIPAL_KEY] = admitted
        return None

    def _refuse_by_headers(self, headers: Headers, client: str) -> Response | None:
        if not self._host_check.has_allowed_host(headers):
            logger.info("a request from %s is refused: its Host header is not allowed", client)
            return refusal(421, "the Host header is not one that this server is configured for")
        if not self._host_check.has_allowed_origin(headers):
            logger.info("a request from %s is refused: its Origin header is not allowed", client)
            return refusal(403, "the Origin header is not one that this server is configured for")
        return None


def _refuse_to_write(scope: Scope) -> Response | None:
    if scope["method"] in _READING:
        return None
    return refusal(405, "only GET is answered here", headers={"Allow": "GET, HEAD"})


def _too_many_requests() -> Response:
    return refusal(
        429, "too many of your requests are running already", code=SERVER_ERROR, headers={"Retry-After": "1"}
    )


def client_of(scope: Scope) -> str:
    """Return the client's address for the log; behind a trusted proxy, the one in X-Forwarded-For."""
    client = scope.get("client")
    return (
        escape_untrusted(shorten(str(client[0]), MAX_ADDRESS_CHARACTERS)) if client else "an unknown address"
    )
