"""Allow-lists of the Host and Origin headers, so that no website reaches the server through a browser.

A web page can call a server on the user's machine, directly or by DNS rebinding. The browser then sends the
page's origin, or the page's host name. Neither is on these lists. Pages of allowed origins may read answers
(CORS, Fetch standard).
"""

import re
from collections.abc import Iterable
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Send

LOOPBACK_NAMES: Final = ("localhost", "127.0.0.1", "[::1]")
LOOPBACK_ORIGINS: Final = tuple(
    f"{scheme}://{name}:*" for scheme in ("http", "https") for name in LOOPBACK_NAMES
)

_MAX_PORT: Final = 65_535
_HOST: Final = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(?P<port>\d{1,5}))?")
_REQUEST_HEADER: Final = re.compile(
    r"accept|authorization|content-type|last-event-id|mcp-[a-z0-9-]+|traceparent|tracestate|baggage"
)
_MAX_AGE_S: Final = 600


class HostCheck:
    """Decides by Host and Origin whether a request is allowed.

    Args:
        hosts: `name` allows every port, `name:port` only that port.
        origins: `scheme://host[:port]`, as browsers write it; with the port `*`, any.
    """

    def __init__(self, hosts: Iterable[str], origins: Iterable[str]) -> None:
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(origin.lower() for origin in origins)

    def has_allowed_host(self, headers: Headers) -> bool:
        """Return whether there is exactly one Host, and it is on the list."""
        match headers.getlist("host"):
            case [text]:
                found = _HOST.fullmatch(text.lower())
                if found is None or int(found["port"] or 0) > _MAX_PORT:
                    return False
                return found["name"] in self._hosts or found[0] in self._hosts
            case _:
                return False

    def has_allowed_origin(self, headers: Headers) -> bool:
        """Return whether there is no Origin (programs send none), or one that is on the list."""
        return all(self.allows_origin(origin) for origin in headers.getlist("origin"))

    def allows_origin(self, origin: str) -> bool:
        """Return whether an origin is on the list."""
        origin = origin.lower()
        without_port = re.sub(r":\d{1,5}$", "", origin)
        return origin in self._origins or f"{without_port}:*" in self._origins


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
            headers["Access-Control-Expose-Headers"] = "WWW-Authenticate, Mcp-Session-Id"
            headers.add_vary_header("Origin")
        await send(message)

    return send_readable
