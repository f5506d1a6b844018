"""Writes names of types for prompts: short, and left out if a key or a list of values shows the type."""

import re

from pgmcp.catalog.catalog import Catalog, Column, ForeignKey
from pgmcp.untrusted import escape_untrusted

# Aliases of the manual (table 8.1), without lengths and scales, which do not change comparisons.
_SHORT_TYPES = (
    (re.compile(r"\bcharacter varying(\(\d+\))?"), "varchar"),
    (re.compile(r"\bcharacter\b(\(\d+\))?"), "char"),
    (re.compile(r"\btimestamp(\(\d\))? with time zone"), "timestamptz"),
    (re.compile(r"\btimestamp(\(\d\))? without time zone"), "timestamp"),
    (re.compile(r"\btime(\(\d\))? with time zone"), "timetz"),
    (re.compile(r"\btime(\(\d\))? without time zone"), "time"),
    (re.compile(r"\bdouble precision\b"), "float8"),
    (re.compile(r"\binteger\b"), "int"),
    (re.compile(r"\bboolean\b"), "bool"),
    (re.compile(r"\bnumeric\(\d+,-?\d+\)"), "numeric"),
)

_INTEGERS = frozenset({"int", "bigint", "smallint"})
_TEXTS = frozenset({"text", "varchar"})


def short_type(type_name: str) -> str:
    """Return a type's short name."""
    text = escape_untrusted(type_name)
    for pattern, short in _SHORT_TYPES:
        text = pattern.sub(short, text)
    return text


def shown_type(column: Column, *, is_key: bool, has_list: bool, refers_to: Column | None) -> str:
    """Return a column's type for a prompt; "" if the rest of the line shows it.

    Args:
        is_key: whether the column is the primary key, which is usually an integer.
        has_list: whether values are listed, which are texts unless a type is shown.
        refers_to: the column of another table that it references, usually of the same type.
    """
    name = short_type(column.type)
    is_plain = (is_key and name in _INTEGERS) or (has_list and name in _TEXTS)
    return "" if is_plain or (refers_to is not None and refers_to.type == column.type) else name


def referenced_column(key: ForeignKey, catalog: Catalog) -> Column | None:
    """Return the column that a key of one column references; None if the catalog has no such table."""
    table = catalog.get(key.referenced_schema, key.referenced_table)
    columns = table.columns if table is not None else ()
    return next((column for column in columns if column.name == key.referenced_columns[0]), None)
