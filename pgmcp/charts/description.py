"""Describes a chart in words, for screen readers and for the model."""

from collections.abc import Iterable, Sequence

from pgmcp.charts.labels import format_moment, format_number
from pgmcp.charts.shape import ChartKind, Point, Shape, name_series
from pgmcp.untrusted import shorten

_MAX_CHARACTERS = 800


def describe(shape: Shape, points: Sequence[Point], *, is_partial: bool) -> str:
    """Return the alternative text: axes, count and extremes.

    Args:
        is_partial: whether there are more rows than are drawn.
    """
    sentences = [_DESCRIBE_BY_KIND[shape.kind](shape, points)]
    if shape.left_out:
        sentences.append(f"Not drawn: {_join(measure.name for measure in shape.left_out)}")
    if is_partial:
        sentences.append("There are more rows than those drawn")
    return shorten(". ".join(sentences) + ".", _MAX_CHARACTERS)


def describe_point(shape: Shape, point: Point) -> str:
    """Return the description of one mark, for tooltips and screen readers."""
    series = f", {point.series}" if shape.series or len(shape.measures) > 1 else ""
    if shape.kind is ChartKind.SCATTER and isinstance(point.position, float):
        across = f"{shape.position.name} {format_number(point.position)}"
        return f"{across}, {shape.measures[0].name} {format_number(point.value)}{series}"
    return f"{_format_position(point.position)}{series}: {format_number(point.value)}"


def _describe_number(shape: Shape, points: Sequence[Point]) -> str:
    label = "" if shape.position is shape.measures[0] else f" of {points[0].position}"
    return f"Single number: {shape.measures[0].name}{label} is {format_number(points[0].value)}"


def _describe_line(shape: Shape, points: Sequence[Point]) -> str:
    names = _join(measure.name for measure in shape.measures)
    positions = [point.position for point in points]
    extent = f"from {_format_position(positions[0])} to {_format_position(positions[-1])}"
    count = _count(len(set(positions)), "point")
    return f"Line chart of {names} by {shape.position.name}{_series(shape, points)}: {count} {extent}" + (
        _extremes(points)
    )


def _describe_bars(shape: Shape, points: Sequence[Point]) -> str:
    names = f"{shape.measures[0].name} by {shape.position.name}{_series(shape, points)}"
    return f"{_NAME_BY_KIND[shape.kind]} of {names}: {_count(len(points), 'bar')}{_extremes(points)}"


_NAME_BY_KIND = {ChartKind.BARS: "Bar chart", ChartKind.GROUPED_BARS: "Grouped bar chart"}


def _describe_scatter(shape: Shape, points: Sequence[Point]) -> str:
    across = [point.position for point in points if isinstance(point.position, float)]
    up = [point.value for point in points if point.value is not None]
    x_name, y_name = shape.position.name, shape.measures[0].name
    return (
        f"Scatter plot of {y_name} over {x_name}{_series(shape, points)}: {_count(len(points), 'point')}"
        f"; {x_name} from {format_number(min(across))} to {format_number(max(across))}"
        f", {y_name} from {format_number(min(up))} to {format_number(max(up))}"
    )


_DESCRIBE_BY_KIND = {
    ChartKind.NUMBER: _describe_number,
    ChartKind.LINE: _describe_line,
    ChartKind.BARS: _describe_bars,
    ChartKind.GROUPED_BARS: _describe_bars,
    ChartKind.SCATTER: _describe_scatter,
}


def _series(shape: Shape, points: Sequence[Point]) -> str:
    if shape.series is None:
        return ""
    return f", by {shape.series.name} ({_join(name_series(points))})"


def _extremes(points: Sequence[Point]) -> str:
    """Return the positions of the lowest and highest values."""
    valued = [(point.value, point) for point in points if point.value is not None]
    low = min(valued, key=lambda pair: pair[0])[1]
    high = max(valued, key=lambda pair: pair[0])[1]
    several = len({point.series for point in points}) > 1
    return f"; highest {_format_point(high, several)}, lowest {_format_point(low, several)}"


def _format_point(point: Point, several: bool) -> str:
    series = f", {point.series}" if several else ""
    return f"{format_number(point.value)} ({_format_position(point.position)}{series})"


def _format_position(position: float | str) -> str:
    return format_moment(position) if isinstance(position, float) else position


def _join(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
