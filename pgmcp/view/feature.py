"""Registers the result view: an MCP App, a page that hosts show beside the answers of the tools.

Hosts without Apps get the same text and structured content as before. For a host that declares Apps, an
answer also has what `pgmcp.view.reply_data` describes.
"""

from typing import TYPE_CHECKING, Any, Final

from msgspec.structs import replace

from pgmcp.features import AnswerExtension, Feature, PageResource
from pgmcp.surface.caller import APP_MIME_TYPE

if TYPE_CHECKING:
    from pgmcp.answers.fitted import FittedAnswer
    from pgmcp.surface.caller import Caller
    from pgmcp.surface.reply import ToolReply

RESULT_VIEW_URI: Final = "ui://pgmcp/result"

# The page's content security policy names no domain, so the host gives it no network access.
_RESOURCE: Final[dict[str, Any]] = {
    "uri": RESULT_VIEW_URI,
    "name": "result view",
    "title": "Query result",
    "description": "Shows a result as a table and a chart, with its SQL and how it was found.",
    "mimeType": APP_MIME_TYPE,
    "_meta": {"ui": {"permissions": {"clipboardWrite": {}}, "prefersBorder": True}},
}


def read_result_view() -> str:
    """Return the page, one HTML document that needs nothing else."""
    from importlib.resources import files  # slow to load, and the server's start waits for this module

    return files("pgmcp.view").joinpath("result_view.html").read_text("utf-8")


class ViewExtension(AnswerExtension):
    """Links the tools to the page, and adds the page's data to their replies."""

    tool_meta = {"ui": {"resourceUri": RESULT_VIEW_URI}}  # noqa: RUF012 # never changed
    pages = (PageResource(_RESOURCE, read_result_view),)

    async def extend(
        self, reply: "ToolReply", fitted: "FittedAnswer", value: Any, caller: "Caller"
    ) -> "ToolReply":
        """Return the reply with the page's data, if the host shows the page."""
        if not caller.shows_apps:
            return reply
        from pgmcp.view.reply_data import VIEW_META_KEY, describe_for_view

        described = describe_for_view(fitted.answer.limited_for_pictures(), fitted.shown)
        return replace(reply, meta={**(reply.meta or {}), VIEW_META_KEY: described})


FEATURE: Final = Feature(name="view", extend_answers=lambda _: ViewExtension())
