"""The rows that an answer had no room for, as resources: read, not run again."""

from typing import Any

from mcp.server.mcpserver import MCPServer

from pgmcp.errors import InvalidArgumentError
from pgmcp.server.presenter import Presenter


def add_result_pages(server: MCPServer[Any], presenter: Presenter) -> None:
    """Offer the rest of results whose answers say where it is."""

    @server.resource(
        "result://{result}/{row}",
        name="result",
        title="Rest of a result",
        description="Rows of an earlier answer from one on; the answer names the address.",
        mime_type="text/plain",
    )
    def read_page(result: str, row: str) -> str:
        if not row.isascii() or not row.isdigit():
            raise InvalidArgumentError(f"{row[:32]!r} is no row", hint="rows are counted from 1")
        return presenter.page(result, int(row[:18]))
