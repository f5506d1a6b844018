"""A minimal MCP server that repeats a given reply; `loadtest.py` compares pgmcp with it.

The server receives the reply once and returns it for every call, without any other work. So a call costs only
what the SDK, the transport and the client cost. With a port as its argument, it serves the SDK's HTTP app
instead of stdio.
"""

import sys
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult, TextContent

server = MCPServer("echo")
_reply = CallToolResult(content=[])


@server.tool()
def remember(text: str, structured: dict[str, Any]) -> None:
    """Store the reply of all later calls of `execute_sql`."""
    global _reply
    _reply = CallToolResult(content=[TextContent(text=text)], structured_content=structured)


@server.tool()
def execute_sql(sql: str) -> CallToolResult:
    """Return the stored reply, for any SQL."""
    return _reply


if __name__ == "__main__":
    if len(sys.argv) > 1:
        server.run("streamable-http", port=int(sys.argv[1]), stateless_http=True)
    else:
        server.run("stdio")
