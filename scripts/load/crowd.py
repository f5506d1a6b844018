"""Measures how other callers affect a call: runaway statements, heavy queries, and many calls at once.

A runaway is a statement that runs until it is stopped.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from scripts.load.activity import until
from scripts.load.bench import Bench
from scripts.load.client import CallFailedError, StdioServer
from scripts.load.gates import Measured
from scripts.load.measure import Series, Target, awaited, blocking, in_turns
from scripts.load.nonce import Tally, ask_for_much, ask_many

LOOKUP: Final = "select relname from pg_catalog.pg_class where oid = 1259"
"""One row by its key, from a system catalog."""

_RUNAWAYS: Final = 4
HEAVY_COUNT: Final = 20
_HEAVY_AT_ONCE: Final = 7
"""How many heavy queries the default pool of 10 runs at once. The reserved workers do not run any."""

_CALLERS: Final = 8
_TURNS: Final = 4


async def measure_storm(bench: Bench) -> Sequence[Measured]:
    """Compare short statements beside runaways with the same statements alone.

    A runaway that was stopped is started again.
    """
    async with bench.pgmcp(server_query_timeout=1, server_allowed_functions="pg_sleep") as pgmcp:
        targets = {"pgmcp": awaited(lambda: pgmcp.execute(LOOKUP))}
        waiting = await _beside(bench, pgmcp, "select pg_sleep(60)", _RUNAWAYS, _RUNAWAYS, targets)
        computing = await _beside(bench, pgmcp, ask_for_much().sql, _RUNAWAYS, _RUNAWAYS, targets)
    return [
        Measured(
            beside["pgmcp"].p95_ms,
            alone["pgmcp"].p95_ms,
            f"medians {beside['pgmcp'].p50_ms:.2f} ms, alone {alone['pgmcp'].p50_ms:.2f} ms",
        )
        for alone, beside in (waiting, computing)
    ]


async def measure_heavy(bench: Bench) -> Sequence[Measured]:
    """Compare a lookup beside heavy queries with the same lookup alone, through pgmcp and through psycopg."""
    with bench.direct() as connection:

        def look_up() -> None:
            connection.execute(LOOKUP).fetchall()

        async with bench.pgmcp(server_query_timeout=30) as pgmcp:
            targets = {"pgmcp": awaited(lambda: pgmcp.execute(LOOKUP)), "psycopg": blocking(look_up)}
            alone, beside = await _beside(
                bench, pgmcp, ask_for_much().sql, HEAVY_COUNT, _HEAVY_AT_ONCE, targets
            )
    return [
        Measured(
            beside[name].p50_ms,
            alone[name].p50_ms,
            f"95th percentiles {beside[name].p95_ms:.1f} ms, alone {alone[name].p95_ms:.1f} ms",
        )
        for name in targets
    ]


async def measure_mixed(bench: Bench) -> Sequence[Measured]:
    """Run all kinds of statements for several callers at once, and check every reply."""
    tally = Tally(bench.timeline)
    async with bench.pgmcp() as pgmcp:
        before_s = time.perf_counter()
        await ask_many(pgmcp, tally, callers=_CALLERS, calls=bench.effort.times(200))
        per_s = len(tally.series.latencies_ms) / (time.perf_counter() - before_s)
    speed = f"{per_s:.0f} a second, {_CALLERS} at a time, p50 {tally.series.p50_ms:.1f} ms"
    return [Measured(len(tally.wrong), note=tally.summary), Measured(tally.series.p95_ms, note=speed)]


async def _beside(
    bench: Bench, pgmcp: StdioServer, statement: str, count: int, at_once: int, lookups: Mapping[str, Target]
) -> tuple[dict[str, Series], dict[str, Series]]:
    """Measure lookups alone and beside other statements, in turns; return both series by target."""
    alone, beside = ({name: Series() for name in lookups} for _ in range(2))
    calls = bench.effort.times(150)

    async def add_turn(series: dict[str, Series], suffix: str) -> None:
        targets = {f"{name} {suffix}": target for name, target in lookups.items()}
        turn = await in_turns(targets, bench.timeline, turns=1, calls=calls)
        for name in lookups:
            series[name].latencies_ms += turn[f"{name} {suffix}"].latencies_ms

    for _ in range(_TURNS):
        await add_turn(alone, "alone")
        async with _kept_running(pgmcp, statement, count):
            await until(lambda: len(bench.activity.running()) >= at_once, f"{at_once} heavy statements run")
            await add_turn(beside, "beside")
        await until(lambda: not bench.activity.running(), "the cancelled statements have ended")
    return alone, beside


@asynccontextmanager
async def _kept_running(pgmcp: StdioServer, statement: str, count: int) -> AsyncIterator[None]:
    """Keep `count` copies of a statement running; start each again when it ends."""

    async def repeat() -> None:
        while True:
            with suppress(CallFailedError):
                await pgmcp.execute(statement)

    callers = [asyncio.create_task(repeat()) for _ in range(count)]
    try:
        yield
    finally:
        for caller in callers:
            caller.cancel()
        await asyncio.gather(*callers, return_exceptions=True)
