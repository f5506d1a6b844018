"""The result view as an MCP App: a page that hosts show beside the answers of `query` and `execute_sql`.

Hosts without Apps get the usual text and structured content. For a host that declares Apps, an answer also
contains the data that `pgmcp.view.view` describes.
"""

from typing import Any, Final

from pgmcp.surface.caller import APP_MIME_TYPE

RESULT_VIEW_URI: Final = "ui://pgmcp/result"

SHOWN_IN_RESULT_VIEW: Final[dict[str, Any]] = {"ui": {"resourceUri": RESULT_VIEW_URI}}
"""`_meta` of a tool whose results the view shows."""

# No domain is named for the page's content security policy, so the host allows it no network at all.
RESULT_VIEW_RESOURCE: Final[dict[str, Any]] = {
    "uri": RESULT_VIEW_URI,
    "name": "result view",
    "title": "Query result",
    "description": "Shows a result as a table and a chart, with its SQL and how it was found.",
    "mimeType": APP_MIME_TYPE,
    "_meta": {"ui": {"permissions": {"clipboardWrite": {}}, "prefersBorder": True}},
}


def read_result_view() -> str:
    """Return the page, one HTML document without external resources."""
    from importlib.resources import files  # slow to load, and the server's start waits for this module

    return files("pgmcp.view").joinpath("result_view.html").read_text("utf-8")
