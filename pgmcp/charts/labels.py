"""Writes numbers and times for people, and chooses the labels of a time axis."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND_MS = 1_000.0
_MINUTE_MS = 60 * _SECOND_MS
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS
_MONTH_MS = 30.44 * _DAY_MS
_YEAR_MS = 365.25 * _DAY_MS
_MAX_TICKS = 10

# Length of the unit, its name in Vega, possible steps between ticks, and the format of a label
# (d3-time-format). Vega accepts units below a day only in the plural.
_UNITS: Final = (
    (_SECOND_MS, "seconds", (1, 5, 15, 30), "%H:%M:%S"),
    (_MINUTE_MS, "minutes", (1, 5, 15, 30), "%H:%M"),
    (_HOUR_MS, "hours", (1, 3, 6, 12), "%H:%M"),
    (_DAY_MS, "day", (1, 2), "%-d %b"),
    (7 * _DAY_MS, "week", (1, 2), "%-d %b"),
    (_MONTH_MS, "month", (1, 2, 3, 6), "%b %Y"),
    (_YEAR_MS, "year", (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000), "%Y"),
)


def format_number(number: float | None) -> str:
    """Return a number with thousands separators, and two decimals or four significant digits."""
    if number is None:
        return "NULL"
    if number.is_integer() and abs(number) < 1e15:
        return f"{number:,.0f}"
    if 1 <= abs(number) < 1e15:
        return f"{number:,.2f}"
    return f"{number:.4g}"


def format_moment(moment_ms: float) -> str:
    """Return milliseconds since 1970 as an ISO date, with the time if it is not midnight."""
    moment = _to_datetime(moment_ms).replace(tzinfo=None)
    return moment.date().isoformat() if moment_ms % _DAY_MS == 0 else moment.isoformat(" ", "seconds")


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Labels of a time axis.

    Attributes:
        ticks: Vega's `tickCount` and `format`.
        common: the part that all times share and labels omit: "2026", "2026-11-21" or "".
    """

    ticks: dict[str, Any]
    common: str


def label_time_axis(moments_ms: Sequence[float]) -> TimeAxis:
    """Return the labels of an axis with about ten ticks or fewer.

    Ticks are at whole units, and never closer than the unit of the data. So no label repeats, and monthly
    data is labelled by month.
    """
    first, last = _to_datetime(min(moments_ms)), _to_datetime(max(moments_ms))
    length_ms, unit, step, label = _choose_unit(max(moments_ms) - min(moments_ms), _unit_of(moments_ms))
    common = ""
    if length_ms < _DAY_MS:
        common = first.date().isoformat() if first.date() == last.date() else ""
        label = label if common else f"%-d %b {label}"
    elif length_ms < _MONTH_MS:
        common = f"{first.year}" if first.year == last.year else ""
        label = label if common else f"{label} %Y"
    return TimeAxis({"tickCount": {"interval": unit, "step": step}, "format": label}, common)


def _choose_unit(span_ms: float, shortest_ms: float) -> tuple[float, str, int, str]:
    """Return length, name, step and label format of the finest unit that gives few ticks."""
    for length_ms, unit, steps, label in _UNITS:
        for step in steps:
            if length_ms >= shortest_ms and span_ms <= step * length_ms * _MAX_TICKS:
                return length_ms, unit, step, label
    raise ValueError("a span longer than PostgreSQL's ISO dates of four digits")


def _unit_of(moments_ms: Sequence[float]) -> float:
    """Return the length of the longest unit that all times are multiples of; 0 if one has a time of day."""
    if any(moment % _DAY_MS for moment in moments_ms):
        return 0.0
    dates = [_to_datetime(moment) for moment in moments_ms]
    if any(date.day != 1 for date in dates):
        return _DAY_MS
    return _MONTH_MS if any(date.month != 1 for date in dates) else _YEAR_MS


def _to_datetime(moment_ms: float) -> datetime:
    return _EPOCH + timedelta(milliseconds=moment_ms)
