"""Layout of rows: what fits, what is cut, and when rows are shown as records."""

import io
from collections.abc import Sequence

import pytest
from rich.cells import cell_len
from rich.console import Console

from pgmcp.cli.table import fit_widths, lay_out, wrap_name
from pgmcp.execution.result import Column, JsonScalar, Rows


def rows_of(types: dict[str, str], *rows: list[JsonScalar]) -> Rows:
    return Rows(tuple(Column(name, type) for name, type in types.items()), list(rows))


def drawn(rows: Rows, room: int | None, *, expanded: bool = False) -> tuple[list[str], int]:
    layout = lay_out(rows, room=room, expanded=expanded)
    file = io.StringIO()
    Console(file=file, width=room or 10_000, markup=False, highlight=False).print(layout.rows)
    return file.getvalue().splitlines(), layout.cut_cells


PRODUCTS = rows_of(
    {"id": "integer", "name": "text", "unit_price": "numeric"},
    [1, "Aurora Keyboard with twelve extra keys", "157.99"],
    [2, None, "9.50"],
    [3, "Lamp", "1.00"],
)


def test_a_table_that_fits_is_shown_whole() -> None:
    lines, cut_cells = drawn(PRODUCTS, 80)

    assert lines[3:5] == [
        "│  1 │ Aurora Keyboard with twelve extra keys │     157.99 │",
        "│  2 │ NULL                                   │       9.50 │",
    ]
    assert cut_cells == 0


def test_long_texts_are_cut_before_numbers_and_cut_cells_are_counted() -> None:
    lines, cut_cells = drawn(PRODUCTS, 40)

    assert "│  1 │ Aurora Keyboard with … │ 157.99 │" in lines
    assert cut_cells == 1


def test_a_columns_name_is_wrapped_before_a_cell_is_cut() -> None:
    lines, cut_cells = drawn(rows_of({"a": "text", "inventory_quantity": "integer"}, ["x" * 14, 1]), 33)

    assert [line.split("│")[2].strip() for line in lines[1:3]] == ["inventory_", "quantity"]
    assert cut_cells == 0


@pytest.mark.parametrize("room", [20, 30])
def test_rows_that_are_too_wide_for_a_table_become_records(room: int) -> None:
    lines, cut_cells = drawn(PRODUCTS, room)

    assert lines[0].startswith("── record 1 ─")
    assert lines[1].split() == ["id", "1"]
    assert max(map(cell_len, lines)) <= room
    assert cut_cells == 0


def test_a_single_row_is_shown_as_a_record_rather_than_cut() -> None:
    lines, cut_cells = drawn(Rows(PRODUCTS.columns, PRODUCTS.rows[:1]), 40)

    assert lines[0].startswith("── record 1 ─")
    assert cut_cells == 0


def test_a_record_wraps_long_names_and_values() -> None:
    rows = rows_of({"a_long_name": "text", "b": "text", "c": "text"}, ["two words", None, "x" * 12])

    lines, _ = drawn(rows, 18, expanded=True)

    assert lines == [
        "── record 1 ──────",
        "a_long  two words",
        "_name",
        "b       NULL",
        "c       xxxxxxxxxx",
        "        xx",
    ]


def test_a_single_column_is_wrapped() -> None:
    lines, cut_cells = drawn(rows_of({"plan": "text"}, ["a" * 100]), 40)

    assert sum(line.count("a") for line in lines[3:]) == 100
    assert cut_cells == 0


def test_a_pipe_gets_one_line_a_row_however_wide() -> None:
    lines, cut_cells = drawn(rows_of({"a": "text", "b": "integer"}, ["x" * 150, 1], ["y", None]), None)

    assert len(lines) == 4
    assert lines[3] == f"| {'y'.ljust(150)} | NULL |"
    assert cut_cells == 0


def test_one_huge_cell_does_not_widen_all_rows_in_a_pipe() -> None:
    lines, cut_cells = drawn(rows_of({"a": "text"}, ["x" * 60_000], ["y"]), None)

    assert len(lines[3]) < 300
    assert cut_cells == 1


@pytest.mark.parametrize("room", [None, 80])
def test_wide_letters_take_two_positions(room: int | None) -> None:
    lines, _ = drawn(rows_of({"name": "text", "n": "integer"}, ["東京", 1], ["Bern", 2]), room)

    assert len({cell_len(line) for line in lines}) == 1


@pytest.mark.parametrize("room", [60, None])
@pytest.mark.parametrize(
    "text",
    [
        "بی\u200cبی",
        "👩\u200d💻",
        "❤\ufe0f",
        "🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",
    ],
)
def test_joined_letters_and_emoji_are_not_cut_and_take_their_own_width(text: str, room: int | None) -> None:
    lines, _ = drawn(rows_of({"a": "text", "b": "text"}, [text, "x"], ["y", "z"], ["y", "z"]), room)

    assert any(text in line for line in lines)
    assert len({cell_len(line) for line in lines}) == 1


@pytest.mark.parametrize("room", [None, 80, 12])
def test_a_cell_stays_on_its_line_without_control_characters(room: int | None) -> None:
    lines, _ = drawn(rows_of({"t\x1b": "text", "n": "integer"}, ["a\nb\t\x1b[31m", 1]), room)

    assert "\x1b" not in "".join(lines)
    assert "\t" not in "".join(lines)


@pytest.mark.parametrize("room", [None, 80])
@pytest.mark.parametrize(
    "rows", [rows_of({"a": "text", "b": "integer"}), rows_of({"": "text", "b": "text"}, ["", ""])]
)
def test_a_result_without_rows_or_names_is_a_table(rows: Rows, room: int | None) -> None:
    lines, _ = drawn(rows, room)

    assert any("b" in line for line in lines)


@pytest.mark.parametrize(
    ("natural", "least", "room", "widths"),
    [
        ([5, 10], [5, 10], 15, [5, 10]),
        ([5, 40], [5, 16], 30, [5, 25]),
        ([20, 60, 60], [16, 16, 16], 100, [20, 40, 40]),
        ([5, 40], [5, 16], 20, None),
    ],
)
def test_narrow_columns_keep_their_width_and_wide_ones_share_the_rest(
    natural: Sequence[int], least: Sequence[int], room: int, widths: list[int] | None
) -> None:
    assert fit_widths(natural, least, room) == widths


@pytest.mark.parametrize(
    ("name", "width", "folded"),
    [
        ("unit_price", 10, "unit_price"),
        ("unit_price", 6, "unit_\nprice"),
        ("customer lifetime days", 12, "customer \nlifetime \ndays"),
        ("indivisible", 4, "indivisible"),
        ("", 4, ""),
    ],
)
def test_a_name_is_wrapped_between_its_words(name: str, width: int, folded: str) -> None:
    assert wrap_name(name, width) == folded
