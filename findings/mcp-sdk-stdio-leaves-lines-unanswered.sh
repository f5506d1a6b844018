#!/usr/bin/env bash
# mcp 2.3.0 (Python SDK), stdio server: a line that is not a valid message gets no answer.
#
# JSON-RPC 2.0 asks for error -32700 or -32600. The SDK's server answers neither a line that is not JSON, nor
# a fractional id, nor params that are a list, nor half of a surrogate pair (which JavaScript's JSON.stringify
# writes when a text is cut inside an emoji). It continues with the next line, so a client that waits
# for the answer waits until its own timeout.
# Specification: jsonrpc.org, section 5.1; MCP 2025-06-18, Base Protocol.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check mcp==2.3.0
"$folder/venv/bin/python" - <<'PY'
import json
import subprocess
import sys
from importlib.metadata import version

assert version("mcp") == "2.3.0"
SERVER = "from mcp.server import MCPServer; MCPServer('example').run(transport='stdio')"
UNANSWERED = {
    "not JSON": "this is not json",
    "a fractional id": '{"jsonrpc":"2.0","id":2.5,"method":"ping"}',
    "params as a list": '{"jsonrpc":"2.0","id":3,"method":"ping","params":[1]}',
    "half a surrogate pair": r'{"jsonrpc":"2.0","id":4,"method":"ping","params":{"_meta":{"note":"\ud83d"}}}',
}
process = subprocess.Popen(
    [sys.executable, "-c", SERVER],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
)


def send(line: str) -> None:
    process.stdin.write(line + "\n")
    process.stdin.flush()


client = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "example", "version": "1"}}
send(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}))
assert json.loads(process.stdout.readline())["id"] == 1
send('{"jsonrpc":"2.0","method":"notifications/initialized"}')
for number, (name, line) in enumerate(UNANSWERED.items(), start=100):
    send(line)
    send(json.dumps({"jsonrpc": "2.0", "id": number, "method": "ping"}))
    answer = json.loads(process.stdout.readline())
    assert answer.get("id") == number, f"CHANGED: {name} is answered: {answer}"
    print(f"{name}: no answer; the ping after it is answered")
process.stdin.close()
process.wait(10)
PY
