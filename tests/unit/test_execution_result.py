"""Rows stay encoded until they are read."""

import pytest

from pgmcp.execution.result import Column, EncodedRows, JsonScalar, Rows, Truncation

CELLS: list[list[JsonScalar]] = [
    [number, str(number), None, number / 2, True, 2**53, "ü\n\u2028…\U0001f418"] for number in range(2_500)
]


@pytest.fixture
def encoded() -> EncodedRows:
    return EncodedRows.encode(CELLS)


def test_encoded_rows_are_the_rows(encoded: EncodedRows) -> None:
    assert len(encoded) == 2_500
    assert encoded == CELLS
    assert [type(cell) for cell in encoded[2]] == [type(cell) for cell in CELLS[2]]
    assert (encoded[-1], encoded[700]) == (CELLS[-1], CELLS[700])


@pytest.mark.parametrize(
    "chosen",
    [slice(10, 2_000), slice(None, 3), slice(-300, None), slice(9, 5), slice(4_000, None), slice(0, 90, 7)],
)
def test_a_slice_of_encoded_rows_stays_encoded(encoded: EncodedRows, chosen: slice) -> None:
    part = encoded[chosen]

    assert isinstance(part, EncodedRows)
    assert part == CELLS[chosen]
    assert len(part) == len(CELLS[chosen])


@pytest.mark.parametrize("row", [2_500, -2_501])
def test_a_row_that_is_not_there_is_an_index_error(encoded: EncodedRows, row: int) -> None:
    with pytest.raises(IndexError):
        encoded[row]


def test_the_head_of_rows_says_that_there_are_more(encoded: EncodedRows) -> None:
    rows = Rows((Column("a", "integer"),), encoded)

    assert rows.head(3) == Rows(rows.columns, CELLS[:3], Truncation.ROWS)
    assert rows.head(2_500) is rows
