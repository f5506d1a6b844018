#!/usr/bin/env bash
# @modelcontextprotocol/inspector 2.12.0: its command line declares no elicitation, so no server can ask it.
#
# The Inspector's page shows forms for elicitation requests, and the package contains the code for them. Its
# --cli mode tells servers that it has no such capability. A tool that asks back cannot be tried with it: the
# server must answer without asking. Needs Node 22 or later.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --no-audit --no-fund --prefix "$folder" @modelcontextprotocol/inspector@2.12.0 >/dev/null
cat >"$folder/server.py" <<'PY'
import json
import sys
from pathlib import Path

for line in sys.stdin:
    message = json.loads(line)
    if message.get("method") == "initialize":
        Path(sys.argv[1]).write_text(json.dumps(message["params"]["capabilities"]))
        result = {
            "protocolVersion": message["params"]["protocolVersion"],
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "recorder", "version": "1"},
        }
    elif message.get("method") == "tools/list":
        result = {"tools": [{"name": "nothing", "inputSchema": {"type": "object"}}]}
    elif "id" in message:
        print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "no"}}), flush=True)
        continue
    else:
        continue
    print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}), flush=True)
PY
inspector=$(node -p "const p = require('$folder/node_modules/@modelcontextprotocol/inspector/package.json'); p.version")
[ "$inspector" = 2.12.0 ]
listed=$(timeout 60 "$folder/node_modules/.bin/mcp-inspector" --cli python3 "$folder/server.py" "$folder/capabilities" --method tools/list)
case $listed in *'"nothing"'*) echo "seen: the tool is listed" ;; *) echo "CHANGED: $listed"; exit 1 ;; esac
echo "seen: capabilities: $(cat "$folder/capabilities")"
if grep -q elicitation "$folder/capabilities"; then echo "CHANGED: elicitation is declared"; exit 1; fi
