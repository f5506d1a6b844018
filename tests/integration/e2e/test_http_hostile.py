"""Requests that no honest client sends. Each gets the right status, and none gets a stack trace."""

import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from testing.http_server import BOTH, HttpServerProcess, http_client, message_of, request, tool_call
from testing.mcp_server import server_environment
from testing.raw_jsonrpc import SESSION_VERSION, STATELESS_VERSION

NO_DATABASE = "postgresql://nobody@127.0.0.1:9/none"
"""None of these requests gets as far as a database."""

HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServerProcess]:
    environment = server_environment(NO_DATABASE, http_max_body_bytes="65536")
    with HttpServerProcess(environment, tmp_path_factory.mktemp("server")) as server:
        yield server
    assert "Traceback" not in server.log
    assert "secret words" not in server.log


@pytest.fixture
def client(server: HttpServerProcess) -> Iterator[httpx2.Client]:
    with http_client(server.port) as client:
        del client.headers["Accept"]
        yield client


@dataclass(frozen=True)
class Hostile:
    """A request that differs from an honest one, and the expected response.

    Attributes:
        headers: replace the honest headers; None removes a header.
        body: replaces the honest body.
        code: code of the JSON-RPC error; None if there is no such error.
    """

    name: str
    status: int
    code: int | None = None
    method: str = "POST"
    path: str = "/mcp"
    version: str = STATELESS_VERSION
    headers: dict[str, str | None] = field(default_factory=dict)
    body: bytes | None = None


def of_both_eras(name: str, status: int, code: int | None = None, **differs: Any) -> list[Hostile]:
    return [
        Hostile(f"{name}, {version}", status, code, version=version, **differs)
        for version in (SESSION_VERSION, STATELESS_VERSION)
    ]


WRONG_HOSTS = [
    "evil.example",
    "evil.example:8765",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "127.0.0.1@evil.example",
    "localhost:80:80",
    "localhost:abc",
    "0.0.0.0:8765",
    "[::]:8765",
    "2130706433",
    "",
]
WRONG_ORIGINS = [
    "https://evil.example",
    "http://localhost.evil.example",
    "http://localhost:80.evil.example",
    "http://127.0.0.1.evil.example:8765",
    "file://localhost",
    "null",
    "localhost",
    "http://localhost:80/path",
]
OVERSIZED = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"pad":"' + b"x" * 65536 + b'"}}'
DEEP = b"[" * 30_000 + b"]" * 30_000

HOSTILE = [
    *(
        h
        for host in WRONG_HOSTS
        for h in of_both_eras(f"host {host!r}", 421, INVALID_REQUEST, headers={"Host": host})
    ),
    *(
        h
        for origin in WRONG_ORIGINS
        for h in of_both_eras(f"origin {origin!r}", 403, INVALID_REQUEST, headers={"Origin": origin})
    ),
    *(
        h
        for method in ("GET", "DELETE", "PUT", "PATCH", "OPTIONS", "TRACE")
        for h in of_both_eras(method, 405, INVALID_REQUEST, method=method)
    ),
    Hostile("a path beside ours", 404, path="/mcp/other"),
    Hostile("a path above ours", 404, path="/"),
    Hostile("a path with dots", 404, path="/mcp/../admin"),
    *of_both_eras("no accept", 406, headers={"Accept": None}),
    *of_both_eras("accept of a page", 406, headers={"Accept": "text/html"}),
    *of_both_eras("text as content type", 400, headers={"Content-Type": "text/plain"}),
    *of_both_eras("a form", 400, headers={"Content-Type": "application/x-www-form-urlencoded"}),
    *of_both_eras("no content type", 400, headers={"Content-Type": None}),
    *of_both_eras("oversized", 413, INVALID_REQUEST, body=OVERSIZED),
    *of_both_eras("no JSON", 400, PARSE_ERROR, body=b"select 1"),
    *of_both_eras("empty", 400, PARSE_ERROR, body=b""),
    *of_both_eras("no UTF-8", 400, PARSE_ERROR, body=b'{"jsonrpc":"2.0","id":1,"method":"\xff"}'),
    *of_both_eras("nested deeply", 400, PARSE_ERROR, body=DEEP),
    *of_both_eras("a batch", 400, INVALID_REQUEST, body=b'[{"jsonrpc":"2.0","id":1,"method":"ping"}]'),
    *of_both_eras("a text", 400, INVALID_REQUEST, body=b'"tools/list"'),
    *of_both_eras("no version of JSON-RPC", 400, INVALID_REQUEST, body=b'{"id":1,"method":"tools/list"}'),
    *of_both_eras("a list as id", 400, INVALID_REQUEST, body=b'{"jsonrpc":"2.0","id":[],"method":"ping"}'),
    Hostile("another method in the header", 400, HEADER_MISMATCH, headers={"Mcp-Method": "tools/list"}),
    Hostile("no method in the header", 400, HEADER_MISMATCH, headers={"Mcp-Method": None}),
    Hostile("another tool in the header", 400, HEADER_MISMATCH, headers={"Mcp-Name": "search_schema"}),
    Hostile("no tool in the header", 400, HEADER_MISMATCH, headers={"Mcp-Name": None}),
    Hostile(
        "spoilt base64 in the header",
        400,
        HEADER_MISMATCH,
        headers={"Mcp-Name": "=?base64?ZXhlY3V0ZV9zcWw?="},
    ),
    Hostile("an unknown version", 400, HEADER_MISMATCH, headers={"MCP-Protocol-Version": "2099-01-01"}),
    Hostile("no version at all", 400, HEADER_MISMATCH, headers={"MCP-Protocol-Version": ""}),
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=lambda hostile: hostile.name)
def test_a_hostile_request_gets_its_status(client: httpx2.Client, hostile: Hostile) -> None:
    headers, body = tool_call("execute_sql", hostile.version, sql="select 'secret words'")
    given = {"Content-Type": "application/json", **headers, **hostile.headers}
    content = hostile.body if hostile.body is not None else json.dumps(body).encode()

    response = client.request(
        hostile.method,
        hostile.path,
        headers={name: text for name, text in given.items() if text is not None},
        content=content if hostile.method == "POST" else None,
    )

    assert response.status_code == hostile.status, response.text
    assert "Traceback" not in response.text
    assert "pgmcp/" not in response.text
    if hostile.code is not None:
        assert message_of(response)["error"]["code"] == hostile.code


def test_a_server_without_its_database_is_not_ready(client: httpx2.Client) -> None:
    ready = client.get("/readyz?verbose")

    assert (ready.status_code, ready.json()["databases"]) == (503, {"main": "unreachable"})
    assert client.get("/healthz").status_code == 200


def test_a_wrong_method_is_answered_with_the_allowed_ones(client: httpx2.Client) -> None:
    assert client.get("/mcp", headers={"Accept": BOTH}).headers["allow"] == "POST"


def test_an_unknown_protocol_version_is_answered_with_the_known_ones(client: httpx2.Client) -> None:
    headers, body = request("tools/list")
    headers["MCP-Protocol-Version"] = "2099-01-01"
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01"

    response = client.post("/mcp", headers=headers, json=body)

    error = message_of(response)["error"]
    assert (response.status_code, error["code"]) == (400, UNSUPPORTED_VERSION)
    assert error["data"]["supported"] == [STATELESS_VERSION]


@pytest.mark.parametrize(
    ("method", "params", "status", "code"),
    [
        ("tools/none", {}, 404, METHOD_NOT_FOUND),
        ("tools/call", {"name": "drop", "arguments": {}}, 400, INVALID_PARAMS),
        ("prompts/get", {"name": "none"}, 400, INVALID_PARAMS),
        ("initialize", {}, 404, METHOD_NOT_FOUND),
    ],
)
def test_an_unknown_name_gets_the_code_of_the_protocol(
    client: httpx2.Client, method: str, params: dict[str, Any], status: int, code: int
) -> None:
    headers, body = request(method, **params)

    response = client.post("/mcp", headers=headers, json=body)

    assert (response.status_code, message_of(response)["error"]["code"]) == (status, code)


PING = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'
PING_CHUNKED = b"%x\r\n%b\r\n0\r\n\r\n" % (len(PING), PING)


def raw(
    line: str = "POST /mcp HTTP/1.1", *headers: str, body: bytes = PING, host: str = "localhost"
) -> bytes:
    """Return the bytes of a request. If its headers have no length, the length of the body is added."""
    given = [
        f"Host: {host}",
        "Content-Type: application/json",
        "Accept: application/json",
        "MCP-Protocol-Version: 2025-11-25",
        "Connection: close",
        *headers,
    ]
    if not any(each.startswith(("Content-Length", "Transfer-Encoding")) for each in given):
        given.append(f"Content-Length: {len(body)}")
    return "\r\n".join([line, *given, "", ""]).encode("latin-1") + body


def of_body(text: str) -> bytes:
    return raw(body=text.encode())


RAW: dict[str, tuple[int, bytes]] = {
    "an honest request": (200, raw()),
    "HTTP/1.0": (200, raw("POST /mcp HTTP/1.0")),
    "a path with a slash at its end": (200, raw("POST /mcp/ HTTP/1.1")),
    "an address with our host": (200, raw("POST http://localhost/mcp HTTP/1.1")),
    "chunks": (200, raw("POST /mcp HTTP/1.1", "Transfer-Encoding: chunked", body=PING_CHUNKED)),
    "two hosts": (400, b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"),
    "no host": (400, b"POST /mcp HTTP/1.1\r\nContent-Length: 0\r\n\r\n"),
    "no host in HTTP/1.0": (421, b"POST /mcp HTTP/1.0\r\nContent-Length: 0\r\n\r\n"),
    "an address with another host": (421, raw("POST http://evil.example/mcp HTTP/1.1")),
    "an address with a user": (421, raw("POST http://localhost@evil.example/mcp HTTP/1.1")),
    "a list of hosts": (421, raw(host="localhost, evil.example")),
    "a user before the host": (421, raw(host="localhost@evil.example")),
    "a port beyond the last": (421, raw(host="localhost:99999")),
    "a host beyond ASCII": (421, raw(host="localh\xf6st")),
    "two origins": (
        403,
        raw("POST /mcp HTTP/1.1", "Origin: http://localhost", "Origin: https://evil.example"),
    ),
    "no version of HTTP": (400, b"GET /mcp\r\n\r\n"),
    "HTTP/2": (505, b"PRI * HTTP/2.0\r\nHost: localhost\r\n\r\nSM\r\n\r\n"),
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
    "two lengths": (400, raw("POST /mcp HTTP/1.1", "Content-Length: 40", "Content-Length: 41")),
    "a negative length": (400, raw("POST /mcp HTTP/1.1", "Content-Length: -1")),
    "a length with a sign": (400, raw("POST /mcp HTTP/1.1", "Content-Length: +40")),
    "a length of thirty digits": (400, raw("POST /mcp HTTP/1.1", f"Content-Length: {'9' * 30}")),
    "a length and chunks": (
        400,
        raw("POST /mcp HTTP/1.1", "Content-Length: 40", "Transfer-Encoding: chunked", body=PING_CHUNKED),
    ),
    "chunks by another name": (400, raw("POST /mcp HTTP/1.1", "Transfer-Encoding: xchunked")),
    "two encodings": (400, raw("POST /mcp HTTP/1.1", "Transfer-Encoding: gzip, chunked")),
    "a chunk without a size": (400, raw("POST /mcp HTTP/1.1", "Transfer-Encoding: chunked", body=b"zz\r\n")),
    "a compressed body": (415, raw("POST /mcp HTTP/1.1", "Content-Encoding: gzip")),
    "two content types": (400, raw("POST /mcp HTTP/1.1", "Content-Type: text/plain")),
    "two versions": (400, raw("POST /mcp HTTP/1.1", "MCP-Protocol-Version: 2026-07-28")),
    "two methods": (400, raw("POST /mcp HTTP/1.1", "Mcp-Method: ping", "Mcp-Method: tools/call")),
    "two sessions": (400, raw("POST /mcp HTTP/1.1", "Mcp-Session-Id: a", "Mcp-Session-Id: b")),
    "a session of nobody": (
        200,
        raw("POST /mcp HTTP/1.1", "Mcp-Session-Id: \xff\xfe", "Last-Event-ID: ../../x"),
    ),
    "a blank in a header's name": (400, raw("POST /mcp HTTP/1.1", "X-A : b")),
    "a zero byte in a header": (400, raw("POST /mcp HTTP/1.1", "X-A: a\0b")),
    "a return in a header": (400, raw("POST /mcp HTTP/1.1", "X-A: a\rb")),
    "a large header": (400, raw("POST /mcp HTTP/1.1", f"X: {'x' * 300_000}")),
    "many headers": (431, raw("POST /mcp HTTP/1.1", *(f"X-{number}: y" for number in range(300)))),
    "a long address": (414, raw(f"POST /{'a' * 20_000} HTTP/1.1")),
    "a path in UTF-8": (400, raw("POST /mcp\xc3\xa9 HTTP/1.1")),
    "a path with a wrong escape": (404, raw("POST /mcp%zz HTTP/1.1")),
    "a path with a byte beyond UTF-8": (404, raw("POST /mcp%ff HTTP/1.1")),
    "a path with a zero byte": (404, raw("POST /mcp%00 HTTP/1.1")),
    "a path with a line break": (404, raw("POST /mcp%0d%0aX:%20y HTTP/1.1")),
    "an encoded slash": (404, raw("POST /mcp%2f HTTP/1.1")),
    "two slashes": (404, raw("POST //mcp HTTP/1.1")),
    "two slashes at the end": (404, raw("POST /mcp// HTTP/1.1")),
    "a path in capitals": (404, raw("POST /MCP HTTP/1.1")),
    "HEAD": (405, raw("HEAD /mcp HTTP/1.1", body=b"")),
    "a method in small letters": (405, raw("post /mcp HTTP/1.1")),
    "a WebSocket": (405, raw("GET /mcp HTTP/1.1", "Upgrade: websocket", body=b"")),
    "DELETE of a probe": (405, raw("DELETE /healthz HTTP/1.1", body=b"")),
    "POST of a probe": (405, raw("POST /readyz HTTP/1.1")),
    "arguments nested deeply": (
        400,
        of_body(
            '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"execute_sql","arguments":'
            '{"sql":' + "[" * 5_000 + "]" * 5_000 + "}}}"
        ),
    ),
    "not a number as id": (400, of_body('{"jsonrpc":"2.0","id":NaN,"method":"ping"}')),
    "an endless number as id": (400, of_body('{"jsonrpc":"2.0","id":1e400,"method":"ping"}')),
    "five thousand digits as id": (400, of_body(f'{{"jsonrpc":"2.0","id":{"9" * 5_000},"method":"ping"}}')),
    "an empty batch": (400, of_body("[]")),
    "two messages": (400, raw(body=PING + PING)),
    "parameters as a list": (400, of_body('{"jsonrpc":"2.0","id":1,"method":"ping","params":[1]}')),
    "UTF-16": (400, raw(body=PING.decode().encode("utf-16"))),
    "a version of bytes": (400, raw().replace(b"2025-11-25", b"\xff\xfe")),
}


@pytest.mark.parametrize("name", RAW)
def test_malformed_bytes_of_a_request_get_their_status(server: HttpServerProcess, name: str) -> None:
    status, sent = RAW[name]
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        with suppress(ConnectionError):  # the server does not read the rest of a body that is too large
            connection.sendall(sent)
        answer = connection.recv(65_536)

    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:200]
    assert b"Traceback" not in answer
