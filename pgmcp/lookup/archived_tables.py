"""Finds tables that are copies of others: archives, backups, staging tables.

A table counts as a copy in two cases:

- Its name has a part such as "_archive", "_2023_07" or "old_", and a table with the rest of the name exists.
- It has the same columns as another table, and either contains the other's name in its own ("sap_orders"), or
  has the same name in a schema for archives ("archive.orders").
"""

import re
from collections.abc import Iterator, Sequence

from pgmcp.catalog.catalog import Table
from pgmcp.catalog.identifiers import split_words

_SUFFIX = re.compile(
    r"(_(archived?|arch|old|bak|backup|copy|tmp|temp|deprecated|legacy|orig|snapshot|part(ition)?"
    r"|p?\d+|(19|20)\d\d[qwm]?\d*|[qwmv]\d+|default))+$"
)
_PREFIX = re.compile(r"^(archived?|old|bak|backup|copy_of|tmp|temp|deprecated|legacy|zz)_")

# Words in names of schemas for archives, staging and experiments.
_ARCHIVE_SCHEMAS = """
archive archived archives attic backup backups bak deprecated hist history landing migration old raw sandbox
scratch stage staging stg temp test tmp trash
"""
_ARCHIVE_SCHEMA_WORDS = frozenset(_ARCHIVE_SCHEMAS.split())
_MAX_NAME_WORDS = 12


def find_archived(tables: Sequence[Table]) -> frozenset[int]:
    """Return the indexes of the tables that are copies of others in the sequence."""
    return frozenset((*_archived_by_name(tables), *_with_columns_of_others(tables)))


def _archived_by_name(tables: Sequence[Table]) -> Iterator[int]:
    names = {(table.schema, table.name) for table in tables}
    for number, table in enumerate(tables):
        name = table.name.lower()
        original = _PREFIX.sub("", _SUFFIX.sub("", name))
        if original != name and (table.schema, original) in names:
            yield number


def _with_columns_of_others(tables: Sequence[Table]) -> Iterator[int]:
    alike: dict[frozenset[str], list[int]] = {}
    for number, table in enumerate(tables):
        alike.setdefault(frozenset(column.name for column in table.columns), []).append(number)
    for numbers in alike.values():
        if len(numbers) > 1:
            yield from _archived_among(tables, numbers)


def _archived_among(tables: Sequence[Table], numbers: Sequence[int]) -> Iterator[int]:
    """Yield the copies among tables with the same columns."""
    words = {number: tuple(split_words(tables[number].name)) for number in numbers}
    names = set(words.values())
    originals = {words[number] for number in numbers if not _is_in_archive_schema(tables[number])}
    for number in numbers:
        is_archived = words[number] in originals and _is_in_archive_schema(tables[number])
        if is_archived or any(part in names for part in _parts(words[number])):
            yield number


def _is_in_archive_schema(table: Table) -> bool:
    return not _ARCHIVE_SCHEMA_WORDS.isdisjoint(split_words(table.schema))


def _parts(words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield every contiguous run of words that is shorter than the whole."""
    for start in range(min(len(words), _MAX_NAME_WORDS)):
        for end in range(start + 1, len(words) + 1):
            if end - start < len(words):
                yield words[start:end]
