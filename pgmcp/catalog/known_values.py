"""Reads values of columns from checks and statistics, and writes the SQL that gives them as text."""

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

from pgmcp.catalog.catalog import Column
from pgmcp.catalog.identifiers import split_words

_NUMBER = re.compile(r"-?\d{1,12}(?:\.\d{1,12})?")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?: \d\d:\d\d:\d\d[\d.:+-]*)?")
_KEY_WORDS = frozenset({"id", "key", "uuid", "no", "nr", "num", "number", "code", "version"})

_DIGITS = re.compile(r"\d+")
_FEW_VALUES = 8  # "v1" to "v4" and "grade 1" to "grade 6" are worth showing, although they look like codes
_LONG_CODE = 6

_NAME = r'(?:"(?:[^"]|"")+"|[a-z_][a-z0-9_$]*)'
_TYPE = r"(?:::[a-z ]+(?:\(\d+\))?(?:\[\])?)"
_LITERAL = rf"'((?:[^']|'')*)'{_TYPE}?"
_ELEMENT = rf"\(?{_LITERAL}\)?{_TYPE}?"
# `status IN ('open', 'paid')` as pg_get_constraintdef() writes it, with or without the casts of varchar.
_LIST = re.compile(
    rf"CHECK \(+{_NAME}\)?{_TYPE}? = ANY \(+ARRAY\[({_ELEMENT}(?:, {_ELEMENT})*)\]\)?{_TYPE}?\)+"
)

# Types that `text_of` may cast to text, because a database cannot replace these casts. The cast from
# character(n) removes trailing blanks. A domain is written as `name (base type)`.
_BUILT_IN_TEXT = re.compile(r'(?:[^"]+ \()?(?:text|name|character(?: varying)?(?:\(\d+\))?)\)?')


def read_range(bounds: Iterable[str]) -> tuple[str, str] | None:
    """Return the minimum and maximum of texts that are all dates and times, or all plain numbers.

    Times are cut to the day; numbers lose trailing zeros. Returns None for anything else: infinity, years
    before 1 or after 9999, numbers with too many digits.
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
    """Return whether a column's name suggests a key or a serial number, whose range is not informative."""
    words = split_words(column_name)
    return bool(words) and words[-1] in _KEY_WORDS


def look_like_codes(values: Sequence[str]) -> bool:
    """Return whether texts are serial numbers, dates or codes, which questions seldom contain.

    Texts that differ only in digits have the same form: `INV-001` and `INV-002`. The result is True if each
    text has a digit and there is at most one form per four texts, or if most texts are long and at least half
    of their characters are digits, as in vehicle numbers.
    """
    if len(values) <= _FEW_VALUES:
        return False
    forms = {_DIGITS.sub("0", value) for value in values}
    if len(forms) <= len(values) / 4 and all(map(_DIGITS.search, values)):
        return True
    return sum(map(_is_mostly_digits, values)) > len(values) / 2


def _is_mostly_digits(value: str) -> bool:
    return len(value) >= _LONG_CODE and sum(map(str.isdigit, value)) >= len(value) / 2


def listed_values(definition: str) -> tuple[str, ...]:
    """Return the texts that a check on one column allows, in order; () for other kinds of checks."""
    match = _LIST.fullmatch(definition)
    if not match:
        return ()
    return tuple(text.replace("''", "'") for text in re.findall(_LITERAL, match[1]))


def text_of(column: Column, value: str) -> str:
    """Return an SQL expression that gives a value of a text column as text.

    Types that are not PostgreSQL's own may have a cast to text that the database defines. `concat` does not
    call it: it uses the output function of the type.

    Args:
        column: a text column; the value has its type.
        value: an SQL expression that is not NULL.
    """
    if _BUILT_IN_TEXT.fullmatch(column.type):
        return f"{value}::pg_catalog.text"
    return f"pg_catalog.concat({value})"
