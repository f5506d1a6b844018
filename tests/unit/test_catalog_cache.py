import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial

import anyio
import pytest

from pgmcp.catalog.cache import SchemaCache
from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.errors import UnreachableError

pytestmark = pytest.mark.anyio

ORDERS = Table(
    "public", "orders", TableKind.TABLE, "", (Column("id", "integer", nullable=False),), estimated_rows=1
)
ITEMS = replace(ORDERS, name="items")


def catalog(*tables: Table) -> Catalog:
    return Catalog(tables, ("public",), "18.1")


class Reader:
    """Returns or raises the next scripted answer at each read, once `released` is set."""

    def __init__(self, *answers: Catalog | Exception) -> None:
        self._answers = list(answers)
        self.reads = 0
        self.started = asyncio.Event()
        self.released = asyncio.Event()
        self.released.set()

    async def __call__(self, old: Catalog | None) -> Catalog:
        answer = self._answers[self.reads]
        self.reads += 1
        self.started.set()
        await self.released.wait()
        if isinstance(answer, Exception):
            raise answer
        return answer

    def hold(self) -> None:
        self.started.clear()
        self.released.clear()


def cache(
    read: Callable[[Catalog | None], Awaitable[Catalog]], clock: Callable[[], float] = lambda: 0.0
) -> SchemaCache:
    return SchemaCache(read, refresh_interval_s=3600, clock=clock)


async def test_the_catalog_is_read_once_and_then_kept() -> None:
    read = Reader(catalog(ORDERS))
    schema = cache(read)

    first, second = await schema.get(), await schema.get()

    assert first is second
    assert read.reads == 1


async def test_callers_at_the_same_time_share_one_read() -> None:
    read = Reader(catalog(ORDERS))
    schema = cache(read)

    catalogs = await asyncio.gather(schema.get(), schema.get(), schema.get())

    assert len({id(seen) for seen in catalogs}) == 1
    assert read.reads == 1


async def test_a_caller_that_gives_up_does_not_stop_the_read_of_another() -> None:
    read = Reader(catalog(ORDERS))
    read.hold()
    schema = cache(read)
    impatient = asyncio.create_task(schema.refresh())
    await read.started.wait()
    patient = asyncio.create_task(schema.refresh())

    impatient.cancel()
    await asyncio.wait([impatient])
    read.released.set()

    with anyio.fail_after(5):
        assert (await patient).first_read_tables == 1
    assert read.reads == 1


async def test_the_first_callers_error_passes_through_and_the_next_call_reads_again() -> None:
    schema = cache(Reader(UnreachableError("no connection"), catalog(ORDERS)))

    with pytest.raises(UnreachableError):
        await schema.get()

    assert (await schema.get()).tables == (ORDERS,)


async def test_an_old_catalog_is_returned_at_once_and_refreshed_in_the_background() -> None:
    now = 0.0
    read = Reader(catalog(ORDERS), catalog(ORDERS, ITEMS))
    schema = cache(read, clock=lambda: now)
    await schema.get()
    read.hold()
    now = 3600.0

    old = await schema.get()
    await read.started.wait()
    still_old = await schema.get()
    read.released.set()
    with anyio.fail_after(5):
        await schema.refresh()

    assert old.tables == still_old.tables == (ORDERS,)
    assert (await schema.get()).tables == (ORDERS, ITEMS)
    assert read.reads == 2


async def test_a_failed_background_refresh_keeps_the_old_catalog_and_waits_before_the_next_try(
    caplog: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    read = Reader(catalog(ORDERS), UnreachableError("no connection"), catalog(ITEMS))
    schema = cache(read, clock=lambda: now)
    await schema.get()
    read.hold()
    now = 3600.0
    await schema.get()
    await read.started.wait()
    joined = asyncio.create_task(schema.refresh())
    read.released.set()
    with pytest.raises(UnreachableError):
        await joined

    assert (await schema.get()).tables == (ORDERS,)
    assert read.reads == 2
    assert [(record.levelno, record.args) for record in caplog.records] == [
        (logging.WARNING, ("schema", "unreachable"))
    ]

    now = 3660.0
    await schema.get()
    with anyio.fail_after(5):
        await schema.refresh()

    assert (await schema.get()).tables == (ITEMS,)


async def test_a_refresh_names_what_was_added_dropped_and_changed() -> None:
    wider = replace(ORDERS, columns=(*ORDERS.columns, Column("total", "numeric", nullable=True)))
    customers = replace(ORDERS, name="customers", schema="crm")
    schema = cache(Reader(catalog(ORDERS, ITEMS), catalog(wider, customers)))
    await schema.get()

    change = await schema.refresh()

    assert change.added == ("crm.customers",)
    assert change.dropped == ("items",)
    assert change.changed == ("orders",)


async def test_new_statistics_do_not_count_as_a_change() -> None:
    analysed = replace(
        ORDERS, estimated_rows=90, columns=tuple(replace(column, values=("a",)) for column in ORDERS.columns)
    )
    schema = cache(Reader(catalog(ORDERS), catalog(analysed)))
    await schema.get()

    change = await schema.refresh()

    assert change.changed == ()
    assert (await schema.get()).tables == (analysed,)


async def test_closing_stops_a_read_under_way() -> None:
    read = Reader(catalog(ORDERS))
    read.hold()
    schema = cache(read)
    waiting = asyncio.create_task(schema.get())
    await read.started.wait()

    with anyio.fail_after(5):
        await schema.close()
        await asyncio.wait([waiting])

    assert waiting.cancelled()


async def test_the_catalog_is_read_again_after_a_missing_name() -> None:
    read = Reader(catalog(ORDERS), catalog(ORDERS, ITEMS))
    schema = cache(read)
    await schema.get()

    assert (await schema.get_after_miss(is_outdated=False)).find("items") is not None


async def test_missing_names_do_not_cause_constant_reads_of_a_slow_catalog() -> None:
    now, reads = 0.0, 0

    async def read(old: Catalog | None) -> Catalog:
        nonlocal now, reads
        reads += 1
        now += 4.0
        return catalog(ORDERS)

    schema = cache(read, clock=lambda: now)
    await schema.get()

    await schema.get_after_miss(is_outdated=False)

    assert reads == 1

    await schema.get_after_miss(is_outdated=True)

    assert reads == 2

    now = 80.0
    await schema.get_after_miss(is_outdated=False)

    assert reads == 3


async def test_many_missing_names_at_once_share_one_read() -> None:
    read = Reader(catalog(ORDERS), catalog(ORDERS, ITEMS))
    schema = cache(read)
    await schema.get()
    read.hold()

    async with anyio.create_task_group() as callers:
        for _ in range(5):
            callers.start_soon(partial(schema.get_after_miss, is_outdated=False))
        await read.started.wait()
        read.released.set()

    assert read.reads == 2


async def test_the_cached_catalog_is_returned_without_a_read() -> None:
    read = Reader(catalog(ORDERS))
    schema = cache(read)
    before = schema.cached
    known = await schema.get()

    assert before is None
    assert schema.cached is known
    assert read.reads == 1


async def test_a_listener_is_called_after_every_read() -> None:
    first, second = catalog(ORDERS), catalog(ORDERS, ITEMS)
    schema = cache(Reader(first, second, second))
    changes: list[tuple[Catalog | None, Catalog, tuple[str, ...]]] = []
    schema.subscribe(lambda old, new, change: changes.append((old, new, change.added)))

    await schema.get()
    await schema.get_after_miss(is_outdated=True)
    await schema.refresh()

    assert changes == [(None, first, ()), (first, second, ("items",)), (second, second, ())]
