r"""Converts PostgreSQL's text output to cells: numbers and booleans if JSON can hold them, else exact text.

| PostgreSQL                     | cell                                                                  |
|--------------------------------|-----------------------------------------------------------------------|
| NULL                           | null                                                                  |
| boolean                        | true, false                                                           |
| smallint, integer, bigint, oid | a number; text beyond ±2**53, where JSON readers round                |
| real, double precision         | a number; NaN, Infinity and -Infinity as text                         |
| numeric, money                 | text, so that no digit is lost: 19.90                                 |
| date, time, timestamp          | text in ISO form, whatever DateStyle is: 2026-11-22 20:48:19.5;       |
|                                | infinity; 0044-03-15 BC                                               |
| timestamptz, timetz            | text in ISO form with the offset: 2026-11-22 20:48:19+00; in the      |
|                                | role's DateStyle if its zone abbreviation has no certain offset       |
| interval                       | text in the role's IntervalStyle: 1 day 02:00:00                      |
| json, jsonb                    | text, as stored                                                       |
| bytea                          | text in hex form, whatever bytea_output is: \x6869                    |
| arrays, composites, ranges     | PostgreSQL's literal: {1,2}, (a,1), [1,5)                             |
| everything else                | PostgreSQL's own text                                                 |
"""

import math
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final, Protocol

from psycopg import pq
from psycopg.abc import Buffer
from psycopg.adapt import AdaptersMap, Loader, Transformer
from psycopg.types.bool import BoolLoader
from psycopg.types.numeric import FloatLoader, IntLoader
from psycopg.types.string import TextLoader

from worker.date_style import DATE_OIDS, DateOutput

Cell = str | int | float | bool | None

MAX_EXACT_INTEGER: Final = 2**53
"""An IEEE double can hold every integer up to this magnitude exactly (RFC 8259, section 6)."""

CUT_MARK: Final = "…"

# Type OIDs are fixed by PostgreSQL's pg_type.dat.
_BOOLEAN_OID: Final = 16
_INTEGER_OIDS: Final = (20, 21, 23, 26)
_BIGINT_OID: Final = 20
_FLOAT_OIDS: Final = (700, 701)
_BYTEA_OID: Final = 17
_TYPED_OIDS: Final = frozenset({_BOOLEAN_OID, *_INTEGER_OIDS, *_FLOAT_OIDS})

_ESCAPED_BYTE: Final = re.compile(rb"\\(\\|[0-3][0-7]{2})")


def _adapters(text_loader: type[Loader], dates: DateOutput | None = None) -> AdaptersMap:
    """Return only the loaders that cells need; psycopg's own make dates, decimals and other objects."""
    adapters = AdaptersMap()
    adapters.register_loader(0, text_loader)  # any type without a loader of its own
    adapters.register_loader(_BYTEA_OID, _ByteaLoader)
    adapters.register_loader(_BOOLEAN_OID, BoolLoader)
    for oid in _INTEGER_OIDS:
        adapters.register_loader(oid, IntLoader)
    for oid in _FLOAT_OIDS:
        adapters.register_loader(oid, FloatLoader)
    if dates is not None:
        for oid in DATE_OIDS:
            adapters.register_loader(oid, _date_loader(dates))
    return adapters


def _date_loader(dates: DateOutput) -> type[Loader]:
    class DateLoader(Loader):
        def load(self, data: Buffer) -> str:
            return dates.to_iso(bytes(data).decode("ascii", "replace"))

    return DateLoader


class _ByteaLoader(Loader):
    """Reads both forms of bytea_output, and returns the hex form."""

    def load(self, data: Buffer) -> str:
        value = bytes(data)
        if value.startswith(b"\\x"):
            return value.decode("ascii")
        return "\\x" + _ESCAPED_BYTE.sub(_unescape, value).hex()


def _unescape(match: re.Match[bytes]) -> bytes:
    return b"\\" if match[1] == b"\\" else bytes([int(match[1], 8)])


@lru_cache
def _lenient_adapters(codec: str, dates: DateOutput | None) -> AdaptersMap:
    """Return loaders that show U+FFFD for a byte that is invalid in this encoding."""

    class LenientLoader(Loader):
        def load(self, data: Buffer) -> str:
            return bytes(data).decode(codec, "replace")

    return _adapters(LenientLoader, dates)


@lru_cache
def _strict_adapters(dates: DateOutput | None) -> AdaptersMap:
    return _adapters(TextLoader, dates)


_UTF8: Final = "utf-8"


class _LoadsRows(Protocol):
    """The methods of a psycopg Transformer that are used here; psycopg has two classes of that name."""

    def set_pgresult(self, result: pq.abc.PGresult | None, *, set_loaders: bool) -> None: ...

    def load_rows(self, first: int, last: int, make_row: type[list[Cell]]) -> list[list[Cell]]: ...


class CellReader:
    """Reads the cells of results that arrive in parts.

    Attributes:
        text_columns: numbers of the columns whose cells are text.
    """

    def __init__(self, codec: str, oids: Sequence[int], dates: DateOutput | None = None) -> None:
        """Prepare for results with columns of these types.

        Args:
            codec: Python's name of the encoding of text.
            oids: the OIDs of the columns' types.
            dates: how dates are written, if not in ISO style.
        """
        self.text_columns = [column for column, oid in enumerate(oids) if oid not in _TYPED_OIDS]
        self._bigint_columns = [column for column, oid in enumerate(oids) if oid == _BIGINT_OID]
        self._float_columns = [column for column, oid in enumerate(oids) if oid in _FLOAT_OIDS]
        self._codec, self._dates = codec, dates
        adapters = _strict_adapters(dates) if codec == _UTF8 else _lenient_adapters(codec, dates)
        self._transformer = Transformer(_Context(adapters))
        self._has_loaders = False

    def read(self, result: pq.abc.PGresult) -> list[list[Cell]]:
        """Return the rows of one part of a result, each as a list of cells."""
        try:
            rows = self._load(self._transformer, result, set_loaders=not self._has_loaders)
            self._has_loaders = True
        except UnicodeDecodeError:  # a database in SQL_ASCII may hold bytes that are not UTF-8
            rows = self._load(Transformer(_Context(_lenient_adapters(self._codec, self._dates))), result)
        for column in self._bigint_columns:
            _spell_out_inexact(rows, column)
        for column in self._float_columns:
            _spell_out_not_finite(rows, column)
        return rows

    @staticmethod
    def _load(
        transformer: _LoadsRows, result: pq.abc.PGresult, *, set_loaders: bool = True
    ) -> list[list[Cell]]:
        transformer.set_pgresult(result, set_loaders=set_loaders)
        try:
            rows: list[list[Cell]] = transformer.load_rows(0, result.ntuples, list)
        finally:
            transformer.set_pgresult(None, set_loaders=False)  # a part may take much memory
        return rows


@lru_cache
def reader_for(codec: str, oids: tuple[int, ...], dates: DateOutput | None) -> CellReader:
    """Return a reader for columns of these types; readers are cached."""
    return CellReader(codec, oids, dates)


class _Context:
    """Gives a Transformer its loaders. A Transformer without a connection reads text as UTF-8."""

    connection = None

    def __init__(self, adapters: AdaptersMap) -> None:
        self.adapters = adapters


def _spell_out_inexact(rows: list[list[Cell]], column: int) -> None:
    numbers = _numbers(rows, column)
    if not numbers or (min(numbers) >= -MAX_EXACT_INTEGER and max(numbers) <= MAX_EXACT_INTEGER):
        return  # the usual case
    for row in rows:
        number = row[column]
        if isinstance(number, int) and not -MAX_EXACT_INTEGER <= number <= MAX_EXACT_INTEGER:
            row[column] = str(number)


def _spell_out_not_finite(rows: list[list[Cell]], column: int) -> None:
    if math.isfinite(sum(_numbers(rows, column))):
        return  # the usual case
    for row in rows:
        number = row[column]
        if isinstance(number, float) and not math.isfinite(number):
            row[column] = "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _numbers(rows: list[list[Cell]], column: int) -> list[Any]:
    return [number for row in rows if (number := row[column]) is not None]


def text_bytes(text: str) -> int:
    """Return the length in UTF-8, in bytes. ASCII text, the usual case, need not be encoded for this."""
    return len(text) if text.isascii() else len(text.encode())


def cut(text: str, max_cell_bytes: int) -> str:
    """Return at most `max_cell_bytes` of a cell in UTF-8, in whole characters, followed by `CUT_MARK`."""
    return text[:max_cell_bytes].encode()[:max_cell_bytes].decode("utf8", "ignore") + CUT_MARK
