"""Reads what one database's own objects call, from its catalog, for `FunctionPolicy`.

The statements read little about ordinary tables. So the first call to a huge database waits milliseconds for
them, while a read of the whole catalog takes seconds. They work on servers 13 to 18 and for any role, and
qualify every name. The row of `version_statement` changes when the policy has to be read again. If the role
may not read a part of the catalog, another part replaces it, or the objects in it count as unknown.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from pgmcp.errors import ResultTooLargeError
from pgmcp.execution.catalog_access import (
    Fetch,
    Report,
    fetch_own,
    find_unreadable,
    ignore_unreadable,
    require,
    without,
)
from pgmcp.execution.policy.planned import PLANNED, SUSPECTS, planned_relations
from pgmcp.execution.policy.relations import IS_SUBJECT, OWNERS, POLICIES, RELATIONS
from pgmcp.execution.policy.resolution import RESOLUTION, RESOLUTION_VERSION
from pgmcp.execution.policy.rows import (
    decode_texts,
    mark_caller_change,
    mark_unreadable,
    read_function,
    read_relations,
    read_schemas,
    resolution_facts,
)
from pgmcp.execution.policy.statements import FUNCTIONS, HIDDEN_SCHEMA, IS_SUPERUSER, RANGE_FUNCTIONS
from pgmcp.execution.result import JsonScalar
from pgmcp.validation.catalog_objects import ResolutionFacts
from pgmcp.validation.functions import FunctionPolicy
from pgmcp.validation.name_lookup import ANY_SCHEMA, NameReading

_UNREADABLE_EXPRESSIONS: Final = f"""
(WITH RECURSIVE suspects (id) AS (
    {SUSPECTS}
), upwards (id) AS (
    SELECT s.id FROM suspects AS s
    UNION
    SELECT i.inhparent FROM upwards AS u JOIN pg_catalog.pg_inherits AS i ON i.inhrelid = u.id
), downwards (id) AS (
    SELECT s.id FROM suspects AS s
    UNION
    SELECT i.inhrelid FROM downwards AS d JOIN pg_catalog.pg_inherits AS i ON i.inhparent = d.id
)
SELECT u.id, 'unreadable_expression', true, NULL::pg_catalog.text FROM upwards AS u
UNION
SELECT d.id, 'unreadable_expression', true, NULL::pg_catalog.text FROM downwards AS d)"""  # noqa: S608 - of constants

# For each part that a role may not read, a statement that lists the relations whose function calls are then
# unknown. It also says whether the login role makes these calls, and which owners make them; NULL means all.
_UNREADABLE_BY_PART: Final = {
    "pg_policy": f"""
(WITH owners (id) AS MATERIALIZED ({OWNERS})
SELECT t.oid, 'unreadable_policy', pg_catalog.row_security_active(t.oid),
       pg_catalog.concat('[', (
           SELECT pg_catalog.string_agg(pg_catalog.concat(owner.id), ',' ORDER BY owner.id)
           FROM owners AS owner WHERE {IS_SUBJECT}), ']')
FROM pg_catalog.pg_class AS t
WHERE t.relrowsecurity)""",  # noqa: S608 - of constants
    "pg_rewrite": f"""
SELECT c.oid, 'unreadable_view', true, NULL::pg_catalog.text FROM pg_catalog.pg_class AS c
WHERE c.relkind = 'v' AND c.oid >= '16384' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend AS e
    WHERE e.classid = '1259' AND e.objid = c.oid AND e.objsubid = 0 AND e.deptype = 'e'
      AND {IS_SUPERUSER.format(role="c.relowner")})""",  # noqa: S608 - of constants
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
    "pg_inherits": f"""
SELECT c.oid, 'unreadable_foreign_table', true, NULL::pg_catalog.text FROM pg_catalog.pg_class AS c
WHERE c.relhassubclass AND c.relkind IN ('r', 'p')
  AND EXISTS (SELECT FROM pg_catalog.pg_class AS f WHERE f.relkind = 'f')
UNION ALL
SELECT c.oid, 'unreadable_expression', true, NULL::pg_catalog.text FROM pg_catalog.pg_class AS c
WHERE (c.relhassubclass OR c.relispartition) AND c.relkind IN ('r', 'p')
  AND EXISTS (SELECT FROM ({SUSPECTS}) AS s)""",  # noqa: S608 - of constants
    **dict.fromkeys(("pg_index", "pg_partitioned_table", "pg_statistic_ext"), _UNREADABLE_EXPRESSIONS),
}

# The owner of a function that pg_proc does not show; 0 if it is not known. No row means the cluster's first
# superuser. Functions of other databases may have the same OID.
_OWNER: Final = """(
    SELECT CASE pg_catalog.count(DISTINCT s.refobjid) WHEN 0 THEN '10' WHEN 1 THEN pg_catalog.min(s.refobjid)
               ELSE '0' END
    FROM pg_catalog.pg_shdepend AS s WHERE s.classid = '1255' AND s.objid = d.objid AND s.deptype = 'o')"""
_UNKNOWN_OWNER: Final = "'0'::pg_catalog.oid"

# Without pg_proc, pg_depend and regproc still show the names of functions. Functions below OID 16384 are
# PostgreSQL's, and the shipped list describes them; all others count as callable with any arguments.
_REPLACEMENTS: Final = {
    "pg_proc": f"""(
    SELECT d.objid AS oid, d.refobjid AS pronamespace,
           (pg_catalog.parse_ident(pg_catalog.textin(pg_catalog.regprocout(d.objid::pg_catalog.regproc))))[
               pg_catalog.cardinality(pg_catalog.parse_ident(
                   pg_catalog.textin(pg_catalog.regprocout(d.objid::pg_catalog.regproc))))
           ]::pg_catalog.name AS proname,
           'v'::pg_catalog."char" AS provolatile, false AS prosecdef, {_OWNER} AS proowner,
           14::pg_catalog.oid AS prolang,
           'f'::pg_catalog."char" AS prokind, 0::pg_catalog.oid AS prorettype,
           NULL::pg_catalog.text AS prosrc,
           1::pg_catalog.int2 AS pronargs, 0::pg_catalog.int2 AS pronargdefaults,
           0::pg_catalog.oid AS provariadic, '2249'::pg_catalog.oidvector AS proargtypes,
           NULL::pg_catalog.text[] AS proconfig, NULL::pg_catalog.oid[] AS proallargtypes,
           NULL::pg_catalog."char"[] AS proargmodes, NULL::pg_catalog.text[] AS proargnames,
           NULL::pg_catalog.pg_node_tree AS proargdefaults
    FROM pg_catalog.pg_depend AS d
    WHERE d.classid = '1255' AND d.refclassid = '2615'
    UNION ALL
    SELECT b.oid, 11::pg_catalog.oid,
           pg_catalog.textin(pg_catalog.regprocout(b.oid::pg_catalog.regproc))::pg_catalog.name,
           'v'::pg_catalog."char", false, 0::pg_catalog.oid, 14::pg_catalog.oid,
           'f'::pg_catalog."char", 0::pg_catalog.oid,
           NULL::pg_catalog.text, 1::pg_catalog.int2, 0::pg_catalog.int2, 0::pg_catalog.oid,
           '2249'::pg_catalog.oidvector, NULL::pg_catalog.text[], NULL::pg_catalog.oid[],
           NULL::pg_catalog."char"[], NULL::pg_catalog.text[], NULL::pg_catalog.pg_node_tree
    FROM (SELECT n.number::pg_catalog.oid AS oid
          FROM pg_catalog.generate_series(1, 16383) AS n (number)) AS b
    WHERE pg_catalog.textin(pg_catalog.regprocout(b.oid::pg_catalog.regproc)) !~ '^[0-9]+$'
      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = '1255' AND d.objid = b.oid))""",  # noqa: S608
    "pg_language": "(SELECT 14::pg_catalog.oid AS oid, 'sql'::pg_catalog.name AS lanname)",
    "pg_extension": """(
    SELECT x.refobjid AS oid,
           (pg_catalog.parse_ident((pg_catalog.pg_identify_object('3079', x.refobjid, 0)).identity))[1]
               AS extname
    FROM (SELECT DISTINCT d.refobjid FROM pg_catalog.pg_depend AS d
          WHERE d.refclassid = '3079' AND d.deptype = 'e') AS x)""",
}

FUNCTION_PARTS: Final = frozenset({"pg_proc", "pg_language"})


def replacements(unreadable: Collection[str]) -> Mapping[str, str]:
    """Return SQL with which `without` replaces parts of the catalog that the role may not read."""
    if "pg_shdepend" not in unreadable:
        return _REPLACEMENTS
    return {part: sql.replace(_OWNER, _UNKNOWN_OWNER) for part, sql in _REPLACEMENTS.items()}


def unreadable_relations(unreadable: Collection[str]) -> str:
    """Return the statement that lists relations whose calls are unknown, and why they are."""
    pieces = [
        without(sql, unreadable) for part, sql in sorted(_UNREADABLE_BY_PART.items()) if part in unreadable
    ]
    pieces.append("SELECT 0::pg_catalog.oid, '', false, NULL::pg_catalog.text WHERE false")
    return f"""
SELECT DISTINCT n.nspname::pg_catalog.text, c.relname::pg_catalog.text, u.reason, u.for_connection, u.owners
FROM ({" UNION ALL ".join(pieces)}) AS u (id, reason, for_connection, owners)
JOIN pg_catalog.pg_class AS c ON c.oid = u.id
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"""  # noqa: S608 - constants of this file


# pgmcp's own statements are resolved in pg_catalog alone, so the caller's path comes from a setting.
# concat() needs no cast: `oid || xid` would use a cast to text that a superuser made.
# A row that is added or changed gets a new ctid or xmin, so an equal digest means that nothing has changed.
# Ordinary tables without row security are left out, because there can be many of them. The columns of such
# tables on which the function policy depends have pieces of their own.
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
        "SELECT pg_catalog.concat('d', t.oid, t.ctid, t.xmin) FROM pg_catalog.pg_type AS t "
        "WHERE t.typtype IN ('d', 'r', 'm') OR t.oid >= '16384' AND EXISTS ("
        "SELECT FROM pg_catalog.pg_cast AS c "
        "WHERE c.oid >= '16384' AND t.oid IN (c.castsource, c.casttarget))",
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
        f"""SELECT pg_catalog.concat('q', q.oid, q.ctid, q.xmin, policy.for_connection, policy.owners)
        FROM ({POLICIES}) AS policy JOIN pg_catalog.pg_policy AS q ON q.oid = policy.oid""",  # noqa: S608
    ),
    (
        "pg_foreign_table",
        "SELECT pg_catalog.concat('f', ftrelid, ctid, xmin) FROM pg_catalog.pg_foreign_table",
    ),
    (
        "pg_inherits",
        # Without functions of the database, an expression of a child matters to none of its parents.
        "SELECT pg_catalog.concat('i', i.inhparent, ' ', i.inhrelid, ' ', p.relnamespace, p.relname, "
        "' ', c.relnamespace, c.relname) "
        "FROM pg_catalog.pg_inherits AS i JOIN pg_catalog.pg_class AS p ON p.oid = i.inhparent "
        "JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid AND (c.relkind = 'f' OR c.relhassubclass "
        "AND EXISTS (SELECT FROM pg_catalog.pg_class AS f WHERE f.relkind = 'f') "
        "OR c.relkind IN ('r', 'p') AND EXISTS (SELECT FROM pg_catalog.pg_proc AS f WHERE f.oid >= '16384'))",
    ),
    (
        "pg_attribute",
        "SELECT pg_catalog.concat('h', a.attrelid, ' ', a.attnum, ' ', a.atttypid, ' ', a.attname, "  # noqa: S608
        "' ', t.relnamespace, t.relname) FROM pg_catalog.pg_attribute AS a "
        "JOIN pg_catalog.pg_class AS t ON t.oid = a.attrelid WHERE a.atttypid >= '16384' AND ("
        "EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.contypid >= '16384') "
        "OR EXISTS (SELECT FROM pg_catalog.pg_cast AS c WHERE c.oid >= '16384' AND c.castfunc <> '0') "
        "OR EXISTS (SELECT FROM pg_catalog.pg_range AS r, LATERAL (VALUES "
        f"{RANGE_FUNCTIONS}) AS f (id) WHERE f.id >= '16384'))",
    ),
    (
        "pg_index",
        "SELECT pg_catalog.concat('x', i.indexrelid, i.ctid, i.xmin, ' ', t.relnamespace, t.relname) "
        "FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid "
        "WHERE i.indexrelid >= '16384' AND (i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)",
    ),
    (
        "pg_constraint",
        "SELECT pg_catalog.concat('l', k.oid, k.ctid, k.xmin, ' ', t.relnamespace, t.relname) "
        "FROM pg_catalog.pg_constraint AS k JOIN pg_catalog.pg_class AS t ON t.oid = k.conrelid "
        "WHERE k.contype = 'c' AND k.oid >= '16384'",
    ),
    (
        "pg_statistic_ext",
        "SELECT pg_catalog.concat('s', s.oid, s.ctid, s.xmin, ' ', t.relnamespace, t.relname) "
        "FROM pg_catalog.pg_statistic_ext AS s JOIN pg_catalog.pg_class AS t ON t.oid = s.stxrelid",
    ),
    (
        "pg_partitioned_table",
        "SELECT pg_catalog.concat('m', p.partrelid, p.ctid, p.xmin, ' ', t.relnamespace, t.relname) "
        "FROM pg_catalog.pg_partitioned_table AS p JOIN pg_catalog.pg_class AS t ON t.oid = p.partrelid",
    ),
    ("pg_namespace", "SELECT pg_catalog.concat('n', oid, ctid, xmin) FROM pg_catalog.pg_namespace"),
    ("pg_extension", "SELECT pg_catalog.concat('e', oid, ctid, xmin) FROM pg_catalog.pg_extension"),
    (
        "pg_class",
        "SELECT pg_catalog.concat('t', oid, ctid, xmin) FROM pg_catalog.pg_class "
        "WHERE oid >= '16384' AND (relkind IN ('v', 'f', 'c') OR relrowsecurity)",
    ),
)
"""Parts of the catalog, each with a statement that returns a text for each row from which the policy is made.
The text changes when the row changes.
"""

# parse_ident() folds as the server's parser does, beyond ASCII only in encodings of one byte.
_FOLDS_BEYOND_ASCII: Final = """CASE
    WHEN pg_catalog.pg_encoding_max_length(
             pg_catalog.pg_char_to_encoding(pg_catalog.getdatabaseencoding())) = 1
    THEN (SELECT pg_catalog.bool_or((pg_catalog.parse_ident(pg_catalog.chr(n)))[1] <> pg_catalog.chr(n))
          FROM pg_catalog.generate_series(128, 255) AS s (n))
    ELSE false END"""

# Used if the role may not read pg_proc: the names of functions are in pg_depend, too, but not what they do.
_NAMES_PIECE: Final = """SELECT pg_catalog.concat('p', objid, ctid, xmin) FROM pg_catalog.pg_depend
WHERE classid = '1255' AND refclassid = '2615'"""

# The search path of the role, with the schemas that the role may not use.
_SETTING: Final = """(
    SELECT s.reset_val FROM pg_catalog.pg_show_all_settings() AS s WHERE s.name = 'search_path')"""

_VITAL_PARTS: Final = frozenset(
    {
        "pg_attribute",
        "pg_cast",
        "pg_class",
        "pg_constraint",
        "pg_namespace",
        "pg_operator",
        "pg_range",
        "pg_type",
    }
)
_OPTIONAL_FUNCTIONS: Final = frozenset({"pg_get_functiondef", "pg_show_all_settings", "row_security_active"})
_READ_PARTS: Final = frozenset(part for part, _ in VERSION_PIECES) | {
    "pg_depend",
    "pg_language",
    "pg_range",
    "pg_roles",
    "pg_shdepend",
}


class PolicyReader:
    """Makes the policy of one database, and makes it again only when the objects behind it have changed.

    Args:
        fetch: runs a catalog query in this database.
        allowed: as in `FunctionPolicy`.
        denied: as in `FunctionPolicy`.
        caller_settings: settings that identify the caller, such as "role"; functions that set one of them are
            refused.
        report: called with the parts of the catalog that the role may not use.
    """

    def __init__(
        self,
        fetch: Fetch,
        *,
        allowed: Iterable[str],
        denied: Iterable[str],
        caller_settings: Iterable[str] = (),
        report: Report = ignore_unreadable,
    ) -> None:
        self._fetch = fetch
        self._report = report
        self._allowed = tuple(allowed)
        self._denied = tuple(denied)
        self._caller_settings = frozenset(name.lower() for name in caller_settings)
        self._version: Sequence[list[JsonScalar]] = []
        self._policy: FunctionPolicy | None = None

    async def read(self) -> FunctionPolicy:
        """Return the policy for the database's current state; if nothing has changed, the previous policy.

        Objects that the role may not read count as unknown, and statements that would use them are refused.

        Raises:
            ResultTooLargeError: a result exceeded the limits; an incomplete policy would accept dangerous
                calls.
            CatalogDeniedError: the role may not read a part that is needed to check any statement.
            ExecutionError: raised by `fetch`.
        """
        found = await find_unreadable(self._fetch)
        self._report(found)
        unreadable = _complete(found & (_READ_PARTS | _OPTIONAL_FUNCTIONS))
        require(find_vital(unreadable), unreadable, purpose="statements cannot be checked")
        # The version is read before the rest, so that the next call notices a change made in between.
        parts: list[JsonScalar] = [*sorted(unreadable)]
        version = [*await self._fetch_all(version_statement(unreadable)), parts]
        if self._policy is None or version != self._version:
            functions = await self._fetch_all(without(FUNCTIONS, unreadable, replacements(unreadable)))
            relations = await self._fetch_all(without(RELATIONS, unreadable, replacements(unreadable)))
            planned = await self._fetch_all(without(PLANNED, unreadable, replacements(unreadable)))
            unknown = await self._fetch_all(unreadable_relations(unreadable)) if unreadable else []
            names = [] if "pg_proc" in unreadable else await self._fetch_all(without(RESOLUTION, unreadable))
            self._policy = FunctionPolicy(
                allowed=self._allowed,
                denied=self._denied,
                catalog_functions=(
                    mark_caller_change(mark_unreadable(read_function(row), unreadable), self._caller_settings)
                    for row in functions
                ),
                catalog_relations=[*read_relations(relations, unknown), *planned_relations(planned)],
                search_path=decode_texts(str(version[0][0])),
                facts=_with_hidden_schemas(resolution_facts(names), *version[0][4:]),
                name_reading=NameReading(str(version[0][2]), bool(version[0][3])),
            )
            self._version = version
        return self._policy

    async def _fetch_all(self, sql: str) -> Sequence[list[JsonScalar]]:
        result = await fetch_own(self._fetch, sql)
        if result.truncated or result.cut_cells:
            raise ResultTooLargeError(
                "the list of the database's functions exceeds the limits for catalog reads",
                hint=(
                    "pgmcp cannot check statements in a database with so many functions; no setting raises "
                    "these limits"
                ),
            )
        return result.rows


def _with_hidden_schemas(facts: ResolutionFacts, names: JsonScalar, setting: JsonScalar) -> ResolutionFacts:
    """Return the facts with the schemas that the role may not use, from the row of `version_statement`."""
    hidden = frozenset(decode_texts(str(names)))
    path = (ANY_SCHEMA,) if setting is None else read_schemas(str(setting))
    on_path = hidden if ANY_SCHEMA in path else hidden.intersection(path)
    return replace(facts, hidden_schemas=hidden, hidden_on_path=on_path)


def find_vital(unreadable: Collection[str]) -> frozenset[str]:
    """Return the unreadable parts without which no statement can be checked."""
    vital = _VITAL_PARTS | {"pg_depend"} if len(_READ_PARTS & set(unreadable)) > 1 else _VITAL_PARTS
    return vital & set(unreadable)


def _complete(unreadable: frozenset[str]) -> frozenset[str]:
    """Add pg_proc if pg_language cannot be read, and the reverse: both are needed to read functions."""
    return unreadable | FUNCTION_PARTS if unreadable & FUNCTION_PARTS else unreadable


def version_statement(unreadable: Collection[str]) -> str:
    """Return a statement with one row, which changes when a row from which the policy is made changes."""
    pieces = [without(sql, unreadable) for part, sql in VERSION_PIECES if part not in unreadable]
    if FUNCTION_PARTS & set(unreadable):
        pieces.append(_NAMES_PIECE)
    else:
        pieces.append(f"SELECT r.place FROM ({without(RESOLUTION_VERSION, unreadable)}) AS r")  # noqa: S608
    return f"""
SELECT pg_catalog.current_setting('pgmcp.schemas') AS search_path,
       pg_catalog.md5(pg_catalog.string_agg(o.place, ',' ORDER BY o.place)) AS digest,
       pg_catalog.getdatabaseencoding()::pg_catalog.text AS encoding, {_FOLDS_BEYOND_ASCII} AS folds,
       (SELECT pg_catalog.textin(pg_catalog.json_out(
                   COALESCE(pg_catalog.json_agg(n.nspname ORDER BY n.oid), '[]')))
        FROM pg_catalog.pg_namespace AS n WHERE {HIDDEN_SCHEMA.format(role="")}) AS hidden_schemas,
       {_SETTING if "pg_show_all_settings" not in unreadable else "NULL"} AS setting
FROM ({" UNION ALL ".join(pieces)}) AS o (place)"""  # noqa: S608 - constants of this file
