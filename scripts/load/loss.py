"""Measures the recovery after a worker, the server or the database was killed."""

import asyncio
import random
import signal
import statistics
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from scripts.load.activity import until
from scripts.load.bench import Bench
from scripts.load.client import CallFailedError, LoadTestError, StdioServer
from scripts.load.gates import Measured, SkippedError, need_linux
from scripts.load.nonce import Tally, ask, ask_for_much, ask_many, ask_something
from scripts.load.processes import (
    any_running,
    proportional_mb,
    send_signal,
)
from testing.processes import workers_of

WORKER_LOSS: Final = frozenset({"worker_lost"})
DATABASE_LOSS: Final = frozenset({"unreachable", "worker_lost", "auth", "busy"})

_RUNAWAYS: Final = 4
_WORKERS: Final = 4
_CALLERS: Final = 6
_KILLS: Final = 30
_PAUSE_S: Final = 0.1
_RETRY_PAUSE_S: Final = 0.005
_RECOVERY_TIMEOUT_S: Final = 20.0


async def measure_workers(bench: Bench) -> Sequence[Measured]:
    """Measure the time from a kill of the only worker to the next answer, and the memory of workers."""
    need_linux()
    times_ms = []
    async with bench.pgmcp(database_max_pool_size=1) as pgmcp:
        await pgmcp.execute("select 1")
        for _ in range(bench.effort.times(20)):
            (worker,) = workers_of(pgmcp.pid)
            before_s = time.perf_counter()
            send_signal(worker, signal.SIGKILL)
            await recovered(pgmcp)
            times_ms.append((time.perf_counter() - before_s) * 1000)
    async with bench.pgmcp(database_min_pool_size=_WORKERS) as pgmcp:
        await ask_many(pgmcp, Tally(bench.timeline), callers=_WORKERS, calls=20)
        memory_mb = [proportional_mb(worker) for worker in workers_of(pgmcp.pid)]
    return [
        Measured(
            statistics.median(times_ms), note=f"from kill to the next answer; at most {max(times_ms):.0f} ms"
        ),
        Measured(statistics.median(memory_mb), note=f"of {len(memory_mb)} workers"),
    ]


async def measure_kills(bench: Bench) -> Sequence[Measured]:
    """Kill workers one after another while statements run."""
    need_linux()
    tally = Tally(bench.timeline)
    kills = bench.effort.times(_KILLS)
    async with bench.pgmcp() as pgmcp, _asked(pgmcp, tally, WORKER_LOSS):
        for number in range(kills):
            kill_any_worker(pgmcp)
            bench.report(number + 1, kills)
            await asyncio.sleep(_PAUSE_S)
    return [Measured(len(tally.wrong), note=f"{kills} kills: {tally.summary}")]


async def measure_front(bench: Bench) -> Sequence[Measured]:
    """Kill the server while runaways run, and measure how soon its workers and backends end."""
    need_linux()
    ends = [await _kill_front(bench) for _ in range(bench.effort.times(5))]
    workers_ms, backends_ms = ([end[part] for end in ends] for part in (0, 1))
    return [
        Measured(statistics.median(workers_ms), note=f"at most {max(workers_ms):.0f} ms"),
        Measured(statistics.median(backends_ms), note=f"at most {max(backends_ms):.0f} ms"),
    ]


async def measure_restart(bench: Bench) -> Sequence[Measured]:
    """Restart the database while statements run."""
    if bench.cluster is None:
        raise SkippedError("the database was not started by this run and must not be restarted")
    tally = Tally(bench.timeline)
    async with bench.pgmcp() as pgmcp, _asked(pgmcp, tally, DATABASE_LOSS):
        await asyncio.sleep(_PAUSE_S)
        await asyncio.to_thread(bench.cluster.restart)
        recovery_ms = await recovered(pgmcp)
    return [Measured(len(tally.wrong), note=tally.summary), Measured(recovery_ms)]


def kill_any_worker(pgmcp: StdioServer) -> None:
    """Send SIGKILL to one of the server's workers, if there are any."""
    if workers := workers_of(pgmcp.pid):
        send_signal(random.choice(workers), signal.SIGKILL)  # noqa: S311 # any will do


async def recovered(pgmcp: StdioServer) -> float:
    """Wait until a statement succeeds again; return how long it took, in ms."""
    started_s = time.perf_counter()
    while time.perf_counter() - started_s < _RECOVERY_TIMEOUT_S:
        try:
            await pgmcp.execute("select 1")
        except CallFailedError:
            await asyncio.sleep(_RETRY_PAUSE_S)
        else:
            return (time.perf_counter() - started_s) * 1000
    raise LoadTestError(f"no answer for {_RECOVERY_TIMEOUT_S:g} s")


async def _kill_front(bench: Bench) -> tuple[float, float]:
    """Return how long workers and running backends outlive the server, in ms."""
    async with bench.pgmcp(server_query_timeout=60) as pgmcp:
        runaways = [asyncio.create_task(pgmcp.execute(ask_for_much().sql)) for _ in range(_RUNAWAYS)]
        await until(lambda: len(bench.activity.running()) == _RUNAWAYS, "the runaways run")
        workers = workers_of(pgmcp.pid)
        send_signal(pgmcp.pid, signal.SIGKILL)
        times_ms = await asyncio.gather(
            until(lambda: not any_running(workers), "the workers have ended"),
            until(lambda: not bench.activity.running(), "the backends have ended"),
        )
        await asyncio.gather(*runaways, return_exceptions=True)
    return times_ms[0], times_ms[1]


@asynccontextmanager
async def _asked(pgmcp: StdioServer, tally: Tally, excused: frozenset[str]) -> AsyncIterator[None]:
    """Run statements for several callers until the end of the block."""
    is_over = asyncio.Event()
    chance = random.Random(2)  # noqa: S311 # the same mix in every run

    async def ask_repeatedly() -> None:
        while not is_over.is_set():
            await ask(pgmcp, ask_something(chance), tally, excused=excused)

    callers = asyncio.gather(*(ask_repeatedly() for _ in range(_CALLERS)))
    try:
        yield
    finally:
        is_over.set()
        await callers
