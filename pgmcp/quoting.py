"""Quotes names and strings in SQL."""

import re
from collections.abc import Sequence

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")

# Words that are reserved (catcode R or T of pg_get_keywords()) in a version from PostgreSQL 13 to 18.
_RESERVED = """
all analyse analyze and any array as asc asymmetric authorization binary both case cast check collate
collation column concurrently constraint create cross current_catalog current_date current_role
current_schema current_time current_timestamp current_user default deferrable desc distinct do else end
except false fetch for foreign freeze from full grant group having ilike in initially inner intersect into
is isnull join lateral leading left like limit localtime localtimestamp natural not notnull null offset on
only or order outer overlaps placing primary references returning right select session_user similar some
symmetric system_user table tablesample then to trailing true union unique user using variadic verbose
when where window with
"""
RESERVED_WORDS = frozenset(_RESERVED.split())


def quote_identifier(name: str) -> str:
    """Return the name as SQL must spell it: in quotes if it is reserved, or not all characters are plain.

    Plain characters are a-z, 0-9, _ and $.
    """
    if _PLAIN.fullmatch(name) and name not in RESERVED_WORDS:
        return name
    return quote_always(name)


def quote_always(name: str) -> str:
    """Return the name in quotes."""
    return '"' + name.replace('"', '""') + '"'


def qualify(schema: str, name: str) -> str:
    """Return a name after its schema, both in quotes."""
    return f"{quote_always(schema)}.{quote_always(name)}"


def quote_literal(text: str) -> str:
    """Return a string literal whose value does not depend on `standard_conforming_strings`."""
    escape = "E" if "\\" in text else ""
    return escape + "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def quote_array(texts: Sequence[str]) -> str:
    """Return an array of string literals."""
    return f"ARRAY[{', '.join(map(quote_literal, texts))}]"
