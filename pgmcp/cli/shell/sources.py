"""Finds the tables that a statement reads, also while it is being typed."""

import re
from dataclasses import dataclass
from typing import Final

from pgmcp.catalog.catalog import Catalog, Table

NAME: Final = r'(?:[^\W\d][\w$]*|"[^"]+")'
_CLAUSE_TEXT: Final = """
select from where group order having limit offset fetch join left right full inner cross natural on using
union intersect except for window tablesample as set
"""
_CLAUSES: Final = "|".join(_CLAUSE_TEXT.split())
"""Words after a table that are not an alias."""
_SOURCE: Final = re.compile(
    rf"(?:\b(?:from|join|table)|,)\s+(?:only\s+|lateral\s+)?({NAME}(?:\.{NAME})?)"
    rf"(?:\s+(?:as\s+)?(?!(?:{_CLAUSES})\b)({NAME}))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Source:
    """A table that a statement reads.

    Attributes:
        name: as it is written, in lower case.
        alias: "" if it has none.
    """

    table: Table
    name: str
    alias: str

    @property
    def reference(self) -> str:
        """What its columns are qualified with."""
        return self.alias or self.name.rpartition(".")[2]


def find_sources(statement: str, catalog: Catalog) -> list[Source]:
    """Return the tables that a statement reads."""
    return [
        Source(table, name.lower(), alias.lower())
        for name, alias in _SOURCE.findall(statement)
        if (table := catalog.find(name)) is not None
    ]
