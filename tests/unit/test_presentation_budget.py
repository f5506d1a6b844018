"""Rows laid out many at once are what they are one by one."""

import pytest

from pgmcp.execution.result import Column, JsonScalar, Rows
from pgmcp.presentation.budget import fit_rows, text_row, text_rows


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
def test_rows_written_together_are_as_each_by_itself(rows: list[list[JsonScalar]]) -> None:
    assert text_rows(rows) == [text_row(row) for row in rows]


def fit(row_count: int, budget_tokens: int, counted: list[int]) -> int:
    """Return how many rows fit; notes how many characters were counted each time, at four to a token."""

    def count(text: str) -> int:
        counted.append(len(text))
        return len(text) // 4

    rows = Rows((Column("n", "integer"), Column("t", "text")), [[n, "word " * 10] for n in range(row_count)])
    fitted = fit_rows(
        rows, rows.columns, budget_tokens=budget_tokens, max_tokens=budget_tokens, count_tokens=count
    )
    return len(fitted.rows)


def test_a_long_text_far_below_its_budget_is_sampled() -> None:
    counted: list[int] = []

    assert fit(20_000, 1_000_000, counted) == 20_000
    assert sum(counted) < 100_000


def test_a_long_text_near_its_budget_is_counted_whole() -> None:
    counted: list[int] = []

    assert fit(20_000, 305_000, counted) == 20_000
    assert max(counted) > 500_000


def test_as_many_rows_as_fit_are_shown() -> None:
    counted: list[int] = []

    shown = fit(20_000, 10_000, counted)

    assert 10_000 * 4 * 0.8 < shown * 60 < 10_000 * 4 * 1.05
