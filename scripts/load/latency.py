"""Compares execution with plain psycopg."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import psycopg

from scripts.load.bench import Bench
from scripts.load.gates import Measured
from scripts.load.measure import Series, awaited, blocking, in_turns
from scripts.load.proxy import delayed

TRIVIAL: Final = "select 1"
BIG_SORT: Final = """
select n as id, n * 7919 % 5000011 as mixed
from generate_series(1, 5000000::bigint) as n order by n * 7919 % 5000011
"""
BIG_SORT_ROWS: Final = 500
"""pgmcp requests one more row, to know whether there are more."""

ROUND_TRIP_S: Final = 0.010

_TURNS: Final = 5


async def measure_sort(bench: Bench) -> Sequence[Measured]:
    """Compare the first rows of a large sort with a hand-written LIMIT."""
    limited = f"{BIG_SORT} limit {BIG_SORT_ROWS + 1}"
    async with bench.pgmcp(server_max_result_rows=BIG_SORT_ROWS) as pgmcp:
        with bench.direct() as connection:
            targets = {
                "pgmcp": awaited(lambda: pgmcp.execute(BIG_SORT)),
                "hand-written LIMIT": blocking(lambda: _fetch(connection, limited)),
            }
            turns = bench.effort.times(5)
            series = await in_turns(targets, bench.timeline, turns=turns, calls=1, warm_up=1)
    return [_against(series, "hand-written LIMIT")]


async def measure_distance(bench: Bench) -> Sequence[Measured]:
    """Compare a read by pgmcp with a plain execute if a round trip takes 10 ms.

    The time comes from the answer, so it excludes the pipes to the host.
    """
    executed = Series()
    async with AsyncExitStack() as stack:
        conninfo = stack.enter_context(delayed(bench.conninfo, ROUND_TRIP_S))
        pgmcp = await stack.enter_async_context(bench.pgmcp(conninfo))
        connection = stack.enter_context(bench.direct(conninfo))

        async def read() -> None:
            executed.latencies_ms.append((await pgmcp.execute(TRIVIAL))["elapsed_ms"]["execute"])

        targets = {"safe read": awaited(read), "plain": blocking(lambda: _fetch(connection, TRIVIAL))}
        calls = bench.effort.times(30)
        series = await in_turns(targets, bench.timeline, turns=_TURNS, calls=calls, warm_up=0)
    whole = f"the whole call takes {series['safe read'].p50_ms:.1f} ms"
    return [Measured(executed.p50_ms, series["plain"].p50_ms, whole)]


def _against(series: Mapping[str, Series], *floor: str) -> Measured:
    """Return pgmcp's median and the sum of the floor's medians."""
    parts = " + ".join(f"{name} {series[name].p50_ms:.2f}" for name in floor)
    note = f"{parts}; pgmcp's 95th percentile {series['pgmcp'].p95_ms:.2f}"
    return Measured(series["pgmcp"].p50_ms, sum(series[name].p50_ms for name in floor), note)


def _fetch(connection: psycopg.Connection[Any], statement: str) -> list[Any]:
    return connection.execute(statement.encode()).fetchall()
