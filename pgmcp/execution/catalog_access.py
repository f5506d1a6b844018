"""Finds parts of pg_catalog that the role may not use, and removes them from pgmcp's own statements.

On hardened servers, PUBLIC has no access to some relations and functions of pg_catalog. PostgreSQL refuses a
whole statement because of one such part. So `without` replaces the part before the statement is sent: a
relation by an empty one, a call by a constant. The consequences are logged once, and `pgmcp doctor` lists
them.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

from pgmcp.errors import CatalogDeniedError, ResultTooLargeError, StatementFailedError
from pgmcp.execution.connection_hints import hint_for
from pgmcp.execution.result import Rows

_log = logging.getLogger(__name__)

Fetch = Callable[[str], Awaitable[Rows]]
"""Runs one of pgmcp's own catalog statements, and returns all its rows."""

Report = Callable[[Collection[str]], None]
"""Called with the parts of the catalog that the role may not use."""

_IF_PLANNED: Final = "tables are refused whose indexes or the like call functions of the database"

USE_BY_RELATION: Final[Mapping[str, str]] = {
    "pg_aggregate": "aggregates of the database are refused",
    "pg_attrdef": "defaults of columns are not shown",
    "pg_attribute": "the schema is not shown, and no statement can be checked",
    "pg_cast": "no statement can be checked",
    "pg_class": "the schema is not shown, and no statement can be checked",
    "pg_constraint": "keys and checks are not shown, and no statement can be checked",
    "pg_depend": (
        "objects of extensions count as the database's own; if another part is missing too, no statement can "
        "be checked"
    ),
    "pg_description": "comments are not shown",
    "pg_enum": "labels of enums are not shown",
    "pg_extension": "versions of extensions are not noticed",
    "pg_foreign_table": "foreign tables are refused, except those of postgres_fdw",
    "pg_index": f"indexes are not shown, {_IF_PLANNED}",
    "pg_inherits": (
        "partitions are not counted; tables that foreign tables may be part of are refused, and partitioned "
        "tables if an index of any table calls a function of the database"
    ),
    "pg_language": "functions of the database are refused",
    "pg_largeobject_metadata": "whether the role may write large objects is not known",
    "pg_namespace": "the schema is not shown, and no statement can be checked",
    "pg_operator": "no statement can be checked",
    "pg_parameter_acl": "whether the role may change settings of the server is not known",
    "pg_partitioned_table": _IF_PLANNED,
    "pg_policy": "tables whose row-level security applies to this role are refused",
    "pg_proc": "functions of the database are refused, and it is not known whether the role owns any",
    "pg_range": "no statement can be checked",
    "pg_roles": (
        "it is not known whether the role has REPLICATION, BYPASSRLS, CREATEROLE or CREATEDB, and where "
        "policies apply behind views"
    ),
    "pg_rewrite": "views are refused",
    "pg_shdepend": "if pg_proc may not be read either, functions of extensions are refused",
    "pg_statistic_ext": _IF_PLANNED,
    "pg_stats": "values and ranges of columns are not known",
    "pg_type": "no statement can be checked",
}
"""Relations of pg_catalog, and what is missing when the role may not read one."""


@dataclass(frozen=True, slots=True)
class OptionalFunction:
    """A function of pg_catalog without which pgmcp's statements still work.

    Attributes:
        signatures: all must be executable; signatures that the server's version lacks are ignored.
        consequence: what is missing if the role may not execute it.
        value: the SQL that replaces a call; "" if no statement given to `without` calls it.
        views: system views that call it with the reader's privileges, so they cannot be read without it.
        is_unique: whether each server has only one of the signatures.
    """

    signatures: tuple[str, ...]
    consequence: str
    value: str = ""
    views: tuple[str, ...] = ()
    is_unique: bool = False

    @property
    def granted(self) -> tuple[str, ...]:
        """What GRANT EXECUTE names; a function with only one signature needs none."""
        return (self.signatures[0].partition("(")[0],) if self.is_unique else self.signatures


_NO_TEXT: Final = "NULL::pg_catalog.text"
_NO_SIZES: Final = "tables are sampled from their first pages only"
_NOT_ENDED: Final = "the session of a killed worker ends only when the server notices that its client is gone"

OPTIONAL_FUNCTIONS: Final[Mapping[str, OptionalFunction]] = {
    "inet_client_port": OptionalFunction(("inet_client_port()",), "poolers are recognised by fewer signs"),
    "pg_backend_pid": OptionalFunction(
        ("pg_backend_pid()",), f"the server is used as if a pooler were in front of it: {_NOT_ENDED}"
    ),
    "pg_get_constraintdef": OptionalFunction(
        ("pg_get_constraintdef(oid)",),
        "conditions of CHECK and exclusion constraints are not shown",
        _NO_TEXT,
    ),
    "pg_get_expr": OptionalFunction(
        ("pg_get_expr(pg_node_tree,oid)",), "defaults of columns are not shown", _NO_TEXT
    ),
    "pg_get_functiondef": OptionalFunction(
        ("pg_get_functiondef(oid)",),
        "functions of the database that are written in SQL or PL/pgSQL are refused",
        "''::pg_catalog.text",
    ),
    "pg_get_indexdef": OptionalFunction(("pg_get_indexdef(oid)",), "indexes are not shown", _NO_TEXT),
    "pg_partition_tree": OptionalFunction(("pg_partition_tree(regclass)",), _NO_SIZES),
    "pg_relation_size": OptionalFunction(
        ("pg_relation_size(regclass)", "pg_relation_size(regclass,text)"), _NO_SIZES, "0::pg_catalog.int8"
    ),
    "pg_show_all_settings": OptionalFunction(
        ("pg_show_all_settings()",), "settings found in a session count as the role's own"
    ),
    "pg_stat_get_activity": OptionalFunction(
        ("pg_stat_get_activity(integer)",), _NOT_ENDED, views=("pg_stat_activity", "pg_stat_ssl")
    ),
    "pg_stat_get_live_tuples": OptionalFunction(
        ("pg_stat_get_live_tuples(oid)",),
        "tables are sampled in the order of their names, and partitions that were never analysed do not "
        "count towards their parent's size",
        "0::pg_catalog.int8",
    ),
    "pg_terminate_backend": OptionalFunction(
        ("pg_terminate_backend(integer)", "pg_terminate_backend(integer,bigint)"),
        _NOT_ENDED,
        is_unique=True,
    ),
    "row_security_active": OptionalFunction(
        ("row_security_active(oid)",),
        "every row policy counts as one for this role, and answers do not say where policies apply",
        "true",
        views=("pg_stats",),
    ),
}
"""Optional functions by name. If the role may not execute another function, statements that call it fail."""

USE_BY_PART: Final[Mapping[str, str]] = {
    **USE_BY_RELATION,
    **{name: function.consequence for name, function in OPTIONAL_FUNCTIONS.items()},
}
"""What is missing when the role may not use a part of the catalog."""


def _signature_rows() -> str:
    return ", ".join(
        f"('{part}', 'pg_catalog.{signature}')"
        for name, function in OPTIONAL_FUNCTIONS.items()
        for part in (name, *(view for view in function.views if view in USE_BY_RELATION))
        for signature in function.signatures
    )


_UNREADABLE_SQL: Final = f"""
SELECT part.name FROM pg_catalog.unnest('{{{",".join(USE_BY_RELATION)}}}'::pg_catalog.text[]) AS part (name)
WHERE NOT pg_catalog.has_table_privilege(
    pg_catalog.to_regclass(pg_catalog.format('pg_catalog.%I', part.name))::pg_catalog.oid, 'SELECT')
UNION
SELECT part.name FROM (VALUES {_signature_rows()}) AS part (name, signature)
WHERE NOT pg_catalog.has_function_privilege(
    pg_catalog.to_regprocedure(part.signature)::pg_catalog.oid, 'EXECUTE')
ORDER BY 1"""  # noqa: S608 - constants of this file

INSUFFICIENT_PRIVILEGE: Final = "42501"
_GRANT_HINT: Final = (
    "have an administrator grant the role the access that this message names; `pgmcp doctor` lists what it "
    "lacks"
)
_NOT_THE_CAUSE: Final = "your statement is not the cause; ask an administrator of the database"

_RELATION: Final = re.compile(r"\b(FROM|JOIN)\s+pg_catalog\.(pg_\w+) AS\b")
_FUNCTION: Final = re.compile(r"\bpg_catalog\.(\w+)\(")
# Servers that speak another language get the general hint.
_DENIED: Final = re.compile(r"permission denied for (function|aggregate|table|view|relation) (\w+)")
_reported: set[tuple[str, str]] = set()


async def find_unreadable(fetch: Fetch) -> frozenset[str]:
    """Return the parts of the catalog that the role may not use.

    Raises:
        CatalogDeniedError: the role may not even run this query.
        ResultTooLargeError: the result was cut.
        ExecutionError: raised by `fetch`.
    """
    found = await fetch_own(fetch, _UNREADABLE_SQL)
    if found.truncated:
        raise ResultTooLargeError("the list of catalog parts that the role may not use exceeds the limits")
    return frozenset(str(name) for (name,) in found.rows)


async def fetch_own(fetch: Fetch, sql: str) -> Rows:
    """Run one of pgmcp's own catalog statements.

    Raises:
        CatalogDeniedError: PostgreSQL refused the statement; the message says that it is not the caller's.
        ExecutionError: any other error of `fetch`.
    """
    try:
        return await fetch(sql)
    except StatementFailedError as error:
        is_denied = error.sqlstate == INSUFFICIENT_PRIVILEGE
        raise CatalogDeniedError(
            "pgmcp's own read of the catalog was refused, before your statement was sent: "
            f"{error} (SQLSTATE {error.sqlstate})",
            hint=grant_for(str(error)) if is_denied else hint_for(str(error), _NOT_THE_CAUSE),
        ) from error


def without(sql: str, unreadable: Collection[str], replacements: Mapping[str, str] | None = None) -> str:
    """Return the statement without parts that the role may not use.

    Args:
        sql: reads each relation of the catalog as `FROM pg_catalog.pg_… AS` or `JOIN pg_catalog.pg_… AS`.
        replacements: SQL by part. Without an entry, a relation is replaced by an empty one, and a call by the
            value in `OPTIONAL_FUNCTIONS`.
    """
    if not unreadable:
        return sql
    given = replacements or {}

    def replace(match: re.Match[str]) -> str:
        word, part = match.groups()
        if part not in unreadable:
            return match[0]
        # The row type needs no privilege on the table itself.
        empty = f"(SELECT (NULL::pg_catalog.{part}).* WHERE false)"
        return f"{word} {given.get(part, empty)} AS"

    return _without_calls(_RELATION.sub(replace, sql), unreadable, given)


def _without_calls(sql: str, unreadable: Collection[str], replacements: Mapping[str, str]) -> str:
    start = 0
    while call := _FUNCTION.search(sql, start):
        name = call[1]
        value = replacements.get(name) or (
            OPTIONAL_FUNCTIONS[name].value if name in OPTIONAL_FUNCTIONS else ""
        )
        if name in unreadable and value:
            sql = sql[: call.start()] + value + sql[_closing(sql, call.end()) :]
        start = call.start() + 1
    return sql


def _closing(sql: str, start: int) -> int:
    """Return the offset after the parenthesis that closes a call whose arguments begin at `start`."""
    depth = 1
    while depth:
        depth += {"(": 1, ")": -1}.get(sql[start], 0)
        start += 1
    return start


def require(parts: Collection[str], unreadable: Collection[str], *, purpose: str) -> None:
    """Raise if the role may not use one of these parts.

    Args:
        purpose: the consequence, for the message: "the schema cannot be shown".

    Raises:
        CatalogDeniedError: names the parts and the GRANT.
    """
    if missing := sorted(set(parts) & set(unreadable)):
        raise CatalogDeniedError(
            f"{purpose}: the role of this connection may not {describe_use(missing)}", hint=grant(missing)
        )


def describe_use(parts: Collection[str]) -> str:
    """Return a list of forbidden uses for a message: "read pg_proc, execute pg_get_expr"."""
    return ", ".join(
        f"{'execute' if part in OPTIONAL_FUNCTIONS else 'read'} {part}" for part in sorted(parts)
    )


def grant(parts: Collection[str]) -> str:
    """Return a hint with the GRANT for these parts."""
    relations = sorted(f"pg_catalog.{part}" for part in parts if part not in OPTIONAL_FUNCTIONS)
    functions = [
        f"pg_catalog.{signature}"
        for part in sorted(set(parts) & OPTIONAL_FUNCTIONS.keys())
        for signature in OPTIONAL_FUNCTIONS[part].granted
    ]
    commands = []
    if relations:
        commands.append(f"GRANT SELECT ON {', '.join(relations)} TO the role of this connection")
    if functions:
        commands.append(f"GRANT EXECUTE ON FUNCTION {', '.join(functions)} TO the role of this connection")
    return f"an administrator runs {'; '.join(commands)}"


def grant_for(message: str) -> str:
    """Return a hint with the GRANT for PostgreSQL's "permission denied for …"."""
    denied = _DENIED.search(message)
    if denied is None:
        return _GRANT_HINT
    kind, name = denied.groups()
    if kind not in ("function", "aggregate") or name in OPTIONAL_FUNCTIONS:
        return grant([name])
    return (
        f"an administrator runs GRANT EXECUTE ON FUNCTION pg_catalog.{name} TO the role of this connection; "
        f"if there are several functions of that name, for each of them (psql: \\df pg_catalog.{name})"
    )


def ignore_unreadable(unreadable: Collection[str]) -> None:
    """Report nothing."""


def report_once(database: str, unreadable: Collection[str]) -> None:
    """Log the consequences of these missing parts, once for each database and part."""
    for part in sorted(unreadable):
        if (database, part) not in _reported:
            _reported.add((database, part))
            _log.warning(
                "database %s: the role may not %s: %s",
                database,
                describe_use([part]).replace(" ", " pg_catalog.", 1),
                USE_BY_PART[part],
            )
