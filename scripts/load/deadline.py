"""Measures how long after its deadline a runaway statement is answered, ends, and frees its worker.

A runaway is a statement that runs until it is stopped.
"""

import asyncio
import signal
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from scripts.load.activity import until
from scripts.load.bench import Bench
from scripts.load.client import CallFailedError, LoadTestError, StdioServer
from scripts.load.gates import Measured, need_linux
from scripts.load.nonce import ask_for_much
from scripts.load.processes import send_signal
from testing.processes import workers_of

DEADLINE_S: Final = 1.0
FLOOD: Final = """
select repeat('x', 1000000) from (select count(*) from generate_series(1, 2000000)) as late,
       generate_series(1, 100000)
"""
"""Returns nothing at first, then more than socket buffers hold. The backend then waits in ClientWrite."""

_REPETITIONS: Final = 10
_BURSTS: Final = 50
_BURST: Final = 8
_LONGEST_PATIENCE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Stop:
    """How long after its deadline one runaway was answered, had ended, and had freed its worker, in ms."""

    answered_ms: float
    backend_idle_ms: float
    slot_usable_ms: float


async def measure_ladder(bench: Bench) -> Sequence[Measured]:
    """Stop runaways by statement_timeout and by killing their worker.

    The server has only one worker, so that the next statement needs the same slot of the pool.
    """
    need_linux()
    async with bench.pgmcp(server_query_timeout=DEADLINE_S, database_max_pool_size=1) as pgmcp:
        await pgmcp.execute("select 1")
        repetitions = bench.effort.times(_REPETITIONS)
        by_server = [await _stop(bench, pgmcp, ask_for_much().sql, lambda: None) for _ in range(repetitions)]
        by_kill = [await _stop(bench, pgmcp, FLOOD, lambda: _halt_workers(pgmcp)) for _ in range(repetitions)]
    return [
        _median("answered_ms", by_server),
        _median("answered_ms", by_kill),
        _worse_median("backend_idle_ms", by_server, by_kill),
        _worse_median("slot_usable_ms", by_server, by_kill),
    ]


async def measure_cancel_storm(bench: Bench) -> Sequence[Measured]:
    """Start and cancel heavy statements in bursts, and measure how soon all have ended."""
    bursts = bench.effort.times(_BURSTS)
    async with bench.pgmcp() as pgmcp:
        await pgmcp.execute("select 1")
        for number in range(bursts):
            calls = [asyncio.create_task(pgmcp.execute(ask_for_much().sql)) for _ in range(_BURST)]
            await asyncio.sleep(_LONGEST_PATIENCE_S * number / bursts)
            await _cancel(calls)
            # The reply shows that the server has read the cancels. Without this wait, the pipe would fill up.
            await pgmcp.request("ping", {})
            bench.report(number + 1, bursts)
        idle_ms = await until(lambda: not bench.activity.running(), "no cancelled statement is running")
        before_s = time.perf_counter()
        await pgmcp.execute("select 1")
        next_ms = (time.perf_counter() - before_s) * 1000
    return [Measured(idle_ms, note=f"{bursts * _BURST} cancels"), Measured(next_ms)]


async def _stop(bench: Bench, pgmcp: StdioServer, statement: str, hinder: Callable[[], None]) -> _Stop:
    """Run a statement until its deadline, and another one immediately afterwards."""
    deadline_s = time.perf_counter() + DEADLINE_S
    runaway = asyncio.create_task(_expect_timeout(pgmcp.execute(statement)))
    await until(lambda: bool(bench.activity.running()), "the runaway runs")
    hinder()
    idle = asyncio.create_task(_wait_until_idle_s(bench))
    await runaway
    answered_s = time.perf_counter()
    await pgmcp.execute("select 1")
    usable_s = time.perf_counter()
    moments_s = (answered_s, await idle, usable_s)
    return _Stop(*((moment_s - deadline_s) * 1000 for moment_s in moments_s))


async def _wait_until_idle_s(bench: Bench) -> float:
    await until(lambda: not bench.activity.running(), "the runaway has ended")
    return time.perf_counter()


async def _expect_timeout(call: Awaitable[Any]) -> None:
    try:
        await call
    except CallFailedError as error:
        if error.code != "timeout":
            raise
    else:
        raise LoadTestError("a runaway statement was answered")


def _halt_workers(pgmcp: StdioServer) -> None:
    for worker in workers_of(pgmcp.pid):
        send_signal(worker, signal.SIGSTOP)


async def _cancel(calls: list[asyncio.Task[Any]]) -> None:
    for call in calls:
        call.cancel()
    for call in calls:
        with suppress(asyncio.CancelledError):
            await call


def _median(figure: str, stops: list[_Stop]) -> Measured:
    values = [getattr(stop, figure) for stop in stops]
    return Measured(statistics.median(values), note=f"at most {max(values):.0f} ms in {len(values)}")


def _worse_median(figure: str, *rungs: list[_Stop]) -> Measured:
    return max((_median(figure, stops) for stops in rungs), key=lambda measured: measured.value)
