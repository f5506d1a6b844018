"""Replacements for parts of the catalog that a policy needs and the role may not read."""

from collections.abc import Collection
from typing import Final

from pgmcp.execution.catalog_access import without
from pgmcp.execution.policy.statements import IS_SUBJECT, OWNERS

# Lists the relations whose calls the role may not read, whether they apply to the login role, and to which
# owners; NULL means all owners. The statement is sent only if a part is missing.
_UNREADABLE_BY_PART: Final = {
    "pg_policy": f"""
(WITH owners (id) AS MATERIALIZED ({OWNERS})
SELECT t.oid, 'unreadable_policy', pg_catalog.row_security_active(t.oid),
       pg_catalog.concat('[', (
           SELECT pg_catalog.string_agg(pg_catalog.concat(owner.id), ',' ORDER BY owner.id)
           FROM owners AS owner WHERE {IS_SUBJECT}), ']')
FROM pg_catalog.pg_class AS t
WHERE t.relrowsecurity)""",  # noqa: S608 - of constants
    "pg_rewrite": """
SELECT c.oid, 'unreadable_view', true, NULL::pg_catalog.text FROM pg_catalog.pg_class AS c
WHERE c.relkind = 'v' AND c.oid >= '16384' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS e
    WHERE e.classid = '1259' AND e.objid = c.oid AND e.objsubid = 0 AND e.deptype = 'e')""",
    "pg_foreign_table": """
(WITH RECURSIVE unknown (id) AS (
    SELECT c.oid FROM pg_catalog.pg_class AS c
    WHERE c.relkind = 'f' AND NOT EXISTS (
        SELECT FROM pg_catalog.pg_depend AS d
        JOIN pg_catalog.pg_foreign_server AS s ON s.oid = d.refobjid
        JOIN pg_catalog.pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
        WHERE d.classid = '1259' AND d.objid = c.oid AND d.refclassid = '1417'
          AND pg_catalog.textin(pg_catalog.regprocout(w.fdwhandler::pg_catalog.regproc))
              ~ '(^|[.])postgres_fdw_handler$')
    UNION
    SELECT i.inhparent FROM unknown AS u JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = u.id
)
SELECT u.id, 'unreadable_foreign_table', true, NULL::pg_catalog.text FROM unknown AS u)""",
    "pg_inherits": """
SELECT c.oid, 'unreadable_foreign_table', true, NULL::pg_catalog.text FROM pg_catalog.pg_class AS c
WHERE c.relhassubclass AND c.relkind IN ('r', 'p')
  AND EXISTS (SELECT FROM pg_catalog.pg_class AS f WHERE f.relkind = 'f')""",
}

# Names of functions that pg_depend and regproc show without pg_proc. Functions below OID 16384 are
# PostgreSQL's, and the shipped list describes them; all others count as callable with any arguments.
REPLACEMENTS: Final = {
    "pg_proc": """(
    SELECT d.objid AS oid, d.refobjid AS pronamespace,
           (pg_catalog.parse_ident(pg_catalog.textin(pg_catalog.regprocout(d.objid::pg_catalog.regproc))))[
               pg_catalog.cardinality(pg_catalog.parse_ident(
                   pg_catalog.textin(pg_catalog.regprocout(d.objid::pg_catalog.regproc))))
           ]::pg_catalog.name AS proname,
           'v'::pg_catalog."char" AS provolatile, false AS prosecdef, 0::pg_catalog.oid AS proowner,
           14::pg_catalog.oid AS prolang,
           'f'::pg_catalog."char" AS prokind, 0::pg_catalog.oid AS prorettype, ''::pg_catalog.text AS prosrc,
           1::pg_catalog.int2 AS pronargs, 0::pg_catalog.int2 AS pronargdefaults,
           0::pg_catalog.oid AS provariadic, '2249'::pg_catalog.oidvector AS proargtypes,
           NULL::pg_catalog.text[] AS proconfig, NULL::pg_catalog.oid[] AS proallargtypes,
           NULL::pg_catalog."char"[] AS proargmodes, NULL::pg_catalog.text[] AS proargnames
    FROM pg_catalog.pg_depend AS d
    WHERE d.classid = '1255' AND d.refclassid = '2615'
    UNION ALL
    SELECT b.oid, 11::pg_catalog.oid,
           pg_catalog.textin(pg_catalog.regprocout(b.oid::pg_catalog.regproc))::pg_catalog.name,
           'v'::pg_catalog."char", false, 0::pg_catalog.oid, 14::pg_catalog.oid,
           'f'::pg_catalog."char", 0::pg_catalog.oid,
           ''::pg_catalog.text, 1::pg_catalog.int2, 0::pg_catalog.int2, 0::pg_catalog.oid,
           '2249'::pg_catalog.oidvector, NULL::pg_catalog.text[], NULL::pg_catalog.oid[],
           NULL::pg_catalog."char"[], NULL::pg_catalog.text[]
    FROM (SELECT n.number::pg_catalog.oid AS oid
          FROM pg_catalog.generate_series(1, 16383) AS n (number)) AS b
    WHERE pg_catalog.textin(pg_catalog.regprocout(b.oid::pg_catalog.regproc)) !~ '^[0-9]+$'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = '1255' AND d.objid = b.oid))""",
    "pg_language": "(SELECT 14::pg_catalog.oid AS oid, 'sql'::pg_catalog.name AS lanname)",
    "pg_extension": """(
    SELECT x.refobjid AS oid,
           (pg_catalog.parse_ident((pg_catalog.pg_identify_object('3079', x.refobjid, 0)).identity))[1]
               AS extname
    FROM (SELECT DISTINCT d.refobjid FROM pg_catalog.pg_depend AS d
          WHERE d.refclassid = '3079' AND d.deptype = 'e') AS x)""",
}

FUNCTION_PARTS: Final = frozenset({"pg_proc", "pg_language"})


def unreadable_relations(unreadable: Collection[str]) -> str:
    """Return the statement that lists relations whose calls are unknown, and why they are."""
    pieces = [
        without(sql, unreadable) for part, sql in sorted(_UNREADABLE_BY_PART.items()) if part in unreadable
    ]
    pieces.append("SELECT 0::pg_catalog.oid, '', false, NULL::pg_catalog.text WHERE false")
    return f"""
SELECT DISTINCT n.nspname::pg_catalog.text, c.relname::pg_catalog.text, u.reason, u.is_ours, u.owners
FROM ({" UNION ALL ".join(pieces)}) AS u (id, reason, is_ours, owners)
JOIN pg_catalog.pg_class AS c ON c.oid = u.id
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"""  # noqa: S608 - constants of this file
