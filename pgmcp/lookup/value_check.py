"""Finds texts that a query compares with columns that do not contain them, and similar values of the columns.

The catalog's lists of values are checked first. If they are incomplete, at most `_MAX_SCANNED_ROWS` rows of
the table are read. For a column whose values may not be shown, the only thing reported is that it contains
the same text in another case. These findings are only suspicions, because functions around the column,
collations and types decide what compares equal. So PostgreSQL evaluates each condition as written before
anything is reported (`confirm_mismatches`).
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from pgmcp.catalog.catalog import Catalog, Column, Table
from pgmcp.catalog.known_values import text_of
from pgmcp.catalog.rendering import column_name, value_literal
from pgmcp.errors import PgmcpError
from pgmcp.execution.result import Rows
from pgmcp.lookup.similarity import fold, nearest
from pgmcp.quoting import quote_identifier, quote_literal
from pgmcp.validation.references import References, TextComparison

MAX_LOOKUPS: Final = 3
"""Maximum number of columns queried for one statement."""

_MAX_SCANNED_ROWS = 100_000
_MAX_FOUND_VALUES = 300
_MAX_TEXT_CHARACTERS = 100
_MAX_SHOWN_VALUES = 8

_FOLD_BY_FUNCTION: dict[str, Callable[[str], str]] = {"lower": str.lower, "upper": str.upper}

_NEAR_VALUES = """\
SELECT s.value
FROM (SELECT {value} AS value FROM {table} AS t
      WHERE t.{column} IS NOT NULL LIMIT {scanned}::pg_catalog.int8) AS s
WHERE length(s.value) <= {longest}
GROUP BY s.value
ORDER BY lower(s.value) = lower({text}) DESC, strpos(lower(s.value), lower({text})) > 0 DESC,
         abs(length(s.value) - length({text}))
LIMIT {found}::pg_catalog.int8"""

_NO_VALUE = "(SELECT t.{column} FROM {table} AS t LIMIT 0)"

Fetch = Callable[[str], Awaitable[Rows]]
"""Runs one statement with limits; it may fail."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of a column with a text.

    Attributes:
        written: the comparison as the query has it.
    """

    table: Table
    column: Column
    written: TextComparison

    @property
    def text(self) -> str:
        """The text that the column is compared with."""
        return self.written.text

    @property
    def seems_impossible(self) -> bool:
        """Whether the comparison may be false for every value, such as lower(city) = 'New York'.

        Only PostgreSQL knows, because the collation decides which letters change case, and how.
        """
        fold = _FOLD_BY_FUNCTION.get(self.written.case_function)
        return fold is not None and not self.written.ignores_case and fold(self.text) != self.text

    def matches(self, value: str) -> bool:
        """Return whether the comparison holds for a value of the column."""
        fold = _FOLD_BY_FUNCTION.get(self.written.case_function, str)
        return self._holds(self.text, fold(value), ignoring_case=self.written.ignores_case)

    def matches_ignoring_case(self, value: str) -> bool:
        """Return whether the comparison holds for a value of the column when case is ignored."""
        return self._holds(self.text, value, ignoring_case=True)

    def _holds(self, text: str, value: str, *, ignoring_case: bool) -> bool:
        if ignoring_case:
            text, value = text.lower(), value.lower()
        return text in value if self.written.is_pattern else text == value


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A text that a column does not contain.

    Attributes:
        comparison: the comparison with the text.
        values: values of the column, most similar first; empty if they may not be shown.
        differs_in_case: whether the column contains the text in another case.
        case_function: "lower" or "upper" if the query calls it and it never returns a text in this case; else
            "".
    """

    comparison: Comparison
    values: tuple[str, ...]
    differs_in_case: bool
    case_function: str = ""

    @property
    def column(self) -> str:
        """The column, qualified by its table, as SQL spells it."""
        table, column = self.comparison.table, self.comparison.column
        return f"{quote_identifier(table.name)}.{column_name(None, table, column)}"

    @property
    def text(self) -> str:
        """The text that the column is compared with."""
        return self.comparison.text

    def describe(self) -> str:
        """Return a one-line description, with values as SQL literals."""
        text = value_literal(self.text)
        if self.case_function:
            return f"{self.case_function}({self.column}) is never {text}: write the text in that case"
        if self.values:
            values = ", ".join(map(value_literal, self.values))
            return f"{self.column} = {text} is not in the data; it holds {values}"
        return f"{self.column} = {text} is in the data in another case only: compare without regard to case"


def resolve(references: References, catalog: Catalog) -> list[Comparison]:
    """Return the comparisons with a text or enum column that the catalog has exactly once."""
    return [
        Comparison(table, column, written)
        for written in dict.fromkeys(references.comparisons)
        for table, column in _column_of(written, references, catalog)
        if _can_be_checked(column, written.text)
    ]


def check_listed(comparisons: Iterable[Comparison]) -> list[Mismatch]:
    """Return the texts that seem to be missing from a complete list of values, or to match no value."""
    mismatches = []
    for each in comparisons:
        values = _listed(each.column)
        if each.seems_impossible:
            mismatches.append(Mismatch(each, (), True, each.written.case_function))
        elif values and not any(map(each.matches, values)):
            mismatches.append(_mismatch(each, values))
    return mismatches


async def check_unlisted(
    comparisons: Iterable[Comparison], catalog: Catalog, fetch: Fetch, *, max_rows: int | None = None
) -> list[Mismatch]:
    """Return the texts that their table's column does not contain, if it contains similar values.

    Args:
        comparisons: those whose column has a list of values are skipped.
        catalog: decides which values may be shown.
        fetch: if it raises an error, nothing is found.
        max_rows: skip larger tables and tables of unknown size; None skips none.
    """
    unlisted = [
        each
        for each in comparisons
        if not _listed(each.column) and not each.seems_impossible and _is_within(each.table, max_rows)
    ]
    mismatches = [await _look_up(each, catalog, fetch) for each in unlisted[:MAX_LOOKUPS]]
    return [mismatch for mismatch in mismatches if mismatch is not None]


async def confirm_mismatches(mismatches: Sequence[Mismatch], fetch: Fetch) -> list[Mismatch]:
    """Return the mismatches whose condition PostgreSQL finds false for every row.

    If a mismatch is about the case of a text, the condition must also be false for the text itself.

    Args:
        fetch: runs a statement. If it fails, for example because a large table has no such row, the condition
            is evaluated for the mismatch's own values instead. If this fails, too, only comparisons with the
            bare column stay.
    """
    if not mismatches:
        return []
    met = await _evaluate([_holds_for_a_row(each) for each in mismatches], fetch)
    if met is None:
        met = await _evaluate([_holds_for_own_values(each) for each in mismatches], fetch)
    if met is None:
        written = [each.comparison.written for each in mismatches]
        met = [each.is_computed or bool(each.case_function) for each in written]
    return [each for each, is_met in zip(mismatches, met, strict=True) if not is_met]


async def _evaluate(conditions: Sequence[str], fetch: Fetch) -> list[bool] | None:
    """Return whether each condition holds; None if the statement fails."""
    try:
        rows = await fetch(f"SELECT {', '.join(conditions)}")
    except PgmcpError:
        return None
    return [bool(cell) for cell in rows.rows[0]]


def _holds_for_a_row(mismatch: Mismatch) -> str:
    table, written = mismatch.comparison.table, mismatch.comparison.written
    exists = f"EXISTS (SELECT FROM {_qualified_name(table)} AS t WHERE {written.condition})"
    return f"({exists} OR {_holds_for_own_values(mismatch)})" if mismatch.case_function else exists


def _holds_for_own_values(mismatch: Mismatch) -> str:
    """Return SQL that evaluates the condition without reading a row.

    If the mismatch is about the case of a text, the SQL evaluates the condition for the text itself, else for
    the similar values. If a function computes the compared value, similar values say nothing, so the SQL is
    `true`.
    """
    written, column = mismatch.comparison.written, mismatch.comparison.column
    if mismatch.case_function:
        values: tuple[str, ...] = (written.text.replace("\\", "") if written.is_pattern else written.text,)
    elif written.is_computed:
        return "true"
    else:
        values = mismatch.values
    if not values:
        return "false"
    name = quote_identifier(column.name)
    # The subquery returns no row; it gives the value the column's type and collation. It is left out for an
    # enum, because a text that is not a label cannot have that type.
    typed = _NO_VALUE.format(column=name, table=_qualified_name(mismatch.comparison.table))
    as_column = f"COALESCE({typed}, {{}})" if not column.enum_labels else "{}"
    selects = [f"SELECT {as_column.format(quote_literal(value))} AS {name}" for value in values]
    return f"EXISTS (SELECT FROM ({' UNION ALL '.join(selects)}) AS t WHERE {written.condition})"


def _qualified_name(table: Table) -> str:
    return f"{quote_identifier(table.schema)}.{quote_identifier(table.name)}"


async def _look_up(comparison: Comparison, catalog: Catalog, fetch: Fetch) -> Mismatch | None:
    table, column = comparison.table, comparison.column
    values = await _near_values(comparison, fetch)
    if any(map(comparison.matches, values)):
        return None
    if not catalog.scope.shows_values(table.schema, table.name, column.name):
        is_there = any(map(comparison.matches_ignoring_case, values))
        if not is_there:
            return None
        return Mismatch(comparison, (), differs_in_case=True)
    near = nearest(comparison.text, values, limit=_MAX_SHOWN_VALUES, text_of=str)
    return _mismatch(comparison, tuple(near)) if near else None


def _listed(column: Column) -> tuple[str, ...]:
    """Return all values of the column if the list is complete; else ()."""
    return () if column.may_hold_others else column.enum_labels or column.values


def _is_within(table: Table, max_rows: int | None) -> bool:
    return max_rows is None or (table.estimated_rows is not None and table.estimated_rows <= max_rows)


async def find_spelling(column: str, text: str, catalog: Catalog, fetch: Fetch) -> str | None:
    """Return the value of a column that equals a text except for case, spacing and punctuation.

    Args:
        column: `table.column` or `schema.table.column`.
        text: the text, from the question.
        catalog: contains the column.
        fetch: if it raises an error, nothing is found.

    Returns:
        None if the column has no such value, or has several and none of them is exactly the text.
    """
    relation, _, name = column.rpartition(".")
    table = catalog.find(relation)
    found = next((each for each in table.columns if each.name == name), None) if table else None
    if table is None or found is None:
        return None
    comparison = Comparison(table, found, TextComparison("", name, text))
    spelling = _spelling_among(_listed(found), text)
    if spelling is None and (found.may_hold_others or not found.enum_labels):
        # The value may have been added after the list was read.
        spelling = _spelling_among(await _near_values(comparison, fetch), text)
    return spelling


def _spelling_among(values: Iterable[str], text: str) -> str | None:
    for equals in (str.__eq__, _equals_in_any_case, _equals_when_folded):
        same = [value for value in values if equals(value, text)]
        if same:
            return same[0] if len(same) == 1 else None
    return None


def _equals_in_any_case(one: str, other: str) -> bool:
    return one.lower() == other.lower()


def _equals_when_folded(one: str, other: str) -> bool:
    return fold(one) == fold(other)


def _column_of(
    written: TextComparison, references: References, catalog: Catalog
) -> list[tuple[Table, Column]]:
    """Return the column that the comparison refers to, or [] if no column or several may be meant."""
    # A column of a WITH query or subquery usually belongs to a table inside it.
    relations = references.relations_of(written.qualifier) or references.relations_of("")
    tables = dict.fromkeys(table for name in relations if (table := catalog.find(name)) is not None)
    found = [(table, column) for table in tables for column in table.columns if column.name == written.column]
    return found if len(found) == 1 else []


def _can_be_checked(column: Column, text: str) -> bool:
    return 0 < len(text) <= _MAX_TEXT_CHARACTERS and (column.is_text or bool(column.enum_labels))


def _mismatch(comparison: Comparison, values: tuple[str, ...]) -> Mismatch:
    near = nearest(comparison.text, values, limit=_MAX_SHOWN_VALUES, text_of=str)
    return Mismatch(
        comparison,
        tuple(near) or values[:_MAX_SHOWN_VALUES],
        differs_in_case=any(map(comparison.matches_ignoring_case, values)),
    )


async def _near_values(comparison: Comparison, fetch: Fetch) -> list[str]:
    table = comparison.table
    column = quote_identifier(comparison.column.name)
    statement = _NEAR_VALUES.format(
        column=column,
        value=text_of(comparison.column, f"t.{column}"),
        table=_qualified_name(table),
        text=quote_literal(comparison.text),
        scanned=_MAX_SCANNED_ROWS,
        longest=_MAX_TEXT_CHARACTERS,
        found=_MAX_FOUND_VALUES,
    )
    try:
        rows = await fetch(statement)
    except PgmcpError:
        return []
    return [value for (value,) in rows.rows if isinstance(value, str)]
