"""Reading the planner's statistics: the range of a column from the texts that `pg_stats` keeps of it."""

import re
from collections.abc import Iterable
from decimal import Decimal

from pgmcp.catalog.identifiers import split_words

_NUMBER = re.compile(r"-?\d{1,12}(?:\.\d{1,12})?")
_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?: \d\d:\d\d:\d\d.*)?")
_KEY_WORDS = frozenset({"id", "key", "uuid", "no", "nr", "num", "number", "code", "version"})


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
