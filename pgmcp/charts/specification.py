"""Writes a chart as Vega-Lite, the JSON for the result view and for the PNG.

Fields are named c0, c1, …: a name from the database is only a title, never part of a path or an expression.
Vega-Lite would write titles into expressions for tooltips and screen readers, so both get an explicit text.
The specification contains no expression, URL or link. Colours come only from the theme, which a view can
change separately.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from textwrap import wrap
from typing import Any, Final

from pgmcp.charts.columns import ChartColumn, Role, to_line
from pgmcp.charts.description import describe_point
from pgmcp.charts.labels import format_number, label_time_axis
from pgmcp.charts.shape import ChartKind, Point, Shape, name_series

LABEL_LIMIT_PX: Final = 180
"""Longer labels are cut and end in "…"; tooltip and table have up to 80 characters."""


class Theme(StrEnum):
    """The background of a chart."""

    LIGHT = "light"
    DARK = "dark"


@dataclass(frozen=True, slots=True)
class _Colours:
    """Colours of a theme: contrast to the background at least 4.5 to 1 for text, 3 to 1 for marks (WCAG 2.2).

    Attributes:
        marks: colours of the series in order, distinguishable with any colour blindness.
    """

    ground: str
    ink: str
    soft_ink: str
    line: str
    marks: tuple[str, ...]


_COLOURS_BY_THEME: Final = {
    Theme.LIGHT: _Colours(
        ground="#ffffff",
        ink="#1f2430",
        soft_ink="#4a5262",
        line="#dde1e7",
        marks=("#0b6bcb", "#ef395d", "#14315d", "#83a00d", "#c4649e", "#602430", "#6a13ec", "#8e0b0b"),
    ),
    Theme.DARK: _Colours(
        ground="#16191d",
        ink="#e8eaed",
        soft_ink="#b3bac5",
        line="#343a43",
        marks=("#58a6ff", "#e8751a", "#d9d9f7", "#55d66f", "#c935ab", "#9b6238", "#8d55f2", "#e3b7aa"),
    ),
}


def theme_config(theme: Theme) -> dict[str, Any]:
    """Return the `config` of Vega-Lite for all charts."""
    colours = _COLOURS_BY_THEME[theme]
    ink, line = colours.ink, colours.line
    texts = {"labelColor": colours.soft_ink, "titleColor": ink, "labelFontSize": 12, "titleFontSize": 12}
    return {
        "background": colours.ground,
        "font": "Liberation Sans, Arial, Helvetica, sans-serif",
        "padding": 12,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "title": {"color": ink, "anchor": "start", "fontSize": 15, "fontWeight": 600, "offset": 14},
        "axis": {
            **texts,
            "titleFontWeight": "normal",
            "titlePadding": 10,
            "gridColor": line,
            "domainColor": line,
            "tickColor": line,
            "labelPadding": 6,
            "labelFlush": False,
        },
        "legend": {**texts, "titleFontWeight": "normal", "labelLimit": LABEL_LIMIT_PX, "symbolSize": 90},
        "view": {"stroke": None},
        "mark": {"color": colours.marks[0]},
        "text": {"color": ink},
        "range": {"category": list(colours.marks)},
    }


Json = dict[str, Any]

_POSITION, _SERIES, _VALUE, _DESCRIPTION, _FIGURES = "c0", "c1", "c2", "c3", "c4"
_MAX_TITLE_CHARACTERS = 140
_TITLE_LINE_CHARACTERS = 70
_PLOT_HEIGHT_PX = 300
_BAR_STEP_PX = 24
_GROUPED_BAR_STEP_PX = 14
_MAX_MARKED_POINTS = 120  # more marks hide the line


def specify(shape: Shape, points: Sequence[Point], *, title: str, theme: Theme | None) -> Json:
    """Return the Vega-Lite specification; without a theme it has no `config` and no colour."""
    specification: Json = {"data": {"values": [_datum(shape, point) for point in points]}}
    if title.strip():
        specification["title"] = _title(title)
    specification |= _DRAW_BY_KIND[shape.kind](shape, points)
    specification.setdefault("width", "container")
    if theme is not None:
        specification["config"] = theme_config(theme)
    return specification


def _datum(shape: Shape, point: Point) -> Json:
    datum = {_POSITION: point.position, _VALUE: point.value, _DESCRIPTION: describe_point(shape, point)}
    if point.series:
        datum[_SERIES] = point.series
    if shape.kind is ChartKind.BARS:
        datum[_FIGURES] = format_number(point.value)
    return datum


def _title(title: str) -> Json:
    return {"text": wrap(to_line(" ".join(title.split()), _MAX_TITLE_CHARACTERS), _TITLE_LINE_CHARACTERS)}


def _draw_number(shape: Shape, points: Sequence[Point]) -> Json:
    """Draw the number large, with its label below."""
    (measure,), (point,) = shape.measures, points
    label = measure.name if shape.position is measure else f"{measure.name}, {point.position}"
    return {
        "data": {"values": [{_FIGURES: format_number(point.value), _DESCRIPTION: label}]},
        "height": 110,
        "layer": [
            _text(_FIGURES, fontSize=44, fontWeight="bold", dy=-12),
            _text(_DESCRIPTION, fontSize=15, dy=32),
        ],
    }


def _text(field: str, **mark: Any) -> Json:
    """Return a layer with the text of a field, which screen readers ignore."""
    return {
        "mark": {"type": "text", "aria": False, "limit": 640, **mark},
        "encoding": {"text": {"field": field, "type": "nominal"}},
    }


_DESCRIBE_POINT: Final[Json] = {
    "tooltip": {"field": _DESCRIPTION, "type": "nominal"},
    "description": {"field": _DESCRIPTION, "type": "nominal"},
}


def _draw_line(shape: Shape, points: Sequence[Point]) -> Json:
    names = name_series(points)
    colour = {**_colour(shape.series), "scale": {"domain": names}} if len(names) > 1 else None
    value = shape.measures[0].name if len(shape.measures) == 1 else None
    return {
        "height": _PLOT_HEIGHT_PX,
        "encoding": {
            "x": _time_axis(shape.position, points),
            "y": _number_axis(_VALUE, value, [point.value for point in points]),
        },
        "layer": _lines_and_dots(colour, len(points)),
        # With independent scales, the dots get one legend for colour and shape. With shared scales, Vega-Lite
        # would not merge the two legends. If there are no dots, the lines get the legend.
        "resolve": {"scale": {"color": "independent", "shape": "independent"}},
    }


def _lines_and_dots(colour: Json | None, count: int) -> list[Json]:
    line: Json = {"mark": {"type": "line", "strokeWidth": 2.5, "strokeJoin": "round", "aria": False}}
    dots: Json = {
        "mark": {"type": "point", "filled": True, "size": 40, "opacity": 1},
        "encoding": {**_DESCRIBE_POINT},
    }
    has_dots = count <= _MAX_MARKED_POINTS
    if colour:
        line["encoding"] = {"color": {**colour, "legend": None} if has_dots else colour}
        dots["encoding"] |= {"color": colour, "shape": colour}
    return [line, dots] if has_dots else [line]


def _draw_bars(shape: Shape, points: Sequence[Point]) -> Json:
    values = [point.value for point in points]
    layers: list[Json] = [{"mark": {**_BAR, "height": {"band": 0.78}}, "encoding": _DESCRIBE_POINT}]
    if all(value is None or value >= 0 for value in values):  # the text would cover a negative bar
        layers.append(_text(_FIGURES, align="left", dx=5, fontSize=12))
    return {
        "height": {"step": _BAR_STEP_PX},
        "encoding": _bar_axes(shape, values),
        "layer": layers,
    }


def _draw_grouped_bars(shape: Shape, points: Sequence[Point]) -> Json:
    encoding = _bar_axes(shape, [point.value for point in points])
    series = {"color": _colour(shape.series), "yOffset": _colour(None)}
    return {
        "height": {"step": _GROUPED_BAR_STEP_PX, "for": "offset"},
        "mark": _BAR,
        "encoding": {**encoding, **series, **_DESCRIBE_POINT},
    }


_BAR: Final[Json] = {"type": "bar", "cornerRadiusEnd": 2}


def _bar_axes(shape: Shape, values: Sequence[float | None]) -> Json:
    return {
        # Nothing is stacked here, and Vega's stack fails for a category named "valueOf".
        "x": {**_number_axis(_VALUE, shape.measures[0].name, values, from_zero=True), "stack": None},
        "y": _category_axis(shape.position),
    }


def _draw_scatter(shape: Shape, points: Sequence[Point]) -> Json:
    across = [point.position for point in points if isinstance(point.position, float)]
    encoding = {
        "x": _number_axis(_POSITION, shape.position.name, across),
        "y": _number_axis(_VALUE, shape.measures[0].name, [point.value for point in points]),
    }
    if shape.series:
        colour = _colour(shape.series)
        encoding |= {"color": colour, "shape": colour}  # shapes too, for colour-blind people
    mark = {"type": "point", "filled": True, "size": 45, "opacity": 0.7}
    return {"height": _PLOT_HEIGHT_PX, "mark": mark, "encoding": encoding | _DESCRIBE_POINT}


_DRAW_BY_KIND: Final = {
    ChartKind.NUMBER: _draw_number,
    ChartKind.LINE: _draw_line,
    ChartKind.BARS: _draw_bars,
    ChartKind.GROUPED_BARS: _draw_grouped_bars,
    ChartKind.SCATTER: _draw_scatter,
}


def _colour(series: ChartColumn | None) -> Json:
    title = series.name if series else None
    return {"field": _SERIES, "type": "nominal", "sort": None, "title": title}


def _category_axis(position: ChartColumn) -> Json:
    axis = {"labelLimit": LABEL_LIMIT_PX, "ticks": False, "domain": False}
    return {
        "field": _POSITION,
        "type": "nominal",
        "sort": None,
        "title": position.name,
        "axis": {**axis, "titleAngle": 0, "titleAlign": "right", "titleAnchor": "end", "titleY": -8},
    }


def _number_axis(
    field: str, title: str | None, values: Sequence[float | None], *, from_zero: bool = False
) -> Json:
    numbers = [value for value in values if value is not None]
    lowest, highest = min(numbers, default=0.0), max(numbers, default=0.0)
    # If all values are far from zero, an axis that starts at zero would hide their changes.
    far_from_zero = lowest > 0.6 * highest > 0 or highest < 0.6 * lowest < 0
    return {
        "field": field,
        "type": "quantitative",
        "title": title,
        "scale": {"zero": from_zero or not far_from_zero, "nice": True},
        "axis": {"format": ",f" if max(abs(lowest), abs(highest)) < 1e9 else "~s", "tickCount": 6},
    }


def _time_axis(position: ChartColumn, points: Sequence[Point]) -> Json:
    if position.role is not Role.TIME:
        axis: Json = {"labelAngle": 0, "labelOverlap": True}
        return {"field": _POSITION, "type": "ordinal", "sort": None, "title": position.name, "axis": axis}
    moments = [point.position for point in points if isinstance(point.position, float)] or [0.0]
    time = label_time_axis(moments)
    return {
        "field": _POSITION,
        "type": "temporal",
        "title": f"{position.name}, {time.common}" if time.common else position.name,
        "scale": {"type": "utc"},
        "axis": {"labelOverlap": "greedy", "grid": False, **time.ticks},
    }
