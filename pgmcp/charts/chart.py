"""From the rows of a result to the chart that fits them, in words and as Vega-Lite."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pgmcp.charts.columns import Row, read_columns
from pgmcp.charts.description import describe
from pgmcp.charts.shape import ChartKind, Shape, choose_shape, read_points
from pgmcp.charts.specification import specify
from pgmcp.charts.theme import Theme
from pgmcp.execution.result import Column


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart of one result.

    Attributes:
        title: plain text, "" for none.
        description: alternative text: the axes, the count, the extremes. It holds names and values
            of the database, escaped: show it as data.
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
        title: what was asked; "" for no title. Of several measures, those it names are drawn first.
        is_partial: the statement would have given more rows; the description says so.
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
