"""Finds tables of a catalog by full-text search.

The index is a table of SQLite's FTS5 in memory. It ranks by Okapi BM25 with a weight for each column, and
stems English words. SQLite is part of the standard library, and its import takes 4 ms. The packages bm25s and
rank_bm25 import numpy, which takes about 200 ms and 20 MB.
"""

import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from heapq import nlargest
from itertools import chain
from math import log2
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary, finalize

from pgmcp.catalog.catalog import Catalog, Table
from pgmcp.catalog.identifiers import split_words
from pgmcp.lookup.archived_tables import find_archived
from pgmcp.lookup.joins import Joins
from pgmcp.lookup.words import Vocabulary

if TYPE_CHECKING:
    import sqlite3

_NAME_WEIGHT, _COLUMNS_WEIGHT, _COMMENTS_WEIGHT = 4.0, 1.0, 1.0
_MAX_QUERY_WORDS = 64
_HUB_WEIGHT = 0.4
"""How much a table's score grows with the number of tables that reference it.

Questions are often about such a table.
"""

_SIBLING_SHARE = 0.7
"""Factor of a table's score for each better match among its siblings.

Siblings extend the same table (`Joins.parents`), as `order_items` and `order_notes` extend `orders`. Without
this factor, sixty tables named `order_…` would leave no room for others.
"""

_KEPT_NAMES = 10_000
"""Maximum number of column names whose words are cached. Names repeat from table to table."""

_MAX_FOUND_TABLES = 60
_TARGET_SHARES = (0.8, 0.5)
"""The shares of a table's score that the tables it references get, in the first and in the second round.

The second round also starts from the tables that the first round found.
"""

_BETWEEN_SHARE = 0.6
"""A table that references two matching tables gets this share of the lower of their two scores."""

_MAX_JOINED_BETWEEN = 25
_MAX_PARTNERS = 6
"""How many of the tables that one table references get a share of its score.

Without this limit, twenty dimensions of one fact table would leave no room for tables that match.
"""

# Words that occur in most questions and comments and do not identify a table.
_STOP_WORD_LIST = """
a all an and are as at be by did do does each every find for from get give had has have how i in is it last
list many me more most much my of on or our per return show than that the their there these this those to was
we were what when where which who with you
"""
STOP_WORDS = frozenset(_STOP_WORD_LIST.split())


def search(catalog: Catalog, text: str, limit: int) -> list[Table]:
    """Return the tables that match the words of a text, best first; archived tables come last."""
    return index_of(catalog).search(text, limit)


# Building an index of 10,000 tables takes a second. Callers do it in threads, hence the lock.
_indexes: WeakKeyDictionary[Catalog, "SearchIndex"] = WeakKeyDictionary()
_building = threading.Lock()


def index_of(catalog: Catalog) -> "SearchIndex":
    """Return the index of a catalog, which is built once."""
    with _building:
        if (index := _indexes.get(catalog)) is None:
            index = _indexes[catalog] = SearchIndex(catalog)
        return index


class SearchIndex:
    """A full-text index over one catalog's tables.

    It references the tables but not the catalog, which is its weak key and could otherwise never be freed.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._tables = catalog.tables
        self._archived = find_archived(catalog.tables)
        self._joins = Joins(catalog.tables, self._archived)
        names = set(chain.from_iterable(_names_in(table) for table in catalog.tables))
        self._vocabulary = Vocabulary(word for name in names for word in split_words(name))
        self._asking = threading.Lock()
        self._connection = _build_full_text(catalog.tables)
        finalize(self, self._connection.close)

    def search(self, text: str, limit: int) -> list[Table]:
        """Return the tables that match the words of a text, best first; archived tables come last."""
        return [self._tables[number] for number in self._in_order(self._score(text))[:limit]]

    def relevant(self, question: str) -> Iterator[Table]:
        """Yield the tables that match and their neighbours, best first; archived tables come last.

        Neighbours are the tables that a match references, directly or through one other table, and the tables
        that reference two of the best matches.
        """
        scores = self._join(self._score(question))
        for number in self._in_order(scores):
            yield self._tables[number]

    def by_relevance(self, question: str) -> Iterator[Table]:
        """Yield all tables: first the matching ones, then the others; in each group, archived ones last."""
        ranked = self._in_order(self._score(question))
        found = frozenset(ranked)
        others = (number for number in range(len(self._tables)) if number not in found)
        for number in chain(ranked, sorted(others, key=lambda number: number in self._archived)):
            yield self._tables[number]

    def words(self, text: str) -> frozenset[str]:
        """Return the words of a text, and the words of the schema that they match."""
        words = _search_words(text)
        return frozenset(words) | frozenset(self._vocabulary.matches(words))

    def _score(self, text: str) -> dict[int, float]:
        """Return the score of each table that matches the text, by the table's position in the catalog."""
        words_by_weight: dict[float, list[str]] = {}
        for word, weight in self._vocabulary.matches(_search_words(text)).items():
            words_by_weight.setdefault(weight, []).append(word)
        scores: dict[int, float] = {}
        for weight, words in words_by_weight.items():
            for number, rank in self._match(words):
                # FTS5 ranks are negative; better matches are lower.
                scores[number] = scores.get(number, 0.0) - weight * rank
        return {number: score * self._prominence(number) for number, score in scores.items()}

    def _match(self, words: Sequence[str]) -> list[tuple[int, float]]:
        query = " OR ".join(f'"{word}"' for word in words)
        with self._asking:
            return self._connection.execute(
                "SELECT rowid, bm25(tables, ?, ?, ?) FROM tables WHERE tables MATCH ?",
                (_NAME_WEIGHT, _COLUMNS_WEIGHT, _COMMENTS_WEIGHT, query),
            ).fetchall()

    def _prominence(self, number: int) -> float:
        return 1 + _HUB_WEIGHT * log2(1 + len(self._joins.sources[number]))

    def _join(self, found: dict[int, float]) -> dict[int, float]:
        """Return the scores, with scores for the neighbours of the matching tables (see `relevant`)."""
        scores = {number: score for number, score in found.items() if number not in self._archived}
        best = nlargest(_MAX_JOINED_BETWEEN, scores, key=scores.__getitem__)
        for share in _TARGET_SHARES:
            for number in nlargest(_MAX_FOUND_TABLES, scores, key=scores.__getitem__):
                for target in self._partners(number, scores):
                    scores[target] = max(scores.get(target, 0.0), share * scores[number])
        for number, share in self._between(best, found):
            scores[number] = max(scores.get(number, 0.0), share)
        return {**found, **scores}

    def _partners(self, number: int, scores: dict[int, float]) -> list[int]:
        targets = self._joins.targets[number]
        return nlargest(_MAX_PARTNERS, targets, key=lambda target: scores.get(target, 0.0))

    def _between(self, best: Sequence[int], found: dict[int, float]) -> Iterator[tuple[int, float]]:
        """Yield tables that reference two of the best tables, and so join them, with scores."""
        joined: dict[int, list[float]] = {}
        for number in best:
            for source in self._joins.sources[number]:
                joined.setdefault(source, []).append(found[number])
        for source, scores in joined.items():
            if len(scores) > 1:
                yield source, _BETWEEN_SHARE * sorted(scores)[-2]

    def _in_order(self, scores: dict[int, float]) -> list[int]:
        """Return the tables' positions in the catalog, best first, archived tables last.

        A table ranks lower for each better match among its siblings (`_SIBLING_SHARE`).
        """
        ranked = sorted(scores, key=lambda number: (-scores[number], number))
        siblings: dict[int, int] = {}
        sunk: dict[int, float] = {}
        for number in ranked:
            parent = self._joins.parents[number]
            better = siblings.get(parent, 0) if parent is not None else 0
            sunk[number] = scores[number] * _SIBLING_SHARE**better
            if parent is not None:
                siblings[parent] = better + 1
        return sorted(ranked, key=lambda number: (number in self._archived, -sunk[number], number))


def _search_words(text: str) -> list[str]:
    words = [word for word in dict.fromkeys(split_words(text)) if word not in STOP_WORDS]
    return words[:_MAX_QUERY_WORDS]


def _names_in(table: Table) -> Iterator[str]:
    yield table.name
    for column in table.columns:
        yield column.name


def _build_full_text(tables: Sequence[Table]) -> "sqlite3.Connection":
    import sqlite3

    # Built in one thread and queried in others, one at a time.
    connection = sqlite3.connect(":memory:", check_same_thread=False)
    connection.execute(
        "CREATE VIRTUAL TABLE tables USING fts5(name, columns, comments, content='', "
        "tokenize='porter unicode61 remove_diacritics 2')"
    )
    connection.executemany(
        "INSERT INTO tables (rowid, name, columns, comments) VALUES (?, ?, ?, ?)",
        ((number, *_document(table)) for number, table in enumerate(tables)),
    )
    # FTS5 gives almost no weight to a word that at least half of the rows contain, such as "order" in a shop.
    # One more empty row for each table prevents that.
    connection.executemany(
        "INSERT INTO tables (rowid, name, columns, comments) VALUES (?, '', '', '')",
        ((number,) for number in range(len(tables), 2 * len(tables))),
    )
    return connection


@lru_cache(_KEPT_NAMES)
def _spaced(name: str) -> str:
    return " ".join(split_words(name))


def _document(table: Table) -> tuple[str, str, str]:
    names = " ".join(split_words(table.name))
    columns = " ".join(_spaced(column.name) for column in table.columns)
    texts = chain(
        [table.schema, table.comment],
        *((column.comment, *column.enum_labels, *column.values) for column in table.columns),
    )
    return names, columns, " ".join(split_words(" ".join(texts)))
