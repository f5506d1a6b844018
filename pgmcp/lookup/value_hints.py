"""Finds listed values among the words of a question: "human" is race.race = 'Human'.

A word matches a value if they differ only in case, spacing or a plural ending; longer words may also be
misspelled. Only values in the catalog are found, so hidden values are never revealed.
"""

import threading
from array import array
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final
from weakref import WeakKeyDictionary

from pgmcp.catalog.catalog import UNREADABLE_CHARACTER, Catalog, Column, Table
from pgmcp.catalog.identifiers import singular, split_words
from pgmcp.catalog.rendering import column_name, value_literal
from pgmcp.lookup.likeness import fold, trigrams
from pgmcp.lookup.search import STOP_WORDS

MAX_HINTS: Final = 12
"""More hints would distract the model."""

_MAX_HINTS_PER_WORD = 3
_MAX_PHRASE_WORDS = 4
_MAX_QUESTION_WORDS = 200
_MIN_MISSPELLED_CHARACTERS = 5
_MISSPELLED_LIKENESS = 0.5
_MAX_INDEXED_VALUES = 200_000

_TABLE_SHIFT, _COLUMN_SHIFT, _MAX_PART = 32, 16, 0xFFFF  # packed into one integer


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
        """Return the most similar form, if this one may be a misspelling of it."""
        ours = trigrams(form)
        shared: dict[str, int] = {}
        for other in chain.from_iterable(self._forms_by_trigram.get(trigram, ()) for trigram in ours):
            shared[other] = shared.get(other, 0) + 1
        scored = [(count / len(ours | trigrams(other)), other) for other, count in shared.items()]
        share, best = max(scored, default=(0.0, ""))
        return best if share >= _MISSPELLED_LIKENESS else None

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
    for phrase, values in _spoken(question, index):
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


def _spoken(question: str, index: _ValueIndex) -> Iterator[tuple[str, list[_Value]]]:
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
    # A phrase of several words would be similar to the value of one of its words.
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
