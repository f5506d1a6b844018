"""Takes over comments of the database that prompts do not show.

Comments on tables and columns are in every prompt already. Those on constraints, and on the domains and enums
of columns, become notes on the table or column that they are about.
"""

from collections.abc import Sequence
from typing import Any, Final

from pgmcp.knowledge.entries import Knowledge, Origin
from pgmcp.knowledge.notes import note_column, note_table
from pgmcp.knowledge.tables import Tables

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
    """Return notes of the rows of `COMMENTS_SQL`; tables outside the catalog are left out in silence."""
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
