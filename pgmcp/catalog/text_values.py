"""How our own statements get the text of a column's values without calling a cast of the database's own."""

import re

from pgmcp.catalog.catalog import Column

# PostgreSQL has a cast of its own from these to text, which cannot be replaced; of character(n) it takes the
# blanks off. A domain stands as `name (base type)`.
_BUILT_IN_TEXT = re.compile(r'(?:[^"]+ \()?(?:text|name|character(?: varying)?(?:\(\d+\))?)\)?')


def text_of(column: Column, value: str) -> str:
    """Return an expression for the text of a value; of types that are not built in, as they are shown.

    Args:
        column: whose type the value has; it is a text column.
        value: an expression that is not NULL.
    """
    if _BUILT_IN_TEXT.fullmatch(column.type):
        return f"{value}::pg_catalog.text"
    return f"pg_catalog.concat({value})"
