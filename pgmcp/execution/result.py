"""What a statement gave: columns, rows, and what had to be left out of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Self, overload

import msgspec

from worker.protocol import StatementOrigin as StatementOrigin

JsonScalar = str | int | float | bool | None
"""A cell, as the table in `worker.encoding` gives it: typed where JSON has the type, else exact text."""


class Truncation(StrEnum):
    """Which bound ended the result before the database did."""

    ROWS = "rows"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Column:
    """A result column; names may be empty or repeat, as SQL allows.

    Attributes:
        type: PostgreSQL's name of the type, as `format_type` gives it: "integer", "numeric", "order_status".
    """

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class RowLimits:
    """How much of a result may leave the worker.

    Attributes:
        max_rows: rows at most; the worker asks for one more to know whether there are more.
        max_bytes: bytes of cell text at most, over all rows.
        max_cell_bytes: longer cells are cut, and end in "…".
        keep_packed: give the rows as `PackedRows`; for results too large to hold as objects.
    """

    max_rows: int
    max_bytes: int
    max_cell_bytes: int
    keep_packed: bool = False


_pieces = msgspec.msgpack.Decoder(list[msgspec.Raw])
_row = msgspec.msgpack.Decoder(list[JsonScalar])

_ARRAY_32 = b"\xdd"
"""Begins an array whose length follows in four bytes (MessagePack specification, array format family)."""

_BLOCK_ROWS = 1_000


class PackedRows(Sequence[list[JsonScalar]]):
    """Rows as they came from the worker, each decoded when it is looked at, and a slice of them likewise.

    As objects, 100,000 rows of ten columns take about four times the memory of this.

    Args:
        pieces: a row each, in MessagePack.
    """

    def __init__(self, pieces: Sequence[msgspec.Raw]) -> None:
        self._pieces = pieces

    @classmethod
    def find(cls, body: bytes) -> Self:
        """Find where the rows of a MessagePack array of arrays begin; they are views of it, not copies.

        Raises:
            msgspec.MsgspecError: it is no such thing.
        """
        return cls(_pieces.decode(body))

    def pack(self) -> Iterator[bytes]:
        """Yield pieces of bytes that `find` makes the same rows of."""
        yield _ARRAY_32 + len(self._pieces).to_bytes(4)
        for start in range(0, len(self._pieces), _BLOCK_ROWS):
            yield b"".join(self._pieces[start : start + _BLOCK_ROWS])

    def __len__(self) -> int:
        return len(self._pieces)

    def __iter__(self) -> Iterator[list[JsonScalar]]:
        return map(_row.decode, self._pieces)

    @overload
    def __getitem__(self, place: int) -> list[JsonScalar]: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> list[JsonScalar] | Self:
        if isinstance(place, slice):
            return type(self)(self._pieces[place])
        return _row.decode(self._pieces[place])


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one statement, in the order the database gave them.

    Attributes:
        rows: a list per row, in column order.
        truncated: the bound that ended the result early, or None when the rows are all there are.
        cut_cells: how many cells were longer than `RowLimits.max_cell_bytes` and were cut.
        elapsed_ms: from sending the statement to its last row, measured in the worker.
    """

    columns: tuple[Column, ...]
    rows: Sequence[list[JsonScalar]]
    truncated: Truncation | None = None
    cut_cells: int = 0
    elapsed_ms: float = 0.0

    def head(self, max_rows: int) -> "Rows":
        """Return the leading rows, told to be truncated if there are more."""
        if len(self.rows) <= max_rows:
            return self
        return replace(self, rows=list(self.rows[:max_rows]), truncated=Truncation.ROWS)
