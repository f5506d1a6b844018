"""Shortens a table that is too wide for a prompt to the columns that a question is likely to need."""

from collections.abc import Callable, Collection
from dataclasses import replace
from itertools import chain

from pgmcp.catalog.catalog import Column, Table
from pgmcp.catalog.identifiers import split_words
from pgmcp.plural import count_of


def narrow(table: Table, words: Collection[str], fits: Callable[[Table], bool]) -> Table | None:
    """Return the table with as many columns as fit; None if not even one does.

    Keys come first, then columns with words of the question in their names, comments or values, then others.
    The columns keep their order, and the table's comment says how many are missing.
    """
    keys = {*table.primary_key, *chain.from_iterable(key.columns for key in table.foreign_keys)}
    ranked = sorted(table.columns, key=lambda column: _rank(column, keys, words))
    least, most = 0, len(ranked) - 1
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if fits(_keep(table, ranked[:middle])) else (least, middle - 1)
    kept = _keep(table, ranked[:least])
    return kept if least and fits(kept) else None


def _rank(column: Column, keys: Collection[str], words: Collection[str]) -> int:
    if column.name in keys:
        return 0
    texts = (column.name, column.comment, *column.enum_labels, *column.values)
    return 2 if frozenset(words).isdisjoint(split_words(" ".join(texts))) else 1


def _keep(table: Table, columns: Collection[Column]) -> Table:
    missing = len(table.columns) - len(columns)
    names = {column.name for column in columns}
    note = f"{count_of(missing, 'more column')} not shown"
    return replace(
        table,
        columns=tuple(column for column in table.columns if column.name in names),
        comment=f"{note}; {table.comment}" if table.comment else note,
    )
