"""Values of columns: from check constraints, from planner statistics, and as text in our own statements."""

import re
from collections.abc import Iterable
from decimal import Decimal

from pgmcp.catalog.catalog import Column
from pgmcp.catalog.identifiers import split_words

_NUMBER = re.compile(r"-?\d{1,12}(?:\.\d{1,12})?")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?: \d\d:\d\d:\d\d.*)?")
_KEY_WORDS = frozenset({"id", "key", "uuid", "no", "nr", "num", "number", "code", "version"})

_NAME = r'(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
_TYPE = r"(?:::[a-z ]+(?:\(\d+\))?(?:\[\])?)"
_LITERAL = rf"'((?:[^']|'')*)'{_TYPE}?"
_ELEMENT = rf"\(?{_LITERAL}\)?{_TYPE}?"
# As pg_get_constraintdef() writes `status IN ('open', 'paid')`, with the casts of varchar columns or without.
_LIST = re.compile(
    rf"CHECK \(+{_NAME}\)?{_TYPE}? = ANY \(+ARRAY\[({_ELEMENT}(?:, {_ELEMENT})*)\]\)?{_TYPE}?\)+"
)

# PostgreSQL has a cast of its own from these to text, which cannot be replaced; of character(n) it takes the
# blanks off. A domain stands as `name (base type)`.
_BUILT_IN_TEXT = re.compile(r'(?:[^"]+ \()?(?:text|name|character(?: varying)?(?:\(\d+\))?)\)?')


def read_range(bounds: Iterable[str]) -> tuple[str, str] | None:
    """Return the least and the greatest of texts that are all dates and times, or all plain numbers.

    Times are cut to their day, and numbers lose zeros at their end. None for anything else: infinity, years
    before 1 or after 9999, figures that are too long to tell a reader anything.
    """
    texts = [text for text in bounds if text]
    days = [match[1] for text in texts if (match := _DATE.fullmatch(text))]
    if days and len(days) == len(texts):
        return min(days), max(days)
    if texts and all(_NUMBER.fullmatch(text) for text in texts):
        numbers = [Decimal(text).normalize() for text in texts]
        return f"{min(numbers):f}", f"{max(numbers):f}"
    return None


def looks_like_key(column_name: str) -> bool:
    """Tell whether a column's name is that of a key or number, whose range says nothing."""
    words = split_words(column_name)
    return bool(words) and words[-1] in _KEY_WORDS


def listed_values(definition: str) -> tuple[str, ...]:
    """Return the texts a one-column check allows, in its order; empty when it is another kind of check."""
    match = _LIST.fullmatch(definition)
    if not match:
        return ()
    return tuple(text.replace("''", "'") for text in re.findall(_LITERAL, match[1]))


def text_of(column: Column, value: str) -> str:
    """Return an expression for the text of a value; of types that are not built in, as they are shown.

    Args:
        column: whose type the value has; it is a text column.
        value: an expression that is not NULL.
    """
    if _BUILT_IN_TEXT.fullmatch(column.type):
        return f"{value}::pg_catalog.text"
    return f"pg_catalog.concat({value})"
