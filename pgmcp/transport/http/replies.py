"""Answers that this package writes itself: errors before the SDK sees a request, and pages for machines."""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.responses import Response

from pgmcp.surface.reply import INVALID_REQUEST

SERVER_ERROR: Final = -32000
"""Of JSON-RPC 2.0, section 5.1: the first of those that a server may define."""


def json_reply(content: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return JSON that no cache keeps."""
    return Response(
        json.dumps(content, separators=(",", ":")),
        status,
        {"Cache-Control": "no-store", **(headers or {})},
        "application/json",
    )


def refusal(
    status: int, message: str, *, code: int = INVALID_REQUEST, headers: Mapping[str, str] | None = None
) -> Response:
    """Return an HTTP error whose body is a JSON-RPC error; its id is null, for no request was read."""
    error = {"jsonrpc": "2.0", "id": None, "error": {"code": code, "message": message}}
    return json_reply(error, status, headers)
