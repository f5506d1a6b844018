"""Chooses the tables that a prompt shows, and shortens them until they fit.

The whole schema is shown if it fits. Otherwise the prompt has the tables that match the question, the tables
they join through, and names of others. A table that is too wide is shown with the columns that the question
is likely to need.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, replace
from itertools import chain, takewhile

from pgmcp.catalog.catalog import Catalog, Column, Table
from pgmcp.catalog.identifiers import split_words
from pgmcp.catalog.rendering import USUAL_LIMITS, LineLimits, prompt_line
from pgmcp.lookup.search import index_of
from pgmcp.plural import count_of

_FEWEST_TOKENS = 40
"""If fewer tokens are left, no further table is tried: hardly any would fit, and each try takes time."""

_LIMITS = (
    LineLimits(values=100, comment_characters=2_000),  # everything in the catalog
    LineLimits(values=USUAL_LIMITS.values, comment_characters=2_000),
    USUAL_LIMITS,
    LineLimits(values=8, comment_characters=80),
)
"""Tried in order until the whole schema fits: shorter lists of values, then shorter comments, then both."""

_NARROWED_TABLES = 4
"""How many of the best tables are shown with some of their columns if they do not fit with all of them."""

# The rest of the budget is for names of further tables, so that the model can ask for a better one.
_TABLES_SHARE_OF_BUDGET = 0.85


@dataclass(frozen=True, slots=True)
class Selection:
    """The part of a schema that a prompt shows.

    Attributes:
        text: the tables as `prompt_line` writes them, and after them perhaps names of others.
        tables: the tables that are shown with columns.
    """

    text: str
    tables: tuple[Table, ...]


def select_for_prompt(
    catalog: Catalog, question: str, *, token_budget: int, count_tokens: Callable[[str], int]
) -> Selection:
    """Return the part of the schema for a prompt about this question, in at most `token_budget` tokens.

    Returns the whole schema if it fits, shortened as little as possible (see `_LIMITS`). Otherwise returns
    the tables that match the question, the tables they join through, and, if there is room, the names of
    others.
    """
    whole = select_whole(catalog, token_budget=token_budget, count_tokens=count_tokens)
    if whole is not None:
        return whole
    index = index_of(catalog)
    chosen = _Lines(int(token_budget * _TABLES_SHARE_OF_BUDGET), count_tokens)
    words = index.words(question)
    relevant = enumerate(takewhile(lambda table: chosen.has_room, index.relevant(question)))
    shown = tuple(
        table
        for place, table in relevant
        if chosen.add(prompt_line(table, catalog))
        or (place < _NARROWED_TABLES and _add_shortened(chosen, table, catalog, words))
    )
    if chosen.has_room:
        for place, table in enumerate(shown):
            chosen.replace(place, prompt_line(table, catalog, _LIMITS[0]))
    ids = {id(table) for table in shown}
    further = (table for table in index.by_relevance(question) if id(table) not in ids)
    names = (catalog.display_name(table) for table in further)
    return Selection(_with_names(chosen, names, token_budget, count_tokens), shown)


def select_whole(
    catalog: Catalog, *, token_budget: int, count_tokens: Callable[[str], int]
) -> Selection | None:
    """Return the whole schema, shortened as little as possible (see `_LIMITS`); None if it does not fit."""
    for limits in _LIMITS:
        whole = _Lines(token_budget, count_tokens)
        if all(whole.add(prompt_line(table, catalog, limits)) for table in catalog.tables):
            return Selection(whole.text(), catalog.tables)
    return None


def _add_shortened(chosen: "_Lines", table: Table, catalog: Catalog, words: Collection[str]) -> bool:
    """Add the table with shorter lists and comments, or else with some of its columns, if that fits."""
    if chosen.add(prompt_line(table, catalog, _LIMITS[-1])):
        return True

    def fits(narrowed: Table) -> bool:
        return chosen.fits_half(prompt_line(narrowed, catalog, _LIMITS[-1]))

    narrowed = _narrow(table, words, fits)
    return narrowed is not None and chosen.add(prompt_line(narrowed, catalog, _LIMITS[-1]))


class _Lines:
    """Lines of text within a budget of tokens."""

    def __init__(self, token_budget: int, count_tokens: Callable[[str], int]) -> None:
        self._tokens_left = token_budget
        self._count_tokens = count_tokens
        self._lines: list[str] = []

    @property
    def has_room(self) -> bool:
        """Whether another line may fit."""
        return self._tokens_left >= _FEWEST_TOKENS

    def add(self, line: str) -> bool:
        """Add the line if it fits; return whether it fits."""
        tokens = self._count_tokens(line + "\n")
        if tokens > self._tokens_left:
            return False
        self._tokens_left -= tokens
        self._lines.append(line)
        return True

    def fits_half(self, line: str) -> bool:
        """Return whether a line leaves half of the room for others."""
        return self._count_tokens(line + "\n") <= self._tokens_left // 2

    def replace(self, place: int, line: str) -> None:
        """Replace a line by another one, if that fits."""
        added_tokens = self._count_tokens(line + "\n") - self._count_tokens(self._lines[place] + "\n")
        if added_tokens <= self._tokens_left:
            self._tokens_left -= added_tokens
            self._lines[place] = line

    def text(self) -> str:
        return "\n".join(self._lines)


def _with_names(
    chosen: _Lines, names: Iterable[str], token_budget: int, count_tokens: Callable[[str], int]
) -> str:
    text = chosen.text()
    tokens_left = token_budget - count_tokens(text) - count_tokens("\nfurther tables, names only: …")
    listed = []
    for name in names:
        tokens_left -= count_tokens(f"{name}, ")
        if tokens_left < 0:
            break
        listed.append(name)
    if not listed:
        return text
    return f"{text}\nfurther tables, names only: {', '.join(listed)}"


def _narrow(table: Table, words: Collection[str], fits: Callable[[Table], bool]) -> Table | None:
    """Return the table with as many columns as fit; None if not even one does.

    Keys come first, then columns with words of the question in their names, comments or values, then others.
    The columns keep their order, and the table's comment says how many are missing.
    """
    keys = {*table.primary_key, *chain.from_iterable(key.columns for key in table.foreign_keys)}
    ranked = sorted(table.columns, key=lambda column: _rank_column(column, keys, words))
    least, most = 0, len(ranked) - 1
    while least < most:
        middle = (least + most + 1) // 2
        least, most = (middle, most) if fits(_keep(table, ranked[:middle])) else (least, middle - 1)
    kept = _keep(table, ranked[:least])
    return kept if least and fits(kept) else None


def _rank_column(column: Column, keys: Collection[str], words: Collection[str]) -> int:
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
