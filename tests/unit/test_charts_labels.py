from datetime import UTC, datetime

import pytest

from pgmcp.charts.labels import format_moment, format_number, label_time_axis


def to_ms(moment: str) -> float:
    return datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp() * 1000


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (None, "NULL"),
        (0, "0"),
        (1_234_567, "1,234,567"),
        (1_234.567, "1,234.57"),
        (-0.000123456, "-0.0001235"),
        (1e15, "1e+15"),
        (1.7e308, "1.7e+308"),
    ],
)
def test_a_number_has_separators_and_few_digits(number: float | None, text: str) -> None:
    assert format_number(None if number is None else float(number)) == text


def test_a_moment_shows_its_time_only_if_it_has_one() -> None:
    assert format_moment(to_ms("2026-11-22")) == "2026-11-22"
    assert format_moment(to_ms("2026-11-22 20:48:19")) == "2026-11-22 20:48:19"


@pytest.mark.parametrize(
    ("moments", "interval", "step", "label", "common"),
    [
        (["2026-11-22 10:00:00", "2026-11-22 10:00:09"], "seconds", 1, "%H:%M:%S", "2026-11-22"),
        (["2026-11-22 10:00", "2026-11-22 10:30"], "minutes", 5, "%H:%M", "2026-11-22"),
        (["2026-11-22 00:00", "2026-11-22 23:00"], "hours", 3, "%H:%M", "2026-11-22"),
        (["2026-11-22 00:00", "2026-11-24 23:00"], "hours", 12, "%-d %b %H:%M", ""),
        (["2026-11-01", "2026-11-10"], "day", 1, "%-d %b", "2026"),
        (["2025-12-25", "2026-01-10"], "day", 2, "%-d %b %Y", ""),
        (["2026-01-03", "2026-03-03"], "week", 1, "%-d %b", "2026"),
        (["2026-01-01", "2026-03-01"], "month", 1, "%b %Y", ""),
        (["2024-01-01", "2026-10-01"], "month", 6, "%b %Y", ""),
        (["2024-01-01", "2026-01-01"], "year", 1, "%Y", ""),
        (["0001-01-01", "9999-01-01"], "year", 1000, "%Y", ""),
    ],
)
def test_ticks_are_on_whole_units_and_labels_show_only_what_differs(
    moments: list[str], interval: str, step: int, label: str, common: str
) -> None:
    axis = label_time_axis([to_ms(moment) for moment in moments])

    assert axis.ticks == {"tickCount": {"interval": interval, "step": step}, "format": label}
    assert axis.common == common
