"""Lets pages of allowed websites read answers (CORS, Fetch standard)."""

import re
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Send

_REQUEST_HEADER: Final = re.compile(
    r"accept|authorization|content-type|last-event-id|mcp-[a-z0-9-]+|traceparent|tracestate|baggage"
)
_MAX_AGE_S: Final = 600


def is_preflight(method: str, headers: Headers) -> bool:
    """Return whether the request is a CORS preflight."""
    return method == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers


def answer_preflight(headers: Headers) -> Response:
    """Return the answer to a preflight whose origin has been checked."""
    wanted = (name.strip().lower() for name in headers.get("access-control-request-headers", "").split(","))
    allowed = [name for name in wanted if _REQUEST_HEADER.fullmatch(name)]
    return Response(
        status_code=204,
        headers={
            "Access-Control-Allow-Methods": "GET, POST",
            "Access-Control-Allow-Headers": ", ".join(allowed),
            "Access-Control-Max-Age": str(_MAX_AGE_S),
        },
    )


def readable_by(origin: str, send: Send) -> Send:
    """Return a `send` that adds the headers with which pages of this origin may read the answer."""

    async def send_readable(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = "WWW-Authenticate"
            headers.add_vary_header("Origin")
        await send(message)

    return send_readable
