"""Explains why a relation that exists is not in the catalog, and what to query instead.

Partitions, tables of extensions and system catalogs are not listed, to save space, and the operator may
exclude schemas. A statement may still name such a relation, so an error about it explains what it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from pgmcp.catalog.catalog import Catalog
from pgmcp.errors import PgmcpError
from pgmcp.execution.catalog_access import Fetch, fetch_own, find_unreadable, without
from pgmcp.execution.result import JsonScalar
from pgmcp.quoting import quote_identifier, quote_literal
from pgmcp.untrusted import escape_untrusted

MAX_NAMES: Final = 20
"""Maximum number of names looked up for one error."""

UNREADABLE: Final = "may not be read by this role"
"""The reason for a relation that the role may not read."""

_MAX_LISTED_COLUMNS: Final = 40

_REASON_BY_KIND: Final = {
    "S": "is a sequence, not a table; SELECT last_value, is_called FROM it shows its state",
    "c": "is a composite type, not a table; it is only used as the type of columns",
    "i": "is an index, not a table; search_schema shows indexes with their tables in full detail",
    "I": "is an index, not a table; search_schema shows indexes with their tables in full detail",
}

_decode_names = msgspec.json.Decoder(list[str]).decode


@dataclass(frozen=True, slots=True)
class HiddenRelation:
    """A relation that is in the database but not in the catalog.

    Attributes:
        name: as SQL can use it.
        reason: why it is not listed and what to query instead; continues a sentence that begins with the
            name.
        columns: the columns that the role may read; empty if the operator excludes the schema, and for
            relations that a query cannot read.
    """

    name: str
    reason: str
    columns: tuple[str, ...] = ()

    def describe(self, *, is_denied: bool = False) -> str:
        """Return a sentence that says what the relation is, why it is not listed, and its columns.

        Args:
            is_denied: whether the role may not read another column of the relation.
        """
        text = f"{self.name} {self.reason}"
        if not self.columns:
            return text
        more = ", …" if len(self.columns) > _MAX_LISTED_COLUMNS else ""
        listed = ", ".join(
            escape_untrusted(quote_identifier(each)) for each in self.columns[:_MAX_LISTED_COLUMNS]
        )
        which = "the role may read only these columns" if is_denied else "columns"
        return f"{text}; {which} of {self.name}: {listed}{more}"


async def find_hidden(fetch: Fetch, names: Sequence[str], catalog: Catalog) -> list[HiddenRelation]:
    """Return the relations with these names that exist but are not in the catalog.

    The result only helps to explain another error. So the list is empty if the lookup itself fails.

    Args:
        fetch: runs a catalog query.
        names: as `table`, `schema.table` or `database.schema.table`.
    """
    wanted = [parts for name in names[:MAX_NAMES] if 1 <= len(parts := catalog.parts_in_database(name)) <= 2]
    wanted = [parts for parts in wanted if catalog.find(".".join(map(quote_identifier, parts))) is None]
    if not wanted:
        return []
    try:
        unreadable = await find_unreadable(fetch)
        rows = (await fetch_own(fetch, without(_statement(wanted), unreadable))).rows
    except PgmcpError:
        return []
    return [relation for row in rows if (relation := _read(row, catalog)) is not None]


def _read(row: list[JsonScalar], catalog: Catalog) -> HiddenRelation | None:
    schema, name, kind, is_readable, is_partition, parents, extension, columns = row
    shown = _name(str(schema), str(name))
    if catalog.get(str(schema), str(name)) is not None:
        return None
    if not catalog.scope.includes(str(schema)):
        return HiddenRelation(
            shown,
            f"is in the schema {escape_untrusted(str(schema))}, which PG_MCP_DATABASE_EXCLUDE_SCHEMAS or "
            "PG_MCP_DATABASE_INCLUDE_SCHEMAS excludes",
        )
    if reason := _REASON_BY_KIND.get(str(kind)):
        return HiddenRelation(shown, reason)
    if not is_readable:
        return HiddenRelation(shown, UNREADABLE)
    return HiddenRelation(
        shown,
        _reason(str(schema), bool(is_partition), _decode_names(str(parents or "[]")), str(extension or "")),
        tuple(_decode_names(str(columns or "[]"))),
    )


def _reason(schema: str, is_partition: bool, parents: list[str], extension: str) -> str:
    if schema in ("pg_catalog", "information_schema"):
        return "is part of PostgreSQL's system catalog, which is not listed but can be queried"
    if extension:
        return f"belongs to the extension {escape_untrusted(extension)}, whose tables are not listed"
    names = escape_untrusted(", ".join(parents))
    if is_partition:
        return f"is a partition of {names}; query {names}, which has the rows of all its partitions"
    if parents:
        return f"inherits from {names} and has the same columns; a query of {names} also returns its rows"
    return "is not listed"


def _name(schema: str, name: str) -> str:
    return escape_untrusted(f"{quote_identifier(schema)}.{quote_identifier(name)}")


def _statement(wanted: Sequence[tuple[str, ...]]) -> str:
    """Return the statement that looks up the names.

    An unqualified name is looked up in all schemas, except those of temporary and TOAST tables.
    """
    conditions = [
        " AND ".join(
            f"{column} = {quote_literal(name)}"
            for column, name in zip(("c.relname", "n.nspname"), reversed(parts), strict=False)
        )
        for parts in (tuple(part.replace("\0", "") for part in parts) for parts in wanted)
    ]
    return f"""
WITH RECURSIVE found AS (
    SELECT c.oid, c.relnamespace, n.nspname, c.relname, c.relkind, c.relispartition
    FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c', 'i', 'I') AND n.nspname !~ '^pg_(toast|temp)'
      AND (({") OR (".join(conditions)}))
    LIMIT {MAX_NAMES}::pg_catalog.int8
), above (id, parent) AS (
    SELECT f.oid, i.inhparent FROM found AS f JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = f.oid
    UNION
    SELECT a.id, i.inhparent FROM above AS a
    JOIN pg_catalog.pg_class AS p ON p.oid = a.parent AND p.relispartition
    JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = a.parent
)
SELECT f.nspname::pg_catalog.text, f.relname::pg_catalog.text, f.relkind::pg_catalog.text,
       pg_catalog.has_schema_privilege(f.relnamespace, 'USAGE')
           AND pg_catalog.has_any_column_privilege(f.oid, 'SELECT'),
       f.relispartition,
       (SELECT pg_catalog.textin(pg_catalog.json_out(
            pg_catalog.json_agg(pg_catalog.format('%I.%I', n.nspname, p.relname))))
        FROM above AS a
        JOIN pg_catalog.pg_class AS p ON p.oid = a.parent AND NOT p.relispartition
        JOIN pg_catalog.pg_namespace AS n ON n.oid = p.relnamespace
        WHERE a.id = f.oid),
       (SELECT e.extname::pg_catalog.text
        FROM pg_catalog.pg_depend AS d JOIN pg_catalog.pg_extension AS e ON e.oid = d.refobjid
        WHERE d.deptype = 'e'
          AND (d.classid = '1259' AND d.objid = f.oid OR d.classid = '2615' AND d.objid = f.relnamespace)
        LIMIT 1::pg_catalog.int8),
       (SELECT pg_catalog.textin(pg_catalog.json_out(pg_catalog.json_agg(a.attname ORDER BY a.attnum)))
        FROM pg_catalog.pg_attribute AS a
        WHERE a.attrelid = f.oid AND a.attnum > 0 AND NOT a.attisdropped
          AND pg_catalog.has_column_privilege(f.oid, a.attnum, 'SELECT'))
FROM found AS f
ORDER BY 1, 2"""  # noqa: S608 - literals are quoted; the rest is constant
