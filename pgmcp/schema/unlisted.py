"""Relations that exist but are not in the catalog: which they are, and why they were left out."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from pgmcp.execution.result import JsonScalar
from pgmcp.schema.scope import CatalogScope

Fetch = Callable[[str], Awaitable[Sequence[Sequence[JsonScalar]]]]
"""Runs one statement and returns its rows."""

_MAX_NAMES = 500

_NAMED = """
SELECT n.nspname::pg_catalog.text, c.relname::pg_catalog.text,
       pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT'),
       EXISTS (SELECT FROM pg_catalog.pg_depend AS e
               WHERE e.classid OPERATOR(pg_catalog.=) 1259::pg_catalog.oid
                 AND e.objid OPERATOR(pg_catalog.=) c.oid AND e.objsubid OPERATOR(pg_catalog.=) 0
                 AND e.deptype OPERATOR(pg_catalog.=) 'e')
  FROM pg_catalog.pg_class AS c
  JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
 WHERE c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p', 'v', 'm', 'f']::pg_catalog."char"[])
   AND pg_catalog.lower(c.relname::pg_catalog.text) OPERATOR(pg_catalog.=) ANY (ARRAY[{names}]::pg_catalog.text[])
 ORDER BY 1, 2"""  # noqa: E501


@dataclass(frozen=True, slots=True)
class UnlistedRelation:
    """A relation the catalog leaves out.

    Attributes:
        reason: completes "the table exists, but …"; "" for PostgreSQL's own relations.
    """

    schema: str
    name: str
    reason: str


async def read_unlisted(
    fetch: Fetch, names: Iterable[str], scope: CatalogScope
) -> tuple[UnlistedRelation, ...]:
    """Return the relations of these bare names, in any case and schema, with the reason for each.

    Call it for names the catalog lacks: every relation found is taken for one that the catalog left out.
    """
    wanted = sorted({name.lower() for name in names if name.isprintable()})[:_MAX_NAMES]
    if not wanted:
        return ()
    # Every transaction has standard_conforming_strings on: nothing but the quote needs care.
    literals = ", ".join("'" + name.replace("'", "''") + "'" for name in wanted)
    rows = await fetch(_NAMED.format(names=literals))
    return tuple(
        UnlistedRelation(str(schema), str(name), _reason(str(schema), bool(is_readable), bool(is_ext), scope))
        for schema, name, is_readable, is_ext in rows
    )


def _reason(schema: str, is_readable: bool, is_from_extension: bool, scope: CatalogScope) -> str:
    if schema.startswith("pg_") or schema == "information_schema":
        return ""
    if not scope.includes(schema):
        return (
            f"schema {schema} is excluded by PG_MCP_DATABASE_INCLUDE_SCHEMAS or "
            "PG_MCP_DATABASE_EXCLUDE_SCHEMAS"
        )
    if not is_readable:
        return "the role may not read it"
    if is_from_extension:
        return "it belongs to an extension, whose tables are not listed"
    return "it is a partition or an inheritance child; name its parent"
