"""The chart that fits a result, if one does: what it is, in words, and as Vega-Lite.

    chart_columns        what a column can be, and its cells as numbers, moments, labels
    chart_shape          which kind of chart fits, and its points
    chart_specification  the chart as Vega-Lite JSON
    chart_theme          its colours, light and dark
    chart_labels         numbers and moments as text, and the ticks of an axis of time
    chart_description    the chart in words
    draw                 the JSON as a PNG, in a process of its own

Pure and deterministic: the same result gives the same chart in every place that draws it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pgmcp.execution.result import Column
from pgmcp.presentation.chart_columns import Row, read_columns
from pgmcp.presentation.chart_description import describe
from pgmcp.presentation.chart_shape import ChartKind, Shape, choose_shape, read_points
from pgmcp.presentation.chart_specification import specify
from pgmcp.presentation.chart_theme import Theme, theme_config

__all__ = ["Chart", "ChartKind", "Theme", "choose_chart", "theme_config"]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of one result.

    Attributes:
        title: plain text, "" for none.
        description: alternative text: the axes, the count, the extremes. It holds names and values
            of the database, neutralised: show it as data.
        shape: which columns are drawn, and as what.
    """

    kind: ChartKind
    title: str
    description: str
    shape: Shape

    def specification(self, rows: Sequence[Row], *, theme: Theme | None = Theme.LIGHT) -> dict[str, Any]:
        """Return the chart of `rows` as Vega-Lite 5 or 6 (without `$schema`), its data inside.

        Args:
            rows: those the chart was chosen for, or leading ones of them, one at least.
            theme: None leaves `config` out, so that a view can put `theme_config(…)` beside the
                specification and change it when its host turns dark.
        """
        points = read_points(self.shape, rows)
        specification = specify(self.shape, points, title=self.title, theme=theme)
        return {**specification, "description": self.description}


def choose_chart(
    columns: Sequence[Column], rows: Sequence[Row], *, title: str, is_partial: bool = False
) -> Chart | None:
    """Return the chart that fits these columns and rows, or None when none does.

    Args:
        title: what was asked; "" for no title.
        is_partial: the statement would have given more rows; the description says so.
    """
    shape = choose_shape(read_columns(columns, rows), rows)
    if shape is None:
        return None
    points = read_points(shape, rows)
    return Chart(
        kind=shape.kind,
        title=title,
        description=describe(shape, points, is_partial=is_partial),
        shape=shape,
    )
