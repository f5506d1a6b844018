r"""Writes rows as CSV (RFC 4180): the first line has the names of the columns, and lines end in \r\n.

Values are exact. NULL is an empty field and an empty text is `""`, so that they differ.
"""

import re
from collections.abc import Iterable, Iterator

from pgmcp.execution.result import JsonScalar, Rows

_NEEDS_QUOTES = re.compile(r'[",\r\n]|^\s|\s$|^$')


def csv_lines(rows: Rows) -> Iterator[str]:
    """Yield the lines with their line ends, the header first."""
    yield _line(column.name for column in rows.columns)
    yield from map(_line, rows.rows)


def _line(cells: Iterable[JsonScalar]) -> str:
    return ",".join(map(_field, cells)) + "\r\n"


def _field(cell: JsonScalar) -> str:
    match cell:
        case None:
            return ""
        case bool():
            return "true" if cell else "false"
        case str():
            return '"' + cell.replace('"', '""') + '"' if _NEEDS_QUOTES.search(cell) else cell
        case _:
            return repr(cell)
