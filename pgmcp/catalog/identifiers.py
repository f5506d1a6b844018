"""Quoting, parsing and splitting of SQL identifiers."""

import re

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_WORD = re.compile(r"[^\W_]+")
# fooBar, HTTPServer, item2, 2nd
_WORD_START = re.compile(
    r"(?<=[^\W\d_A-Z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|(?<=[^\W\d_])(?=\d)|(?<=\d)(?=[^\W\d_])"
)

# Reserved words (catcode R and T of pg_get_keywords()) of PostgreSQL 13 to 18: they need quotes as names.
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
    """Return the name as SQL must spell it, quoted if it would be folded or is reserved."""
    if _PLAIN.fullmatch(name) and name not in RESERVED_WORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def parse_name(name: str) -> tuple[str, ...]:
    """Split `schema.table` at dots outside double quotes, and remove the quotes.

    Case is preserved: people and models copy the spelling they saw, with or without quotes.
    """
    parts = re.findall(r'"((?:[^"]|"")*)"|([^."]+)', name.strip())
    return tuple(quoted.replace('""', '"') or plain.strip() for quoted, plain in parts)


def split_words(name: str) -> list[str]:
    """Return the words of a snake_case or camelCase name, or of a sentence, in lower case."""
    return [word.lower() for word in _WORD.findall(_WORD_START.sub(" ", name))]


def singular(word: str) -> str:
    """Return the approximate singular of an English plural; other words unchanged."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith(("sses", "xes", "ches", "shes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
