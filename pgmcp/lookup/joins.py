"""Finds joins between tables, by declared foreign keys and by names of columns that are keys elsewhere."""

from collections.abc import Collection, Iterable, Iterator, Sequence

from pgmcp.catalog.catalog import Table
from pgmcp.catalog.identifiers import singular, split_words

_SURROGATE_KEYS = frozenset({"id", "uuid", "code", "key"})


class Joins:
    """The joins of one catalog's tables. Tables are identified by their index in the catalog.

    Attributes:
        targets: for each table, the tables it references.
        sources: for each table, the tables that reference it, without archived ones.
        parents: for each table, the table it extends: it references that table, and its name begins with that
            table's name. None for other tables.
    """

    def __init__(self, tables: Sequence[Table], archived: Collection[int]) -> None:
        references = _References(tables, archived)
        self.targets = [references.targets_of(number) for number in range(len(tables))]
        self.sources: list[list[int]] = [[] for _ in tables]
        for number, targets in enumerate(self.targets):
            if number not in archived:
                for target in targets:
                    self.sources[target].append(number)
        self.parents = [
            _parent_of(tables[number], ((target, tables[target]) for target in targets))
            for number, targets in enumerate(self.targets)
        ]


def _parent_of(table: Table, targets: Iterable[tuple[int, Table]]) -> int | None:
    words = _name_words(table)
    for number, target in targets:
        beginning = _name_words(target)
        if len(beginning) < len(words) and words[: len(beginning)] == beginning:
            return number
    return None


class _References:
    """Finds the tables that each table references."""

    def __init__(self, tables: Sequence[Table], archived: Collection[int]) -> None:
        self._tables = tables
        self._number_by_name = {(table.schema, table.name): number for number, table in enumerate(tables)}
        self._owners = _owners_of_keys(tables, archived)
        self._owner_by_column: dict[tuple[str, str], int | None] = {}

    def targets_of(self, number: int) -> list[int]:
        table = self._tables[number]
        declared = {column for key in table.foreign_keys for column in key.columns}
        found = [
            self._number_by_name.get((key.referenced_schema, key.referenced_table))
            for key in table.foreign_keys
        ]
        found += [
            self._find_owner(column.name, table.schema)
            for column in table.columns
            if column.name not in declared
        ]
        return [target for target in dict.fromkeys(found) if target is not None and target != number]

    def _find_owner(self, column: str, schema: str) -> int | None:
        # Cached: a hundred thousand columns share a few thousand names.
        if (column, schema) not in self._owner_by_column:
            self._owner_by_column[column, schema] = self._owner_of(column, schema)
        return self._owner_by_column[column, schema]

    def _owner_of(self, column: str, schema: str) -> int | None:
        """Return the table whose key has the column's name, or its name without a prefix: `picker_emp_id`.

        None if there is no such table, or if several tables are equally near.
        """
        words = split_words(column)
        for start in range(max(1, len(words) - 1)):
            owners = self._owners.get("_".join(words[start:]))
            if owners:
                near = [number for number in owners if self._tables[number].schema == schema]
                return next((found[0] for found in (near, owners) if len(found) == 1), None)
        return None


def _owners_of_keys(tables: Sequence[Table], archived: Collection[int]) -> dict[str, list[int]]:
    """Return the tables by the column names that may refer to them: `customer_id` for customers(id)."""
    owners: dict[str, list[int]] = {}
    for number, table in enumerate(tables):
        if len(table.primary_key) == 1 and number not in archived:
            for name in _names_of_key(table):
                owners.setdefault(name, []).append(number)
    return owners


def _names_of_key(table: Table) -> Iterator[str]:
    key = "_".join(split_words(table.primary_key[0]))
    if key not in _SURROGATE_KEYS:
        yield key
        return
    words = split_words(table.name)
    yield from dict.fromkeys(f"{'_'.join(name)}_{key}" for name in (words, _name_words(table)))


def _name_words(table: Table) -> list[str]:
    """Return the words of a table's name, the last one in the singular."""
    words = split_words(table.name)
    return [*words[:-1], *(singular(word) for word in words[-1:])]
