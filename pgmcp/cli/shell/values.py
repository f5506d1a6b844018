"""Completes values: those that the catalog lists for the column that a condition compares.

The catalog lists no values of a column that the operator hides.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from pgmcp.catalog.catalog import Column
from pgmcp.catalog.identifiers import parse_name
from pgmcp.cli.shell.sources import NAME, Source
from pgmcp.errors import SqlRejectedError
from pgmcp.untrusted import escape_untrusted
from pgmcp.validation.lexer import tokenize

_COMPARED: Final = re.compile(
    rf"((?:{NAME}\.)?{NAME})(?:\s*(?:=|<>|!=)|(?:\s+not)?\s+in\s*\((?:\s*'(?:[^']|'')*'\s*,)*)\s*$",
    re.IGNORECASE,
)
_STRING: Final = re.compile(r"(?:[ebxn]|u&)?'|\$", re.IGNORECASE)


def find_open_string(sql: str) -> int | None:
    """Return the start of the string that the text does not close; None if there is none."""
    try:
        for _ in tokenize(sql):
            pass
    except SqlRejectedError as error:
        if error.position is not None and _STRING.match(sql, error.position):
            return error.position
    return None


def listed_values(head: str, sources: Sequence[Source]) -> list[tuple[str, str]]:
    """Return the values of the column that is compared at the end of a text, each with the column's type."""
    found = _COMPARED.search(head)
    if found is None:
        return []
    for column in _named(found[1], sources):
        if values := column.enum_labels or column.values:
            kind = escape_untrusted(column.type)
            # A value that must be escaped to be shown is not the same value.
            return [(value, kind) for value in values if escape_untrusted(value) == value]
    return []


def quoted_values(head: str, word: str, sources: Sequence[Source]) -> Iterator[tuple[str, str]]:
    """Yield the values that begin with a word, as literals."""
    for value, kind in listed_values(head, sources):
        if value.lower().startswith(word.lower()):
            yield "'" + value.replace("'", "''") + "'", kind


def _named(name: str, sources: Sequence[Source]) -> Iterator[Column]:
    *qualifier, wanted = (part.lower() for part in parse_name(name))
    for source in sources:
        references = [list(parse_name(each))[-1:] for each in (source.reference, source.name)]
        if qualifier and qualifier not in references:
            continue
        for column in source.table.columns:
            if column.name.lower() == wanted and not column.type.endswith("[]"):
                yield column
