"""The query whose row changes when the policy has to be read again."""

from collections.abc import Collection
from typing import Final

from pgmcp.execution.catalog_access import without
from pgmcp.execution.policy.gaps import FUNCTION_PARTS
from pgmcp.execution.policy.resolution import RESOLUTION_VERSION
from pgmcp.execution.policy.statements import POLICIES

# pgmcp's own statements are resolved in pg_catalog alone, so the caller's path comes from a setting.
# concat() needs no cast: `oid || xid` would use a cast to text that a superuser made.
# Every row that is made or changed gets a new place or transaction: the same digest, the same objects.
# Ordinary tables are left out: there can be many of them, and the policy does not look at them.
VERSION_PIECES: Final = (
    (
        "pg_proc",
        "SELECT pg_catalog.concat('p', oid, ctid, xmin, "
        "CASE WHEN prosecdef THEN pg_catalog.pg_get_userbyid(proowner) END) "
        "FROM pg_catalog.pg_proc WHERE oid >= '16384'",
    ),
    (
        "pg_aggregate",
        "SELECT pg_catalog.concat('a', aggfnoid::pg_catalog.oid, ctid, xmin) FROM pg_catalog.pg_aggregate "
        "WHERE aggfnoid::pg_catalog.oid >= '16384'",
    ),
    (
        "pg_operator",
        "SELECT pg_catalog.concat('o', oid, ctid, xmin) FROM pg_catalog.pg_operator WHERE oid >= '16384'",
    ),
    (
        "pg_cast",
        "SELECT pg_catalog.concat('c', oid, ctid, xmin) FROM pg_catalog.pg_cast WHERE oid >= '16384'",
    ),
    (
        "pg_type",
        "SELECT pg_catalog.concat('d', oid, ctid, xmin) FROM pg_catalog.pg_type WHERE typtype IN ('d', 'r')",
    ),
    (
        "pg_constraint",
        "SELECT pg_catalog.concat('k', oid, ctid, xmin) FROM pg_catalog.pg_constraint WHERE contypid <> '0'",
    ),
    (
        "pg_rewrite",
        "SELECT pg_catalog.concat('r', oid, ctid, xmin) FROM pg_catalog.pg_rewrite WHERE oid >= '16384'",
    ),
    (
        "pg_policy",
        f"""SELECT pg_catalog.concat('q', q.oid, q.ctid, q.xmin, policy.is_ours, policy.owners)
        FROM ({POLICIES}) AS policy JOIN pg_catalog.pg_policy AS q ON q.oid = policy.oid""",  # noqa: S608
    ),
    (
        "pg_foreign_table",
        "SELECT pg_catalog.concat('f', ftrelid, ctid, xmin) FROM pg_catalog.pg_foreign_table",
    ),
    (
        "pg_inherits",
        "SELECT pg_catalog.concat('i', i.inhparent, ' ', i.inhrelid) FROM pg_catalog.pg_inherits AS i "
        "JOIN pg_catalog.pg_class AS f ON f.oid = i.inhrelid AND f.relkind = 'f'",
    ),
    (
        "pg_attribute",
        "SELECT pg_catalog.concat('h', attrelid, ' ', attnum, ' ', atttypid, ' ', attname) "
        "FROM pg_catalog.pg_attribute WHERE atttypid >= '16384' AND ("
        "EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.contypid >= '16384') "
        "OR EXISTS (SELECT FROM pg_catalog.pg_cast AS c WHERE c.oid >= '16384' AND c.castfunc <> '0'))",
    ),
    ("pg_namespace", "SELECT pg_catalog.concat('n', oid, ctid, xmin) FROM pg_catalog.pg_namespace"),
    ("pg_extension", "SELECT pg_catalog.concat('e', oid, ctid, xmin) FROM pg_catalog.pg_extension"),
    (
        "pg_class",
        "SELECT pg_catalog.concat('t', oid, ctid, xmin) FROM pg_catalog.pg_class "
        "WHERE oid >= '16384' AND (relkind IN ('v', 'f', 'c') OR relrowsecurity)",
    ),
)
"""The rows that a policy is made of, and the part of the catalog that each needs."""

# Without pg_proc the names of functions are still in pg_depend; what they do is not.
_NAMES_PIECE: Final = """SELECT pg_catalog.concat('p', objid, ctid, xmin) FROM pg_catalog.pg_depend
WHERE classid = '1255' AND refclassid = '2615'"""


def version_statement(unreadable: Collection[str]) -> str:
    """Return the statement whose row changes whenever something changes that a policy is made of."""
    pieces = [without(sql, unreadable) for part, sql in VERSION_PIECES if part not in unreadable]
    if FUNCTION_PARTS & set(unreadable):
        pieces.append(_NAMES_PIECE)
    else:
        pieces.append(f"SELECT r.place FROM ({without(RESOLUTION_VERSION, unreadable)}) AS r")  # noqa: S608
    return f"""
SELECT pg_catalog.current_setting('pgmcp.schemas') AS search_path,
       pg_catalog.md5(pg_catalog.string_agg(o.place, ',' ORDER BY o.place)) AS digest
FROM ({" UNION ALL ".join(pieces)}) AS o (place)"""  # noqa: S608 - constants of this file
