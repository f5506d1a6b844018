"""What a database holds, as its role may read it: an immutable snapshot, and the finding of names in it."""

import difflib
import re
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Final

from pgmcp.catalog.identifiers import parse_name, quote_identifier
from pgmcp.catalog.scope import CatalogScope
from pgmcp.untrusted import escape_untrusted

_DOMAIN = re.compile(r".+ \((.+)\)")
UNREADABLE_CHARACTER: Final = "\ufffd"
"""Shown for bytes that mean nothing in the encoding they are read in."""

_TEXT = re.compile(r"text|name|(?:.+\.)?citext|character(?: varying)?(?:\(\d+\))?")

_NEAR_ENOUGH = 0.6  # difflib's own default: "order" finds "orders", and not every table with an "o"


class TableKind(StrEnum):
    """What can stand in FROM, named as a person would."""

    TABLE = "table"
    PARTITIONED_TABLE = "partitioned table"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized view"
    FOREIGN_TABLE = "foreign table"


@dataclass(frozen=True, slots=True)
class Column:
    """A column the role may read.

    Attributes:
        type: as `format_type` gives it; a domain is followed by its base type, "us_zip (text)".
        default: the default's expression, or "generated always as …", or None.
        comment: "" when there is none.
        enum_labels: every label of the column's enum type, in the enum's order; empty for other types.
        values: all texts that the column may hold by its check, or else held when last analysed or sampled;
            numbers only if a comment may explain them; empty when they are unknown or many.
        may_hold_others: the lists above lack something: the enum has more labels than could be read, or rows
            have changed since the values were.
        value_range: the least and the greatest date or number, likewise; None when unknown.
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
        """Whether it holds a text, be it by a domain."""
        domain = _DOMAIN.fullmatch(self.type)
        return _TEXT.fullmatch(domain[1] if domain else self.type) is not None


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A reference to another readable table; `columns` and `referenced_columns` pair up in order.

    Attributes:
        is_period: the last columns are ranges: each one is covered by ranges over there, and joins with `&&`.
        lacks: "not enforced" or "not valid" where rows may break it; "" where all keep to it.
    """

    columns: tuple[str, ...]
    referenced_schema: str
    referenced_table: str
    referenced_columns: tuple[str, ...]
    is_period: bool = False
    lacks: str = ""


@dataclass(frozen=True, slots=True)
class Index:
    """An index that no primary key or unique constraint made.

    Attributes:
        definition: what its CREATE INDEX says after USING: "btree (lower(email)) WHERE (id > 5)".
        columns: the key columns in order; an expression is left out, as is what INCLUDE adds.
    """

    name: str
    definition: str
    columns: tuple[str, ...]
    is_unique: bool


@dataclass(frozen=True, slots=True)
class Table:
    """A table or view; partitions are folded into their parent.

    Attributes:
        primary_key: column names in key order; empty when there is none.
        unique_constraints: column names of each.
        without_overlaps: those of these keys whose last column is WITHOUT OVERLAPS: a range.
        nulls_not_distinct: those of the unique constraints that let one NULL in at most.
        check_constraints: definitions of checks, "CHECK ((quantity > 0))", of exclusion constraints, and of
            NOT NULL constraints that are not validated.
        estimated_rows: the planner's estimate, or None when the table was never analysed or is a view.
        has_active_policies: row-level security policies may hide rows of it from the role.
        parents: schema and name of the listed tables that it inherits from: a read of one has its rows, too.
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


# Compared and hashed by identity: indexes over a catalog are kept as long as that catalog is.
@dataclass(frozen=True, eq=False)
class Catalog:
    """Everything a role may read in one database, at one moment.

    Attributes:
        tables: sorted by schema and name.
        search_path: the schemas an unqualified name is looked for in, in order, without the system ones.
        server_version: as PostgreSQL says it: "18.1".
        time_zone: the session's, as PostgreSQL names it: "Europe/Berlin".
        scope: what was left out on purpose, and whose values are not to be shown.
        left_out_schemas: schemas with relations that the scope leaves out, sorted.
    """

    tables: tuple[Table, ...]
    search_path: tuple[str, ...]
    server_version: str
    time_zone: str = "UTC"
    scope: CatalogScope = field(default_factory=CatalogScope)
    left_out_schemas: tuple[str, ...] = ()

    def says_the_same_as(self, other: "Catalog") -> bool:
        """Tell whether another catalog, of another read, has nothing else in it."""
        return self._facts == other._facts and self.tables == other.tables

    @property
    def _facts(self) -> tuple[object, ...]:
        return self.search_path, self.server_version, self.time_zone, self.scope, self.left_out_schemas

    def find(self, name: str) -> Table | None:
        """Return the table that `table` (through the search path) or `schema.table` names.

        The exact spelling wins; otherwise one that differs only in case does, if just one table has it.
        """
        match parse_name(name):
            case (table,):
                return self._find_on_search_path(table)
            case (schema, table):
                return self.get(schema, table) or self._find_folded(schema, table)
            case _:
                return None

    def get(self, schema: str, name: str) -> Table | None:
        """Return the table of exactly this schema and name."""
        return self._by_name.get((schema, name))

    def nearest(self, name: str, *, limit: int = 3) -> list[Table]:
        """Return the tables whose names come closest to one that was not found, the closest first."""
        wanted = parse_name(name)[-1:]
        if not wanted:
            return []
        close = difflib.get_close_matches(
            wanted[0].lower(), self._by_folded_table, n=limit, cutoff=_NEAR_ENOUGH
        )
        return [table for folded in close for table in self._by_folded_table[folded]][:limit]

    def display_name(self, table: Table) -> str:
        """Return the name as SQL can use it; the schema is left out where the search path finds the table.

        Only a name made to hide or act is spelled with escapes instead.
        """
        name = quote_identifier(table.name)
        if not self._is_found_by_its_bare_name(table):
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

    def _is_found_by_its_bare_name(self, table: Table) -> bool:
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
