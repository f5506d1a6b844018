"""The chart for each shape of result; hostile data in a chart stays data."""

import json
import sys
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pytest

from pgmcp.charts.chart import Chart, choose_chart
from pgmcp.charts.draw import drawing_command
from pgmcp.charts.shape import ChartKind
from pgmcp.charts.specification import Theme, theme_config
from pgmcp.execution.result import Column, JsonScalar

Rows = list[list[JsonScalar]]

_MONTHS = [f"2026-{month:02d}-01" for month in range(1, 13)]
_DEPARTMENTS = ["Books", "Toys", "Shoes"]
_OBJECT_PROPERTIES = ["__proto__", "constructor", "hasOwnProperty", "toString", "valueOf"]
_HOSTILE = [
    *_OBJECT_PROPERTIES,
    "a.b[0]",
    "'];alert(1)//",
    '"}}{{',
    '{"signal": "alert(1)"}',
    "datum['c0']",
    "<img src=x onerror=alert(1)>",
    "\u202egnp",
    "nul\x00l",
    "two\nlines",
    "\ud800",
    "😀" * 100,
    "",
]


def columns_of(*types: str, **named: str) -> tuple[Column, ...]:
    """Return columns of these PostgreSQL types, named `column_0`, `column_1`, … or by the keyword."""
    unnamed = tuple(Column(f"column_{index}", type_name) for index, type_name in enumerate(types))
    return unnamed + tuple(Column(name, type_name) for name, type_name in named.items())


def choose(columns: tuple[Column, ...], rows: Rows, title: str = "") -> Chart | None:
    return choose_chart(columns, rows, title=title)


def kind_of(columns: tuple[Column, ...], rows: Rows) -> ChartKind | None:
    chart = choose(columns, rows)
    return chart.kind if chart else None


def chosen(columns: tuple[Column, ...], rows: Rows, title: str = "") -> Chart:
    chart = choose(columns, rows, title)
    assert chart is not None
    return chart


def values_of(specification: dict[str, Any]) -> list[dict[str, Any]]:
    values: list[dict[str, Any]] = specification["data"]["values"]
    return values


_ACCEPTED: dict[str, tuple[ChartKind, tuple[Column, ...], Rows]] = {
    "one number": (ChartKind.NUMBER, columns_of(count="bigint"), [[42]]),
    "one exact number": (ChartKind.NUMBER, columns_of(sum="numeric"), [["1234567.89"]]),
    "one labelled number": (ChartKind.NUMBER, columns_of("text", total="numeric"), [["Books", "19.90"]]),
    "dates": (ChartKind.LINE, columns_of("date", "numeric"), [[month, "1.5"] for month in _MONTHS]),
    "timestamps with an offset": (
        ChartKind.LINE,
        columns_of("timestamp with time zone", "integer"),
        [[f"{month} 00:00:00+01", 7] for month in _MONTHS],
    ),
    "timestamps of a given precision": (
        ChartKind.LINE,
        columns_of("timestamp(3) without time zone", "real"),
        [[f"{month} 12:30:00.125", 0.5] for month in _MONTHS],
    ),
    "months as text": (
        ChartKind.LINE,
        columns_of("text", "bigint"),
        [[month[:7], index] for index, month in enumerate(_MONTHS)],
    ),
    "quarters as text": (
        ChartKind.LINE,
        columns_of("text", "bigint"),
        [[f"2026-Q{quarter}", quarter] for quarter in (1, 2, 3, 4)],
    ),
    "years as numbers": (
        ChartKind.LINE,
        columns_of(year="integer", orders="bigint"),
        [[year, 5] for year in (2023, 2024, 2025)],
    ),
    "what extract gives": (
        ChartKind.LINE,
        columns_of(order_year="numeric", total="numeric"),
        [["2024", "1"], ["2025", "2"]],
    ),
    "four measures": (
        ChartKind.LINE,
        columns_of("date", "integer", "integer", "integer", "integer"),
        [[month, 1, 2, 3, 4] for month in _MONTHS],
    ),
    "a line each of few values": (
        ChartKind.LINE,
        columns_of("date", "order_status", "bigint"),
        [[month, status, 3] for month in _MONTHS for status in ("paid", "shipped")],
    ),
    "years beside months": (
        ChartKind.LINE,
        columns_of(year="integer", month="integer", total="numeric"),
        [[year, month, "3"] for year in (2025, 2026) for month in range(1, 13)],
    ),
    "a keyed list of times": (
        ChartKind.LINE,
        columns_of(id="integer", placed_at="date", total="numeric"),
        [[index, month, "3"] for index, month in enumerate(_MONTHS)],
    ),
    "gaps in time": (
        ChartKind.LINE,
        columns_of("date", "numeric"),
        [[month, None if index % 2 else "1"] for index, month in enumerate(_MONTHS)],
    ),
    "categories": (
        ChartKind.BARS,
        columns_of("text", "numeric"),
        [[name, "5"] for name in _DEPARTMENTS],
    ),
    "an enum": (ChartKind.BARS, columns_of("order_status", "bigint"), [["paid", 1], ["shipped", 2]]),
    "booleans": (ChartKind.BARS, columns_of("boolean", "bigint"), [[True, 1], [False, 2], [None, 3]]),
    "a key as the only label": (
        ChartKind.BARS,
        columns_of(customer_id="integer", total="numeric"),
        [[129, "28650.42"], [16, "24560.02"]],
    ),
    "a name beside a key and a group": (
        ChartKind.BARS,
        columns_of(id="integer", name="text", department="text", total="numeric"),
        [[index, f"Product {index}", _DEPARTMENTS[index % 3], "5"] for index in range(10)],
    ),
    "two categories": (
        ChartKind.GROUPED_BARS,
        columns_of("text", "payment_method", "bigint"),
        [[department, method, 4] for department in _DEPARTMENTS for method in ("card", "paypal")],
    ),
    "two numbers": (
        ChartKind.SCATTER,
        columns_of("numeric", "integer"),
        [[f"{index}.5", index * index] for index in range(50)],
    ),
    "two numbers by category": (
        ChartKind.SCATTER,
        columns_of("numeric", "integer", "text"),
        [[f"{index}.5", index * index, _DEPARTMENTS[index % 3]] for index in range(50)],
    ),
}


@pytest.mark.parametrize("shape", _ACCEPTED)
def test_a_chart_fits(shape: str) -> None:
    kind, columns, rows = _ACCEPTED[shape]

    assert kind_of(columns, rows) is kind


_REFUSED: dict[str, tuple[tuple[Column, ...], Rows]] = {
    "no columns": ((), [[]]),
    "no rows": (columns_of("date", "numeric"), []),
    "one NULL": (columns_of("numeric"), [[None]]),
    "one NaN": (columns_of("numeric"), [["NaN"]]),
    "one text": (columns_of("text"), [["hello"]]),
    "one key": (columns_of(id="integer"), [[7]]),
    "one row of many numbers": (columns_of("integer", "integer", "integer"), [[1, 2, 3]]),
    "texts only": (columns_of("text", "text"), [["a", "b"], ["c", "d"]]),
    "nothing but NULL": (columns_of("text", "numeric"), [["a", None], ["b", None]]),
    "only infinite numbers": (columns_of("text", "numeric"), [["a", "Infinity"], ["b", "NaN"]]),
    "too many bars": (columns_of("text", "numeric"), [[f"name {index}", "1"] for index in range(31)]),
    "a category that repeats": (columns_of("text", "numeric"), [["a", "1"], ["a", "2"], ["b", "3"]]),
    "two values at a time": (columns_of("date", "numeric"), [["2026-01-01", "1"], ["2026-01-01", "2"]] * 20),
    "too many lines": (
        columns_of("date", "text", "numeric"),
        [[month, f"name {index}", "1"] for month in _MONTHS for index in range(9)],
    ),
    "too many measures": (
        columns_of("date", *["numeric"] * 5),
        [[month, *["1"] * 5] for month in _MONTHS],
    ),
    "keys and times": (
        columns_of(customer_id="integer", at="date"),
        [[index, month] for index, month in enumerate(_MONTHS)],
    ),
    "documents": (columns_of("jsonb", "numeric"), [["{}", "1"], ["[]", "2"]]),
    "arrays": (columns_of("text[]", "numeric"), [["{a}", "1"], ["{b}", "2"]]),
    "identifiers": (columns_of("uuid", "numeric"), [["6f9619ff", "1"], ["7f9619ff", "2"]]),
    "prose": (columns_of("text", "numeric"), [["word " * 100, "1"], ["phrase " * 100, "2"]]),
    "a wide table": (columns_of(*["integer"] * 1_600), [[1] * 1_600, [2] * 1_600]),
    "more rows than are drawn": (
        columns_of("real", "real"),
        [[index, 1.5 * index] for index in range(5_001)],
    ),
}


@pytest.mark.parametrize("shape", _REFUSED)
def test_no_chart_fits(shape: str) -> None:
    columns, rows = _REFUSED[shape]

    assert kind_of(columns, rows) is None


def test_the_same_result_gives_the_same_chart() -> None:
    _, columns, rows = _ACCEPTED["two categories"]

    assert chosen(columns, rows) == chosen(columns, rows)
    assert chosen(columns, rows).specification(rows) == chosen(columns, rows).specification(rows)


def test_bars_stay_in_the_order_of_the_statement() -> None:
    rows: Rows = [["b", "2"], ["c", "9"], ["a", "1"]]

    specification = chosen(columns_of("text", "numeric"), rows).specification(rows)

    assert [value["c0"] for value in values_of(specification)] == ["b", "c", "a"]
    assert specification["encoding"]["y"]["sort"] is None


def test_the_measure_that_was_sorted_by_is_drawn_and_the_other_named() -> None:
    columns = columns_of("text", orders="bigint", revenue="numeric")

    chart = chosen(columns, [["a", 5, "9"], ["b", 7, "8"], ["c", 6, "7"]])

    assert chart.description.startswith("Bar chart of revenue by column_0: 3 bars; highest 9 (a)")
    assert "Not drawn: orders." in chart.description


@pytest.mark.parametrize(
    ("question", "names", "drawn"),
    [
        (
            "What is the average order value by month?",
            ["orders", "average_order_value"],
            "average_order_value",
        ),
        ("Average value of orders by month", ["orders", "averageOrderValue"], "averageOrderValue"),
        ("How many orders were there?", ["revenue", "orders"], "orders"),
        ("Revenue and the number of orders", ["revenue", "number_of_orders"], "revenue"),
        ("How did business go in 2026?", ["orders", "revenue_in_euro"], "orders"),
        ("Show it per region", ["orders", "revenue_per_head"], "orders"),
        ("", ["orders", "revenue"], "orders"),
    ],
)
@pytest.mark.parametrize(
    ("labels", "cells"),
    [
        pytest.param({"month": "date"}, [[month] for month in _MONTHS[:3]], id="line"),
        pytest.param({"region": "text"}, [["a"], ["b"], ["c"]], id="bars"),
        pytest.param(
            {"region": "text", "status": "text"}, [["a", "x"], ["a", "y"], ["b", "x"]], id="grouped bars"
        ),
    ],
)
def test_the_measure_that_the_question_names_is_drawn_first(
    labels: dict[str, str], cells: Rows, question: str, names: list[str], drawn: str
) -> None:
    columns = columns_of(**labels, **dict.fromkeys(names, "numeric"))
    measures: Rows = [[5, 900], [7, 700], [6, 800]]

    chart = chosen(columns, [[*label, *pair] for label, pair in zip(cells, measures, strict=True)], question)

    (left_out,) = {*names} - {drawn}
    assert [measure.name for measure in chart.shape.measures] == [drawn]
    assert chart.description.endswith(f"Not drawn: {left_out}.")


def test_measures_of_another_scale_are_left_out_and_named() -> None:
    columns = columns_of("date", orders="bigint", items="bigint", revenue="numeric")

    chart = chosen(columns, [[month, 10, 25, "90000"] for month in _MONTHS])

    assert chart.description.startswith("Line chart of orders and items by column_0: 12 points")
    assert chart.description.endswith("Not drawn: revenue.")


def test_times_are_drawn_as_the_wall_clock_of_the_table() -> None:
    rows: Rows = [["2026-03-01 00:00:00+01", 1], ["2026-04-01 00:00:00+02", 2]]

    specification = chosen(columns_of("timestamp with time zone", "integer"), rows).specification(rows)

    days = [value["c0"] / 86_400_000 for value in values_of(specification)]
    assert days == [20_513, 20_544]  # 1 March and 1 April, midnight
    assert specification["encoding"]["x"]["scale"] == {"type": "utc"}


def test_times_that_have_no_date_are_left_out() -> None:
    rows: Rows = [["infinity", 1], ["0044-03-15 BC", 2], [None, 3], ["2026-01-01", 4], ["2026-01-02", 5]]

    specification = chosen(columns_of("date", "integer"), rows).specification(rows)

    assert [value["c2"] for value in values_of(specification)] == [4, 5]


def test_a_missing_number_is_a_gap_and_never_zero() -> None:
    rows: Rows = [["2026-01-01", "1"], ["2026-01-02", None], ["2026-01-03", "NaN"], ["2026-01-04", "2"]]

    specification = chosen(columns_of("date", "numeric"), rows).specification(rows)

    assert [value["c2"] for value in values_of(specification)] == [1, None, None, 2]


def test_months_as_numbers_are_named_and_years_are_lines_in_order() -> None:
    rows: Rows = [[year, month, 1] for month in (2, 1) for year in (2026, 2025)]

    columns = columns_of(year="integer", month="integer", total="integer")
    specification = chosen(columns, rows).specification(rows)

    assert [value["c0"] for value in values_of(specification)] == ["Jan", "Jan", "Feb", "Feb"]
    assert specification["layer"][1]["encoding"]["color"]["scale"] == {"domain": ["2025", "2026"]}


def test_an_axis_far_from_zero_shows_the_change_but_bars_always_start_at_zero() -> None:
    line = chosen(columns_of("date", "integer"), [["2026-01-01", 1_000], ["2026-01-02", 1_010]])
    bars = chosen(columns_of("text", "integer"), [["a", 1_000], ["b", 1_010]])

    lines = line.specification([["2026-01-01", 1_000], ["2026-01-02", 1_010]])
    lengths = bars.specification([["a", 1_000], ["b", 1_010]])

    assert lines["encoding"]["y"]["scale"]["zero"] is False
    assert lengths["encoding"]["x"]["scale"]["zero"] is True


def test_a_partial_result_says_so() -> None:
    chart = choose_chart(columns_of("text", "integer"), [["a", 1], ["b", 2]], title="", is_partial=True)

    assert chart is not None
    assert chart.description.endswith("There are more rows than those drawn.")


def test_duplicate_and_empty_names_are_distinguished() -> None:
    columns = (Column("", "date"), Column("n", "integer"), Column("n", "integer"))

    chart = chosen(columns, [[month, 1, 2] for month in _MONTHS])

    assert "Line chart of n and column 3: n by column 1" in chart.description


@pytest.mark.parametrize("kind", _ACCEPTED)
def test_a_specification_without_a_theme_has_no_colour_and_fits_its_container(kind: str) -> None:
    _, columns, rows = _ACCEPTED[kind]

    specification = chosen(columns, rows).specification(rows, theme=None)

    assert "config" not in specification
    assert "#" not in json.dumps(specification)
    assert specification["width"] == "container"


@pytest.mark.parametrize("theme", Theme)
def test_themes_differ_only_in_their_configuration(theme: Theme) -> None:
    _, columns, rows = _ACCEPTED["categories"]
    chart = chosen(columns, rows)

    themed = chart.specification(rows, theme=theme)

    assert themed == chart.specification(rows, theme=None) | {"config": theme_config(theme)}


def hostile_results() -> Iterator[tuple[str, tuple[Column, ...], Rows]]:
    """Yield a title, columns and rows for each kind of chart and each hostile text.

    The text is the title, the name of each column, and a value.
    """
    for text in _HOSTILE:
        named = [Column(text, kind) for kind in ("date", "text", "numeric")]
        others = [value for value in _HOSTILE if value != text]
        yield text, (named[1], named[2]), [[value, "1"] for value in _HOSTILE]
        yield (
            text,
            tuple(named),
            [[f"2026-01-0{day}", value, "1"] for day in (1, 2) for value in _HOSTILE[:8]],
        )
        yield (
            text,
            (named[1], named[1], named[2]),
            [[value, series, "1"] for value in others[:4] for series in (text, "b")],
        )
        yield (
            text,
            (named[2], named[1], named[2]),
            [[str(index), (text, "b")[index % 2], "1"] for index in range(40)],
        )
        yield text, (named[1], named[2]), [[text, "1.5"]]


def walk(value: Any) -> Iterator[Any]:
    """Yield a JSON value and everything in it, but not the keys."""
    yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in inner:
        yield from walk(part)


def texts_of(specification: dict[str, Any]) -> list[str]:
    return [value for value in walk(specification) if isinstance(value, str)]


def test_hostile_names_and_values_give_every_kind_of_chart() -> None:
    kinds = {chosen(columns, rows, title).kind for title, columns, rows in hostile_results()}

    assert kinds == set(ChartKind)


def test_no_name_or_value_becomes_a_key_an_expression_or_a_link() -> None:
    refused = {"expr", "signal", "labelExpr", "href", "url", "loader", "transform", "calculate", "filter"}
    for title, columns, rows in hostile_results():
        objects = [
            part for part in walk(chosen(columns, rows, title).specification(rows)) if type(part) is dict
        ]

        assert refused.isdisjoint(key for part in objects for key in part)
        assert {part["field"] for part in objects if "field" in part} <= {"c0", "c1", "c2", "c3", "c4"}
        assert all(key.isidentifier() and key.isascii() for part in objects for key in part)


def test_drawn_texts_have_no_invisible_or_reordering_characters() -> None:
    for title, columns, rows in hostile_results():
        chart = chosen(columns, rows, title)
        drawn = [chart.description, *texts_of(chart.specification(rows))]

        assert not any(character in text for text in drawn for character in "\u202e\x00\n\ud800")


def test_no_text_of_a_specification_is_a_name_of_a_javascript_property() -> None:
    for title, columns, rows in hostile_results():
        assert set(texts_of(chosen(columns, rows, title).specification(rows))).isdisjoint(_OBJECT_PROPERTIES)


READABLE_TEXT = 4.5
VISIBLE_MARK = 3.0
"""Contrast by WCAG 2.2, success criteria 1.4.3 and 1.4.11."""


def luminance(colour: str) -> float:
    """Return the relative luminance of "#rrggbb", as WCAG 2.2 defines it."""
    parts = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


@pytest.fixture(params=list(Theme))
def config(request: pytest.FixtureRequest) -> dict[str, Any]:
    return theme_config(request.param)


def test_text_contrasts_enough_with_the_background(config: dict[str, Any]) -> None:
    colours = [config["title"]["color"], config["text"]["color"]]
    colours += [config[part][key] for part in ("axis", "legend") for key in ("labelColor", "titleColor")]

    assert min(contrast(colour, config["background"]) for colour in colours) >= READABLE_TEXT


def test_marks_contrast_enough_with_the_background(config: dict[str, Any]) -> None:
    marks = [config["mark"]["color"], *config["range"]["category"]]

    assert min(contrast(colour, config["background"]) for colour in marks) >= VISIBLE_MARK


def test_there_is_a_colour_for_each_of_eight_series(config: dict[str, Any]) -> None:
    colours = config["range"]["category"]

    assert len(colours) == 8
    assert all(one != other for one, other in combinations(colours, 2))


def test_the_drawing_process_does_not_look_for_modules_in_its_folder() -> None:
    assert drawing_command()[:2] == [sys.executable, "-P"]
