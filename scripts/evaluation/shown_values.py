"""Finds the values in a question's gold SQL that a prompt has to contain, and those that a prompt lacks.

A prompt has to contain a value if its column has only few, short texts, so that a prompt can list all of
them, and if values of that column may be shown.
"""

import re
from collections.abc import Iterator
from typing import Final

from pgmcp.catalog.rendering import value_literal
from pgmcp.catalog.scope import CatalogScope
from pgmcp.validation.references import find_references
from scripts.evaluation.databases import Database

MAX_LISTED: Final = 100
MAX_CHARACTERS: Final = 64

_COLUMNS: Final = """
select table_schema, table_name, column_name from information_schema.columns
where data_type in ('text', 'character varying')
  and table_schema not in ('pg_catalog', 'information_schema')"""


class GoldValues:
    """Finds the values in gold SQL that belong to columns whose values a prompt can list completely."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tables: dict[str, list[tuple[str, str, str]]] = {}
        for schema, table, column in database.rows(_COLUMNS):
            self._tables.setdefault(str(column), []).append((str(schema), str(table), str(column)))
        self._values: dict[tuple[str, str, str], frozenset[str]] = {}

    def named_in(self, statement: str) -> list[str]:
        """Return the values of a statement that a prompt has to contain."""
        return list(dict.fromkeys(self._named_in(statement)))

    def missing_from(self, statement: str, prompt: str) -> list[str]:
        """Return the values of a statement that a prompt has to contain but lacks."""
        return [text for text in self.named_in(statement) if not _is_in(text, prompt)]

    def _named_in(self, statement: str) -> Iterator[str]:
        references = find_references(statement)
        for comparison in references.comparisons:
            relations = references.relations_of(comparison.qualifier) or references.relations_of("")
            names = {relation.rpartition(".")[2] for relation in relations}
            for place in self._tables.get(comparison.column, ()):
                if place[1] in names and comparison.text in self._listed(place):
                    yield comparison.text

    def _listed(self, place: tuple[str, str, str]) -> frozenset[str]:
        if place not in self._values:
            self._values[place] = self._read(place)
        return self._values[place]

    def _read(self, place: tuple[str, str, str]) -> frozenset[str]:
        schema, table, column = place
        if not CatalogScope().shows_values(schema, table, column):
            return frozenset()
        rows = self._database.distinct_texts(place, MAX_LISTED + 1)
        texts = [str(text) for (text,) in rows if text is not None]
        is_complete = len(rows) <= MAX_LISTED and all(len(text) <= MAX_CHARACTERS for text in texts)
        return frozenset(texts) if is_complete else frozenset()


def _is_in(text: str, prompt: str) -> bool:
    """Return whether a prompt has a value in a list such as `{Calm|Gale}`, bare or as a literal."""
    spelled = f"{re.escape(text)}|{re.escape(value_literal(text))}"
    return re.search(rf"[{{|](?:{spelled})[|}}]", prompt) is not None
