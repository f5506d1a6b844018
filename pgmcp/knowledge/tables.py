"""Finds tables and columns of a file in the catalog, and the keys and joins that the catalog proves."""

# ruff: noqa: S608 - the statements made here pass the guards like any other

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pgmcp.catalog.catalog import Catalog, Column, ForeignKey, Index, Table
from pgmcp.catalog.identifiers import parse_name
from pgmcp.knowledge.entries import Knowledge, NotImportableError
from pgmcp.quoting import quote_always, quote_identifier


@dataclass(frozen=True, slots=True)
class SourceName:
    """A table as a file names it; parts that the file does not give are ""."""

    name: str
    schema: str = ""
    database: str = ""


def source_name(text: str) -> SourceName:
    """Return the parts of `database.schema.table`; a dot in double quotes belongs to the name.

    Raises:
        NotImportableError: the text is a query, or has more than three parts.
    """
    parts = parse_name(text)
    if not parts or len(parts) > 3 or any(not part or (" " in part and '"' not in text) for part in parts):
        raise NotImportableError("its source is a query, not a table")
    name, schema, database = (*reversed(parts), "", "")[:3]
    return SourceName(name, schema, database)


class Tables:
    """Finds tables of a catalog by names from another environment, whose schemas may differ.

    Args:
        schemas: the schema of this database for each schema that the file names.
    """

    def __init__(self, catalog: Catalog, schemas: Mapping[str, str] | None = None) -> None:
        self.catalog = catalog
        self._schemas = {name.lower(): schema for name, schema in (schemas or {}).items()}

    def find(self, source: SourceName, knowledge: Knowledge) -> Table:
        """Return a table by its name in a file.

        If the file's schema lacks the table and is not mapped to another one, the table is found by its name
        alone, with a remark.

        Raises:
            NotImportableError: there is no such table, or several have the name.
        """
        mapped = self._schemas.get(source.schema.lower(), "")
        schema = mapped or source.schema
        if schema and (found := self.catalog.find(f"{quote_always(schema)}.{quote_always(source.name)}")):
            return found
        same_name = self._named(source.name)
        if mapped:
            raise NotImportableError(
                f"the schema {mapped} has no table {source.name} that this role may read"
            )
        if not schema and (found := self.catalog.find(quote_always(source.name))):
            return found
        if not same_name:
            raise NotImportableError(f"this database has no table {source.name} that this role may read")
        if len(same_name) > 1:
            names = ", ".join(self.catalog.display_name(table) for table in same_name[:5])
            raise NotImportableError(f"several tables have its name: {names}; choose a schema with --map")
        if schema:
            knowledge.remark(
                f"tables of the schema {schema} were not found; those of the same names in "
                f"{same_name[0].schema} were used"
            )
        return same_name[0]

    def display_name(self, table: Table) -> str:
        """Return a table's name as SQL and notes write it."""
        return self.catalog.display_name(table)

    def qualified_column(self, table: Table, column: str) -> str:
        """Return `table.column` as notes and joins write it."""
        return f"{self.display_name(table)}.{quote_identifier(column)}"

    def referenced_by(self, table: Table, columns: Sequence[str]) -> Iterator[tuple[ForeignKey, Table]]:
        """Yield the enforced foreign keys on these columns, with the tables that they reference."""
        for key in table.foreign_keys:
            if sorted(key.columns) == sorted(columns) and not key.caveat:
                found = self.catalog.get(key.referenced_schema, key.referenced_table)
                if found is not None:
                    yield key, found

    def _named(self, name: str) -> list[Table]:
        exact = [table for table in self.catalog.tables if table.name == name]
        return exact or [table for table in self.catalog.tables if table.name.lower() == name.lower()]


def find_column(table: Table, name: str) -> Column:
    """Return a column by its name, exactly or else ignoring case.

    Raises:
        NotImportableError: there is none, or several differ only in case.
    """
    exact = [column for column in table.columns if column.name == name]
    found = exact or [column for column in table.columns if column.name.lower() == name.lower()]
    if len(found) != 1:
        raise NotImportableError(f"the table {table.name} has no column {name}")
    return found[0]


def is_unique(table: Table, columns: Sequence[str]) -> bool:
    """Return whether the catalog proves that no two rows have the same values in these columns."""
    wanted = set(columns)
    keys = [table.primary_key, *table.unique_constraints, *_unique_indexes(table)]
    return any(key and set(key) <= wanted and key not in table.without_overlaps for key in keys)


def _unique_indexes(table: Table) -> Iterator[tuple[str, ...]]:
    return (index.columns for index in table.indexes if index.is_unique and _is_plain(index))


def _is_plain(index: Index) -> bool:
    """Return whether a unique index covers all rows and has no expressions."""
    keys, _, condition = index.definition.partition(" WHERE ")
    _, _, listed = keys.partition("(")
    key_part = listed.partition(")")[0]
    return not condition and "(" not in key_part and key_part.count(",") == len(index.columns) - 1


def add_join(
    knowledge: Knowledge,
    tables: Tables,
    table: Table,
    columns: Sequence[str],
    other: Table,
    other_columns: Sequence[str],
) -> None:
    """Add a join, unless a foreign key of the catalog already says the same.

    Args:
        table: the side that refers to `other`.
        columns: names of the catalog, in the order of `other_columns`.
    """
    condition = " AND ".join(
        f"{tables.qualified_column(table, one)} = {tables.qualified_column(other, two)}"
        for one, two in zip(columns, other_columns, strict=True)
    )
    pairs = sorted(zip(columns, other_columns, strict=True))
    for key, referenced in tables.referenced_by(table, columns):
        if referenced is other and sorted(zip(key.columns, key.referenced_columns, strict=True)) == pairs:
            knowledge.leave_out(f"join {condition}", "a foreign key says the same")
            return
    remark = _cardinality(tables, table, columns, other, other_columns)
    knowledge.joins.setdefault(condition, (remark, _check(tables, table, columns, other, other_columns)))


def _cardinality(
    tables: Tables, table: Table, columns: Sequence[str], other: Table, other_columns: Sequence[str]
) -> str:
    from_side, to_side = is_unique(table, columns), is_unique(other, other_columns)
    name, other_name = tables.display_name(table), tables.display_name(other)
    if from_side and to_side:
        return f"at most one row of {other_name} for each of {name}, and the reverse"
    if to_side:
        return f"at most one row of {other_name} for each of {name}"
    if from_side:
        return f"at most one row of {name} for each of {other_name}"
    return "no key proves how many rows match: aggregate before joining"


def _check(
    tables: Tables, table: Table, columns: Sequence[str], other: Table, other_columns: Sequence[str]
) -> str:
    condition = " AND ".join(
        f"a.{quote_identifier(one)} = b.{quote_identifier(two)}"
        for one, two in zip(columns, other_columns, strict=True)
    )
    name, other_name = tables.display_name(table), tables.display_name(other)
    return f"SELECT 1 FROM {name} AS a JOIN {other_name} AS b ON {condition}"
