"""Finds words of a question among the values of columns.

    "human"     -> race.race = 'Human'                 listed values, in the catalog
    "mark 0042" -> harbour_marks.title = 'Mark 0042'   columns too large for a list, through an index

A word matches a listed value if they differ only in case, spacing or a plural ending; longer words may also
be misspelled. Only columns whose values may be shown are searched, so hidden values are never shown. Large
columns are read only through an index that finds equal texts, so that a statement reads a few pages. Phrases
are looked up there as the question has them, and in lower, upper and title case.
"""

import asyncio
import re
import threading
from array import array
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final
from weakref import WeakKeyDictionary

from pgmcp.catalog.catalog import UNREADABLE_CHARACTER, Catalog, Column, Table, TableKind
from pgmcp.catalog.identifiers import singular, split_words
from pgmcp.catalog.rendering import column_name, value_literal
from pgmcp.errors import PgmcpError
from pgmcp.execution.result import Rows
from pgmcp.lookup.search import STOP_WORDS, search
from pgmcp.lookup.similarity import fold, trigrams
from pgmcp.quoting import quote_identifier, quote_literal

MAX_HINTS: Final = 12
"""Maximum number of hints about listed values; more would distract the model."""

_MAX_HINTS_PER_WORD = 3
_MAX_PHRASE_WORDS = 4
_MAX_QUESTION_WORDS = 200
_MIN_MISSPELLED_CHARACTERS = 5
_MISSPELLED_SIMILARITY = 0.5
_MAX_INDEXED_VALUES = 200_000

_TABLE_SHIFT, _COLUMN_SHIFT, _MAX_PART = 32, 16, 0xFFFF  # the bits of table, column and value in a position


@dataclass(frozen=True, slots=True)
class _Value:
    table: Table
    column: Column
    text: str


class _ValueIndex:
    """The listed values of one catalog, by folded form and by trigrams of that form.

    The position of a value is packed into one integer: objects would take 10 MB for a large schema.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._tables = catalog.tables
        self._places_by_form: dict[str, array[int]] = {}
        for place, text in islice(_listed(catalog), _MAX_INDEXED_VALUES):
            self._places_by_form.setdefault(_form(text), array("Q")).append(place)
        self._forms_by_trigram: dict[str, list[str]] = {}
        for form in self._places_by_form:
            for trigram in trigrams(form):
                self._forms_by_trigram.setdefault(trigram, []).append(form)

    def find(self, form: str) -> list[_Value]:
        """Return the values with this form, in the order of the catalog."""
        return [self._value_at(place) for place in self._places_by_form.get(form, ())]

    def misspelled(self, form: str) -> str | None:
        """Return the most similar form if this form may be a misspelling of it; else None."""
        own = trigrams(form)
        shared: dict[str, int] = {}
        for other in chain.from_iterable(self._forms_by_trigram.get(trigram, ()) for trigram in own):
            shared[other] = shared.get(other, 0) + 1
        scored = [(count / len(own | trigrams(other)), other) for other, count in shared.items()]
        share, best = max(scored, default=(0.0, ""))
        return best if share >= _MISSPELLED_SIMILARITY else None

    def _value_at(self, place: int) -> _Value:
        table = self._tables[place >> _TABLE_SHIFT]
        column = table.columns[(place >> _COLUMN_SHIFT) & _MAX_PART]
        return _Value(table, column, (column.enum_labels or column.values)[place & _MAX_PART])


_indexes: WeakKeyDictionary[Catalog, _ValueIndex] = WeakKeyDictionary()
_building = threading.Lock()


def hint_values(catalog: Catalog, question: str, *, shown: Container[Table]) -> list[str]:
    """Return a line for each value in the question: `"human" -> race.race = 'Human'`.

    Args:
        shown: tables in the prompt; values of others are skipped.
    """
    index = _index_of(catalog)
    lines: list[str] = []
    for phrase, values in _matching_phrases(question, index):
        visible = [value for value in values if value.table in shown]
        lines.extend(_line(phrase, value, catalog) for value in visible[:_MAX_HINTS_PER_WORD])
    return list(dict.fromkeys(lines))[:MAX_HINTS]


def _index_of(catalog: Catalog) -> _ValueIndex:
    with _building:
        if (index := _indexes.get(catalog)) is None:
            index = _indexes[catalog] = _ValueIndex(catalog)
        return index


def _listed(catalog: Catalog) -> Iterator[tuple[int, str]]:
    """Yield position and text of each value that a word of a question may match."""
    for table_number, table in enumerate(catalog.tables):
        for column_number, column in enumerate(table.columns):
            for number, text in enumerate((column.enum_labels or column.values)[:_MAX_PART]):
                # Single letters and bare numbers occur in every question. Text with unreadable bytes cannot
                # be compared.
                if len(text) > 1 and not text.isdigit() and UNREADABLE_CHARACTER not in text:
                    yield (table_number << _TABLE_SHIFT) | (column_number << _COLUMN_SHIFT) | number, text


def _matching_phrases(question: str, index: _ValueIndex) -> Iterator[tuple[str, list[_Value]]]:
    """Yield phrases of the question that match values, longer ones first; each word is used once."""
    words = split_words(question)[:_MAX_QUESTION_WORDS]
    taken: set[int] = set()
    for length in range(_MAX_PHRASE_WORDS, 0, -1):
        for start in range(len(words) - length + 1):
            places = range(start, start + length)
            phrase = " ".join(words[start : start + length])
            if taken.isdisjoint(places) and (values := _find(phrase, index)):
                taken.update(places)
                yield phrase, values


def _find(phrase: str, index: _ValueIndex) -> list[_Value]:
    if phrase in STOP_WORDS:
        return []
    form = _form(phrase)
    if values := index.find(form):
        return values
    # A phrase of several words is not looked up: it is often similar to the value that one of its words
    # means.
    if len(form) < _MIN_MISSPELLED_CHARACTERS or " " in form:
        return []
    misspelled = index.misspelled(form)
    return index.find(misspelled) if misspelled else []


def _form(text: str) -> str:
    return " ".join(_singulars(fold(text).split()))


def _singulars(words: Iterable[str]) -> Iterator[str]:
    return (singular(word) for word in words)


def _line(phrase: str, value: _Value, catalog: Catalog) -> str:
    name = column_name(catalog, value.table, value.column)
    return f'"{phrase}" -> {name} = {value_literal(value.text)}'


MAX_COLUMNS: Final = 8
"""Maximum number of columns in which one question is looked up."""

MAX_FOUND: Final = 3
"""Maximum number of values of one column; more would distract the model."""

_MAX_PHRASES = 60
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
    """Yield runs of words that may be a value, longer ones first; skip runs of words of the schema."""
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
        texts=", ".join(map(quote_literal, texts)),
        found=MAX_FOUND,
    )


def _spellings(phrase: str) -> tuple[str, ...]:
    return phrase, phrase.lower(), phrase.upper(), phrase.capitalize(), phrase.title()
