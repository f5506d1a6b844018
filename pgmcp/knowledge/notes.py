"""Adds notes on tables and columns, without facts that are already in the catalog.

Every prompt already has the comments on tables and columns. Comments on constraints, and on the domains and
enums of columns, become notes on the table or column (`read_comments`).
"""

from collections.abc import Sequence
from typing import Any, Final

from pgmcp.catalog.catalog import Table
from pgmcp.knowledge.entries import Knowledge, NotImportableError, Origin, in_words
from pgmcp.knowledge.tables import Tables, find_column

_MAX_VALUES: Final = 50
_SAME_AS_COMMENT: Final = "the comment in the database says the same"


def note_table(
    knowledge: Knowledge, tables: Tables, table: Table, text: str, synonyms: Sequence[str] = ()
) -> None:
    """Add a note on a table, unless its comment says the same."""
    name = tables.display_name(table)
    _note(knowledge, name, text, table.comment)
    _note_synonyms(knowledge, name, synonyms)


def note_column(
    knowledge: Knowledge, tables: Tables, table: Table, column: str, text: str, synonyms: Sequence[str] = ()
) -> None:
    """Add a note on a column, unless its comment says the same; leave out an unknown column."""
    try:
        found = find_column(table, column)
    except NotImportableError as error:
        knowledge.leave_out(f"description of {tables.display_name(table)}.{column}", error)
        return
    name = tables.qualified_column(table, found.name)
    _note(knowledge, name, text, found.comment)
    _note_synonyms(knowledge, name, synonyms)


def note_values(
    knowledge: Knowledge,
    tables: Tables,
    table: Table,
    column: str,
    values: Sequence[str],
    *,
    is_partial: bool,
) -> None:
    """Add a note on the accepted values of a column, unless the catalog lists the same.

    Raises:
        NotImportableError: there is no such column.
    """
    found = find_column(table, column)
    name = tables.qualified_column(table, found.name)
    if not tables.catalog.scope.shows_values(table.schema, table.name, found.name):
        knowledge.leave_out(f"accepted values of {name}", "values of this column are not shown to models")
        return
    known = set(found.enum_labels or found.values)
    if set(values) == known and not found.may_hold_others:
        knowledge.leave_out(f"accepted values of {name}", "the database lists the same values")
        return
    shown = ", ".join(values[:_MAX_VALUES]) + (", …" if len(values) > _MAX_VALUES else "")
    if values:
        knowledge.note(name, f"{'usual' if is_partial else 'accepted'} values: {shown}")


def _note(knowledge: Knowledge, name: str, text: str, comment: str) -> None:
    if not text:
        return
    if _folded(text) == _folded(comment):
        knowledge.leave_out(f"description of {name}", _SAME_AS_COMMENT)
    elif _folded(text) != _folded(name.rpartition(".")[2]):
        knowledge.note(name, text)


def _note_synonyms(knowledge: Knowledge, name: str, synonyms: Sequence[str]) -> None:
    own = in_words(name.rpartition(".")[2]).casefold()
    others = [text for text in synonyms if text.casefold() != own]
    if others:
        knowledge.note(name, f"also called {', '.join(others)}")


def _folded(text: str) -> str:
    return " ".join(text.split()).rstrip(".").casefold()


COMMENTS_SQL: Final = """\
SELECT n.nspname, c.relname, CASE WHEN array_length(k.conkey, 1) = 1 THEN a.attname ELSE '' END, d.description
FROM pg_description AS d
JOIN pg_constraint AS k ON d.classoid = 'pg_constraint'::regclass AND k.oid = d.objoid
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
UNION ALL
SELECT n.nspname, c.relname, a.attname, d.description
FROM pg_description AS d
JOIN pg_type AS t ON d.classoid = 'pg_type'::regclass AND t.oid = d.objoid AND t.typtype IN ('d', 'e')
JOIN pg_attribute AS a ON a.atttypid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_class AS c ON c.oid = a.attrelid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
JOIN pg_namespace AS n ON n.oid = c.relnamespace
ORDER BY 1, 2, 3, 4"""
"""Comments on constraints, and on the types of columns: schema, table, column, text."""


def read_comments(rows: Sequence[Sequence[Any]], tables: Tables) -> Knowledge:
    """Return notes from the rows of `COMMENTS_SQL`; skip tables outside the catalog without a report."""
    knowledge = Knowledge(Origin.COMMENTS)
    for schema, name, column, text in rows:
        table = tables.catalog.get(str(schema), str(name))
        if table is None:
            continue
        if column:
            note_column(knowledge, tables, table, str(column), str(text))
        else:
            note_table(knowledge, tables, table, str(text))
    return knowledge
