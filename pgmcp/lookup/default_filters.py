"""Finds default filters of the context file that a query lacks.

Only a filter that is a condition on the table's own columns is checked; a filter in words is only for the
model. If a query uses one of these columns in a condition, the filter does not count as missing.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pgmcp.catalog.catalog import Catalog, Table
from pgmcp.catalog.identifiers import split_words
from pgmcp.errors import DeadlineExceededError, PgmcpError
from pgmcp.execution.result import Rows
from pgmcp.lookup.search import STOP_WORDS
from pgmcp.lookup.words import stem
from pgmcp.quoting import quote_identifier
from pgmcp.validation.conditions import names_of_condition
from pgmcp.validation.references import References

logger = logging.getLogger(__name__)

_PROBE: Final = "SELECT EXISTS (SELECT FROM {relation} WHERE ({condition}\n) IS NOT TRUE)"

_COMMON_WORDS: Final = STOP_WORDS | {"between", "like", "not", "null", "or"}
"""Words that conditions and questions share by chance."""

Fetch = Callable[[str], Awaitable[Rows]]


@dataclass(frozen=True, slots=True)
class MissingFilter:
    """A default filter that a query lacks.

    Attributes:
        table: as the catalog shows it.
        condition: as the operator wrote it.
        is_offered: whether the model should be asked to reconsider; False if the question mentions the
            filter.
        probe: SQL that returns whether the table has rows that the filter leaves out.
    """

    table: str
    condition: str
    is_offered: bool
    probe: str

    def describe(self) -> str:
        """Return a clause that says which table is read without which filter."""
        return f"{self.table} is read without its default filter: {self.condition}"


def find_missing_filters(
    references: References, filters: Mapping[str, str], catalog: Catalog, question: str
) -> list[MissingFilter]:
    """Return the default filters that a query lacks, because it has no condition on their columns.

    Args:
        references: the names in the query.
        filters: conditions by table, from the context file.
        question: the question that the query answers.
    """
    words = _words(question)
    missing = []
    for name, condition in filters.items():
        table = catalog.find(name)
        columns = _columns_of(condition, table) if table is not None else ()
        if table is None or not columns or not _lacks(references, table, columns, catalog):
            continue
        is_named = not words.isdisjoint(_words(condition))
        relation = f"{quote_identifier(table.schema)}.{quote_identifier(table.name)}"
        missing.append(
            MissingFilter(
                catalog.display_name(table),
                " ".join(condition.split()),
                is_offered=not is_named,
                probe=_PROBE.format(relation=relation, condition=condition),
            )
        )
    return missing


async def drop_without_effect(missing: Sequence[MissingFilter], fetch: Fetch) -> list[MissingFilter]:
    """Return the filters that exclude rows of their tables.

    Args:
        fetch: runs a probe. If it takes too long, the filter stays, but is not offered. If it fails, the
            filter is dropped.
    """
    kept = []
    for each in missing:
        try:
            rows = await fetch(each.probe)
        except DeadlineExceededError:
            kept.append(replace(each, is_offered=False))
        except PgmcpError as error:
            logger.warning("the default filter of %s could not be evaluated (%s)", each.table, error.code)
        else:
            if rows.rows and rows.rows[0][0]:
                kept.append(each)
    return kept


def _words(text: str) -> set[str]:
    """Return the stems of the words that may name a filter."""
    return {stem(word) for word in split_words(text) if word not in _COMMON_WORDS}


def _columns_of(condition: str, table: Table) -> tuple[str, ...]:
    """Return the columns of a condition if all are the table's; () for a filter in words."""
    columns = tuple(parts[-1] for parts in names_of_condition(condition).columns)
    known = {column.name for column in table.columns}
    return columns if known.issuperset(columns) else ()


def _lacks(references: References, table: Table, columns: Sequence[str], catalog: Catalog) -> bool:
    """Return whether the query reads the table and has no condition on any of the columns."""
    aliases = [alias for alias, relation in references.relations if catalog.find(relation) is table]
    if not aliases:
        return False
    others = {
        alias for alias, relation in references.relations if catalog.find(relation) not in (table, None)
    }
    return not any(
        name in columns and (qualifier in aliases or qualifier not in others)
        for qualifier, name in references.used_columns
    )
