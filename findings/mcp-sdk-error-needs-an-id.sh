#!/usr/bin/env bash
# mcp 2.3.0 (Python SDK): its type for error responses contradicts the protocol's schema about the id.
#
# When a server cannot read the id of a request, JSON-RPC 2.0 asks for "id": null in the error. The JSON schemas
# of MCP 2025-11-25 and 2026-07-28 make the id optional, and require a string or an integer if it is present.
# The SDK's type requires the id and allows null: it refuses the error that the schema requires, and accepts
# the one that the schema forbids. A server cannot satisfy both.
# Schema: modelcontextprotocol.io, specification 2025-11-25, definition JSONRPCErrorResponse.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check mcp==2.3.0
"$folder/venv/bin/python" - <<'PY'
from importlib.metadata import version

from mcp_types.jsonrpc import JSONRPCError
from pydantic import ValidationError

assert version("mcp") == "2.3.0"
error = {"jsonrpc": "2.0", "error": {"code": -32700, "message": "Parse error"}}


def is_taken(message):
    try:
        JSONRPCError.model_validate(message)
    except ValidationError:
        return False
    return True


for name, message, expected in [
    ("an id", error | {"id": 1}, True),
    ("no id, as the schema has it", error, False),
    ("a null id, which the schema forbids", error | {"id": None}, True),
]:
    print(f"{name}: {'taken' if is_taken(message) else 'refused'}")
    assert is_taken(message) == expected, "CHANGED"
PY
