"""Compares two results: rows as a multiset, columns by content, numbers with a tolerance."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from itertools import islice
from typing import Final

Cell = str | int | float | bool | None
Row = Sequence[Cell]

RELATIVE_TOLERANCE: Final = Decimal("1e-6")
"""Floating point sums differ in their last digits with the plan that computed them."""

_MAX_NUMBER_CHARACTERS: Final = 40
_MAX_ARRANGEMENTS: Final = 5_000
# No leading zero: "007" and "01234" are names, not numbers.
_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d{1,3})?")
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[ T]00:00:00(\.0+)?([+-]00(:?00)?)?")
_UTC = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?)[+-]00(:?00)?")

_Value = str | Decimal | None


@dataclass(frozen=True, slots=True)
class Difference:
    """A short reason why a result is not the expected one."""

    text: str


def compare(expected: Sequence[Row], given: Sequence[Row], *, is_ordered: bool) -> Difference | None:
    """Return the difference, or None if the results are equal.

    Args:
        expected: the rows of an expected statement.
        given: the rows to judge; names and order of columns do not matter.
        is_ordered: whether rows must have the expected order, except among rows that are equal in a sorted
            column.
    """
    if len(expected) != len(given):
        return Difference(f"{len(given)} rows instead of {len(expected)}")
    if not expected:
        return None
    if len(expected[0]) != len(given[0]):
        return Difference(f"{len(given[0])} columns instead of {len(expected[0])}")
    wanted, got = _columns(expected), _columns(given)
    has_same_rows = False
    for arrangement in _column_pairings(wanted, got):
        arranged = [got[number] for number in arrangement]
        if not _are_same_rows(wanted, arranged):
            continue
        if not is_ordered or _is_same_order(wanted, arranged):
            return None
        has_same_rows = True
    return Difference("the rows have a different order" if has_same_rows else "other values")


def _columns(rows: Sequence[Row]) -> list[list[_Value]]:
    return [[_value(cell) for cell in column] for column in zip(*rows, strict=True)]


def _value(cell: Cell) -> _Value:
    """Return the same form for different spellings of a value."""
    if cell is None:
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    text = str(cell).strip()
    if len(text) <= _MAX_NUMBER_CHARACTERS and _NUMBER.fullmatch(text):
        return Decimal(text)
    if midnight := _MIDNIGHT.fullmatch(text):
        return midnight[1]
    return _UTC.sub(r"\1", text)


def _column_pairings(wanted: list[list[_Value]], got: list[list[_Value]]) -> Iterator[list[int]]:
    """Yield the ways to pair columns with the same values, up to a limit."""
    partners = [
        [number for number, column in enumerate(got) if _are_same_rows([target], [column])]
        for target in wanted
    ]
    yield from islice(_choose(partners, []), _MAX_ARRANGEMENTS)


def _choose(partners: list[list[int]], chosen: list[int]) -> Iterator[list[int]]:
    if len(chosen) == len(partners):
        yield chosen
        return
    for number in partners[len(chosen)]:
        if number not in chosen:
            yield from _choose(partners, [*chosen, number])


def _are_same_rows(wanted: list[list[_Value]], got: list[list[_Value]]) -> bool:
    """Return whether two tables, given by columns, have the same rows in any order."""
    left = _by_texts(wanted)
    right = _by_texts(got)
    if {key: len(rows) for key, rows in left.items()} != {key: len(rows) for key, rows in right.items()}:
        return False
    return all(_all_rows_match(rows, right[key]) for key, rows in left.items())


def _by_texts(columns: list[list[_Value]]) -> dict[tuple[str | None, ...], list[tuple[Decimal, ...]]]:
    """Group the rows by their texts, which must be exactly equal; return the numbers of each row."""
    groups: dict[tuple[str | None, ...], list[tuple[Decimal, ...]]] = {}
    for row in zip(*columns, strict=True):
        texts = tuple("\0number" if isinstance(value, Decimal) else value for value in row)
        groups.setdefault(texts, []).append(tuple(value for value in row if isinstance(value, Decimal)))
    return groups


def _all_rows_match(wanted: list[tuple[Decimal, ...]], got: list[tuple[Decimal, ...]]) -> bool:
    """Return whether each row of numbers has a match. In sorted rows, the first candidate usually matches."""
    left = sorted(got)
    for row in sorted(wanted):
        for place, candidate in enumerate(left):
            if all(are_same_numbers(a, b) for a, b in zip(row, candidate, strict=True)):
                del left[place]
                break
        else:
            return False
    return True


def are_same_numbers(a: Decimal, b: Decimal) -> bool:
    """Return whether two numbers are equal within floating point error, or one is the other rounded.

    Rounding to two decimals counts, or to one decimal for numbers of two or more digits. A quotient that lost
    its fraction in an integer division is a different number.
    """
    if a == b or abs(a - b) <= RELATIVE_TOLERANCE * max(abs(a), abs(b)):
        return True
    rough, exact = sorted((a, b), key=_decimals)
    decimals = _decimals(rough)
    if decimals < 1 or (decimals == 1 and len(rough.as_tuple().digits) < 2):
        return False
    unit = Decimal(1).scaleb(-decimals)
    return rough in {exact.quantize(unit, rounding) for rounding in (ROUND_HALF_UP, ROUND_HALF_EVEN)}


def _decimals(number: Decimal) -> int:
    exponent = number.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _is_same_order(wanted: list[list[_Value]], got: list[list[_Value]]) -> bool:
    """Return whether the rows have the expected order, except among equal rows.

    The statement's sort key is unknown, but a sorted column shows it: rows that are equal in that column may
    have another order.
    """
    pairs = list(zip(wanted, got, strict=True))
    if all(_is_same_sequence(target, column) for target, column in pairs):
        return True
    return any(_is_sorted(target) and _is_same_sequence(target, column) for target, column in pairs)


def _is_same_sequence(wanted: list[_Value], got: list[_Value]) -> bool:
    return all(_are_same(a, b) for a, b in zip(wanted, got, strict=True))


def _are_same(a: _Value, b: _Value) -> bool:
    if isinstance(a, Decimal) and isinstance(b, Decimal):
        return are_same_numbers(a, b)
    return a == b


def _is_sorted(column: list[_Value]) -> bool:
    """Return whether a column ascends or descends, and is not constant."""
    keys = [(value is None, str(type(value)), value) for value in column if value is not None]
    return len(set(keys)) > 1 and keys in (sorted(keys), sorted(keys, reverse=True))
