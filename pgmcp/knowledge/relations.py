"""Writes expressions that name fields of several datasets as one statement over joined tables.

Apache Ossie and Cube have datasets with fields. A relationship leads from many rows of one dataset to one row
of another. It is used as a join only if the catalog proves that this row is unique, so that no row counts
twice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from pgmcp.catalog.catalog import Table
from pgmcp.errors import SqlRejectedError
from pgmcp.knowledge.entries import NotImportableError
from pgmcp.knowledge.tables import Tables, find_column, is_unique
from pgmcp.quoting import quote_identifier
from pgmcp.validation.expressions import Expression, read_expression

_MAX_DEPTH: Final = 10


@dataclass(frozen=True)
class Dataset:
    """A dataset and its table.

    Attributes:
        fields: expressions by name; any other name means a column.
    """

    name: str
    table: Table
    fields: Mapping[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Return whether it has a field or a column of this name, ignoring case."""
        columns = (column.name.lower() for column in self.table.columns)
        return self.field_expression(name) is not None or name.lower() in columns

    def field_expression(self, name: str) -> str | None:
        """Return the expression of a field, exactly or else ignoring case."""
        if name in self.fields:
            return self.fields[name]
        folded = {key.lower(): text for key, text in self.fields.items()}
        return folded.get(name.lower())


@dataclass(frozen=True, slots=True)
class Relationship:
    """Many rows of `from_name` refer to one row of `to_name`.

    Attributes:
        from_columns: columns as the catalog spells them, in the order of `to_columns`.
    """

    from_name: str
    to_name: str
    from_columns: tuple[str, ...]
    to_columns: tuple[str, ...]


def parse(text: str) -> Expression:
    """Return an expression.

    Raises:
        NotImportableError: PostgreSQL's grammar cannot parse the text as an expression.
    """
    try:
        return read_expression(text)
    except SqlRejectedError as error:
        raise NotImportableError(f"its expression is not a PostgreSQL expression: {error}") from error


class Relations:
    """The datasets and relationships of one model.

    Args:
        tables: spells the names of tables.
    """

    def __init__(
        self, datasets: Mapping[str, Dataset], relationships: Sequence[Relationship], tables: Tables
    ) -> None:
        self._datasets = datasets
        self._by_folded = {name.lower(): dataset for name, dataset in datasets.items()}
        self._relationships = relationships
        self._tables = tables

    def dataset(self, name: str) -> Dataset | None:
        """Return a dataset by its name, exactly or else ignoring case."""
        return self._datasets.get(name) or self._by_folded.get(name.lower())

    def aggregate(self, text: str) -> tuple[str, str]:
        """Return an expression of aggregates over `dataset.field` as SQL, and the text after FROM.

        Raises:
            NotImportableError: the text is not such an expression, or a join would count rows twice.
        """
        read = parse(text)
        if not read.aggregates:
            raise NotImportableError("it has no aggregate, so it is not one value")
        names = list(dict.fromkeys(self._owner(parts).name for parts, _, _ in read.columns))
        names = names or (list(self._datasets) if len(self._datasets) == 1 else [])
        if not names:
            raise NotImportableError("it names no field of a dataset")
        root, joins = self._join(names)
        self._refuse_fan_out(read, root)
        qualifies = bool(joins)
        sql = read.replace(
            lambda parts: self.sql_of_field(self._owner(parts), parts[-1], qualifies=qualifies)
        )
        return sql, " ".join([self._tables.display_name(root.table), *joins])

    def sql_of_field(self, dataset: Dataset, name: str, *, qualifies: bool, depth: int = 0) -> str:
        """Return SQL for a field, or for a column if no field has the name."""
        if depth > _MAX_DEPTH:
            raise NotImportableError("its fields use each other, or nest too deeply")
        expression = dataset.field_expression(name)
        if expression is None or expression.strip('"').lower() == name.lower():
            column = quote_identifier(find_column(dataset.table, (expression or name).strip('"')).name)
            return f"{quote_identifier(dataset.table.name)}.{column}" if qualifies else column
        read = parse(expression)
        if read.aggregates:
            raise NotImportableError(f"its field {name} has an aggregate of its own")
        written = read.replace(self._sql_inside(dataset, name, qualifies=qualifies, depth=depth + 1))
        is_simple = len(read.columns) == 1 and read.columns[0][1:] == (0, len(read.text))
        return written if is_simple else f"({written})"

    def _sql_inside(
        self, dataset: Dataset, field_name: str, *, qualifies: bool, depth: int
    ) -> Callable[[tuple[str, ...]], str]:
        def sql_of(parts: tuple[str, ...]) -> str:
            if len(parts) > 1 and self._owner(parts) is not dataset:
                raise NotImportableError(f"its field {field_name} names another dataset")
            # A field may have the same name as the column in its expression.
            if len(parts) == 1 and any(parts[0] == column.name for column in dataset.table.columns):
                column = quote_identifier(parts[0])
                return f"{quote_identifier(dataset.table.name)}.{column}" if qualifies else column
            return self.sql_of_field(dataset, parts[-1], qualifies=qualifies, depth=depth)

        return sql_of

    def _owner(self, parts: tuple[str, ...]) -> Dataset:
        found = self.dataset(parts[-2]) if len(parts) > 1 else self._only_owner(parts[0])
        if found is None:
            raise NotImportableError(f"it names {'.'.join(parts)}, which is in no dataset that was read")
        return found

    def _only_owner(self, name: str) -> Dataset | None:
        """Return the dataset of a field or column without a qualifier; None if none has it.

        Raises:
            NotImportableError: several have it.
        """
        if len(self._datasets) == 1:
            return next(iter(self._datasets.values()))
        owners = [each for each in self._datasets.values() if each.has(name)]
        if len(owners) > 1:
            raise NotImportableError(
                f"it names {name}, which is in {' and '.join(each.name for each in owners)}"
            )
        return owners[0] if owners else None

    def _join(self, names: Sequence[str]) -> tuple[Dataset, list[str]]:
        """Return the dataset from which proven joins lead to all others, and the joins."""
        unproven: list[str] = []
        for name in names:
            reached = self._reach(name, names, unproven)
            if reached is not None:
                return self._datasets[name], reached
        if unproven:
            raise NotImportableError(
                f"no key proves that {unproven[0]} is unique, so a join could count rows twice"
            )
        raise NotImportableError(f"none of {', '.join(names)} has relationships that lead to all the others")

    def _reach(self, root: str, names: Sequence[str], unproven: list[str]) -> list[str] | None:
        path_by_name: dict[str, list[Relationship]] = {root: []}
        pending = [root]
        while pending:
            here = pending.pop(0)
            for relationship in self._relationships:
                target = relationship.to_name
                if relationship.from_name != here or target in path_by_name:
                    continue
                table = self._datasets[target].table
                if not is_unique(table, relationship.to_columns):
                    unproven.append(self._tables.qualified_column(table, relationship.to_columns[0]))
                    continue
                path_by_name[target] = [*path_by_name[here], relationship]
                pending.append(target)
        if any(name not in path_by_name for name in names):
            return None
        needed = dict.fromkeys(step for name in names for step in path_by_name[name])
        return [self._join_sql(step) for step in needed]

    def _join_sql(self, step: Relationship) -> str:
        one, other = self._datasets[step.from_name].table, self._datasets[step.to_name].table
        condition = " AND ".join(
            f"{_qualified(one, a)} = {_qualified(other, b)}"
            for a, b in zip(step.from_columns, step.to_columns, strict=True)
        )
        return f"LEFT JOIN {self._tables.display_name(other)} ON {condition}"

    def _refuse_fan_out(self, read: Expression, root: Dataset) -> None:
        for aggregate in read.aggregates:
            owners = {self._owner(parts).name for parts in aggregate.columns}
            if aggregate.counts_repeated_rows and owners and root.name not in owners:
                names = " and ".join(sorted(owners))
                raise NotImportableError(
                    f"{aggregate.name} over {names} would count its rows once for each row of {root.name}"
                )


def _qualified(table: Table, column: str) -> str:
    return f"{quote_identifier(table.name)}.{quote_identifier(column)}"
