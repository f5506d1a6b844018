"""Finds aggregates over rows that a join repeats, such as sum(orders.total) after a join with order_items.

The keys, and the columns that the query equates, show whether a row of one table determines at most one row
of another. An aggregate over a table is suspect if a row of this table may meet several rows of another table
in the join. Then a second query checks whether the join really repeats rows within a group, because a
condition may leave only one of them. If no row is repeated, nothing is reported. If the check fails, the
aggregate is reported as uncertain.

Effects of repeated rows:

    sum, avg, stddev, variance, percentile, mode   a repeated row counts more than once
    count(key)                                     the same, unless the groups are rows of that table
    min, max, bool_and, bool_or, DISTINCT          repeats change nothing
    count(*)                                       counts rows of the join, which may be intended

A repeated row is not always a mistake: sum(products.price) over order items adds the price of each item sold.
So the model is asked to reconsider in two cases only: the repeating table is a part of the aggregated one
(order_items of orders), or two tables repeat each other's rows (orders and payments of customers). In other
cases, the answer has a note if FROM lists the aggregated table before the tables that repeat its rows.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pgmcp.catalog.catalog import Catalog, Table
from pgmcp.catalog.identifiers import singular, split_words
from pgmcp.errors import DeadlineExceededError, PgmcpError
from pgmcp.execution.result import Rows
from pgmcp.lookup.block_columns import BlockColumns, TableColumn
from pgmcp.quoting import quote_identifier
from pgmcp.validation.select_blocks import Aggregate, Expression, SelectBlock, read_select_blocks

logger = logging.getLogger(__name__)

_WEIGHED: Final = frozenset(
    {"sum", "avg", "stddev", "stddev_pop", "stddev_samp", "variance", "var_pop", "var_samp"}
    | {"mode", "percentile_cont", "percentile_disc"}
)
# Amounts per unit, such as a price: a sum over rows that refer to them usually repeats them on purpose.
_UNIT_WORD_LIST: Final = """
age capacity cost credits distance duration fee height hours length level msrp points price quantity rank rate
rating salary score size wage weight year
"""
_UNIT_WORDS: Final = frozenset(_UNIT_WORD_LIST.split())
_PLAIN_INDEX: Final = re.compile(r"\w+ \([^()]*\)(?: INCLUDE \([^()]*\))?(?: NULLS NOT DISTINCT)?")
_PROBE: Final = "SELECT EXISTS (SELECT {repeated})"
_MAX_PROBES: Final = 8
"""Maximum number of probes for one statement; aggregates of the same rows need only one."""

Fetch = Callable[[str], Awaitable[Rows]]


@dataclass(frozen=True, slots=True)
class FanOut:
    """An aggregate over rows that a join may repeat.

    Attributes:
        aggregated: the aggregates, such as "sum(orders.total)".
        table: the tables whose rows are repeated, joined with "and".
        repeated_by: the joined tables that repeat these rows.
        is_offered: whether the model should be asked to reconsider.
        is_certain: whether repeated rows were found; False if the check failed.
        probe: SQL that returns whether the join repeats rows within a group.
    """

    aggregated: tuple[str, ...]
    table: str
    repeated_by: tuple[str, ...]
    is_offered: bool
    is_certain: bool
    probe: str

    def describe(self) -> str:
        """Return what is wrong and what to write instead."""
        takes = ("takes" if len(self.aggregated) == 1 else "take") if self.is_certain else "may take"
        others = " and ".join(self.repeated_by)
        return (
            f"{' and '.join(self.aggregated)} {takes} rows of {self.table} more than once, because the "
            f"join with {others} repeats them: to take each once, aggregate {self.table} before the join, "
            "or use EXISTS"
        )


def find_suspects(sql: str, catalog: Catalog) -> list[FanOut]:
    """Return the aggregates over rows that a join may repeat according to the keys."""
    suspects = (
        suspect for block in read_select_blocks(sql) for suspect in _SuspectFinder(block, catalog).suspects()
    )
    return list(dict.fromkeys(suspects))


async def confirm_repeated_rows(suspects: Sequence[FanOut], fetch: Fetch) -> list[FanOut]:
    """Return the suspects whose join repeats rows, merged if they are over the same rows.

    Args:
        fetch: runs a probe. If it fails or takes too long, the suspect stays, but is uncertain and not
            offered. So are suspects after the first `_MAX_PROBES` probes.
    """
    kept = []
    probes = list(dict.fromkeys(suspect.probe for suspect in suspects))
    found = {probe: await _repeats(probe, fetch) for probe in probes[:_MAX_PROBES]}
    for suspect in suspects:
        if (repeats := found.get(suspect.probe)) is None:
            kept.append(replace(suspect, is_certain=False, is_offered=False))
        elif repeats:
            kept.append(suspect)
    return _merged(kept)


async def _repeats(probe: str, fetch: Fetch) -> bool | None:
    """Return whether a join repeats rows; None if that could not be checked."""
    try:
        rows = await fetch(probe)
    except PgmcpError as error:
        if not isinstance(error, DeadlineExceededError):
            logger.warning("a check for repeated rows failed (%s)", error.code)
        return None
    return bool(rows.rows and rows.rows[0][0])


def _merged(suspects: Sequence[FanOut]) -> list[FanOut]:
    """Return one suspect for all that differ only in what is aggregated."""
    groups: dict[FanOut, dict[str, None]] = {}
    for suspect in suspects:
        groups.setdefault(replace(suspect, aggregated=(), probe=""), {}).update(
            dict.fromkeys(suspect.aggregated)
        )
    return [replace(kind, aggregated=tuple(aggregated)) for kind, aggregated in groups.items()]


class _SuspectFinder:
    """Finds the suspect aggregates of one block."""

    def __init__(self, block: SelectBlock, catalog: Catalog) -> None:
        self._block = block
        self._catalog = catalog
        self._columns = BlockColumns(block, catalog)
        self._tables = self._columns.tables
        self._order = list(self._tables)
        self._classes = self._equated()

    def suspects(self) -> Iterator[FanOut]:
        if len(self._tables) < 2 or not self._columns.has_unique_aliases or not self._block.rows_span:
            return
        for aggregate in self._block.aggregates:
            columns = self._columns.expand_all(Expression(aggregate.columns, is_plain=False))
            if columns:
                yield from self._judge(aggregate, tuple(dict.fromkeys(columns)))

    def _judge(self, aggregate: Aggregate, columns: Sequence[TableColumn]) -> Iterator[FanOut]:
        owners = list(dict.fromkeys(alias for alias, _ in columns))
        determined = self._determined_by(owners)
        repeating = [alias for alias in self._tables if alias not in determined]
        if not repeating or not all(alias in self._tables and self._keys(alias) for alias in owners):
            return
        is_offered = self._is_mistake(owners, repeating)
        if aggregate.function == "count":
            is_suspect = is_offered and self._counts_rows(columns)
            is_offered = False
        else:
            is_suspect = aggregate.function in _WEIGHED and (
                is_offered or self._is_listed_first(aggregate, owners, repeating, columns)
            )
        if is_suspect:
            yield self._suspect(aggregate, columns, repeating, determined, is_offered=is_offered)

    def _suspect(
        self,
        aggregate: Aggregate,
        columns: Sequence[TableColumn],
        repeating: Sequence[str],
        determined: set[str],
        *,
        is_offered: bool,
    ) -> FanOut:
        owners = list(dict.fromkeys(alias for alias, _ in columns))
        grouped, is_whole = self._grouped(determined)
        names = [self._catalog.display_name(self._tables[alias]) for alias in owners]
        shown = ", ".join(
            f"{self._catalog.display_name(self._tables[alias])}.{quote_identifier(name)}"
            for alias, name in columns
        )
        return FanOut(
            aggregated=(f"{aggregate.function}({shown})",),
            table=" and ".join(names),
            repeated_by=tuple(self._catalog.display_name(self._tables[alias]) for alias in repeating),
            is_offered=is_offered and is_whole,
            is_certain=True,
            probe=self._probe(owners, grouped, aggregate.filter_sql),
        )

    def _probe(self, owners: Sequence[str], grouped: Sequence[TableColumn], filter_sql: str) -> str:
        block, exposed = self._block, _ExposedColumns(self._block)
        keys = [TableColumn(alias, name) for alias in owners for name in self._keys(alias)[0]]
        group_by = ", ".join(exposed.sql_of(column) for column in dict.fromkeys([*keys, *grouped]))
        present = " AND ".join(f"{exposed.sql_of(column)} IS NOT NULL" for column in keys)
        counted = f"count(*) FILTER (WHERE {filter_sql}\n)" if filter_sql else "count(*)"
        rows = block.rows_sql(exposed.inserted)
        repeated = f"{rows}\nGROUP BY {group_by} HAVING {counted} > 1 AND {present}"
        return f"{block.with_sql(exposed.inserted)}{_PROBE.format(repeated=repeated)}"

    def _grouped(self, determined: set[str]) -> tuple[list[TableColumn], bool]:
        """Return the columns that the block groups by, and whether nothing else splits its groups."""
        grouped: list[TableColumn] = []
        is_whole = True
        for item in self._block.grouped:
            expression = self._output_of(item)
            column = self._columns.resolve(expression.columns[0]) if expression.is_plain else None
            columns = self._columns.expand_all(expression)
            if column is not None:
                grouped.append(column)
            elif columns is None or any(each.alias not in determined for each in columns):
                is_whole = False
        return grouped, is_whole

    def _output_of(self, item: Expression) -> Expression:
        """Return the select list's expression if GROUP BY uses its name."""
        if item.is_plain and not item.columns[0].qualifier and not self._columns.expand(item.columns[0]):
            return self._block.outputs.get(item.columns[0].name, item)
        return item

    def _is_mistake(self, owners: Sequence[str], repeating: Sequence[str]) -> bool:
        """Return whether a repeating table is part of an aggregated one, or tables repeat each other."""
        if not any(self._determined_by([alias]) >= self._tables.keys() for alias in self._tables):
            return True
        return any(self._is_part(part, whole) for part in repeating for whole in owners)

    def _is_part(self, part: str, whole: str) -> bool:
        part_table, whole_table = self._tables[part], self._tables[whole]
        if whole not in self._determined_by([part]):
            return False
        beginning, words = _name_words(whole_table), _name_words(part_table)
        if len(beginning) < len(words) and words[: len(beginning)] == beginning:
            return True
        referring = {
            column
            for key in part_table.foreign_keys
            for column in key.columns
            if (key.referenced_schema, key.referenced_table) == (whole_table.schema, whole_table.name)
        }
        others = {column for key in part_table.foreign_keys for column in key.columns} - referring
        key_columns = set(part_table.primary_key)
        return bool(referring) and referring < key_columns and not key_columns & others

    def _counts_rows(self, columns: Sequence[TableColumn]) -> bool:
        """Return whether count() counts a key, and the query does not group by columns of its table."""
        if len(columns) != 1 or (columns[0].name,) not in self._keys(columns[0].alias):
            return False
        grouped = [self._columns.expand_all(self._output_of(item)) for item in self._block.grouped]
        return all(
            item is not None and all(column.alias != columns[0].alias for column in item) for item in grouped
        )

    def _is_listed_first(
        self,
        aggregate: Aggregate,
        owners: Sequence[str],
        repeating: Sequence[str],
        columns: Sequence[TableColumn],
    ) -> bool:
        words = {word for _, name in columns for word in split_words(name)}
        last_owner = max(self._order.index(alias) for alias in owners)
        if any(self._order.index(alias) < last_owner for alias in repeating):
            return False
        # Each item of an order uses the product's price again, so its sum is intended. A payment of a sale
        # does not use the sale's price again.
        is_sum_of_uses = aggregate.function == "sum" and not words.isdisjoint(_UNIT_WORDS)
        return not is_sum_of_uses or all(
            self._refers_only_to(alias, [*owners, *repeating]) for alias in repeating
        )

    def _refers_only_to(self, alias: str, aliases: Sequence[str]) -> bool:
        names = {(self._tables[each].schema, self._tables[each].name) for each in aliases}
        keys = self._tables[alias].foreign_keys
        return bool(keys) and all((key.referenced_schema, key.referenced_table) in names for key in keys)

    def _keys(self, alias: str) -> list[tuple[str, ...]]:
        table = self._tables[alias]
        keys = [table.primary_key, *table.unique_constraints]
        keys += [
            index.columns
            for index in table.indexes
            if index.is_unique and _PLAIN_INDEX.fullmatch(index.definition)
        ]
        return [key for key in keys if key and key not in table.without_overlaps]

    def _determined_by(self, aliases: Sequence[str]) -> set[str]:
        """Return the tables in which a combination of rows of `aliases` determines one row."""
        known = set(aliases)
        while added := {alias for alias in self._tables.keys() - known if self._is_determined(alias, known)}:
            known |= added
        return known

    def _is_determined(self, alias: str, known: set[str]) -> bool:
        return any(
            all(self._is_fixed(TableColumn(alias, name), known) for name in key) for key in self._keys(alias)
        )

    def _is_fixed(self, column: TableColumn, known: set[str]) -> bool:
        equated = self._classes.get(column, frozenset())
        return None in equated or any(other is not None and other.alias in known for other in equated)

    def _equated(self) -> Mapping[TableColumn, "frozenset[TableColumn | None]"]:
        """Return, for each column, the columns that equal it in every row; None stands for a constant."""
        classes: dict[TableColumn, set[TableColumn | None]] = {}
        for left, right in self._columns.equalities():
            merged = classes.get(left, {left}) | (classes.get(right, {right}) if right else {None})
            for column in merged:
                if column is not None:
                    classes[column] = merged
        return {column: frozenset(merged) for column, merged in classes.items()}


class _ExposedColumns:
    """Writes columns as a block can name them; a column inside a subquery is added to its select list.

    Attributes:
        inserted: texts to insert into the query, by offset.
    """

    def __init__(self, block: SelectBlock) -> None:
        self._spans = {
            source.alias: source.derived.rows_span for source in block.sources if source.derived is not None
        }
        self._names: dict[TableColumn, str] = {}
        self.inserted: dict[int, str] = {}

    def sql_of(self, column: TableColumn) -> str:
        """Return the column as the block may write it."""
        if not column.inner_alias:
            return _qualified(column.alias, column.name)
        if column not in self._names:
            self._names[column] = f"pgmcp {len(self._names) + 1}"
            offset = (self._spans[column.outer_alias] or (0, 0))[0]
            added = _qualified(column.inner_alias, column.name)
            added = f", {added} AS {quote_identifier(self._names[column])}\n"
            self.inserted[offset] = self.inserted.get(offset, "") + added
        return _qualified(column.outer_alias, self._names[column])


def _qualified(alias: str, name: str) -> str:
    return f"{quote_identifier(alias)}.{quote_identifier(name)}"


def _name_words(table: Table) -> list[str]:
    words = split_words(table.name)
    return [*words[:-1], *(singular(word) for word in words[-1:])]
