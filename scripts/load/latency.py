"""What a call costs beside its floor: the same reply from a bare SDK server, and plain psycopg."""

import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Any, Final

import psycopg

from scripts.load.bench import ECHO, PGMCP, Bench
from scripts.load.gates import Measured
from scripts.load.measure import Series, awaited, blocking, in_turns
from scripts.load.proxy import delayed

TRIVIAL: Final = "select 1"
THOUSAND_ROWS: Final = """
select n as id, n % 7 as day, n * 1.5 as price, 'customer ' || n as name, n % 2 = 0 as active,
       date '2026-01-01' + n as since, md5(n::text) as token, null as note, n::float8 / 3 as share,
       'paid' as status
from generate_series(1, 1000) as n
"""
BIG_SORT: Final = """
select n as id, n * 7919 % 5000011 as mixed
from generate_series(1, 5000000::bigint) as n order by n * 7919 % 5000011
"""
BIG_SORT_ROWS: Final = 500
"""pgmcp asks for one more, to know whether there are more."""

ROUND_TRIP_S: Final = 0.010

_TURNS: Final = 5
_STARTS: Final = 10
_FORBIDDEN_AT_START: Final = ("openai", "psycopg")


async def measure_trivial(bench: Bench) -> Sequence[Measured]:
    """Compare `select 1` with its floor."""
    return [await _beside_echo(bench, TRIVIAL, calls=60)]


async def measure_rows(bench: Bench) -> Sequence[Measured]:
    """Compare a result of 1,000 rows and 10 columns with its floor."""
    return [await _beside_echo(bench, THOUSAND_ROWS, calls=20)]


async def measure_sort(bench: Bench) -> Sequence[Measured]:
    """Compare the first rows of a big sort with the LIMIT that a person would write."""
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
    """Compare a safe read with a plain execute where a round trip takes 10 ms.

    The SDK and the pipes to the host are not part of it: the answer itself says how long it was executed.
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


async def measure_start(bench: Bench) -> Sequence[Measured]:
    """Compare the time from spawn to the reply to `initialize`, and look at what was imported by then."""
    starts = {"pgmcp": Series(), "echo": Series()}
    for _ in range(bench.effort.times(_STARTS)):
        for name, argv in (("echo", ECHO), ("pgmcp", PGMCP)):
            before_s = time.perf_counter()
            async with bench.started(argv):
                latency_ms = (time.perf_counter() - before_s) * 1000
            starts[name].latencies_ms.append(latency_ms)
            bench.timeline.add(name, latency_ms)
    traced = (sys.executable, "-X", "importtime", *PGMCP[1:])
    async with bench.started(traced) as server:
        modules = {line.rpartition("|")[2].strip() for line in server.stderr.splitlines()}
    too_early = sorted(modules.intersection(_FORBIDDEN_AT_START))
    return [_against(starts, "echo"), Measured(len(too_early), note=", ".join(too_early))]


async def _beside_echo(bench: Bench, statement: str, *, calls: int) -> Measured:
    """Return pgmcp's median, and as its floor the echo of the same reply plus psycopg's fetch."""
    async with AsyncExitStack() as stack:
        pgmcp = await stack.enter_async_context(bench.pgmcp())
        reply = await pgmcp.call("execute_sql", sql=statement)
        echo = await stack.enter_async_context(bench.echo(reply))
        connection = stack.enter_context(bench.direct())
        targets = {
            "echo": awaited(lambda: echo.call("execute_sql", sql=statement)),
            "pgmcp": awaited(lambda: pgmcp.call("execute_sql", sql=statement)),
            "psycopg": blocking(lambda: _fetch(connection, statement)),
        }
        series = await in_turns(targets, bench.timeline, turns=_TURNS, calls=bench.effort.times(calls))
    return _against(series, "echo", "psycopg")


def _against(series: Mapping[str, Series], *floor: str) -> Measured:
    """Return pgmcp's median beside the sum of the floor's."""
    parts = " + ".join(f"{name} {series[name].p50_ms:.2f}" for name in floor)
    note = f"{parts}; pgmcp's 95th percentile {series['pgmcp'].p95_ms:.2f}"
    return Measured(series["pgmcp"].p50_ms, sum(series[name].p50_ms for name in floor), note)


def _fetch(connection: psycopg.Connection[Any], statement: str) -> list[Any]:
    return connection.execute(statement.encode()).fetchall()
