#!/usr/bin/env bash
# mcp 2.3.0 (Python SDK), stateless streamable HTTP: a tool cannot ask a client that says it can be asked.
#
# With stateless_http=True, a tool that calls ctx.elicit for a client of 2025-11-25 fails, although the client
# declared elicitation and the stream of its own POST could carry the request. With sessions, the same tool asks on
# this stream. So several servers behind a load balancer, which need stateless mode, cannot ask these clients anything.
# Also, an answer to a request that the server never sent is accepted with 202.
# Specification: MCP 2025-11-25, Transports, "Sending Messages to the Server".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -qq --disable-pip-version-check mcp==2.3.0
"$folder/venv/bin/python" - <<'PY'
import json
import socket
import threading
import urllib.request
from importlib.metadata import version

import uvicorn
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from pydantic import BaseModel

assert version("mcp") == "2.3.0"
VERSION = "2025-11-25"


class Choice(BaseModel):
    colour: str


def serve(*, is_stateless):
    server = MCPServer("example")

    @server.tool()
    async def ask(ctx: Context) -> str:
        answer = await ctx.elicit("Which colour?", Choice)
        return f"{answer.action}"

    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    app = server.streamable_http_app(stateless_http=is_stateless)
    web = uvicorn.Server(uvicorn.Config(app, log_level="critical"))
    threading.Thread(target=web.run, kwargs={"sockets": [listener]}, daemon=True).start()
    return f"http://127.0.0.1:{listener.getsockname()[1]}/mcp"


def post(url, message, session=None):
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream",
               "MCP-Protocol-Version": VERSION} | ({"Mcp-Session-Id": session} if session else {})
    request = urllib.request.Request(url, json.dumps({"jsonrpc": "2.0"} | message).encode(), headers)
    return urllib.request.urlopen(request, timeout=10)


def first_message(url, session):
    call = {"id": 2, "method": "tools/call", "params": {"name": "ask", "arguments": {}}}
    with post(url, call, session) as stream:
        for line in stream:
            if line.startswith(b"data: {"):
                return json.loads(line[6:])


client = {"protocolVersion": VERSION, "capabilities": {"elicitation": {}},
          "clientInfo": {"name": "example", "version": "1"}}
for is_stateless, expected in [(False, "elicitation/create"), (True, "an error of the tool")]:
    url = serve(is_stateless=is_stateless)
    with post(url, {"id": 1, "method": "initialize", "params": client}) as started:
        session = started.headers.get("Mcp-Session-Id")
    post(url, {"method": "notifications/initialized"}, session).close()
    message = first_message(url, session)
    failed = message.get("result", {}).get("isError") or "error" in message
    seen = message.get("method") or ("an error of the tool" if failed else "an answer")
    print(f"stateless={is_stateless}: the call's stream has {seen}")
    assert seen == expected, f"CHANGED: {message}"
with post(url, {"id": "nobody asked", "result": {"action": "accept"}}) as accepted:
    print(f"an answer to no request: {accepted.status}")
    assert accepted.status == 202, "CHANGED"
PY
