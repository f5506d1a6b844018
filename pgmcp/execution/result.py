"""Describes the result of a statement: columns, rows, and the limit that cut it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self, overload

import msgspec

from worker.protocol import Identity as Identity
from worker.protocol import StatementOrigin as StatementOrigin
from worker.row_format import json_lines, read_json_lines

JsonScalar = str | int | float | bool | None
"""A cell, as `worker.encoding` describes it: a number, boolean or null where JSON has the type, else text."""


class Truncation(StrEnum):
    """The limit that cut the result."""

    ROWS = "rows"
    BYTES = "bytes"


class Column(msgspec.Struct, frozen=True):
    """A result column; names may be empty or repeat, as SQL allows.

    Attributes:
        type: PostgreSQL's name of the type, from `format_type`: "integer", "numeric", "order_status".
    """

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class RowLimits:
    """Limits of a result, which the worker enforces.

    Attributes:
        max_rows: maximum number of rows; the worker requests one more to know whether there are more.
        max_bytes: maximum bytes of cell text in all rows.
        max_cell_bytes: longer cells are cut and end in "…".
        max_text_bytes: after this many bytes of text, further rows are written only as JSON; 0 writes no
            text.
    """

    max_rows: int
    max_bytes: int
    max_cell_bytes: int
    max_text_bytes: int = 0


_BLOCK_ROWS: Final = 256


class EncodedRows(Sequence[list[JsonScalar]]):
    """Rows as the worker encoded them. A row is decoded when it is read, and a slice of rows stays encoded.

    As Python objects, 100,000 rows of ten columns would take about four times the memory.

    Attributes:
        json: the rows as lines of JSON (`worker.row_format`).
        text: the leading rows as text, without the last line feed.
        text_rows: how many rows `text` contains.
    """

    def __init__(self, json: bytes, row_count: int, text: str = "", text_rows: int = 0) -> None:
        self.json = json
        self.text = text
        self.text_rows = text_rows
        self._row_count = row_count
        self._block_starts = [0]

    @classmethod
    def read(cls, body: bytes, row_count: int, *, json_bytes: int, text_rows: int = 0) -> Self:
        """Return the rows of a `worker.protocol.Result`.

        Raises:
            ValueError: the body has a different number of rows.
        """
        json, text = body[:json_bytes], body[json_bytes:]
        if not _has_lines(json, row_count) or not _has_lines(text, text_rows):
            raise ValueError("the body has a different number of rows")
        return cls(json, row_count, text[:-1].decode(), text_rows)

    @classmethod
    def encode(cls, rows: Sequence[Sequence[JsonScalar]]) -> Self:
        """Encode rows, without text."""
        return cls(json_lines(rows), len(rows))

    def __len__(self) -> int:
        return self._row_count

    def __iter__(self) -> Iterator[list[JsonScalar]]:
        for start in range(0, self._row_count, _BLOCK_ROWS):
            yield from read_json_lines(self._slice(start, min(start + _BLOCK_ROWS, self._row_count)))

    @overload
    def __getitem__(self, place: int) -> list[JsonScalar]: ...
    @overload
    def __getitem__(self, place: slice) -> Self: ...
    def __getitem__(self, place: int | slice) -> list[JsonScalar] | Self:
        if isinstance(place, slice):
            chosen = range(self._row_count)[place]
            if chosen.step != 1:
                return self.encode([self[row] for row in chosen])
            return type(self)(self._slice(chosen.start, chosen.stop), len(chosen))
        row = range(self._row_count)[place]
        return read_json_lines(self._slice(row, row + 1))[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # rows can be long, and nothing needs it

    def _slice(self, start: int, stop: int) -> bytes:
        return self.json[self._find(start) : self._find(max(start, stop))]

    def _find(self, row: int) -> int:
        """Return the offset of a row; caches the offsets of blocks of rows."""
        block, rest = divmod(row, _BLOCK_ROWS)
        while len(self._block_starts) <= block:
            self._block_starts.append(self._skip(self._block_starts[-1], _BLOCK_ROWS))
        return self._skip(self._block_starts[block], rest)

    def _skip(self, start: int, rows: int) -> int:
        for _ in range(rows):
            start = self.json.index(b"\n", start) + 1
        return start


def _has_lines(lines: bytes, count: int) -> bool:
    return lines.count(b"\n") == count and lines[-1:] in (b"", b"\n")


class Rows(msgspec.Struct, frozen=True):
    """The rows of one statement, in the database's order.

    Attributes:
        rows: a list per row, in column order.
        truncated: the limit that cut the result, or None if the rows are complete.
        cut_cells: how many cells were longer than `RowLimits.max_cell_bytes` and were cut.
        elapsed_ms: time from sending the statement to its last row, measured in the worker.
    """

    columns: tuple[Column, ...]
    rows: Sequence[list[JsonScalar]]
    truncated: Truncation | None = None
    cut_cells: int = 0
    elapsed_ms: float = 0.0

    def head(self, max_rows: int) -> "Rows":
        """Return at most `max_rows` leading rows; if there are more, the result is marked as truncated."""
        if len(self.rows) <= max_rows:
            return self
        return msgspec.structs.replace(self, rows=self.rows[:max_rows], truncated=Truncation.ROWS)
