"""Finds words of a question in columns that are too large for a list of values, through an index.

    "mark 0042" -> harbour_marks.title = 'Mark 0042'

Only columns whose values may be shown are read, and only through an index that finds equal texts, so that one
bounded statement touches a few pages of it. Phrases are tried as they are written, and in the usual cases.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.catalog.identifiers import quote_identifier, split_words
from pgmcp.catalog.rendering import column_name, value_literal
from pgmcp.errors import PgmcpError
from pgmcp.execution.result import Rows
from pgmcp.lookup.search import STOP_WORDS, search

MAX_COLUMNS: Final = 8
"""Maximum number of columns in which one question is looked up."""

MAX_FOUND: Final = 3
"""Maximum number of values of one column; more would distract the model."""

_MAX_PHRASES = 60
_MAX_PHRASE_WORDS = 4
_MAX_SEARCHED_TABLES = 12
_MIN_CHARACTERS = 3
_MAX_CHARACTERS = 100

_WORD = re.compile(r"\w+(?:[-./&@]\w+|'(?!s\b)\w+)*")
# Types for which `=` and the index compare the text itself: citext and char(n) have operators of their own.
_COMPARED_AS_TEXT = re.compile(r"text|character varying(?:\(\d+\))?")
_EQUALITY_INDEX = re.compile(r"(?:btree|hash) \((?P<first>\w+|\"[^\"]+\")[,) ](?!.* WHERE )")
_LOWER_INDEX = re.compile(
    r"(?:btree|hash) \(lower\(\(?(?P<first>\w+|\"[^\"]+\")\)?(?:::text)?\)[,) ](?!.* WHERE )"
)

_FOUND_IN = """\
(SELECT {place} AS place, s.value
 FROM (SELECT t.{column} AS value FROM {table} AS t
       WHERE {compared} IN ({texts}) LIMIT 20::pg_catalog.int8) AS s
 GROUP BY s.value ORDER BY s.value LIMIT {found}::pg_catalog.int8)"""

_Place = tuple[Table, Column, str]
Fetch = Callable[[str], Awaitable[Rows]]


async def find_indexed_values(catalog: Catalog, question: str, fetch: Fetch) -> list[str]:
    """Return a line for each value of an indexed column that occurs in the question.

    Args:
        fetch: runs one statement with limits; if it fails, nothing is found.
    """
    # The first search in a schema of thousands of tables takes a second.
    places, phrases = await asyncio.to_thread(_plan, catalog, question)
    if not places or not phrases:
        return []
    statement = " UNION ALL ".join(
        _statement(number, table, column, compared, phrases)
        for number, (table, column, compared) in enumerate(places)
    )
    try:
        rows = await fetch(statement)
    except PgmcpError:
        return []
    lines = []
    for number, value in rows.rows:
        table, column, _ = places[int(str(number))]
        phrase = next((each for each in phrases if each.casefold() == str(value).casefold()), "")
        if phrase:
            lines.append(f'"{phrase}" -> {column_name(catalog, table, column)} = {value_literal(str(value))}')
    return lines


def _plan(catalog: Catalog, question: str) -> tuple[list[_Place], list[str]]:
    places = list(_places(catalog, question))[:MAX_COLUMNS]
    return places, list(_phrases(question, catalog))[:_MAX_PHRASES] if places else []


def _places(catalog: Catalog, question: str) -> Iterator[_Place]:
    """Yield the columns to look into, and what their index compares: the column or its lower case."""
    for table in search(catalog, question, _MAX_SEARCHED_TABLES):
        if table.kind in (TableKind.VIEW, TableKind.FOREIGN_TABLE) or table.has_active_policies:
            continue
        columns = {column.name: column for column in table.columns if _can_be_read(column, table, catalog)}
        for name, compared in dict(_indexed(table)).items():
            if name in columns:
                yield table, columns[name], compared


def _can_be_read(column: Column, table: Table, catalog: Catalog) -> bool:
    is_listed = bool(column.values) and not column.may_hold_others
    is_text = _COMPARED_AS_TEXT.fullmatch(column.type) is not None
    return is_text and not is_listed and catalog.scope.shows_values(table.schema, table.name, column.name)


def _indexed(table: Table) -> Iterator[tuple[str, str]]:
    for key in (table.primary_key, *table.unique_constraints):
        if key and key not in table.without_overlaps:
            yield key[0], f"t.{quote_identifier(key[0])}"
    for index in table.indexes:
        if plain := _EQUALITY_INDEX.match(index.definition):
            yield index.columns[0], f"t.{plain['first']}"
        elif lower := _LOWER_INDEX.match(index.definition):
            name = lower["first"].strip('"')
            yield name, f"lower(t.{lower['first']})"


def _phrases(question: str, catalog: Catalog) -> Iterator[str]:
    """Yield runs of words that may be a value, longer ones first, but no run of only words of the schema."""
    known = STOP_WORDS | _words_of_names(catalog)
    words = list(_WORD.finditer(question))
    for length in range(_MAX_PHRASE_WORDS, 0, -1):
        for first, last in zip(words, words[length - 1 :], strict=False):
            phrase = question[first.start() : last.end()]
            is_short = not _MIN_CHARACTERS <= len(phrase) <= _MAX_CHARACTERS
            if not is_short and not known.issuperset(split_words(phrase)):
                yield phrase


def _words_of_names(catalog: Catalog) -> frozenset[str]:
    names = (name for table in catalog.tables for name in (table.name, *(c.name for c in table.columns)))
    return frozenset(word for name in names for word in split_words(name))


def _statement(number: int, table: Table, column: Column, compared: str, phrases: Sequence[str]) -> str:
    if compared.startswith("lower("):
        texts = dict.fromkeys(phrase.lower() for phrase in phrases)
    else:
        texts = dict.fromkeys(text for phrase in phrases for text in _spellings(phrase))
    return _FOUND_IN.format(
        place=number,
        column=quote_identifier(column.name),
        table=f"{quote_identifier(table.schema)}.{quote_identifier(table.name)}",
        compared=compared,
        # standard_conforming_strings is on in every transaction: only quotes need escaping.
        texts=", ".join("'" + text.replace("'", "''") + "'" for text in texts),
        found=MAX_FOUND,
    )


def _spellings(phrase: str) -> tuple[str, ...]:
    return phrase, phrase.lower(), phrase.upper(), phrase.capitalize(), phrase.title()
