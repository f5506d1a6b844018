"""Maps words of a question to words of a schema: inflections, parts, abbreviations and synonyms."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from pgmcp.catalog.identifiers import singular

EXACT, ABBREVIATED, SYNONYM, PART = 1.0, 0.7, 0.7, 0.6
"""Weight of each kind of match."""

_MIN_PART_CHARACTERS = 4
_MAX_HOLDERS = 16
_MIN_ABBREVIATION, _MAX_ABBREVIATION = 3, 5
_VOWELS = frozenset("aeiou")

# Synonyms in questions and business schemas, one meaning per line.
_THESAURUS = """
absence leave vacation holiday sick
address location
agreement contract
bill invoice
boss manager supervisor
building location office site
buy order procurement purchase
buyer client customer shopper
car lorry truck van vehicle
colleague employee people person personnel staff worker
company firm organization
compensation earn pay payroll salary wage
computer device laptop
consignment delivery dispatch parcel shipment
cost expense spending
course training
deal opportunity
defect fault
delay late overdue
department division
depot warehouse
doctor physician
downtime failure incident outage
email mail message newsletter
engineer technician
equipment machine
factory plant
freight shipping
good item article product
hire join
income revenue sale turnover
inventory stock
issue ticket case
job opening position vacancy
kind type
lease rent rental
licence license permit
payment receipt
rating review
session visit
student pupil
supplier vendor
"""


class Vocabulary:
    """The words in names of one catalog's tables and columns."""

    def __init__(self, words: Iterable[str]) -> None:
        self._words = frozenset(words)
        self._by_stem: dict[str, list[str]] = {}
        self._short_by_letter: dict[str, list[str]] = {}
        for word in sorted(self._words):
            self._by_stem.setdefault(stem(word), []).append(word)
            if _MIN_ABBREVIATION <= len(word) <= _MAX_ABBREVIATION:
                self._short_by_letter.setdefault(word[0], []).append(word)

    def matches(self, said: Iterable[str]) -> dict[str, float]:
        """Return the words to search for with their weights, including the given words."""
        weights: dict[str, float] = {}
        for word in said:
            for match, weight in self._matches_of(word):
                weights[match] = max(weight, weights.get(match, 0.0))
        return weights

    def _matches_of(self, word: str) -> Iterator[tuple[str, float]]:
        yield word, EXACT
        yield from ((match, EXACT) for match in self._by_stem.get(stem(word), ()))
        yield from ((match, PART) for match in self._words_containing(word))
        yield from ((match, ABBREVIATED) for match in self._abbreviating(singular(word)))
        for other in _OTHERS.get(stem(word), ()):
            yield from ((match, SYNONYM) for match in self._by_stem.get(stem(other), ()))
            yield from ((match, ABBREVIATED * SYNONYM) for match in self._abbreviating(other))

    def _words_containing(self, word: str) -> list[str]:
        """Return the words that contain this one: "sbcustomer" contains "customer"."""
        part = singular(word)
        if len(part) < _MIN_PART_CHARACTERS:
            return []
        holders = [other for other in self._words if part in other]
        return sorted(holders, key=lambda other: (len(other), other))[:_MAX_HOLDERS]

    def _abbreviating(self, word: str) -> list[str]:
        return [short for short in self._short_by_letter.get(word[:1], ()) if is_abbreviation(short, word)]


def is_abbreviation(short: str, word: str) -> bool:
    """Return whether `short` abbreviates `word`, as its beginning ("emp") or without most vowels ("dept")."""
    if not _MIN_ABBREVIATION <= len(short) <= min(_MAX_ABBREVIATION, len(word) - 2):
        return False
    if word.startswith(short):
        return True
    letters = iter(word)
    is_in_order = short[0] == word[0] and all(letter in letters for letter in short)
    return is_in_order and sum(letter in _VOWELS for letter in short[1:]) <= 1


def stem(word: str) -> str:
    """Return the approximate stem of an English word: "order" for "ordered" and "orders"."""
    base = singular(word)
    for ending in ("ing", "ed", "er"):
        if base.endswith(ending) and len(base) - len(ending) >= _MIN_PART_CHARACTERS:
            return base[: -len(ending)].rstrip("e")
    return base.rstrip("e")


def _read_thesaurus() -> Mapping[str, frozenset[str]]:
    others: dict[str, set[str]] = {}
    for line in _THESAURUS.strip().splitlines():
        meaning = line.split()
        for word in meaning:
            others.setdefault(stem(word), set()).update(other for other in meaning if other != word)
    return {word: frozenset(found) for word, found in others.items()}


_OTHERS: Final = _read_thesaurus()
