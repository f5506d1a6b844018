"""Chooses the chart for the rows of a result; describes it in words and as Vega-Lite."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pgmcp.charts.columns import Row, read_columns
from pgmcp.charts.description import describe
from pgmcp.charts.shape import ChartKind, Shape, choose_shape, read_points
from pgmcp.charts.specification import Theme, specify
from pgmcp.execution.result import Column


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of one result.

    Attributes:
        title: plain text, or "".
        description: alternative text: axes, count, extremes. It contains escaped names and values of the
            database: show it as data.
        shape: the columns and their roles.
    """

    kind: ChartKind
    title: str
    description: str
    shape: Shape

    def specification(self, rows: Sequence[Row], *, theme: Theme | None = Theme.LIGHT) -> dict[str, Any]:
        """Return the chart of `rows` as Vega-Lite 5 or 6 (without `$schema`), including the data.

        Args:
            rows: the rows that the chart was chosen for, or the first ones of them; at least one.
            theme: None omits `config`, so that a view can add `theme_config(…)` and change it with the host's
                theme.
        """
        points = read_points(self.shape, rows)
        specification = specify(self.shape, points, title=self.title, theme=theme)
        return {**specification, "description": self.description}


def choose_chart(
    columns: Sequence[Column], rows: Sequence[Row], *, title: str, is_partial: bool = False
) -> Chart | None:
    """Return the chart that fits these columns and rows, or None.

    Args:
        columns: the columns of the result.
        rows: the rows of the result.
        title: the question, or "". Measures that it names are preferred.
        is_partial: whether there are more rows; the description says so.
    """
    shape = choose_shape(read_columns(columns, rows), rows, question=title)
    if shape is None:
        return None
    points = read_points(shape, rows)
    return Chart(
        kind=shape.kind,
        title=title,
        description=describe(shape, points, is_partial=is_partial),
        shape=shape,
    )
