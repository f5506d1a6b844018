"""Builds answers without the SDK: errors before the SDK gets a request, JSON documents, and events."""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from pgmcp.surface.reply import INVALID_REQUEST

SERVER_ERROR: Final = -32000
"""The first error code that a server may define (JSON-RPC 2.0, section 5.1)."""


def json_reply(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return JSON with a header that forbids caching."""
    return Response(
        json.dumps(content, separators=(",", ":")),
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        "application/json",
    )


def refusal(
    status: int, message: str, *, code: int = INVALID_REQUEST, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an HTTP error whose body is a JSON-RPC error; its id is null, because no request was read."""
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return json_reply(error, status, headers)


def event_of(message: bytes) -> bytes:
    """Return a JSON-RPC message as an event of a stream."""
    return b"event: message\r\ndata: %b\r\n\r\n" % message
