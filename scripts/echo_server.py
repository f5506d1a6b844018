"""The least MCP server that can give a certain reply: the floor that `loadtest.py` measures against.

It is told the reply once, and then gives it to every call without any work of
its own. What a call costs here is the SDK, the pipes and the client.
"""

from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp_types import CallToolResult, TextContent

server = MCPServer("echo")
_reply = CallToolResult(content=[])


@server.tool()
def remember(text: str, structured: dict[str, Any]) -> None:
    """Keep what `execute_sql` shall reply from now on."""
    global _reply
    _reply = CallToolResult(content=[TextContent(text=text)], structured_content=structured)


@server.tool()
def execute_sql(sql: str) -> CallToolResult:
    """Give the reply that was remembered, whatever the SQL."""
    return _reply


if __name__ == "__main__":
    server.run("stdio")
