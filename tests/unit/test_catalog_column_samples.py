import asyncio
import logging
from dataclasses import replace

import anyio
import pytest

from pgmcp.catalog.cache import SchemaCache
from pgmcp.catalog.catalog import Catalog, Column, Table, TableKind
from pgmcp.catalog.sampling import ColumnSample, ColumnSamples, Samples
from pgmcp.errors import UnreachableError

pytestmark = pytest.mark.anyio

STATE = Column("state", "text", nullable=True)
ORDERS = Table("public", "orders", TableKind.TABLE, "", (STATE,))
SAMPLES: Samples = {("public", "orders"): {"state": ColumnSample(values=("open", "shut"))}}


class Sampler:
    """Returns or raises the next scripted answer at each call, once `released` is set."""

    def __init__(self, *answers: Samples | Exception) -> None:
        self._answers = list(answers)
        self.started = asyncio.Event()
        self.released = asyncio.Event()
        self.done = asyncio.Event()

    async def __call__(self, catalog: Catalog) -> Samples:
        answer = self._answers.pop(0)
        self.started.set()
        await self.released.wait()
        self.done.set()
        if isinstance(answer, Exception):
            raise answer
        return answer


def database(*tables: Table) -> Catalog:
    return Catalog(tables, ("public",), "18.1")


def cache(sampler: Sampler, *catalogs: Catalog) -> SchemaCache:
    answers = list(catalogs)

    async def read(old: Catalog | None) -> Catalog:
        return answers.pop(0)

    return SchemaCache(read, refresh_interval_s=3600, samples=ColumnSamples(sampler))


def values(catalog: Catalog) -> tuple[str, ...]:
    return catalog.tables[0].columns[0].values


async def test_the_catalog_is_available_before_its_samples() -> None:
    sampler = Sampler(SAMPLES)
    schema = cache(sampler, database(ORDERS))

    with anyio.fail_after(5):
        before = await schema.get()
        sampler.released.set()
        await sampler.done.wait()
        after = await schema.get()

    assert values(before) == ()
    assert values(after) == ("open", "shut")
    assert await schema.get() is after
    await schema.close()


async def test_a_new_catalog_has_the_old_samples_until_new_ones_exist() -> None:
    other: Samples = {("public", "orders"): {"state": ColumnSample(values=("gone",))}}
    sampler = Sampler(SAMPLES, other)
    schema = cache(sampler, database(ORDERS), database(replace(ORDERS, comment="new")))
    await schema.get()
    sampler.released.set()
    await sampler.done.wait()
    sampler.released.clear()

    with anyio.fail_after(5):
        sampler.done.clear()
        await schema.refresh()
        meanwhile = await schema.get()
        sampler.released.set()
        await sampler.done.wait()
        afterwards = await schema.get()

    assert (meanwhile.tables[0].comment, values(meanwhile)) == ("new", ("open", "shut"))
    assert values(afterwards) == ("gone",)
    await schema.close()


async def test_samples_do_not_replace_values_of_the_catalog() -> None:
    analysed = replace(ORDERS, columns=(replace(STATE, values=("paid",)),))
    sampler = Sampler(SAMPLES)
    schema = cache(sampler, database(analysed))
    await schema.get()
    sampler.released.set()
    await sampler.done.wait()

    assert values(await schema.get()) == ("paid",)
    await schema.close()


async def test_sampling_that_fails_leaves_the_catalog_as_it_is_and_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sampler = Sampler(UnreachableError("it is gone"))
    sampler.released.set()
    schema = cache(sampler, database(ORDERS))
    await schema.get()

    with caplog.at_level(logging.WARNING):
        await sampler.done.wait()
        await schema.close()

    assert values(await schema.get()) == ()
    assert "could not be sampled (unreachable)" in caplog.text


async def test_closing_stops_sampling_under_way() -> None:
    sampler = Sampler(SAMPLES)
    schema = cache(sampler, database(ORDERS))
    await schema.get()
    await sampler.started.wait()

    with anyio.fail_after(5):
        await schema.close()

    assert not sampler.done.is_set()
