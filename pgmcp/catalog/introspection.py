"""Reads a catalog with the statements of `queries`; the details of 1,000 tables at a time.

This saves memory: one result for 10,000 tables would take ten times the memory of the catalog.
"""

import asyncio
import logging
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from pgmcp.catalog import queries
from pgmcp.catalog.assembly import Assembly
from pgmcp.catalog.catalog import Catalog
from pgmcp.catalog.row_security import RowSecurity, read_row_security
from pgmcp.catalog.rows import Row, Types
from pgmcp.catalog.scope import CatalogScope
from pgmcp.errors import CatalogDeniedError, ResultTooLargeError
from pgmcp.execution.catalog_access import (
    Fetch,
    Report,
    fetch_own,
    find_unreadable,
    ignore_unreadable,
    require,
    without,
)
from pgmcp.execution.result import Rows

logger = logging.getLogger(__name__)

_PIECE_RELATIONS: Final = 1_000
"""Relations per statement: about one megabyte, and 50 to 200 ms in the database."""

_VITAL_PARTS: Final = frozenset({"pg_attribute", "pg_class", "pg_namespace"})

_EVERYTHING = CatalogScope()


async def read_catalog(
    fetch: Fetch,
    *,
    scope: CatalogScope = _EVERYTHING,
    old: Catalog | None = None,
    report: Report = ignore_unreadable,
) -> Catalog:
    """Read the tables and columns that the role may see.

    Args:
        fetch: runs one statement; its limits must allow about 1.5 MB.
        scope: which schemas to leave out, and which columns' values may be shown. Values and ranges come from
            the statistics of the last ANALYZE.
        old: the previous catalog; unchanged objects are reused, and it is returned if nothing has changed.
        report: called with the parts of the system catalog that the role may not read. Their information,
            such as keys or comments, is missing from the result.

    Raises:
        CatalogDeniedError: the role may not read the names of tables and columns.
        ResultTooLargeError: the limits of `fetch` cut an answer; a partial catalog would be misleading.
        ExecutionError: raised by `fetch`.
    """
    unreadable = await find_unreadable(fetch)
    report(unreadable)
    require(_VITAL_PARTS, unreadable, purpose="the schema cannot be shown")
    row_security = await _read_row_security(fetch)
    fetch = _without_unreadable(fetch, unreadable)
    session = await _fetch_all(fetch, queries.SESSION)
    server_version = _major_version(session[0][0])
    found = await _fetch_all(fetch, queries.RELATIONS)
    left_out = await _find_left_out_schemas(fetch, scope)
    relations = sorted((row for row in found if scope.includes(row[1])), key=lambda row: row[0])
    types = Types(await _fetch_all(fetch, queries.ENUMS), await _fetch_all(fetch, queries.DOMAINS))
    # In threads, so that requests are served meanwhile: 10,000 tables take a second of work.
    assembly = await asyncio.to_thread(Assembly, relations, types, scope, old, row_security)
    for piece in _pieces(relations):
        columns = await _fetch_all(fetch, queries.columns(*_id_range(piece)))
        statistics: Sequence[Row] = []
        if scope.with_values and "pg_stats" not in unreadable:
            statistics = await _fetch_all(fetch, queries.statistics(*_id_range(piece)))
        await asyncio.to_thread(assembly.add_columns, columns, statistics)
    for piece in _pieces(relations):
        constraints = await _fetch_all(fetch, queries.constraints(*_id_range(piece), server_version))
        indexes = await _fetch_all(fetch, queries.indexes(*_id_range(piece)))
        await asyncio.to_thread(assembly.add_tables, piece, constraints, indexes)
    return await asyncio.to_thread(assembly.catalog, session[0], left_out)


async def _read_row_security(fetch: Fetch) -> RowSecurity:
    """Return where policies apply; an empty result if the role may not read the needed catalogs."""
    try:
        return await read_row_security(fetch)
    except CatalogDeniedError as error:
        logger.warning("the tables with row-level security could not be read from the catalog (%s)", error)
        return RowSecurity()


async def _find_left_out_schemas(fetch: Fetch, scope: CatalogScope) -> list[str]:
    """Return the schemas that the scope excludes, also those whose relations would not be listed."""
    if not (scope.include_schemas or scope.exclude_schemas):
        return []
    return [schema for (schema,) in await _fetch_all(fetch, queries.SCHEMAS) if not scope.includes(schema)]


def _major_version(server_version: str) -> int:
    """Return 18 for "18.1", "18beta1" and "18.1 (Debian …)"."""
    match = re.match(r"\d+", server_version)
    return int(match[0]) if match else 0


def _pieces(relations: Sequence[Row]) -> Iterator[Sequence[Row]]:
    for start in range(0, len(relations), _PIECE_RELATIONS):
        yield relations[start : start + _PIECE_RELATIONS]


def _id_range(piece: Sequence[Row]) -> tuple[int, int]:
    """Return the OIDs of the first and last relation of a piece."""
    return piece[0][0], piece[-1][0]


def _without_unreadable(fetch: Fetch, unreadable: Collection[str]) -> Fetch:
    """Return a `fetch` that removes unreadable parts from each statement."""

    async def fetch_without(sql: str) -> Rows:
        return await fetch_own(fetch, without(sql, unreadable))

    return fetch_without


async def _fetch_all(fetch: Fetch, sql: str) -> Sequence[Row]:
    result = await fetch(sql)
    # Cells that were cut are handled when they are decoded.
    if result.truncated:
        raise ResultTooLargeError(
            "the database's catalog is larger than the limit for one result",
            hint="give the role access to fewer schemas",
        )
    return result.rows
