"""The result view as an MCP App: a page that hosts show beside the answers of `query` and `execute_sql`.

A host without Apps sees what it always saw. To one that declared them, an answer
carries what `pgmcp.presentation.view` tells of.
"""

from importlib.resources import files
from typing import Any, Final

from mcp.server.apps import APP_MIME_TYPE, Apps, ResourcePermissions
from mcp.server.mcpserver.resources import FunctionResource

RESULT_VIEW_URI: Final = "ui://pgmcp/result"

SHOWN_IN_RESULT_VIEW: Final[dict[str, Any]] = {"ui": {"resourceUri": RESULT_VIEW_URI}}
"""`_meta` of a tool whose results the view shows."""


def result_view() -> Apps:
    """Return the extension that offers the page; it is read when a host asks for it."""
    # No domain is named for the page's content security policy, so the host allows it no network at all.
    permissions = ResourcePermissions(clipboard_write={})
    apps = Apps()
    apps.add_resource(
        FunctionResource(
            uri=RESULT_VIEW_URI,
            name="result view",
            title="Query result",
            description="Shows a result as a table and a chart, with its SQL and how it was found.",
            mime_type=APP_MIME_TYPE,
            meta={
                "ui": {
                    "permissions": permissions.model_dump(by_alias=True, exclude_none=True),
                    "prefersBorder": True,
                }
            },
            fn=read_result_view,
        )
    )
    return apps


def read_result_view() -> str:
    """Return the page, one HTML document with all it needs inside."""
    return files("pgmcp.presentation").joinpath("result_view.html").read_text("utf-8")
