"""Writes rows as Parquet: a column gets a type of Parquet that fits all its values, or else exact text.

| PostgreSQL                              | Parquet                                                   |
|-----------------------------------------|-----------------------------------------------------------|
| smallint, integer, bigint, oid          | integer of the same size; oid unsigned                    |
| real, double precision                  | float, double, with NaN and the infinities                |
| boolean                                 | boolean                                                   |
| numeric                                 | decimal of 38 digits, with the highest scale of a value;  |
|                                         | text if a value needs more digits, or is NaN              |
| date                                    | date                                                      |
| timestamp, timestamptz                  | timestamp in microseconds, without a zone and in UTC      |
| other types, and columns with a value   | text, as in `worker.encoding`                             |
| outside the type: infinity, BC          |                                                           |

Loading pyarrow takes a tenth of a second and 60 MB, so only the process that writes exports loads it.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO, Final

import pyarrow as pa  # type: ignore[import-untyped]  # ships no type information
import pyarrow.parquet as pq  # type: ignore[import-untyped]

from pgmcp.execution.result import Column, JsonScalar, Rows

_BLOCK_ROWS: Final = 16_384
"""How many rows are decoded at the same time; each block is a row group of the file."""

_MAX_DIGITS: Final = 38
"""The largest precision that all readers of Parquet support: 16 bytes."""

_MISFITS: Final = (ValueError, ArithmeticError, TypeError)


@dataclass(slots=True)
class _Form:
    """An Arrow type, and the conversion of a column's cells to it.

    Attributes:
        convert: raises one of `_MISFITS` if a cell cannot be converted.
    """

    type: Any
    convert: Callable[[Any], Any]


def write_parquet(rows: Rows, file: BinaryIO) -> None:
    """Write the rows; they are read twice, to choose the types and to write.

    Raises:
        OSError: the file cannot be written.
    """
    forms = _choose_forms(rows)
    schema = pa.schema(list(zip(_unique_names(rows.columns), [form.type for form in forms], strict=True)))
    with pq.ParquetWriter(file, schema) as writer:
        for block in _blocks(rows):
            arrays = [
                pa.array([None if cell is None else form.convert(cell) for cell in cells], form.type)
                for form, cells in zip(forms, zip(*block, strict=True), strict=True)
            ]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema))


def _choose_forms(rows: Rows) -> list[_Form]:
    """Return a form for each column that fits all its values."""
    forms = [_FORM_BY_TYPE.get(column.type, _TEXT) for column in rows.columns]
    digits = {number: _Digits() for number, column in enumerate(rows.columns) if column.type == "numeric"}
    for block in _blocks(rows):
        for number, cells in enumerate(zip(*block, strict=True)):
            present = [cell for cell in cells if cell is not None]
            if forms[number] is not _TEXT and not _fit(present, forms[number], digits.get(number)):
                forms[number] = _TEXT
    for number, needed in digits.items():
        if forms[number] is not _TEXT:
            forms[number] = _Form(pa.decimal128(_MAX_DIGITS, needed.after_point), Decimal)
    return forms


def _fit(cells: Sequence[JsonScalar], form: _Form, digits: "_Digits | None") -> bool:
    try:
        values = [form.convert(cell) for cell in cells]
    except _MISFITS:
        return False
    return digits is None or digits.include(values)


@dataclass(slots=True)
class _Digits:
    """The precision and scale that the numbers of a column need."""

    before_point: int = 0
    after_point: int = 0

    def include(self, numbers: Sequence[Decimal]) -> bool:
        """Include these numbers; return whether they fit a decimal."""
        for number in numbers:
            if not number.is_finite():
                return False
            _, digits, exponent = number.as_tuple()
            after_point = max(0, -int(exponent))
            self.after_point = max(self.after_point, after_point)
            self.before_point = max(self.before_point, len(digits) - after_point)
        return self.before_point + self.after_point <= _MAX_DIGITS


def _boolean(cell: JsonScalar) -> bool:
    if not isinstance(cell, bool):  # in a row that is not UTF-8, all cells are text
        raise TypeError(cell)
    return cell


def _utc(cell: str) -> datetime:
    return datetime.fromisoformat(cell).astimezone(UTC)


def _text(cell: JsonScalar) -> str:
    return cell if isinstance(cell, str) else json.dumps(cell)


_TEXT: Final = _Form(pa.string(), _text)
_FORM_BY_TYPE: Final = {
    "smallint": _Form(pa.int16(), int),
    "integer": _Form(pa.int32(), int),
    "bigint": _Form(pa.int64(), int),
    "oid": _Form(pa.uint32(), int),
    "real": _Form(pa.float32(), float),
    "double precision": _Form(pa.float64(), float),
    "boolean": _Form(pa.bool_(), _boolean),
    "numeric": _Form(pa.decimal128(_MAX_DIGITS), Decimal),
    "date": _Form(pa.date32(), date.fromisoformat),
    "timestamp without time zone": _Form(pa.timestamp("us"), datetime.fromisoformat),
    "timestamp with time zone": _Form(pa.timestamp("us", "UTC"), _utc),
}


def _blocks(rows: Rows) -> Iterator[list[list[JsonScalar]]]:
    source = iter(rows.rows)
    while block := list(islice(source, _BLOCK_ROWS)):
        yield block


def _unique_names(columns: Sequence[Column]) -> list[str]:
    """Return unique names: SQL allows empty and repeated ones, readers of Parquet do not."""
    names: dict[str, None] = {}
    for number, column in enumerate(columns, start=1):
        base = name = column.name or f"column_{number}"
        count = 1
        while name in names:
            count += 1
            name = f"{base}_{count}"
        names[name] = None
    return list(names)
