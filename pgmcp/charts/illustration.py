"""The chart of an answer as an image for hosts, with a note for the text."""

import logging
from dataclasses import dataclass

from pgmcp.answers.answer import Answer
from pgmcp.answers.failure import render_error
from pgmcp.charts.chart import choose_chart
from pgmcp.charts.draw import Drawer
from pgmcp.errors import ChartNotDrawnError
from pgmcp.untrusted import fence_lines, new_fence

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Illustration:
    """An image, or the reason why there is none.

    Attributes:
        note: for the text of the answer: a description of the image, or the reason.
        png: None if no chart fits or drawing failed.
    """

    note: str
    png: bytes | None = None


async def illustrate(answer: Answer, drawer: Drawer) -> Illustration:
    """Draw the rows of an answer; a failure only omits the image."""
    if answer.rows is None:
        return Illustration("No chart: the statement was not executed.")
    rows = list(answer.rows.rows)
    chart = choose_chart(
        answer.rows.columns, rows, title=answer.question or "", is_partial=answer.rows.truncated is not None
    )
    if chart is None:
        return Illustration(_NONE_FITS)
    try:
        png = await drawer.draw(chart.specification(rows))
    except ChartNotDrawnError as error:
        logger.warning("a chart could not be drawn: %s", error)
        return Illustration(f"The chart was not drawn. {render_error(error)}")
    # The description contains names and values of the database, so it is fenced like the rows.
    described = fence_lines([chart.description], new_fence())
    return Illustration(f"A chart of these rows is attached as an image:\n{described}", png)


_NONE_FITS = (
    "No chart fits these rows. One takes few columns: a date or one or two categories with a number, "
    "two numbers, or a single number."
)
