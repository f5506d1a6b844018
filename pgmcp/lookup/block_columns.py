"""Traces the columns of a SELECT block to columns of tables, through subqueries and WITH queries.

A subquery or WITH query that returns each row of its own FROM is replaced by the tables in it:

    WITH x AS (SELECT o.total, i.amount FROM orders AS o JOIN order_items AS i …) SELECT sum(total) FROM x
    tables    orders and order_items, under the aliases "x" + "o" and "x" + "i"
    total     the column of orders
"""

from collections.abc import Iterator
from typing import NamedTuple

from pgmcp.catalog.catalog import Catalog, Table
from pgmcp.validation.select_blocks import ColumnName, Expression, SelectBlock

_ALIAS_SEPARATOR = "\0"
"""Separates the alias of a subquery from one inside it; no name contains it."""


class TableColumn(NamedTuple):
    """A column of a table, by the table's alias in the block."""

    alias: str
    name: str

    @property
    def outer_alias(self) -> str:
        """The alias in the block's own FROM."""
        return self.alias.partition(_ALIAS_SEPARATOR)[0]

    @property
    def inner_alias(self) -> str:
        """The alias inside the subquery; "" if the table is not in one."""
        return self.alias.partition(_ALIAS_SEPARATOR)[2]


class BlockColumns:
    """Resolves the columns of one block.

    Attributes:
        tables: by alias, in the order of FROM.
        has_unique_aliases: whether no two sources have the same alias.
    """

    def __init__(self, block: SelectBlock, catalog: Catalog) -> None:
        self._block = block
        self._sources: dict[str, Table | BlockColumns | None] = {}
        for source in block.sources:
            if source.derived is not None:
                self._sources[source.alias] = BlockColumns(source.derived, catalog)
            else:
                self._sources[source.alias] = catalog.find(source.relation) if source.relation else None
        self.has_unique_aliases = len(self._sources) == len(block.sources)
        self.tables = dict(self._tables())

    def expand(self, column: ColumnName) -> tuple[TableColumn, ...]:
        """Return the columns of tables that a column is computed from; () if one is unknown."""
        return self._expand(column)[0]

    def resolve(self, column: ColumnName) -> TableColumn | None:
        """Return the column of a table that this column shows as it is; None if it is computed or unknown."""
        columns, is_plain = self._expand(column)
        return columns[0] if is_plain and columns else None

    def equalities(self) -> Iterator[tuple[TableColumn, TableColumn | None]]:
        """Yield the pairs of columns that are equal in every row; None stands for a constant."""
        for one, other in self._block.equalities:
            left = self.resolve(one)
            right = self.resolve(other) if other is not None else None
            if left is not None and (other is None or right is not None):
                yield left, right
        yield from self._natural_equalities()
        for alias, source in self._sources.items():
            if isinstance(source, BlockColumns):
                for inner, other_inner in source.equalities():
                    yield _nested(alias, inner), other_inner and _nested(alias, other_inner)

    def _natural_equalities(self) -> Iterator[tuple[TableColumn, TableColumn]]:
        for left_alias, right_alias in self._block.natural_joins:
            for name in self._names_of(left_alias) & self._names_of(right_alias):
                left, right = (self.resolve(ColumnName(alias, name)) for alias in (left_alias, right_alias))
                if left is not None and right is not None:
                    yield left, right

    def _tables(self) -> Iterator[tuple[str, Table]]:
        for alias, source in self._sources.items():
            if isinstance(source, BlockColumns):
                yield from (
                    (f"{alias}{_ALIAS_SEPARATOR}{inner_alias}", table)
                    for inner_alias, table in source.tables.items()
                )
            elif source is not None:
                yield alias, source

    def _expand(self, column: ColumnName) -> tuple[tuple[TableColumn, ...], bool]:
        if column.qualifier:
            aliases = [column.qualifier]
        elif None in self._sources.values():
            return (), False
        else:
            aliases = [alias for alias in self._sources if self._has(alias, column.name)]
        # If several sources have it, USING or NATURAL has merged them; otherwise PostgreSQL refuses the name.
        return self._expand_in(aliases[0], column.name) if aliases else ((), False)

    def _expand_in(self, alias: str, name: str) -> tuple[tuple[TableColumn, ...], bool]:
        source = self._sources.get(alias)
        if isinstance(source, BlockColumns):
            columns, is_plain = source._output(name)
            return tuple(_nested(alias, column) for column in columns), is_plain
        return ((TableColumn(alias, name),), True) if self._has(alias, name) else ((), False)

    def _output(self, name: str) -> tuple[tuple[TableColumn, ...], bool]:
        """Return what a column of the select list is computed from, and whether it is a table's column."""
        if name not in self._block.outputs:
            found = (self._expand(ColumnName(star, name)) for star in self._block.stars)
            return next((each for each in found if each[0]), ((), False))
        expression = self._block.outputs[name]
        return self.expand_all(expression) or (), expression.is_plain and self._is_plain(expression)

    def expand_all(self, expression: Expression) -> tuple[TableColumn, ...] | None:
        """Return the columns of tables that an expression is computed from; None if one is unknown."""
        expanded = [self.expand(column) for column in expression.columns]
        return tuple(column for columns in expanded for column in columns) if all(expanded) else None

    def _is_plain(self, expression: Expression) -> bool:
        return self.resolve(expression.columns[0]) is not None

    def _has(self, alias: str, name: str) -> bool:
        return name in self._names_of(alias)

    def _names_of(self, alias: str) -> set[str]:
        source = self._sources.get(alias)
        if isinstance(source, BlockColumns):
            return source._output_names()
        return {column.name for column in source.columns} if source is not None else set()

    def _output_names(self) -> set[str]:
        names = set(self._block.outputs)
        for star in self._block.stars:
            for alias in [star] if star else self._sources:
                names |= self._names_of(alias)
        return names


def _nested(alias: str, column: TableColumn) -> TableColumn:
    return TableColumn(f"{alias}{_ALIAS_SEPARATOR}{column.alias}", column.name)
