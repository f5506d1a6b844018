"""Requests that no honest client sends: each gets its status, and none a stack trace."""

import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx2
import pytest

from testing.http_server import BOTH, HttpServerProcess, http_client, message_of, request, tool_call
from testing.mcp_server import server_environment
from testing.raw_jsonrpc import LEGACY_VERSION, MODERN_VERSION

HEADER_MISMATCH = -32020
UNSUPPORTED_VERSION = -32022
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602


@pytest.fixture(scope="module")
def server(shop_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpServerProcess]:
    environment = server_environment(shop_url, database_name="shop", http_max_body_bytes="65536")
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
    """A request that differs from an honest one, and what it gets.

    Attributes:
        headers: put in place of the honest ones; None takes one away.
        body: in place of the honest one.
        code: of the JSON-RPC error; None if there is none.
    """

    name: str
    status: int
    code: int | None = None
    method: str = "POST"
    path: str = "/mcp"
    version: str = MODERN_VERSION
    headers: dict[str, str | None] = field(default_factory=dict)
    body: bytes | None = None


def of_both_eras(name: str, status: int, code: int | None = None, **differs: Any) -> list[Hostile]:
    return [
        Hostile(f"{name}, {version}", status, code, version=version, **differs)
        for version in (LEGACY_VERSION, MODERN_VERSION)
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


def test_a_wrong_method_gets_the_right_one_in_the_answer(client: httpx2.Client) -> None:
    assert client.get("/mcp", headers={"Accept": BOTH}).headers["allow"] == "POST"


def test_an_unknown_version_gets_the_known_ones_in_the_answer(client: httpx2.Client) -> None:
    headers, body = request("tools/list")
    headers["MCP-Protocol-Version"] = "2099-01-01"
    body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2099-01-01"

    response = client.post("/mcp", headers=headers, json=body)

    error = message_of(response)["error"]
    assert (response.status_code, error["code"]) == (400, UNSUPPORTED_VERSION)
    assert error["data"]["supported"] == [MODERN_VERSION]


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


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /mcp HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /mcp HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
    ids=["two hosts", "two lengths", "negative length", "large header", "TLS", "HTTP/2"],
)
def test_what_is_no_request_is_refused_by_the_connection(server: HttpServerProcess, sent: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        connection.sendall(sent)

        assert connection.recv(4096).startswith((b"HTTP/1.1 4", b"HTTP/1.0 4"))
