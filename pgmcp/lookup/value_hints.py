"""Which listed values a question's own words are: "human" is race.race = 'Human'.

A word counts as a value when it is one but for case, spacing and a plural's end; a longer one also when it is
spelled nearly so. Values that are not in the catalog are never found here, so nothing hidden is told.
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
"""More would tell the model which words not to trust."""

_MAX_HINTS_PER_WORD = 3
_MAX_PHRASE_WORDS = 4
_MAX_QUESTION_WORDS = 200
_MIN_MISSPELT_CHARACTERS = 5
_MISSPELT_LIKENESS = 0.5
_MAX_INDEXED_VALUES = 200_000

_TABLE_SHIFT, _COLUMN_SHIFT, _MAX_PART = 32, 16, 0xFFFF  # of the parts of a place


@dataclass(frozen=True, slots=True)
class _Value:
    table: Table
    column: Column
    text: str


class _ValueIndex:
    """The listed values of one catalog, by folded form and by trigram of it.

    Where a value stands is kept as one number, its place: as objects, those of a large schema take 10 MB.
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
        """Return the values of this form, in the catalog's order."""
        return [self._value_at(place) for place in self._places_by_form.get(form, ())]

    def misspelt(self, form: str) -> str | None:
        """Return the form most like this one, if it is like enough to be a slip of the pen."""
        ours = trigrams(form)
        shared: dict[str, int] = {}
        for other in chain.from_iterable(self._forms_by_trigram.get(trigram, ()) for trigram in ours):
            shared[other] = shared.get(other, 0) + 1
        scored = [(count / len(ours | trigrams(other)), other) for other, count in shared.items()]
        share, best = max(scored, default=(0.0, ""))
        return best if share >= _MISSPELT_LIKENESS else None

    def _value_at(self, place: int) -> _Value:
        table = self._tables[place >> _TABLE_SHIFT]
        column = table.columns[(place >> _COLUMN_SHIFT) & _MAX_PART]
        return _Value(table, column, (column.enum_labels or column.values)[place & _MAX_PART])


_indexes: WeakKeyDictionary[Catalog, _ValueIndex] = WeakKeyDictionary()
_building = threading.Lock()


def hint_values(catalog: Catalog, question: str, *, shown: Container[Table]) -> list[str]:
    """Return a line for each value that words of the question are: `"human" -> race.race = 'Human'`.

    Args:
        shown: tables the reader sees; values of others are left out.
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
    """Give the place and the text of each value that a word of a question may be."""
    for table_number, table in enumerate(catalog.tables):
        for column_number, column in enumerate(table.columns):
            for number, text in enumerate((column.enum_labels or column.values)[:_MAX_PART]):
                # Single letters and bare figures are in every question.
                # Nor does a text with bytes that could not be read compare with anything.
                if len(text) > 1 and not text.isdigit() and UNREADABLE_CHARACTER not in text:
                    yield (table_number << _TABLE_SHIFT) | (column_number << _COLUMN_SHIFT) | number, text


def _spoken(question: str, index: _ValueIndex) -> Iterator[tuple[str, list[_Value]]]:
    """Give the question's phrases that are values, longer ones first; a word counts once."""
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
    # A phrase of several words would be near to a value that one of them is.
    if len(form) < _MIN_MISSPELT_CHARACTERS or " " in form:
        return []
    misspelt = index.misspelt(form)
    return index.find(misspelt) if misspelt else []


def _form(text: str) -> str:
    return " ".join(_singulars(fold(text).split()))


def _singulars(words: Iterable[str]) -> Iterator[str]:
    return (singular(word) for word in words)


def _line(phrase: str, value: _Value, catalog: Catalog) -> str:
    name = column_name(catalog, value.table, value.column)
    return f'"{phrase}" -> {name} = {value_literal(value.text)}'
