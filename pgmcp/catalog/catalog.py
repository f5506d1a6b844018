"""Describes the tables and columns that a role may read, as an immutable value with lookups by name."""

import difflib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

from pgmcp.catalog.identifiers import parse_name
from pgmcp.catalog.scope import CatalogScope
from pgmcp.quoting import quote_identifier
from pgmcp.untrusted import escape_untrusted

_DOMAIN = re.compile(r".+ \((.+)\)")
UNREADABLE_CHARACTER: Final = "\ufffd"
"""The character that the worker writes for a byte that is invalid in the database's encoding."""

_TEXT = re.compile(r"text|name|(?:.+\.)?citext|character(?: varying)?(?:\(\d+\))?")

_NEAR_ENOUGH = 0.6  # difflib's default: "order" finds "orders", but not every table with an "o"


class TableKind(StrEnum):
    """Kinds of relations that FROM accepts, in plain words."""

    TABLE = "table"
    PARTITIONED_TABLE = "partitioned table"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized view"
    FOREIGN_TABLE = "foreign table"


@dataclass(frozen=True, slots=True)
class Column:
    """A column that the role may read.

    Attributes:
        type: as `format_type` writes it; a domain is followed by its base type: "us_zip (text)".
        default: the expression of the default, or "generated always as …"; None without one.
        comment: "" if there is none.
        enum_labels: all labels of the column's enum type, in order; empty for other types.
        values: all texts that the column's check allows, or that the column contained when last analysed or
            sampled; numbers only if a comment may explain them; empty if they are unknown or many.
        may_hold_others: whether `enum_labels` or `values` may be incomplete: the enum has more labels than
            could be read, rows have changed since the values were read, or only a sample of the rows was
            read.
        value_range: the smallest and largest date or number when last analysed or sampled; None if unknown.
    """

    name: str
    type: str
    nullable: bool
    default: str | None = None
    comment: str = ""
    enum_labels: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    value_range: tuple[str, str] | None = None
    may_hold_others: bool = False

    @property
    def is_text(self) -> bool:
        """Whether the column holds text, directly or through a domain."""
        domain = _DOMAIN.fullmatch(self.type)
        return _TEXT.fullmatch(domain[1] if domain else self.type) is not None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference to another readable table; `columns` and `referenced_columns` pair up in order.

    Attributes:
        is_period: whether the last column on each side is a range. Each range must be covered by ranges of
            the referenced table, and a join compares these two columns with `&&`.
        caveat: "not enforced" or "not valid" if rows may violate it; "" otherwise.
    """

    columns: tuple[str, ...]
    referenced_schema: str
    referenced_table: str
    referenced_columns: tuple[str, ...]
    is_period: bool = False
    caveat: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """An index that does not belong to a primary key or unique constraint.

    Attributes:
        definition: the part of CREATE INDEX after USING: "btree (lower(email)) WHERE (id > 5)".
        columns: the key columns in order, without expressions and INCLUDE columns.
    """

    name: str
    definition: str
    columns: tuple[str, ...]
    is_unique: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view; partitions are part of their parent.

    Attributes:
        primary_key: column names in key order; empty if there is none.
        unique_constraints: the column names of each constraint.
        without_overlaps: the keys and unique constraints whose last column is a range WITHOUT OVERLAPS.
        nulls_not_distinct: the unique constraints that allow at most one NULL.
        check_constraints: definitions of checks, "CHECK ((quantity > 0))", of exclusion constraints, and of
            NOT NULL constraints that are not validated.
        estimated_rows: number of rows at the last VACUUM or ANALYZE, partitions and inheriting tables
            included; None for views and tables that were never analysed.
        has_active_policies: whether row-level security policies may hide rows from the role.
        parents: (schema, name) of the tables in the catalog that this table inherits from; a query of a
            parent also returns this table's rows.
    """

    schema: str
    name: str
    kind: TableKind
    comment: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    unique_constraints: tuple[tuple[str, ...], ...] = ()
    check_constraints: tuple[str, ...] = ()
    indexes: tuple[Index, ...] = ()
    without_overlaps: tuple[tuple[str, ...], ...] = ()
    nulls_not_distinct: tuple[tuple[str, ...], ...] = ()
    estimated_rows: int | None = None
    has_active_policies: bool = False
    parents: tuple[tuple[str, str], ...] = ()


# Compared and hashed by identity: search indexes are kept in weak dictionaries by catalog.
@dataclass(frozen=True, eq=False)
class Catalog:
    """Everything that a role may read in one database, at one moment.

    Attributes:
        tables: sorted by schema and name.
        search_path: the schemas in which an unqualified name is looked up, in order, without system schemas.
        server_version: as reported by PostgreSQL: "18.1".
        time_zone: the time zone of the session, as PostgreSQL names it: "Europe/Berlin".
        scope: which schemas the operator excluded, and which columns' values may not be shown.
        left_out_schemas: schemas with relations that the scope excludes, sorted.
        database: the database's name in PostgreSQL.
    """

    tables: tuple[Table, ...]
    search_path: tuple[str, ...]
    server_version: str
    time_zone: str = "UTC"
    scope: CatalogScope = field(default_factory=CatalogScope)
    left_out_schemas: tuple[str, ...] = ()
    database: str = ""

    def has_same_content(self, other: "Catalog") -> bool:
        """Return whether another catalog has the same content."""
        return self._facts == other._facts and self.tables == other.tables

    @property
    def _facts(self) -> tuple[object, ...]:
        return (
            self.search_path,
            self.server_version,
            self.time_zone,
            self.scope,
            self.left_out_schemas,
            self.database,
        )

    def find(self, name: str) -> Table | None:
        """Return the table that `table`, `schema.table` or `database.schema.table` names; None without one.

        `table` is looked up on the search path. A table with exactly this spelling comes first. Otherwise, a
        spelling that differs only in case is accepted if it is unambiguous.
        """
        match self.parts_in_database(name):
            case (table,):
                return self._find_on_search_path(table)
            case (schema, table):
                return self.get(schema, table) or self._find_folded(schema, table)
            case _:
                return None

    def parts_in_database(self, name: str) -> tuple[str, ...]:
        """Return the parts of a name, without the database of `database.schema.table` if it is this one."""
        parts = parse_name(name)
        return parts[1:] if len(parts) == 3 and parts[0].lower() == self.database.lower() else parts

    def get(self, schema: str, name: str) -> Table | None:
        """Return the table of exactly this schema and name; None if there is none."""
        return self._by_name.get((schema, name))

    def nearest(self, name: str, *, limit: int = 3) -> list[Table]:
        """Return the tables with the most similar names, most similar first."""
        wanted = parse_name(name)[-1:]
        if not wanted:
            return []
        close = difflib.get_close_matches(
            wanted[0].lower(), self._by_folded_table, n=limit, cutoff=_NEAR_ENOUGH
        )
        return [table for folded in close for table in self._by_folded_table[folded]][:limit]

    def display_name(self, table: Table) -> str:
        """Return the name as SQL can use it, without the schema if the search path finds the table.

        Unsafe characters in a name are escaped.
        """
        name = quote_identifier(table.name)
        if not self._is_found_unqualified(table):
            name = f"{quote_identifier(table.schema)}.{name}"
        return escape_untrusted(name)

    def _find_on_search_path(self, name: str) -> Table | None:
        for schema in self.search_path:
            if table := self.get(schema, name):
                return table
        for schema in self.search_path:
            if table := self._find_folded(schema, name):
                return table
        return None

    def _find_folded(self, schema: str, name: str) -> Table | None:
        tables = self._by_folded_name.get((schema.lower(), name.lower()), [])
        return tables[0] if len(tables) == 1 else None

    def _is_found_unqualified(self, table: Table) -> bool:
        holders = [schema for schema in self.search_path if (schema, table.name) in self._by_name]
        return holders == [table.schema]

    @cached_property
    def _by_name(self) -> dict[tuple[str, str], Table]:
        return {(table.schema, table.name): table for table in self.tables}

    @cached_property
    def _by_folded_name(self) -> dict[tuple[str, str], list[Table]]:
        tables_by_name: dict[tuple[str, str], list[Table]] = {}
        for table in self.tables:
            tables_by_name.setdefault((table.schema.lower(), table.name.lower()), []).append(table)
        return tables_by_name

    @cached_property
    def _by_folded_table(self) -> dict[str, list[Table]]:
        tables_by_name: dict[str, list[Table]] = {}
        for table in self.tables:
            tables_by_name.setdefault(table.name.lower(), []).append(table)
        return tables_by_name
