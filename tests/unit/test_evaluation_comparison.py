from decimal import Decimal

import pytest

from pgmcp.evaluation.comparison import Row, are_same_numbers, compare


def is_same(expected: list[Row], given: list[Row], *, is_ordered: bool = False) -> bool:
    return compare(expected, given, is_ordered=is_ordered) is None


def test_the_order_of_rows_does_not_matter_but_their_number_does() -> None:
    assert is_same([("a", 1), ("b", 2), ("a", 1)], [("b", 2), ("a", 1), ("a", 1)])
    assert not is_same([("a", 1), ("b", 2), ("a", 1)], [("b", 2), ("a", 1), ("b", 2)])


def test_columns_are_matched_by_their_values_and_not_by_their_names() -> None:
    assert is_same([("a", 1, 5), ("b", 2, 6)], [(5, "a", 1), (6, "b", 2)])


def test_columns_that_hold_the_same_values_must_still_give_the_same_rows() -> None:
    assert is_same([(1, 2), (2, 1), (3, 3)], [(2, 1), (1, 2), (3, 3)])
    assert not is_same([("a", 1, 2), ("b", 2, 1)], [("a", 1, 1), ("b", 2, 2)])


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        ("12.3456", 12.35),
        ("0.1", 0.1),
        ("0.30000000000000004", 0.3),
        (7, "7.0"),
        ("19.90", 19.9),
        ("2026-11-01 00:00:00+00", "2026-11-01"),
        ("2026-11-01 10:30:00+00", "2026-11-01 10:30:00"),
        (True, True),
        (None, None),
        ("1 day 02:00:00", "1 day 02:00:00"),
    ],
)
def test_different_spellings_of_one_value_are_equal(
    expected: str | int | bool | None, given: str | float | bool | None
) -> None:
    assert is_same([(expected,)], [(given,)])
    assert is_same([(given,)], [(expected,)])


@pytest.mark.parametrize(
    ("expected", "given"),
    [
        ("3.3333", 3),
        ("0.4567", "0.5"),
        (1, 2),
        ("007", 7),
        (None, 0),
        ("2026-11-01", "2026-11-02"),
        ("VTI", "vti"),
    ],
)
def test_different_values_are_not_equal(expected: str | int | None, given: str | float) -> None:
    assert not is_same([(expected,)], [(given,)])


def test_a_number_cut_by_an_integer_division_is_not_a_rounded_one() -> None:
    assert are_same_numbers(Decimal("66.6667"), Decimal("66.7"))
    assert not are_same_numbers(Decimal("66.6667"), Decimal("66"))


def test_the_order_of_rows_matters_only_if_the_question_asks_for_it() -> None:
    rows: list[Row] = [("a", 3), ("b", 2), ("c", 1)]

    assert is_same(rows, rows[::-1])
    assert not is_same(rows, rows[::-1], is_ordered=True)


def test_rows_that_tie_in_the_sorted_column_may_change_places() -> None:
    rows: list[Row] = [("x", 3), ("b", 2), ("k", 2), ("c", 1)]

    assert is_same(rows, [rows[0], rows[2], rows[1], rows[3]], is_ordered=True)
    assert not is_same(rows, [rows[1], rows[0], rows[2], rows[3]], is_ordered=True)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ([], "0 rows instead of 1"),
        ([(1, 2, 3)], "3 columns instead of 2"),
        ([(1, 3)], "other values"),
    ],
)
def test_a_difference_is_described(given: list[Row], why: str) -> None:
    difference = compare([(1, 2)], given, is_ordered=False)

    assert difference is not None
    assert difference.text == why


def test_two_empty_results_are_equal() -> None:
    assert is_same([], [])
