"""One catalog per database, kept and refreshed; and what a refresh changed."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from pgmcp.catalog.catalog import Catalog, Table
from pgmcp.catalog.sampling import ColumnSamples
from pgmcp.refreshing_cache import RefreshingCache

_log = logging.getLogger(__name__)

_MAX_SHARE_OF_READING = 0.1
"""Of the time, at most; statements with wrong names could else keep a large database reading its catalog."""


@dataclass(frozen=True, slots=True)
class CatalogChange:
    """What a refresh found, in names as SQL can use them, sorted; new statistics alone are no change.

    Attributes:
        first_read_tables: how many tables the first read found, which has nothing to compare with; else None.
    """

    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    first_read_tables: int | None = None


CatalogListener = Callable[[Catalog | None, Catalog, CatalogChange], None]
"""Told of a read: the catalog before, the new one, and what changed; on the event loop, and may not raise."""


class SchemaCache:
    """Keeps a database's catalog, and reads it again when it is old or when asked.

    Args:
        read: reads the catalog, given the one read before, if any; what it raises reaches whoever waits.
        refresh_interval_s: age at which `get` starts a refresh behind the caller's back.
        samples: adds samples to what was read, once there are some; None adds nothing.
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
        """The catalog that was read last; None if none was, and none is read for the asking."""
        return self._last

    def subscribe(self, listener: CatalogListener) -> None:
        """Have every later read told, whoever caused it."""
        self._listeners.append(listener)

    async def get(self) -> Catalog:
        """Return the catalog that is known, however old; only the first caller of all waits for a read."""
        catalog, _ = await self._cache.get()
        return self._samples.add_to(catalog) if self._samples else catalog

    async def refresh(self) -> CatalogChange:
        """Read the catalog now, or join the read under way, and say what changed."""
        _, change = await self._cache.refresh()
        return change

    async def get_after_a_miss(self, *, is_outdated: bool) -> Catalog:
        """Return the catalog, read anew because a name was not there, unless it is as good as new.

        Args:
            is_outdated: the known catalog has the name, so it is no good, however new.
        """
        if is_outdated or self._clock() >= self._not_again_before_s:
            await self._cache.refresh()
        return await self.get()

    async def close(self) -> None:
        """Stop a read under way; whoever waits for it is cancelled."""
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
    """Return what is in one catalog and not the same in the other."""
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
