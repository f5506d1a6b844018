"""Which parts of PostgreSQL's catalog the role may read, and our own statements without the others.

Hardened servers revoke parts of pg_catalog from PUBLIC. A statement that names such a part fails as a whole,
so the part is replaced by a relation without rows before the statement is sent. What that leaves out is
logged once, and `pgmcp doctor` lists it.
"""

import logging
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from typing import Final

from pgmcp.errors import CatalogDeniedError, ResultTooLargeError, StatementFailedError
from pgmcp.execution.result import Rows

_log = logging.getLogger(__name__)

Fetch = Callable[[str], Awaitable[Rows]]
"""Runs one catalog statement of ours, and gives all its rows."""

Report = Callable[[Collection[str]], None]
"""Takes the parts of the catalog that the role may not read."""

USE_BY_PART: Final[Mapping[str, str]] = {
    "pg_aggregate": "aggregates of the database are refused",
    "pg_attrdef": "defaults of columns are not shown",
    "pg_attribute": "neither the schema is shown nor statements are checked",
    "pg_cast": "no statement can be checked",
    "pg_class": "neither the schema is shown nor statements are checked",
    "pg_constraint": "keys and checks are not shown, and no statement can be checked",
    "pg_depend": "what belongs to extensions counts as the database's own",
    "pg_description": "comments are not shown",
    "pg_enum": "labels of enums are not shown",
    "pg_extension": "versions of extensions are not noticed",
    "pg_foreign_table": "foreign tables are refused, except those of postgres_fdw",
    "pg_index": "indexes are not shown",
    "pg_inherits": "partitions are not counted, and tables that foreign tables may be part of are refused",
    "pg_language": "functions of the database are refused",
    "pg_namespace": "neither the schema is shown nor statements are checked",
    "pg_operator": "no statement can be checked",
    "pg_policy": "tables whose row-level security holds for this role are refused",
    "pg_proc": "functions of the database are refused",
    "pg_range": "no statement can be checked",
    "pg_roles": "what the role may do besides reading, and policies behind views, are not known",
    "pg_rewrite": "views are refused",
    "pg_stats": "values and ranges of columns are not known",
    "pg_type": "no statement can be checked",
}
"""What is less when a part may not be read."""

_UNREADABLE_SQL: Final = f"""
SELECT part.name FROM pg_catalog.unnest('{{{",".join(USE_BY_PART)}}}'::pg_catalog.text[]) AS part (name)
WHERE NOT pg_catalog.has_table_privilege(
    pg_catalog.to_regclass(pg_catalog.format('pg_catalog.%I', part.name))::pg_catalog.oid, 'SELECT')
ORDER BY 1"""  # noqa: S608 - constants of this file

_INSUFFICIENT_PRIVILEGE: Final = "42501"
_GRANT_HINT: Final = "an administrator grants the role what is named here; `pgmcp doctor` lists what it lacks"

_PART: Final = re.compile(r"\b(FROM|JOIN)\s+pg_catalog\.(pg_\w+) AS\b")
_reported: set[tuple[str, str]] = set()


async def find_unreadable(fetch: Fetch) -> frozenset[str]:
    """Return the parts of the catalog that the role may not read.

    Raises:
        CatalogDeniedError: not even that may be asked.
        ResultTooLargeError: the answer was cut short, and says nothing.
        ExecutionError: what `fetch` raised.
    """
    found = await fetch_own(fetch, _UNREADABLE_SQL)
    if found.truncated:
        raise ResultTooLargeError("the limits of catalog reads do not let even their names through")
    return frozenset(str(name) for (name,) in found.rows)


async def fetch_own(fetch: Fetch, sql: str) -> Rows:
    """Run a catalog statement of ours; when PostgreSQL refuses it, the error says whose statement it was.

    Raises:
        CatalogDeniedError: PostgreSQL refused it.
        ExecutionError: what `fetch` raised otherwise.
    """
    try:
        return await fetch(sql)
    except StatementFailedError as error:
        is_denied = error.sqlstate == _INSUFFICIENT_PRIVILEGE
        raise CatalogDeniedError(
            "pgmcp's own read of the catalog was refused, before your statement was sent: "
            f"{error} (SQLSTATE {error.sqlstate})",
            hint=_GRANT_HINT
            if is_denied
            else "your statement is not the cause; an administrator looks into it",
        ) from error


def without(sql: str, unreadable: Collection[str], replacements: Mapping[str, str] | None = None) -> str:
    """Return a statement that reads nothing the role may not read.

    Args:
        sql: reads each part of the catalog as `FROM pg_catalog.pg_… AS` or `JOIN pg_catalog.pg_… AS`.
        replacements: relation by part; a part without one becomes a relation without rows.
    """

    def replace(match: re.Match[str]) -> str:
        word, part = match.groups()
        if part not in unreadable:
            return match[0]
        # The row type needs no right on the table itself.
        empty = f"(SELECT (NULL::pg_catalog.{part}).* WHERE false)"
        return f"{word} {(replacements or {}).get(part, empty)} AS"

    return _PART.sub(replace, sql) if unreadable else sql


def require(parts: Collection[str], unreadable: Collection[str], *, purpose: str) -> None:
    """Raise if one of these parts may not be read.

    Args:
        purpose: what they are needed for: "the schema cannot be shown".

    Raises:
        CatalogDeniedError: names the parts and the GRANT.
    """
    if missing := sorted(set(parts) & set(unreadable)):
        raise CatalogDeniedError(
            f"{purpose}: the role of this connection may not read {', '.join(missing)}", hint=grant(missing)
        )


def grant(parts: Collection[str]) -> str:
    """Return what an administrator does so that these parts can be read."""
    names = ", ".join(f"pg_catalog.{part}" for part in sorted(parts))
    return f"an administrator runs GRANT SELECT ON {names} TO the role of this connection"


def ignore_unreadable(unreadable: Collection[str]) -> None:
    """Report nothing."""


def report_once(database: str, unreadable: Collection[str]) -> None:
    """Log what is less because of these parts, once for each database and part."""
    for part in sorted(unreadable):
        if (database, part) not in _reported:
            _reported.add((database, part))
            _log.warning(
                "database %s: the role may not read pg_catalog.%s: %s", database, part, USE_BY_PART[part]
            )
