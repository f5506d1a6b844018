"""Finds the relations in which row-level security policies may hide rows from the role."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pgmcp.catalog.queries import SESSION
from pgmcp.catalog.rows import decode_texts
from pgmcp.execution.catalog_access import Fetch, fetch_own, find_unreadable, without

# A table counts if row_security_active() is true for it and the session's role. A view counts if it reads
# such a table with the caller's privileges (security_invoker), or a table whose policies apply to the view's
# owner, or a view that counts (PostgreSQL manual, CREATE VIEW, "security_invoker"). Relations of the same
# names in other schemas are read, too, because an unqualified name may mean one of them.
RELATIONS_UNDER_POLICIES: Final = """
WITH RECURSIVE views (id, owner, is_invoker) AS (
    SELECT c.oid, c.relowner, EXISTS (
        SELECT FROM pg_catalog.unnest(c.reloptions) AS o (text)
        WHERE CASE WHEN pg_catalog.split_part(o.text, '=', 1) OPERATOR(pg_catalog.=) 'security_invoker'
                   THEN pg_catalog.boolin(pg_catalog.textout(pg_catalog.split_part(o.text, '=', 2))) END)
    FROM pg_catalog.pg_class AS c
    WHERE c.relkind OPERATOR(pg_catalog.=) 'v' AND c.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
), reads (id, relation) AS (
    SELECT DISTINCT r.ev_class, d.refobjid
    FROM pg_catalog.pg_rewrite AS r
    JOIN views AS v ON v.id OPERATOR(pg_catalog.=) r.ev_class AND r.ev_type OPERATOR(pg_catalog.=) '1'
    JOIN pg_catalog.pg_depend AS d ON d.classid OPERATOR(pg_catalog.=) 2618::pg_catalog.oid
         AND d.objid OPERATOR(pg_catalog.=) r.oid AND d.refclassid OPERATOR(pg_catalog.=) 1259::pg_catalog.oid
         AND d.refobjid OPERATOR(pg_catalog.<>) r.ev_class
), secured (id, owner, is_forced, is_active) AS (
    SELECT c.oid, c.relowner, c.relforcerowsecurity, pg_catalog.row_security_active(c.oid)
    FROM pg_catalog.pg_class AS c
    WHERE c.relrowsecurity
), filtered (id) AS (
    SELECT s.id FROM secured AS s WHERE s.is_active
    UNION
    SELECT v.id
    FROM views AS v
    JOIN reads AS r ON r.id OPERATOR(pg_catalog.=) v.id
    JOIN secured AS s ON s.id OPERATOR(pg_catalog.=) r.relation
    JOIN pg_catalog.pg_roles AS o ON o.oid OPERATOR(pg_catalog.=) v.owner
    WHERE NOT v.is_invoker AND NOT o.rolsuper AND NOT o.rolbypassrls
      AND (s.is_forced OR NOT pg_catalog.pg_has_role(v.owner, s.owner, 'USAGE'))
    UNION
    SELECT v.id
    FROM filtered AS f
    JOIN reads AS r ON r.relation OPERATOR(pg_catalog.=) f.id
    JOIN views AS v ON v.id OPERATOR(pg_catalog.=) r.id
    JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) f.id
    WHERE v.is_invoker OR c.relkind OPERATOR(pg_catalog.=) 'v'
)
SELECT n.nspname::pg_catalog.text AS schema_name, c.relname::pg_catalog.text AS name,
       f.id IS NOT NULL AS is_filtered
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
LEFT JOIN filtered AS f ON f.id OPERATOR(pg_catalog.=) c.oid
WHERE c.relkind OPERATOR(pg_catalog.=) ANY (ARRAY['r', 'p', 'v', 'm', 'f']::pg_catalog."char"[])
  AND c.relname OPERATOR(pg_catalog.=) ANY (ARRAY(
      SELECT same.relname FROM filtered AS s
      JOIN pg_catalog.pg_class AS same ON same.oid OPERATOR(pg_catalog.=) s.id))"""

MAX_NAMED_RELATIONS: Final = 3


@dataclass(frozen=True, slots=True)
class RowSecurity:
    """The relations to which policies apply for one role.

    Attributes:
        filtered: the relations, as (schema, name).
        others: relations with the same names to which no policy applies, as (schema, name).
        search_path: the schemas in which an unqualified name is looked up, in order.
    """

    filtered: frozenset[tuple[str, str]] = frozenset()
    others: frozenset[tuple[str, str]] = frozenset()
    search_path: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Return whether policies apply to any relation."""
        return bool(self.filtered)

    def covers(self, relation: str) -> bool:
        """Return whether policies apply to a relation, given as `table` or `schema.table`."""
        schema, _, name = relation.rpartition(".")
        if schema:
            return (schema, name) in self.filtered
        found = next((place for each in self.search_path if (place := (each, name)) in self._named), None)
        return found in self.filtered

    @property
    def _named(self) -> frozenset[tuple[str, str]]:
        return self.filtered | self.others

    def describe(self, relations: Iterable[str]) -> str:
        """Return the note for a statement that reads these relations; "" if no policy applies to them."""
        covered = list(dict.fromkeys(relation for relation in relations if self.covers(relation)))
        if not covered:
            return ""
        more = " and others" if len(covered) > MAX_NAMED_RELATIONS else ""
        return (
            f"row-level security applies to {', '.join(covered[:MAX_NAMED_RELATIONS])}{more}: "
            "rows that its policies hide from this role are missing here"
        )


async def read_row_security(fetch: Fetch) -> RowSecurity:
    """Return the relations to which policies apply for the session's role.

    The result is empty if the role may not execute row_security_active().

    Raises:
        CatalogDeniedError: PostgreSQL refused a statement.
        ExecutionError: raised by `fetch`.
    """
    unreadable = await find_unreadable(fetch)
    if "row_security_active" in unreadable:
        return RowSecurity()
    rows = (await fetch_own(fetch, without(RELATIONS_UNDER_POLICIES, unreadable))).rows
    if not rows:
        return RowSecurity()
    ((*_, search_path),) = (await fetch_own(fetch, SESSION)).rows
    return RowSecurity(
        frozenset((str(schema), str(name)) for schema, name, is_filtered in rows if is_filtered),
        frozenset((str(schema), str(name)) for schema, name, is_filtered in rows if not is_filtered),
        decode_texts(str(search_path)),
    )
