"""What to say of a statement that names a table or column that is not there: which names come near."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Final

from pgmcp.catalog.catalog import Catalog, Column, Table
from pgmcp.catalog.identifiers import split_words
from pgmcp.catalog.rendering import column_name
from pgmcp.lookup.likeness import fold, nearest
from pgmcp.lookup.search import search

UNDEFINED_TABLE: Final = "42P01"
UNDEFINED_COLUMN: Final = "42703"
MISSING_NAME_SQLSTATES: Final = frozenset({UNDEFINED_TABLE, UNDEFINED_COLUMN})
"""PostgreSQL manual, appendix A."""

_NEAR_TABLES = 4
_NEAR_COLUMNS = 6
_MAX_LISTED_COLUMNS = 40
_MAX_LISTED_TABLES = 3

_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_NAME = re.compile(rf"{_IDENTIFIER}(?:\s*\.\s*{_IDENTIFIER})*")
_PART = re.compile(_IDENTIFIER)


def name_at(sql: str, position: int | None) -> tuple[str, ...]:
    """Return the parts of the name that stands at an offset, folded as PostgreSQL folds them; () if none.

    The server's message names it too, but in the server's language.
    """
    match = None if position is None or position < 0 else _NAME.match(sql, position)
    parts = _PART.findall(match[0]) if match else []
    return tuple(part[1:-1].replace('""', '"') if part[0] == '"' else part.lower() for part in parts)


def advise_missing_name(
    sqlstate: str, name: Sequence[str], relations: Sequence[str], catalog: Catalog
) -> str:
    """Return what is there instead of a name that is not; "" if nothing comes near.

    Args:
        sqlstate: one of MISSING_NAME_SQLSTATES.
        name: the missing name, from `name_at`.
        relations: relations the column may belong to, as the statement names them.
        catalog: what is there.
    """
    if sqlstate == UNDEFINED_COLUMN:
        tables = [table for relation in relations if (table := catalog.find(relation)) is not None]
        return _advise_column(name[-1] if name else "", list(dict.fromkeys(tables)), catalog)
    return _advise_table(".".join(name), catalog)


def _advise_table(name: str, catalog: Catalog) -> str:
    bare = name.rpartition(".")[2]
    same_name = [table for table in catalog.tables if bare and table.name.lower() == bare.lower()]
    found = chain(
        same_name, catalog.nearest(name), search(catalog, " ".join(split_words(bare)), _NEAR_TABLES)
    )
    names = [catalog.display_name(table) for table in dict.fromkeys(found)]
    return f"tables near {name}: {', '.join(names[:_NEAR_TABLES])}" if name and names else ""


def _advise_column(name: str, tables: list[Table], catalog: Catalog) -> str:
    here = [(table, column) for table in tables for column in table.columns]
    near = nearest(name, here, limit=_NEAR_COLUMNS, spell=lambda pair: pair[1].name)
    elsewhere = [] if any(fold(column.name) == fold(name) for _, column in near) else _holders(name, catalog)
    parts = []
    if near or elsewhere:
        names = (column_name(catalog, table, column) for table, column in (*near, *elsewhere))
        parts.append(f"near: {', '.join(names)}")
    parts.extend(_lists_of_columns(tables[:_MAX_LISTED_TABLES], catalog))
    return "; ".join(parts)


def _holders(name: str, catalog: Catalog) -> list[tuple[Table, Column]]:
    """Return the columns of exactly this name, wherever they are; none if many have it."""
    found = [
        (table, column)
        for table in catalog.tables
        for column in table.columns
        if column.name.lower() == name.lower()
    ]
    return found if len(found) <= _NEAR_COLUMNS else []


def _lists_of_columns(tables: list[Table], catalog: Catalog) -> Iterator[str]:
    for table in tables:
        yield describe_columns(table, catalog)


def describe_columns(table: Table, catalog: Catalog) -> str:
    """Return the readable columns of a table, or the first of many."""
    names = [column_name(None, table, column) for column in table.columns[:_MAX_LISTED_COLUMNS]]
    more = ", …" if len(table.columns) > _MAX_LISTED_COLUMNS else ""
    return f"columns of {catalog.display_name(table)}: {', '.join(names)}{more}"
