"""Which listed values a question's own words are: "human" is race.race = 'Human'.

A word counts as a value when it is one but for case, spacing and a plural's end; a longer one also when it is
spelled nearly so. Values that are not in the catalog are never found here, so nothing hidden is told.
"""

import threading
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Final
from weakref import WeakKeyDictionary

from pgmcp.schema.catalog import Catalog, Column, Table
from pgmcp.schema.identifiers import singular, split_words
from pgmcp.schema.likeness import fold, trigrams
from pgmcp.schema.rendering import column_name, value_literal
from pgmcp.schema.search import STOP_WORDS

MAX_HINTS: Final = 12
"""More would tell the model which words not to trust."""

_MAX_HINTS_PER_WORD = 3
_MAX_PHRASE_WORDS = 4
_MAX_QUESTION_WORDS = 200
_MIN_MISSPELT_CHARACTERS = 5
_MISSPELT_LIKENESS = 0.5
_MAX_INDEXED_VALUES = 200_000


@dataclass(frozen=True, slots=True)
class _Value:
    table: Table
    column: Column
    text: str


class _ValueIndex:
    """The listed values of one catalog, by folded form and by trigram of it."""

    def __init__(self, catalog: Catalog) -> None:
        self.by_form: dict[str, list[_Value]] = {}
        for value in islice(_listed(catalog), _MAX_INDEXED_VALUES):
            self.by_form.setdefault(_form(value.text), []).append(value)
        self._forms_by_trigram: dict[str, list[str]] = {}
        for form in self.by_form:
            for trigram in trigrams(form):
                self._forms_by_trigram.setdefault(trigram, []).append(form)

    def misspelt(self, form: str) -> str | None:
        """Return the form most like this one, if it is like enough to be a slip of the pen."""
        ours = trigrams(form)
        shared: dict[str, int] = {}
        for other in chain.from_iterable(self._forms_by_trigram.get(trigram, ()) for trigram in ours):
            shared[other] = shared.get(other, 0) + 1
        scored = [(count / len(ours | trigrams(other)), other) for other, count in shared.items()]
        share, best = max(scored, default=(0.0, ""))
        return best if share >= _MISSPELT_LIKENESS else None


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


def _listed(catalog: Catalog) -> Iterator[_Value]:
    for table in catalog.tables:
        for column in table.columns:
            for text in column.enum_labels or column.values:
                # Single letters and bare figures are in every question.
                if len(text) > 1 and not text.isdigit():
                    yield _Value(table, column, text)


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
    if form in index.by_form:
        return index.by_form[form]
    # A phrase of several words would be near to a value that one of them is.
    if len(form) < _MIN_MISSPELT_CHARACTERS or " " in form:
        return []
    misspelt = index.misspelt(form)
    return index.by_form[misspelt] if misspelt else []


def _form(text: str) -> str:
    return " ".join(_singulars(fold(text).split()))


def _singulars(words: Iterable[str]) -> Iterator[str]:
    return (singular(word) for word in words)


def _line(phrase: str, value: _Value, catalog: Catalog) -> str:
    name = column_name(catalog, value.table, value.column)
    return f'"{phrase}" -> {name} = {value_literal(value.text)}'
