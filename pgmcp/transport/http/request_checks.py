"""Checks a request's address and headers before anything else reads it.

Host and Origin must be on the allow-lists, so that no other website reaches the server through a browser. A
web page can call a server on the user's machine, directly or by DNS rebinding. The browser then sends the
page's origin, or the page's host name; neither is on the lists. Pages of allowed origins may read answers
(CORS, Fetch standard).

A request that a proxy and this server could read differently, or whose head is too large, is refused.
"""

import re
from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import Message, Scope, Send

from pgmcp.transport.http.responses import refusal

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
        origins: `scheme://host[:port]`, as browsers write it; the port `*` allows every port.
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


MAX_HEADERS: Final = 200
MAX_HEADER_BYTES: Final = 64 << 10
MAX_TARGET_BYTES: Final = 8 << 10

_CLOSE: Final = {"Connection": "close"}
"""Closes the connection, so that its remaining bytes are not read as another request."""

_SINGLE: Final = frozenset(
    {b"content-type", b"mcp-method", b"mcp-name", b"mcp-protocol-version", b"mcp-session-id"}
)
"""Headers that must not be repeated, because programs differ in which value they use. Host, Origin and
Authorization are checked where they are used.
"""

_SCHEMES: Final = (b"http", b"https")


def with_origin_form(scope: Scope) -> Scope:
    """Return the scope of a request to `http://host/path` as one to `/path` of that host.

    See RFC 9112, section 3.2.2.
    """
    scheme, separator, rest = scope["raw_path"].partition(b"://")
    if not separator or scheme.lower() not in _SCHEMES:
        return scope
    host, _, path = rest.partition(b"/")
    headers = [(name, value) for name, value in scope["headers"] if name != b"host"]
    raw_path = b"/" + path
    return {
        **scope,
        "raw_path": raw_path,
        "path": unquote_to_bytes(raw_path).decode("utf-8", "replace"),
        "headers": [(b"host", host), *headers],
    }


def refuse_ambiguous(scope: Scope) -> Response | None:
    """Return an error for a request that has two readings or too large a head; None for any other."""
    if not scope["http_version"].startswith("1."):
        return refusal(505, "only HTTP/1.1 and HTTP/1.0 are supported", headers=_CLOSE)
    if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_TARGET_BYTES:
        return refusal(414, f"the address has more than {MAX_TARGET_BYTES} bytes", headers=_CLOSE)
    headers: list[tuple[bytes, bytes]] = scope["headers"]
    if (
        len(headers) > MAX_HEADERS
        or sum(len(name) + len(value) for name, value in headers) > MAX_HEADER_BYTES
    ):
        return refusal(
            431,
            f"the request has more than {MAX_HEADERS} headers or {MAX_HEADER_BYTES} bytes",
            headers=_CLOSE,
        )
    names = [name for name, _ in headers]
    if b"transfer-encoding" in names and b"content-length" in names:
        return refusal(400, "a request has Content-Length or Transfer-Encoding, not both", headers=_CLOSE)
    if twice := _first_repeated(names):
        return refusal(400, f"the header {twice.decode()} is given more than once")
    if any(name == b"content-encoding" and value.lower() != b"identity" for name, value in headers):
        return refusal(415, "compressed requests are not supported")
    return None


def _first_repeated(names: Iterable[bytes]) -> bytes | None:
    seen: set[bytes] = set()
    for name in names:
        if name in seen and name in _SINGLE:
            return name
        seen.add(name)
    return None
