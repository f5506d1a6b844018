"""Rows that stay packed until they are looked at."""

import msgspec
import pytest

from pgmcp.execution.result import Column, JsonScalar, PackedRows, Rows, Truncation
from worker.protocol import encode_rows

CELLS: list[list[JsonScalar]] = [[number, str(number), None, number / 2, True] for number in range(2_500)]


@pytest.fixture
def packed() -> PackedRows:
    return PackedRows.find(encode_rows(CELLS))


def test_packed_rows_are_the_rows(packed: PackedRows) -> None:
    assert len(packed) == 2_500
    assert list(packed) == CELLS
    assert packed[-1] == CELLS[-1]


def test_a_slice_of_packed_rows_stays_packed(packed: PackedRows) -> None:
    part = packed[10:2_000]

    assert isinstance(part, PackedRows)
    assert list(part) == CELLS[10:2_000]


def test_packed_rows_can_be_sent_on(packed: PackedRows) -> None:
    sent = b"".join(packed[10:].pack())

    assert list(PackedRows.find(sent)) == CELLS[10:]


@pytest.mark.parametrize("body", [b"", encode_rows(CELLS)[:-1], b"\xc0"])
def test_what_is_no_array_of_rows_is_refused(body: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        PackedRows.find(body)


def test_the_head_of_rows_says_that_there_are_more(packed: PackedRows) -> None:
    rows = Rows((Column("a", "integer"),), packed)

    assert rows.head(3) == Rows(rows.columns, CELLS[:3], Truncation.ROWS)
    assert rows.head(2_500) is rows
