"""Registers charts: the argument `chart` of the tools that return rows, and the option `--chart`."""

from base64 import b64encode
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Final

from msgspec import Meta
from msgspec.structs import replace

from pgmcp.features import AnswerExtension, Feature, ToolArgument

if TYPE_CHECKING:
    from pgmcp.answers.fitted import FittedAnswer
    from pgmcp.charts.draw import Drawer
    from pgmcp.cli.options import AnswerOption
    from pgmcp.surface.caller import Caller
    from pgmcp.surface.reply import ToolReply

_TYPE: Final = Annotated[
    bool, Meta(description="Also draw the rows as a chart, if one fits; for hosts that show images")
]


class ChartExtension(AnswerExtension):
    """Adds a picture of the rows to a reply, or says why there is no picture."""

    argument = ToolArgument("chart", _TYPE, False)

    async def extend(
        self, reply: "ToolReply", fitted: "FittedAnswer", value: Any, caller: "Caller"
    ) -> "ToolReply":
        """Return the reply with the picture and a note, if the call asks for a chart."""
        if not value:
            return reply
        from pgmcp.charts.draw import illustrate
        from pgmcp.surface.reply import text_block

        illustration = await illustrate(fitted.answer.limited_for_pictures(), self._drawer)
        content = [*reply.content, text_block(illustration.note)]
        if illustration.png is not None:
            data = b64encode(illustration.png).decode("ascii")
            content.append({"type": "image", "data": data, "mimeType": "image/png"})
        return replace(reply, content=tuple(content))

    @cached_property
    def _drawer(self) -> "Drawer":
        from pgmcp.charts.draw import Drawer

        return Drawer()


def _options() -> "Iterable[AnswerOption]":
    from pgmcp.charts.command_line import CHART_OPTION

    return [CHART_OPTION]


FEATURE: Final = Feature(name="charts", extend_answers=lambda _: ChartExtension(), answer_options=_options)
