"""One conversation for each protocol era, as the requests of a host. All transports must answer it alike."""

from collections.abc import Iterator
from typing import Any

from testing.raw_jsonrpc import SESSION_VERSION, STATELESS_META

Message = dict[str, Any]

_CLIENT_INFO = {"name": "raw", "version": "1"}


def session_conversation(version: str = SESSION_VERSION) -> list[Message]:
    """Return the messages of a host that uses the handshake (before 2026-07-28)."""
    opening = {"protocolVersion": version, "capabilities": {}, "clientInfo": _CLIENT_INFO}
    return [
        {"jsonrpc": "2.0", "id": "open", "method": "initialize", "params": opening},
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        _request("ping", "ping", {}),
        _request("level", "logging/setLevel", {"level": "warning"}),
        _request("subscribe", "resources/subscribe", {"uri": "schema://shop"}),
        *_asking({}),
        _request("unsubscribe", "resources/unsubscribe", {"uri": "schema://shop"}),
        _request("discover", "server/discover", {}),
    ]


def stateless_conversation() -> list[Message]:
    """Return the messages of a host that uses protocol 2026-07-28."""
    meta = {"_meta": STATELESS_META}
    return [
        _request("open", "server/discover", meta),
        *_asking(meta),
        _request("ping", "ping", meta),
        _request("level", "logging/setLevel", {"level": "warning", **meta}),
        _request("without meta", "tools/list", {}),
        _request("next year", "tools/list", {"_meta": STATELESS_META | {_VERSION_KEY: "2027-01-01"}}),
        _request("initialize", "initialize", {"protocolVersion": SESSION_VERSION}),
    ]


_VERSION_KEY = "io.modelcontextprotocol/protocolVersion"


def _request(request_id: str, method: str, params: dict[str, Any]) -> Message:
    return {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}


def _asking(also: dict[str, Any]) -> Iterator[Message]:
    """Yield the requests of both eras; `also` is added to the params of each."""
    question = {"question": "How many active users do we have?", "return_type": "both"}
    asked: list[tuple[str, str, dict[str, Any]]] = [
        ("search", "tools/call", {"name": "search_schema", "arguments": {"text": "payments"}}),
        ("tools", "tools/list", {}),
        (
            "rows",
            "tools/call",
            {"name": "execute_sql", "arguments": {"sql": "select 1 as a, 'b'"}},
        ),
        ("verified", "tools/call", {"name": "query", "arguments": question}),
        ("failed", "tools/call", {"name": "execute_sql", "arguments": {"sql": "select nam from products"}}),
        ("rejected", "tools/call", {"name": "execute_sql", "arguments": {"sql": "drop table products"}}),
        ("no such tool", "tools/call", {"name": "drop_tables", "arguments": {}}),
        ("resources", "resources/list", {}),
        ("bad cursor", "resources/list", {"cursor": "next"}),
        ("templates", "resources/templates/list", {}),
        ("databases", "resources/read", {"uri": "databases://list"}),
        ("table", "resources/read", {"uri": "schema://shop/payments"}),
        ("view", "resources/read", {"uri": "ui://pgmcp/result"}),
        ("no database", "resources/read", {"uri": "schema://nowhere"}),
        ("no resource", "resources/read", {"uri": "file:///etc/passwd"}),
        ("prompts", "prompts/list", {}),
        ("prompt", "prompts/get", {"name": "explore_database", "arguments": {"database": "shop"}}),
        ("no prompt", "prompts/get", {"name": "drop_tables", "arguments": {}}),
        (
            "completion",
            "completion/complete",
            {
                "ref": {"type": "ref/resource", "uri": "schema://{database}/{table}"},
                "argument": {"name": "table", "value": "order_i"},
            },
        ),
        ("no method", "tables/drop", {}),
        ("no name", "tools/call", {"arguments": {}}),
    ]
    for request_id, method, params in asked:
        yield _request(request_id, method, {**params, **also})
