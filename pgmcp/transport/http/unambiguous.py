"""Refuses requests that a proxy and this server could read differently, or whose head is too large."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.responses import Response
from starlette.types import Scope

from pgmcp.transport.http.responses import refusal

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
