"""Finds the tables that a statement reads, also while it is being typed."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pgmcp.catalog.catalog import Catalog, Table

NAME: Final = r'(?:[^\W\d][\w$]*|"[^"]+")'
_CLAUSE_TEXT: Final = """
select from where group order having limit offset fetch join left right full inner cross natural on using
union intersect except for window tablesample as set
"""
_CLAUSES: Final = "|".join(_CLAUSE_TEXT.split())
NO_ALIAS: Final = rf"(?!(?:{_CLAUSES})\b)"
"""Refuses words after a table that are not an alias."""
_SOURCE: Final = re.compile(
    rf"(?:\b(?:from|join|table)|,)\s+(?:only\s+|lateral\s+)?({NAME}(?:\.{NAME})?)"
    rf"(?:\s+(?:as\s+)?{NO_ALIAS}({NAME}))?",
    re.IGNORECASE,
)
_NONE: Final[Mapping[str, Table]] = {}


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
        """The qualifier of its columns: the alias or the name."""
        return self.alias or self.name.rpartition(".")[2]


def find_sources(statement: str, catalog: Catalog, queries: Mapping[str, Table] = _NONE) -> list[Source]:
    """Return the tables that a statement reads.

    Args:
        queries: the statement's WITH queries, by name in lower case; they hide tables of the same name.
    """
    return [
        Source(table, name.lower(), alias.lower())
        for name, alias in _SOURCE.findall(statement)
        if (table := queries.get(name.lower().strip('"')) or catalog.find(name)) is not None
    ]
