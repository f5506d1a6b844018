"""Caches the catalog of a database, and reports what a refresh changed."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from pgmcp.catalog.catalog import Catalog, Table
from pgmcp.catalog.sampling import ColumnSamples
from pgmcp.refreshing_cache import RefreshingCache

_log = logging.getLogger(__name__)

_MAX_SHARE_OF_READING = 0.1
"""Reads of the catalog because of missing names take at most this share of the time. Otherwise, calls with
wrong names could make pgmcp read a large catalog all the time.
"""


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """The tables that a refresh changed, as sorted SQL names; new statistics alone do not count.

    Attributes:
        first_read_tables: the number of tables if this was the first read, so that no earlier catalog can be
            compared; else None.
    """

    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    first_read_tables: int | None = None


CatalogListener = Callable[[Catalog | None, Catalog, CatalogChange], None]
"""Called on the event loop with the previous catalog, the new one and the change. Must not raise."""


class SchemaCache:
    """Caches a database's catalog, and reads it again when it is old or on request.

    Args:
        read: reads the catalog, given the previous one or None; callers that wait get its errors.
        refresh_interval_s: age at which `get` starts a refresh in the background.
        samples: adds samples of values to the catalog once they have been read; None adds nothing.
        clock: returns monotonic seconds.
    """

    def __init__(
        self,
        read: Callable[[Catalog | None], Awaitable[Catalog]],
        *,
        refresh_interval_s: float,
        samples: ColumnSamples | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self._samples = samples
        self._clock = clock
        self._last: Catalog | None = None
        self._listeners: list[CatalogListener] = []
        self._not_again_before_s = 0.0
        self._cache = RefreshingCache(
            self._read_and_compare,
            refresh_interval_s=refresh_interval_s,
            logger=_log,
            name="schema",
            clock=clock,
        )

    @property
    def cached(self) -> Catalog | None:
        """The catalog that was read last, without values from samples; None if nothing has been read yet.

        Never triggers a read.
        """
        return self._last

    def subscribe(self, listener: CatalogListener) -> None:
        """Call `listener` after every later read."""
        self._listeners.append(listener)

    async def get(self) -> Catalog:
        """Return the cached catalog of any age; callers wait only until the first read has succeeded.

        Raises:
            PgmcpError: the first read failed; the next call reads again.
        """
        catalog, _ = await self._cache.get()
        return self._samples.add_to(catalog) if self._samples else catalog

    async def refresh(self) -> CatalogChange:
        """Read the catalog now, or wait for a read that is running, and return what changed.

        Raises:
            PgmcpError: the read failed.
        """
        _, change = await self._cache.refresh()
        return change

    async def get_after_miss(self, *, is_outdated: bool) -> Catalog:
        """Return the catalog after a name was not found; read it again unless the last read is recent.

        Args:
            is_outdated: whether the cached catalog has the name, but the database does not. Then the catalog
                is read in any case.

        Raises:
            PgmcpError: the read failed.
        """
        if is_outdated or self._clock() >= self._not_again_before_s:
            await self._cache.refresh()
        return await self.get()

    async def close(self) -> None:
        """Cancel a read and sampling that are running; callers that wait for the read are cancelled, too."""
        await self._cache.close()
        if self._samples:
            await self._samples.close()

    async def _read_and_compare(self) -> tuple[Catalog, CatalogChange]:
        started_at_s = self._clock()
        new = await self._read(self._last)
        took_s = self._clock() - started_at_s
        self._not_again_before_s = started_at_s + took_s / _MAX_SHARE_OF_READING
        old, self._last = self._last, new
        change = compare(old, new)
        for listener in self._listeners:
            listener(old, new, change)
        if self._samples:
            self._samples.renew(new)
        return new, change


def compare(old: Catalog | None, new: Catalog) -> CatalogChange:
    """Return the differences between two catalogs."""
    if old is None:
        return CatalogChange(first_read_tables=len(new.tables))
    before = {(table.schema, table.name): table for table in old.tables}
    after = {(table.schema, table.name): table for table in new.tables}
    return CatalogChange(
        added=tuple(new.display_name(table) for name, table in after.items() if name not in before),
        dropped=tuple(old.display_name(table) for name, table in before.items() if name not in after),
        changed=tuple(
            new.display_name(table)
            for name, table in after.items()
            if name in before and not _is_same(before[name], table)
        ),
    )


def _is_same(old: Table, new: Table) -> bool:
    return old == new or _without_statistics(old) == _without_statistics(new)


def _without_statistics(table: Table) -> Table:
    columns = tuple(
        replace(
            column,
            values=(),
            value_range=None,
            may_hold_others=column.may_hold_others and not column.values,
        )
        for column in table.columns
    )
    return replace(table, columns=columns, estimated_rows=None)
