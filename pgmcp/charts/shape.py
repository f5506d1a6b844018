"""Chooses the chart that fits a result, by the roles of its columns.

| kind           | columns                                                                     |
|----------------|-----------------------------------------------------------------------------|
| number         | one row with one number, and at most one label                              |
| line           | a time and 1 to 4 numbers, or a time, a number and a category of few values |
| bars           | a category that names each row, and a number                                |
| grouped bars   | two categories that name each row together, one of few values, and a number |
| scatter        | two numbers, and a category of few values that colours the marks            |

One row can only be a number. For several rows, the other kinds are tried in this order. If none fits,
nothing is drawn. If not all measures fit, those that the question names are preferred. A scatter plot ignores
other columns. If there is no category, a key or a time can name the bars of one measure.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Final, NamedTuple

from pgmcp.charts.columns import (
    ChartColumn,
    Role,
    Row,
    read_label,
    read_moment,
    read_number,
    read_step,
    split_words,
    step_rank,
)
from pgmcp.execution.result import JsonScalar

MAX_DRAWN_ROWS: Final = 5_000
_MAX_COLUMNS = 50
_MAX_MEASURES = 4
_MAX_SERIES = 8
_MAX_BARS = 30
_MAX_BARS_IN_GROUP = 6
_MIN_SCATTER_ROWS = 5
_GLANCE_ROWS = 100  # counted first; if these rows already have too many values, the others are not counted
_SAME_SCALE = 5.0  # measures that differ by a larger factor are not readable on one axis


class ChartKind(StrEnum):
    """Kinds of charts."""

    NUMBER = "number"
    LINE = "line"
    BARS = "bars"
    GROUPED_BARS = "grouped bars"
    SCATTER = "scatter"


@dataclass(frozen=True, slots=True)
class Shape:
    """The columns of a chart and their roles.

    Attributes:
        position: the column that places the marks: the time of a line chart, the category of bars, or the
            first number of a scatter plot. For a single number, its label, or the number itself without one.
        measures: the columns whose values the marks show; several only in a line chart without series.
        series: the column that decides the colour of the marks; None if each measure has one colour.
        left_out: measures that are not drawn, because this kind of chart draws only one, or because their
            scale does not fit the axis.
    """

    kind: ChartKind
    position: ChartColumn
    measures: tuple[ChartColumn, ...]
    series: ChartColumn | None = None
    left_out: tuple[ChartColumn, ...] = ()


class Point(NamedTuple):
    """One mark.

    Attributes:
        position: milliseconds since 1970, a number, or a label; the role of `Shape.position` says which.
        series: the label of the series, or the name of the measure.
        value: None if the cell has no number; then a line has a gap, and there is no bar.
    """

    position: float | str
    series: str
    value: float | None


def choose_shape(columns: Sequence[ChartColumn], rows: Sequence[Row], *, question: str) -> Shape | None:
    """Return the shape of the chart that fits, or None."""
    if not rows or len(columns) > _MAX_COLUMNS or len(rows) > MAX_DRAWN_ROWS:
        return None
    by_role = _Roles(columns, question)
    if len(rows) == 1:
        return _as_number(by_role, rows)
    for fit in _RULES:
        shape = fit(by_role, rows)
        if shape is not None:
            return shape
    return None


def read_points(shape: Shape, rows: Sequence[Row]) -> list[Point]:
    """Return the marks, ordered by time in a line chart, otherwise in the order of the rows."""
    position, series = shape.position, shape.series
    read_position = _choose_reader(position)
    if position.role is Role.STEP:
        rows = sorted(rows, key=lambda row: _step_order(row[position.index]))
    points = [
        Point(at, read_label(row[series.index]) if series else measure.name, read_number(row[measure.index]))
        for row in rows
        if (at := read_position(row[position.index])) is not None
        for measure in shape.measures
    ]
    if position.role is Role.TIME:
        points.sort(key=lambda point: point.position)
    if shape.kind is ChartKind.SCATTER:
        return [point for point in points if point.value is not None]
    return points


def name_series(points: Sequence[Point]) -> list[str]:
    """Return the series ordered by number if they are numbers (2024, 2025), otherwise as they appear."""
    names = list(dict.fromkeys(point.series for point in points))
    return sorted(names, key=float) if all(name.isdecimal() for name in names) else names


def _choose_reader(position: ChartColumn) -> Callable[[JsonScalar], float | str | None]:
    match position.role:
        case Role.TIME:
            return read_moment
        case Role.MEASURE:
            return read_number
        case Role.STEP:
            return partial(read_step, step=position.step)
        case _:
            return read_label


def _step_order(cell: JsonScalar) -> tuple[float, str]:
    """Return a sort key: steps by number, then named periods (2026-Q1) by text."""
    number = read_number(cell)
    return (float("inf"), "" if cell is None else str(cell)) if number is None else (number, "")


class _Roles:
    """The columns of a result by role, in their order."""

    def __init__(self, columns: Sequence[ChartColumn], question: str) -> None:
        self._columns = columns
        self._question = question

    def with_role(self, role: Role) -> list[ChartColumn]:
        return [column for column in self._columns if column.role is role]

    def asked_measures(self) -> list[ChartColumn]:
        """Return the measures that the question names best (`find_asked`), in the order of their columns."""
        return find_asked(self.with_role(Role.MEASURE), self._question)


def _as_number(roles: _Roles, rows: Sequence[Row]) -> Shape | None:
    measures = roles.with_role(Role.MEASURE)
    labels = (
        roles.with_role(Role.CATEGORY)
        + roles.with_role(Role.TIME)
        + roles.with_role(Role.STEP)
        + roles.with_role(Role.KEY)
    )
    if len(measures) != 1 or len(labels) > 1 or read_number(rows[0][measures[0].index]) is None:
        return None
    return Shape(ChartKind.NUMBER, _as_label(labels[0]) if labels else measures[0], (measures[0],))


def _as_line(roles: _Roles, rows: Sequence[Row]) -> Shape | None:
    position, series = _find_time(roles)
    measures = roles.with_role(Role.MEASURE)
    if position is None or not 1 <= len(measures) <= _MAX_MEASURES:
        return None
    first = roles.asked_measures()[0]
    drawn = (first,) if series else (first, *_on_same_scale(first, _without(measures, [first]), rows))
    shape = Shape(ChartKind.LINE, position, drawn, series, _without(measures, drawn))
    return shape if _makes_lines(shape, rows) else None


def _find_time(roles: _Roles) -> tuple[ChartColumn | None, ChartColumn | None]:
    """Return the column of the time axis and the column that splits it into series, if any."""
    times, categories = roles.with_role(Role.TIME), roles.with_role(Role.CATEGORY)
    steps = sorted(roles.with_role(Role.STEP), key=lambda step: step_rank(step.step))
    if len(times) == 1 and len(categories) <= 1:
        return times[0], categories[0] if categories else None
    if times or len(steps) + len(categories) > 2 or not steps:
        return None, None
    # With a year and a month, the axis shows the months, and each year is a line.
    splitting = categories or [_as_label(step) for step in steps[:-1]]
    return steps[-1], splitting[0] if splitting else None


def _makes_lines(shape: Shape, rows: Sequence[Row]) -> bool:
    """Return whether lines can be drawn.

    That requires at most 8 lines, at most one row for each time of a line, a line with at least two times,
    and at least two values that are not NULL.
    """
    at, first = shape.position.index, shape.measures[0].index
    by = shape.series.index if shape.series else at
    places = [(row[at], row[by]) for row in rows if row[at] is not None]
    lines = len({line for _, line in places}) if shape.series else 1
    values = sum(row[first] is not None for row in rows)
    return len(set(places)) == len(places) > lines <= _MAX_SERIES and values >= 2


def _on_same_scale(
    first: ChartColumn, others: Sequence[ChartColumn], rows: Sequence[Row]
) -> tuple[ChartColumn, ...]:
    """Return the measures that can share an axis with the first one."""
    height = _height(first, rows)
    bounds = (height / _SAME_SCALE, height * _SAME_SCALE)
    return tuple(other for other in others if bounds[0] <= _height(other, rows) <= bounds[1])


def _without(measures: Sequence[ChartColumn], drawn: Sequence[ChartColumn]) -> tuple[ChartColumn, ...]:
    return tuple(measure for measure in measures if measure not in drawn)


def _height(measure: ChartColumn, rows: Sequence[Row]) -> float:
    return max((abs(read_number(row[measure.index]) or 0.0) for row in rows), default=0.0)


def _as_bars(roles: _Roles, rows: Sequence[Row]) -> Shape | None:
    measures = roles.with_role(Role.MEASURE)
    if not measures or len(rows) > _MAX_BARS:
        return None
    labels = [label for label in roles.with_role(Role.CATEGORY) if _distinct([label], rows) == len(rows)]
    if not labels and not roles.with_role(Role.CATEGORY) and len(measures) == 1:
        keys = roles.with_role(Role.KEY) + roles.with_role(Role.STEP) + roles.with_role(Role.TIME)
        labels = [_as_label(key) for key in keys if _distinct([key], rows) == len(rows)]
    measure = _sorted_measure(roles.asked_measures(), rows)
    if not labels or not _has_values(measure, rows):
        return None
    return Shape(ChartKind.BARS, labels[0], (measure,), left_out=_without(measures, [measure]))


def _as_grouped_bars(roles: _Roles, rows: Sequence[Row]) -> Shape | None:
    measures, categories = roles.with_role(Role.MEASURE), roles.with_role(Role.CATEGORY)
    if not measures or len(categories) != 2 or len(rows) > _MAX_BARS:
        return None
    group, series = sorted(categories, key=lambda category: -_distinct([category], rows))
    is_small = _distinct([series], rows) <= _MAX_BARS_IN_GROUP
    measure = roles.asked_measures()[0]
    if not is_small or _distinct(categories, rows) < len(rows) or not _has_values(measure, rows):
        return None
    return Shape(ChartKind.GROUPED_BARS, group, (measure,), series, _without(measures, [measure]))


def _as_scatter(roles: _Roles, rows: Sequence[Row]) -> Shape | None:
    measures = roles.with_role(Role.MEASURE)
    if len(measures) != 2:
        return None
    small = [
        category
        for category in roles.with_role(Role.CATEGORY)
        if _distinct([category], rows[:_GLANCE_ROWS]) <= _MAX_SERIES
        and 1 < _distinct([category], rows) <= _MAX_SERIES
    ]
    shape = Shape(ChartKind.SCATTER, measures[0], (measures[1],), small[0] if len(small) == 1 else None)
    points = read_points(shape, rows)
    across = {point.position for point in points}
    return shape if len(points) >= _MIN_SCATTER_ROWS and len(across) > 1 else None


_RULES: Final[tuple[Callable[[_Roles, Sequence[Row]], Shape | None], ...]] = (
    _as_line,
    _as_bars,
    _as_grouped_bars,
    _as_scatter,
)


def _as_label(column: ChartColumn) -> ChartColumn:
    """Return a column as a category, whatever its role."""
    return ChartColumn(column.index, column.name, Role.CATEGORY)


def _distinct(columns: Sequence[ChartColumn], rows: Sequence[Row]) -> int:
    """Return the number of combinations of labels."""
    cells = {tuple(row[column.index] for column in columns) for row in rows}
    return len({tuple(map(read_label, combination)) for combination in cells})


def _has_values(measure: ChartColumn, rows: Sequence[Row]) -> bool:
    return any(read_number(row[measure.index]) is not None for row in rows)


def _sorted_measure(measures: Sequence[ChartColumn], rows: Sequence[Row]) -> ChartColumn:
    """Return the measure that the rows are sorted by, probably the one asked for; otherwise the first."""
    for measure in measures:
        numbers = [number for row in rows if (number := read_number(row[measure.index])) is not None]
        if len(set(numbers)) > 1 and sorted(numbers) in (numbers, numbers[::-1]):
            return measure
    return measures[0]


def find_asked(measures: Sequence[ChartColumn], question: str) -> list[ChartColumn]:
    """Return the measures that a question names best, in order; all if it names none.

    A measure is skipped if another one shares the same words with the question and more: "average order
    value" asks for `average_order_value`, not for `orders`. "orders and revenue" asks for both.
    """
    asked = _find_words(question)
    shared = [_find_words(measure.name) & asked for measure in measures]
    return [
        measure
        for measure, words in zip(measures, shared, strict=True)
        if not any(words < others for others in shared)
    ]


def _find_words(text: str) -> frozenset[str]:
    """Return the meaningful words, without the s of a plural."""
    return frozenset(word.removesuffix("s") for word in split_words(text) if word not in _SMALL_WORDS)


_SMALL_WORDS: Final = frozenset(
    {
        "a", "all", "and", "as", "at", "by", "each", "for", "from", "in", "is", "of", "on", "or", "per", "s",
        "the", "to",
    }
)  # fmt: skip
