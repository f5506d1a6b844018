"""Compares the cost of a call with minimal servers and with other MCP servers.

`echo` uses the SDK, and `msgspec` is a plain loop; both repeat one of pgmcp's replies. `unchecked` also runs
the SQL, as pgmcp does, but checks and limits nothing. With `--peers`, `server-postgres` and `dbhub` are
installed and measured, too. A repeated statement, a new literal and a new shape of statement are separate
scenarios, because a server may cache any of them.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from scripts.load.bench import ECHO, MINIMAL, PGMCP, Bench
from scripts.load.client import StdioServer
from scripts.load.crowd import HEAVY_COUNT, LOOKUP
from scripts.load.gates import RATIO, Gate, Measured, Missing, need_linux
from scripts.load.measure import Series, awaited, in_turns
from scripts.load.nonce import ask_for_much
from scripts.load.peers import DBHUB, PEERS, SERVER_POSTGRES
from scripts.load.processes import cpu_ms, proportional_mb
from testing.processes import descendants

TRIVIAL: Final = "select 1"
ROWS: Final = """
select n as id, n % 7 as day, n * 1.5 as price, 'customer ' || n as name, n % 2 = 0 as active,
       date '2026-01-01' + n as since, md5(n::text) as token, null as note, n::float8 / 3 as share,
       'paid' as status
from generate_series(1, {count}) as n
"""

_FLOORS: Final = {"echo": ECHO, "msgspec": MINIMAL, "unchecked": (*MINIMAL, "--run-sql")}
_OTHERS: Final = (SERVER_POSTGRES, DBHUB, *_FLOORS)
_RAISED: Final[dict[str, object]] = {
    "server_max_result_rows": 20_000,
    "server_max_result_bytes": 64 << 20,
    "server_max_result_tokens": 1_000_000,
    "server_kept_results_bytes": 0,
}
_TURNS: Final = 5
_IN_FLIGHT: Final = 32
_STARTS: Final = 5
_COLD_STARTS: Final = 3
_SETTLE_S: Final = 2.0
"""How long a server may continue its start in the background before its memory is measured."""


def gates(what: str, at_most: float, *, judged: str = SERVER_POSTGRES) -> tuple[Gate, ...]:
    """Return one gate for each other server, which compares pgmcp with it; only `judged` has a limit."""
    return tuple(
        Gate(f"{what}, to {other}", at_most if other == judged else None, RATIO) for other in _OTHERS
    )


@dataclass(frozen=True, slots=True)
class _Contestant:
    """A started server and the tool that runs SQL on it."""

    server: StdioServer
    tool: str = "execute_sql"

    async def call(self, sql: str) -> None:
        await self.server.call_unread(self.tool, {"sql": sql})

    async def call_next(self, statements: Iterator[str]) -> None:
        await self.call(next(statements))


async def measure_repeated(bench: Bench) -> Sequence[Measured | Missing]:
    """Compare repetitions of the same statement."""
    return await _compare_latency(bench, itertools.repeat(TRIVIAL), calls=60)


async def measure_literals(bench: Bench) -> Sequence[Measured | Missing]:
    """Compare lookups of a row by its key, with a new literal each time."""
    return await _compare_latency(bench, _lookups(bench), calls=60)


async def measure_shapes(bench: Bench) -> Sequence[Measured | Missing]:
    """Compare statements that all have different shapes."""
    return await _compare_latency(bench, _shapes(bench), calls=60)


async def measure_rows(bench: Bench) -> Sequence[Measured | Missing]:
    """Compare a result of 1,000 rows and 10 columns."""
    return await _compare_latency(bench, itertools.repeat(ROWS.format(count=1_000)), calls=10)


async def measure_many_rows(bench: Bench) -> Sequence[Measured | Missing]:
    """Compare a result of 10,000 rows and 10 columns."""
    return await _compare_latency(bench, itertools.repeat(ROWS.format(count=10_000)), calls=2)


async def measure_throughput(bench: Bench) -> Sequence[Measured | Missing]:
    """Compare the time per call with 32 calls in flight."""
    statements, calls = _lookups(bench), bench.effort.times(600)
    series: dict[str, Series] = {}
    async with _contestants(bench, next(statements)) as contestants:
        for turn in range(_TURNS):
            for name, contestant in contestants.items():
                texts = [{"sql": next(statements)} for _ in range(calls)]
                _, whole_ms = await contestant.server.flood(contestant.tool, texts, in_flight=_IN_FLIGHT)
                if turn > 0 or bench.effort.is_quick:
                    series.setdefault(name, Series()).latencies_ms.append(whole_ms / calls)
                    bench.timeline.add(name, whole_ms / calls)
    rates = ", ".join(f"{name} {1000 / each.p50_ms:,.0f}" for name, each in series.items())
    return _against(series, f"calls/s: {rates}")


async def measure_cpu(bench: Bench) -> Sequence[Measured | Missing]:
    """Compare the processor time that all processes of a server need for a statement, without PostgreSQL."""
    need_linux()
    calls = bench.effort.times(200)
    series: dict[str, Series] = {}
    async with _contestants(bench, TRIVIAL) as contestants:
        for _ in range(_TURNS):
            for name, contestant in contestants.items():
                before_ms = _tree_cpu_ms(contestant.server)
                for _ in range(calls):
                    await contestant.call(TRIVIAL)
                used_ms = _tree_cpu_ms(contestant.server) - before_ms
                series.setdefault(name, Series()).latencies_ms.append(used_ms / calls)
    return _against(series)


async def measure_start(bench: Bench) -> Sequence[Measured | Missing]:
    """Compare the time from the start of the process to the reply to `initialize` and to the first rows."""
    ready: dict[str, Series] = {}
    answered: dict[str, Series] = {}
    await _compile_modules(bench)
    for _ in range(bench.effort.times(_STARTS)):
        for name, (argv, tool) in _programs(bench).items():
            before_s = time.perf_counter()
            async with bench.started(argv) as server:
                ready.setdefault(name, Series()).latencies_ms.append((time.perf_counter() - before_s) * 1000)
                await _Contestant(server, tool).call(TRIVIAL)
                whole_ms = (time.perf_counter() - before_s) * 1000
            answered.setdefault(name, Series()).latencies_ms.append(whole_ms)
            bench.timeline.add(name, whole_ms)
    return [*_against(ready), *_against(answered)]


async def measure_memory(bench: Bench) -> Sequence[Measured | Missing]:
    """Measure the memory (PSS) of all processes of an idle server.

    A page that several processes share counts for each of them in equal parts.
    """
    need_linux()
    await _compile_modules(bench)
    async with _contestants(bench, TRIVIAL) as contestants:
        for contestant in contestants.values():
            await contestant.call(TRIVIAL)
        await asyncio.sleep(_SETTLE_S)
        megabytes = {name: _tree_mb(each.server) for name, each in contestants.items()}
    note = ", ".join(f"{name} {value:.0f} MB" for name, value in megabytes.items())
    return [Measured(megabytes["pgmcp"], note=note)]


async def measure_cold_crowd(bench: Bench) -> Sequence[Measured]:
    """Compare lookups behind heavy queries, on a pool that has just started, with lookups alone."""
    alone, beside = Series(), Series()
    calls = bench.effort.times(60)
    for _ in range(bench.effort.times(_COLD_STARTS)):
        for series, heavy_count in ((alone, 0), (beside, HEAVY_COUNT)):
            async with bench.pgmcp(server_query_timeout=30) as pgmcp:
                heavy = [
                    asyncio.create_task(pgmcp.execute(f"{ask_for_much().sql} -- {number}"))
                    for number in range(heavy_count)
                ]
                lookup = awaited(partial(pgmcp.execute, LOOKUP))
                turn = await in_turns({"lookup": lookup}, bench.timeline, turns=1, calls=calls, warm_up=1)
                series.latencies_ms += turn["lookup"].latencies_ms
                for task in heavy:
                    task.cancel()
                await asyncio.gather(*heavy, return_exceptions=True)
    return [
        Measured(beside.p95_ms, alone.p95_ms, f"medians {beside.p50_ms:.2f} ms, alone {alone.p50_ms:.2f} ms")
    ]


async def _compare_latency(
    bench: Bench, statements: Iterator[str], *, calls: int
) -> Sequence[Measured | Missing]:
    async with _contestants(bench, next(statements)) as contestants:
        targets = {name: awaited(partial(each.call_next, statements)) for name, each in contestants.items()}
        times = bench.effort.times(calls)
        series = await in_turns(targets, bench.timeline, turns=_TURNS, calls=times, warm_up=min(10, calls))
    return _against(series)


def _against(series: Mapping[str, Series], note: str = "") -> list[Measured | Missing]:
    """Return one figure for each other server: pgmcp's median, and that server's median as the floor."""
    pgmcp = series["pgmcp"].p50_ms
    medians = "medians in ms: " + ", ".join(f"{name} {each.p50_ms:.2f}" for name, each in series.items())
    figures: list[Measured | Missing] = []
    for other in _OTHERS:
        if other in series:
            figures.append(Measured(pgmcp, series[other].p50_ms, note or medians))
        else:
            figures.append(Missing("needs --peers"))
    return figures


def _programs(bench: Bench) -> dict[str, tuple[tuple[str, ...], str]]:
    """Return the command line of every server, and the name of its tool that runs SQL."""
    programs: dict[str, tuple[tuple[str, ...], str]] = {"pgmcp": (PGMCP, "execute_sql")}
    if bench.with_peers:
        programs |= {peer.name: (peer.argv(bench.conninfo), peer.tool) for peer in PEERS}
    return programs | {name: (argv, "execute_sql") for name, argv in _FLOORS.items()}


@asynccontextmanager
async def _contestants(bench: Bench, statement: str) -> AsyncIterator[dict[str, _Contestant]]:
    """Start every server; the minimal servers repeat pgmcp's reply to `statement`."""
    async with AsyncExitStack() as stack:
        contestants = {}
        for name, (argv, tool) in _programs(bench).items():
            server = await stack.enter_async_context(bench.started(argv, None, **_RAISED))
            contestants[name] = _Contestant(server, tool)
        reply = await contestants["pgmcp"].server.call("execute_sql", sql=statement)
        for name in _FLOORS:
            text, structured = reply["content"][0]["text"], reply["structuredContent"]
            await contestants[name].server.call("remember", text=text, structured=structured)
        yield contestants


async def _compile_modules(bench: Bench) -> None:
    """Start every server once, so that the measured servers find compiled modules."""
    for argv, tool in _programs(bench).values():
        async with bench.started(argv) as server:
            await _Contestant(server, tool).call(TRIVIAL)
            await asyncio.sleep(_SETTLE_S)  # some modules are loaded after the first reply


def _lookups(bench: Bench) -> Iterator[str]:
    oids = _type_oids(bench)
    for number in itertools.count():
        oid = oids[number % len(oids)]
        yield f"select typname, typlen, {number} as n from pg_catalog.pg_type where oid = {oid}"  # noqa: S608


def _shapes(bench: Bench) -> Iterator[str]:
    oids = _type_oids(bench)
    for number in itertools.count():
        oid = oids[number % len(oids)]
        yield f"select t{number}.typname as a{number} from pg_catalog.pg_type as t{number} where oid = {oid}"  # noqa: S608


def _type_oids(bench: Bench) -> list[int]:
    with bench.direct() as connection:
        return [oid for (oid,) in connection.execute("select oid from pg_catalog.pg_type order by oid")]


def _tree_cpu_ms(server: StdioServer) -> float:
    return sum(cpu_ms(pid) for pid in (server.pid, *descendants(server.pid)))


def _tree_mb(server: StdioServer) -> float:
    return sum(proportional_mb(pid) for pid in (server.pid, *descendants(server.pid)))
