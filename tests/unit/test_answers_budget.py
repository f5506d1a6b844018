"""Rows formatted by columns equal rows formatted cell by cell."""

import json
import random

import pytest

from pgmcp.answers.budget import FittedRows, fit_rows, show_all
from pgmcp.execution.result import Column, EncodedRows, JsonScalar, Rows
from worker.bounded_rows import RowEncoder
from worker.row_format import json_lines, text_row, text_rows

CELLS: list[JsonScalar] = [
    None, "", "NULL", r"\NULL", "plain", "a\tb\nc", "</data-7f3a>", "<b", "back\\slash", "caf\u00e9",
    "\u200b", "\u202e", "\U0001f468\u200d\U0001f469", "\x00", True, False, 0, -5, 2**53, 1.5, 1e22, -0.0,
]  # fmt: skip


def fit(rows: Rows, *, budget_tokens: int, width: int | None = None) -> FittedRows:
    columns = rows.columns[:width]
    return fit_rows(rows, columns, budget_tokens=budget_tokens, max_tokens=budget_tokens, count_tokens=len)


def make_rows(rows: list[list[JsonScalar]]) -> Rows:
    return Rows(tuple(Column(f"c{number}", "text") for number in range(len(rows[0]))), rows)


@pytest.mark.parametrize("seed", range(50))
def test_a_column_at_a_time_gives_the_text_of_a_cell_at_a_time(seed: int) -> None:
    chosen = random.Random(seed)  # noqa: S311 # the same cells each time
    columns = [chosen.choices(CELLS, k=chosen.choice([1, 2, 2])) for _ in range(4)]
    rows = [[chosen.choice(column) for column in columns] for _ in range(chosen.choice([1, 3, 700]))]

    assert text_rows(rows) == [text_row(row) for row in rows]


def test_rows_without_columns_are_empty_lines() -> None:
    assert text_rows([[], []]) == ["", ""]
    assert show_all(Rows((), [[], []])).json == b"[[],[]]"


@pytest.mark.parametrize("budget_tokens", [1, 40, 5_000, 10**6])
def test_both_forms_hold_the_same_leading_rows(budget_tokens: int) -> None:
    rows: list[list[JsonScalar]] = [[number, f"name {number}", None, "x" * 3] for number in range(1_500)]

    shown = fit(make_rows(rows), budget_tokens=budget_tokens, width=3)

    kept = [row[:3] for row in rows[: shown.row_count]]
    assert json.loads(shown.json) == kept
    assert shown.text == "\n".join(map(text_row, kept))
    assert shown.row_count == (1_500 if budget_tokens == 10**6 else shown.row_count)


def encoded(rows: list[list[JsonScalar]], *, max_text_bytes: int) -> EncodedRows:
    encoder = RowEncoder(max_text_bytes)
    for start in range(0, len(rows), 32):
        piece = rows[start : start + 32]
        encoder.add(piece, json_lines(piece))
    return EncodedRows.read(
        encoder.body(), encoder.row_count, json_bytes=encoder.json_bytes, text_rows=encoder.text_rows
    )


@pytest.mark.parametrize("max_text_bytes", [0, 9_000, 10**6], ids=["no text", "text in part", "all text"])
@pytest.mark.parametrize("budget_tokens", [1, 40, 900, 5_000, 20_000, 10**6])
@pytest.mark.parametrize("width", [None, 2])
def test_rows_encoded_by_the_worker_are_shown_like_rows_encoded_here(
    max_text_bytes: int, budget_tokens: int, width: int | None
) -> None:
    chosen = random.Random(budget_tokens)  # noqa: S311 # the same cells each time
    long: list[JsonScalar] = ["long " * 40, "l\u00e4nger\n" * 30]
    rows: list[list[JsonScalar]] = [
        [number, chosen.choice(CELLS), chosen.choice(CELLS + long)] for number in range(900)
    ]
    from_worker = encoded(rows, max_text_bytes=max_text_bytes)
    columns = make_rows(rows).columns

    shown = fit(Rows(columns, from_worker), budget_tokens=budget_tokens, width=width)

    assert shown == fit(Rows(columns, rows), budget_tokens=budget_tokens, width=width)


def test_half_a_surrogate_pair_is_replaced_in_json() -> None:
    assert json.loads(show_all(make_rows([["a\ud83d", 1]])).json) == [["a?", 1]]


@pytest.mark.parametrize(
    "rows",
    [
        [[1, True, False, None, 0.1, "a", ""], [2**53, 1, 0, "x", -0.5, "é", " "]],
        [["NULL"], [None]],
        [["a\tb"], ["plain"]],
        [["<data-x>"], ["< 5"]],
        [["back\\slash"], ["\u202e"]],
        [["👩", "\u200d"], ["👩\u200d💻", "x"]],
        [[]],
    ],
)
def test_rows_encoded_together_equal_rows_encoded_one_by_one(rows: list[list[JsonScalar]]) -> None:
    assert text_rows(rows) == [text_row(row) for row in rows]


def count_fitting(row_count: int, budget_tokens: int, counted: list[int]) -> int:
    """Return how many rows fit, at four characters a token; append each counted length to `counted`."""

    def count(text: str) -> int:
        counted.append(len(text))
        return len(text) // 4

    rows = Rows((Column("n", "integer"), Column("t", "text")), [[n, "word " * 10] for n in range(row_count)])
    fitted = fit_rows(
        rows, rows.columns, budget_tokens=budget_tokens, max_tokens=budget_tokens, count_tokens=count
    )
    return fitted.row_count


def test_a_long_text_far_below_its_budget_is_sampled() -> None:
    counted: list[int] = []

    assert count_fitting(20_000, 1_000_000, counted) == 20_000
    assert sum(counted) < 100_000


def test_a_long_text_near_its_budget_is_counted_whole() -> None:
    counted: list[int] = []

    assert count_fitting(20_000, 305_000, counted) == 20_000
    assert max(counted) > 500_000


def test_as_many_rows_as_fit_are_shown() -> None:
    counted: list[int] = []

    shown = count_fitting(20_000, 10_000, counted)

    assert 10_000 * 4 * 0.8 < shown * 60 < 10_000 * 4 * 1.05


@pytest.mark.parametrize("seed", range(20))
def test_a_column_of_numbers_is_written_as_each_number(seed: int) -> None:
    chosen = random.Random(seed)  # noqa: S311 # the same numbers each time
    exponents = (-320, 308) if seed % 2 else (-4, 15)
    rows: list[list[JsonScalar]] = [
        [chosen.random() * 10 ** chosen.randint(*exponents), chosen.getrandbits(chosen.randint(1, 60))]
        for _ in range(300)
    ]

    assert text_rows(rows) == [text_row(row) for row in rows]
