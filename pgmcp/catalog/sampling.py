"""Reads samples of columns that have no statistics.

PG_MCP_SERVER_SAMPLE_ROWS says how many rows of a table are read; 0 turns sampling off. Tables, partitioned
tables and materialized views that were never analysed are read, large ones at random pages. Views are
skipped, because they may compute everything for one row. Foreign tables are skipped, because their rows
belong to another server. Tables under row-level security are skipped, because PostgreSQL hides their
statistics. A column whose values may not be shown is not read.

As with statistics, only few and short texts are listed. For a table that was read completely, the list has
all values. A column of a larger table has a list only if each value occurs more than once in the sample; the
list may lack others.
"""

import asyncio
import logging
import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.catalog.known_values import looks_like_key, read_range, text_of
from pgmcp.catalog.queries import MAX_LISTED_VALUES, NEVER_ANALYSED
from pgmcp.errors import PgmcpError
from pgmcp.execution.catalog_access import Fetch, fetch_own, find_unreadable, without
from pgmcp.execution.result import RowLimits, Rows
from pgmcp.quoting import quote_identifier, quote_literal

_log = logging.getLogger(__name__)

SAMPLE_TIMEOUT_S: Final = 1.0
"""Timeout for one table, including the wait for a worker."""

TOTAL_TIMEOUT_S: Final = 30.0
"""After this time no further table is sampled."""

CLOSE_PATIENCE_S: Final = 0.25
"""How long `ColumnSamples.close` waits for sampling to end by itself."""

_ROW_COUNT, _WHOLE = -1, "whole"
"""The column index of the row that counts the rows read, and the value in it if all pages were read."""

_MAX_VALUE_CHARACTERS = 64
_MAX_COLUMNS = 60
SAMPLE_LIMITS: Final = RowLimits(
    max_rows=_MAX_COLUMNS * (MAX_LISTED_VALUES + 1) + 1, max_bytes=2 << 20, max_cell_bytes=1024
)
"""Limits of one sampling statement. Its rows are values with their counts, and never exceed the limits."""

_ROWS_PER_PAGE = 100  # in wide tables, a page has fewer rows, so fewer rows than requested are read
_MIN_PAGES = 16  # each page is chosen at random: if fewer were requested, perhaps none would be chosen

# If the role may not read the size of a table, every page is chosen, and LIMIT takes the rows of the first
# pages.
_WITHOUT_SIZES: Final = {
    "pg_partition_tree": "(SELECT NULL::pg_catalog.regclass AS relid WHERE false)",
}

_RANGED_TYPE = re.compile(
    r"bigint|integer|smallint|real|double precision|numeric(?:\(.+\))?"
    r"|date|timestamp(?:\(\d\))? with(?:out)? time zone"
)


@dataclass(frozen=True, slots=True)
class ColumnSample:
    """Values or range seen in a column, as in `pgmcp.catalog.catalog.Column`."""

    values: tuple[str, ...] = ()
    may_hold_others: bool = False
    value_range: tuple[str, str] | None = None


Samples = Mapping[tuple[str, str], Mapping[str, ColumnSample]]
"""Samples by (schema, table) and column name."""


async def sample(
    catalog: Catalog,
    fetch: Fetch,
    probe: Fetch,
    *,
    max_rows: int,
    clock: Callable[[], float] = time.monotonic,
) -> Samples:
    """Return samples of the tables that were never analysed, within the time limits.

    Args:
        catalog: its scope decides which columns' values may be shown.
        fetch: runs a statement of `queries`.
        probe: runs one sampling statement; if it raises an error, the table has no samples.
        max_rows: rows read of one table.

    Raises:
        ExecutionError: raised by `fetch`.
    """
    ends_at_s = clock() + TOTAL_TIMEOUT_S
    samples: dict[tuple[str, str], Mapping[str, ColumnSample]] = {}
    unreadable = await find_unreadable(fetch)
    if "pg_stats" in unreadable:
        return samples  # pg_stats shows which tables were analysed
    found = await fetch_own(fetch, without(NEVER_ANALYSED, unreadable))
    names = [(str(schema), str(name)) for schema, name in found.rows]
    for schema, name in names:
        table = catalog.get(schema, name)
        columns = _columns_to_sample(table, catalog) if table else []
        if table is None or not columns:
            continue
        if clock() >= ends_at_s:
            break
        try:
            rows = await probe(without(_statement(table, columns, max_rows), unreadable, _WITHOUT_SIZES))
        except PgmcpError as error:
            _log.debug("a table was not sampled (%s)", error.code)
            continue
        samples[schema, name] = _read(columns, rows, max_rows)
    _log.info("sampled %d of %d tables that were never analysed", len(samples), len(names))
    return samples


def add_samples(catalog: Catalog, samples: Samples) -> Catalog:
    """Return the catalog with samples added to columns that have neither values nor a range."""
    tables = (
        _with_samples(table, samples[table.schema, table.name])
        if (table.schema, table.name) in samples
        else table
        for table in catalog.tables
    )
    return replace(catalog, tables=tuple(tables))


def _with_samples(table: Table, samples: Mapping[str, ColumnSample]) -> Table:
    return replace(
        table,
        columns=tuple(
            replace(
                column,
                values=seen.values,
                value_range=seen.value_range,
                may_hold_others=seen.may_hold_others,
            )
            if (seen := samples.get(column.name)) and not (column.values or column.value_range)
            else column
            for column in table.columns
        ),
    )


def _columns_to_sample(table: Table, catalog: Catalog) -> list[Column]:
    keys = {*table.primary_key, *(name for key in table.foreign_keys for name in key.columns)}
    worth = [
        column
        for column in table.columns
        if (column.is_text and not column.values) or (_has_range(column) and column.name not in keys)
    ]
    shown = (each for each in worth if catalog.scope.shows_values(table.schema, table.name, each.name))
    return list(shown)[:_MAX_COLUMNS]


def _has_range(column: Column) -> bool:
    return _RANGED_TYPE.fullmatch(column.type) is not None and not looks_like_key(column.name)


def _statement(table: Table, columns: list[Column], max_rows: int) -> str:
    """Return a statement that yields (column index, value, count), most frequent values first."""
    seen = ", ".join(f"t.{quote_identifier(column.name)} AS c{place}" for place, column in enumerate(columns))
    name = f"{quote_identifier(table.schema)}.{quote_identifier(table.name)}"
    percentage = _percentage(table, name, max_rows)
    counts = "\nUNION ALL ".join(
        count
        for place, column in enumerate(columns)
        for count in (_count_texts(column, place) if column.is_text else _count_bounds(place))
    )
    return f"""\
WITH s AS MATERIALIZED (
    SELECT {seen}
    FROM {name} AS t TABLESAMPLE SYSTEM ({percentage}) REPEATABLE ('0')
    LIMIT {max_rows:d}::pg_catalog.int8)
SELECT {_ROW_COUNT} AS place, CASE WHEN {percentage} >= '100' THEN '{_WHOLE}' END AS value,
       pg_catalog.count(*) AS often
FROM s
UNION ALL
{counts}"""  # noqa: S608 - names are quoted; the rest is constant


def _percentage(table: Table, name: str, max_rows: int) -> str:
    """Return an SQL expression for the percentage of a table's pages that holds `max_rows` rows."""
    pages = max(_MIN_PAGES, -(-max_rows // _ROWS_PER_PAGE))
    relation = f"{quote_literal(name)}::pg_catalog.regclass"
    size_bytes = f"pg_catalog.pg_relation_size({relation})"
    if table.kind is TableKind.PARTITIONED_TABLE:
        family = f"pg_catalog.pg_partition_tree({relation}) AS p"
        size_bytes = f"SELECT pg_catalog.sum(pg_catalog.pg_relation_size(p.relid)) FROM {family}"  # noqa: S608
    page_bytes = "pg_catalog.to_number(pg_catalog.current_setting('block_size'), '9999999')"
    size = f"GREATEST('1', ({size_bytes})::pg_catalog.numeric)"
    share = f"{100 * pages}::pg_catalog.numeric * {page_bytes} / {size}"
    return f"LEAST('100', {share})::pg_catalog.float4"


def _count_texts(column: Column, place: int) -> Iterator[str]:
    cut = f"pg_catalog.left({text_of(column, f's.c{place}')}, {_MAX_VALUE_CHARACTERS + 1})"
    yield (
        f"(SELECT {place} AS place, {cut} AS value, pg_catalog.count(*) AS often FROM s "  # noqa: S608
        f"WHERE s.c{place} IS NOT NULL GROUP BY 2 ORDER BY 3 DESC, 2 "
        f"LIMIT {MAX_LISTED_VALUES + 1}::pg_catalog.int8)"
    )


def _count_bounds(place: int) -> Iterator[str]:
    for end in ("min", "max"):
        yield (
            f"SELECT {place} AS place, pg_catalog.concat(pg_catalog.{end}(s.c{place})) AS value, "  # noqa: S608
            f"pg_catalog.count(*) AS often FROM s"
        )


def _read(columns: list[Column], rows: Rows, max_rows: int) -> dict[str, ColumnSample]:
    counts: dict[int, dict[str, int]] = {}
    for place, value, often in rows.rows:
        if isinstance(place, int) and isinstance(value, str) and isinstance(often, int):
            counts.setdefault(place, {})[value] = often
    is_whole = counts.pop(_ROW_COUNT, {}).get(_WHOLE, max_rows) < max_rows
    samples = (
        (columns[place], _read_column(columns[place], values, is_whole=is_whole))
        for place, values in counts.items()
    )
    return {column.name: seen for column, seen in samples if seen != ColumnSample()}


def _read_column(column: Column, counts: Mapping[str, int], *, is_whole: bool) -> ColumnSample:
    if not column.is_text:
        return ColumnSample(value_range=read_range(counts))
    is_list = 0 < len(counts) <= MAX_LISTED_VALUES and all(
        (is_whole or often > 1) and len(value) <= _MAX_VALUE_CHARACTERS for value, often in counts.items()
    )
    return ColumnSample(values=tuple(counts), may_hold_others=not is_whole) if is_list else ColumnSample()


class ColumnSamples:
    """Background samples of column values; callers never wait for them.

    Args:
        sample: reads samples of a catalog's tables.
    """

    def __init__(self, sample: Callable[[Catalog], Awaitable[Samples]]) -> None:
        self._sample = sample
        self._samples: Samples = {}
        self._sampling: asyncio.Task[None] | None = None
        self._added: tuple[Catalog, Catalog] | None = None

    def renew(self, catalog: Catalog) -> None:
        """Start sampling in the background; cancels sampling that is still running."""
        if self._sampling:
            self._sampling.cancel()
        self._sampling = asyncio.create_task(self._keep_samples(catalog))

    def add_to(self, catalog: Catalog) -> Catalog:
        """Return the catalog with the samples read so far; the same object until they change."""
        if not self._samples:
            return catalog
        if self._added is None or self._added[0] is not catalog:
            self._added = catalog, add_samples(catalog, self._samples)
        return self._added[1]

    async def close(self) -> None:
        """Wait a moment until sampling ends, then cancel it.

        A short command often ends while the first statement of sampling runs, which takes milliseconds. If it
        were cancelled, the server would log an error.
        """
        if self._sampling:
            await asyncio.wait([self._sampling], timeout=CLOSE_PATIENCE_S)
            self._sampling.cancel()
            await asyncio.wait([self._sampling])

    async def _keep_samples(self, catalog: Catalog) -> None:
        try:
            samples = await self._sample(catalog)
        except PgmcpError as error:
            _log.warning("tables could not be sampled (%s)", error.code)
            return
        if samples != self._samples:
            self._samples, self._added = samples, None
