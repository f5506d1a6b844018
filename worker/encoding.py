r"""From PostgreSQL's text output to cells: typed where JSON has the type, exact text elsewhere.

| PostgreSQL                     | cell                                                                  |
|--------------------------------|-----------------------------------------------------------------------|
| NULL                           | null                                                                  |
| boolean                        | true, false                                                           |
| smallint, integer, bigint, oid | a number; text beyond ±2**53, where JSON readers round                |
| real, double precision         | a number; NaN, Infinity and -Infinity as text                         |
| numeric, money                 | text, so that no digit is lost: 19.90                                 |
| date, time, timestamp          | text in ISO form: 2026-11-22 20:48:19.5; infinity; 0044-03-15 BC      |
| timestamptz, timetz            | text in ISO form with the offset: 2026-11-22 20:48:19+00              |
| interval                       | text: 1 day 02:00:00                                                  |
| json, jsonb                    | text, as stored                                                       |
| bytea                          | text in hex form: \x6869                                              |
| arrays, composites, ranges     | PostgreSQL's literal: {1,2}, (a,1), [1,5)                             |
| everything else                | PostgreSQL's own text                                                 |
"""

import math
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.adapt import AdaptersMap, Transformer
from psycopg.types.bool import BoolLoader
from psycopg.types.numeric import FloatLoader, IntLoader
from psycopg.types.string import TextLoader

Cell = str | int | float | bool | None

MAX_EXACT_INTEGER: Final = 2**53
"""Largest magnitude below which every integer is an exact IEEE double (RFC 8259, section 6)."""

CUT_MARK: Final = "…"

# Type OIDs are fixed by PostgreSQL's pg_type.dat.
_BOOLEAN_OID: Final = 16
_INTEGER_OIDS: Final = (20, 21, 23, 26)
_BIGINT_OID: Final = 20
_FLOAT_OIDS: Final = (700, 701)
_TYPED_OIDS: Final = frozenset({_BOOLEAN_OID, *_INTEGER_OIDS, *_FLOAT_OIDS})


def _adapters() -> AdaptersMap:
    """Return the few loaders we want: psycopg's defaults make Python objects of everything."""
    adapters = AdaptersMap()
    adapters.register_loader(0, TextLoader)  # any type without a loader of its own
    adapters.register_loader(_BOOLEAN_OID, BoolLoader)
    for oid in _INTEGER_OIDS:
        adapters.register_loader(oid, IntLoader)
    for oid in _FLOAT_OIDS:
        adapters.register_loader(oid, FloatLoader)
    return adapters


_ADAPTERS: Final = _adapters()


class CellReader:
    """Reads the cells of one statement's result, which comes in several pieces.

    Attributes:
        text_columns: numbers of the columns whose cells are text.
    """

    def __init__(self, connection: psycopg.Connection[Any], result: pq.abc.PGresult) -> None:
        """Prepare for results with the columns of this one."""
        oids = [result.ftype(column) for column in range(result.nfields)]
        self.text_columns = [column for column, oid in enumerate(oids) if oid not in _TYPED_OIDS]
        self._bigint_columns = [column for column, oid in enumerate(oids) if oid == _BIGINT_OID]
        self._float_columns = [column for column, oid in enumerate(oids) if oid in _FLOAT_OIDS]
        self._transformer = Transformer(_Context(connection))

    def read(self, result: pq.abc.PGresult) -> list[list[Cell]]:
        """Return the rows of a piece, a list each."""
        self._transformer.set_pgresult(result)
        try:
            rows: list[list[Cell]] = self._transformer.load_rows(0, result.ntuples, list)
        except UnicodeDecodeError:  # a database in SQL_ASCII may hold bytes that are not UTF-8
            return [_read_broken_row(result, row) for row in range(result.ntuples)]
        for column in self._bigint_columns:
            _spell_out_inexact(rows, column)
        for column in self._float_columns:
            _spell_out_not_finite(rows, column)
        return rows


class _Context:
    """What a Transformer takes its loaders and encoding from."""

    adapters = _ADAPTERS

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self.connection = connection


def _spell_out_inexact(rows: list[list[Cell]], column: int) -> None:
    for row in rows:
        number = row[column]
        if isinstance(number, int) and not -MAX_EXACT_INTEGER <= number <= MAX_EXACT_INTEGER:
            row[column] = str(number)


def _spell_out_not_finite(rows: list[list[Cell]], column: int) -> None:
    for row in rows:
        number = row[column]
        if isinstance(number, float) and not math.isfinite(number):
            row[column] = "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _read_broken_row(result: pq.abc.PGresult, row: int) -> list[Cell]:
    """Return a row as text throughout, with a mark for each byte that is no UTF-8."""
    values = (result.get_value(row, column) for column in range(result.nfields))
    return [None if value is None else value.decode("utf8", "replace") for value in values]


def text_bytes(text: str) -> int:
    """Return the length in UTF-8; of ASCII text without encoding it."""
    return len(text) if text.isascii() else len(text.encode())


def cut(text: str, max_cell_bytes: int) -> str:
    """Return the beginning of a cell that is too long, marked as cut, never half a character."""
    return text[:max_cell_bytes].encode()[:max_cell_bytes].decode("utf8", "ignore") + CUT_MARK
