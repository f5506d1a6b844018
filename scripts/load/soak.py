"""Runs for a long time with cancels, killed workers and restarts, and checks that nothing leaks."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from scripts.load.activity import until
from scripts.load.bench import Bench
from scripts.load.client import LoadTestError, StdioServer
from scripts.load.gates import Measured, need_linux
from scripts.load.loss import DATABASE_LOSS, WORKER_LOSS, kill_any_worker, recovered
from scripts.load.nonce import Tally, ask, ask_for_much, ask_many, ask_something
from scripts.load.processes import (
    descriptor_count,
    resident_mb,
)
from testing.processes import descendants, is_running, workers_of

EXCUSED: Final = DATABASE_LOSS | WORKER_LOSS

_CALLERS: Final = 8
_WORKERS: Final = 8
_STATEMENTS_PER_CANCEL: Final = 20
_STATEMENTS_PER_KILL: Final = 200
_STATEMENTS_PER_RESTART: Final = 2000
_WARM_UP_CALLS: Final = 25
_DESCRIPTORS_PER_WORKER: Final = 2
"""The descriptors that the server holds for a worker: the channel to it and its pidfd."""

_LONGEST_PATIENCE_S: Final = 0.05
_SETTLE_TIMEOUT_S: Final = 3.0


@dataclass(frozen=True, slots=True)
class _Level:
    """The resources of an idle server.

    Attributes:
        descriptors: number of descriptors, without those for workers, because the number of workers may
            differ.
    """

    descriptors: int
    resident_mb: float

    @classmethod
    def of(cls, pid: int) -> "_Level":
        own = descriptor_count(pid) - _DESCRIPTORS_PER_WORKER * len(workers_of(pid))
        return cls(own, resident_mb(pid))


class _Soak:
    """The callers and the disturbances, which come at the same statements in every run."""

    def __init__(self, bench: Bench, pgmcp: StdioServer) -> None:
        self._bench = bench
        self._pgmcp = pgmcp
        self._chance = random.Random(3)  # noqa: S311 # the same mix in every run
        self._ends_s = time.monotonic() + bench.effort.soak_s
        self._restarting = asyncio.Lock()
        self.tally = Tally(bench.timeline)
        self.asked = self.cancels = self.kills = self.restarts = 0

    async def run(self) -> None:
        """Run statements until their number or the time is reached."""
        await asyncio.gather(*(self._ask_repeatedly() for _ in range(_CALLERS)))

    @property
    def summary(self) -> str:
        """A summary of the run."""
        return (
            f"{self.asked:,} statements, {self.cancels} cancels, {self.kills} kills,"
            f" {self.restarts} restarts: {self.tally.summary}"
        )

    async def _ask_repeatedly(self) -> None:
        wanted = self._bench.effort.soak_statements
        while self.asked < wanted and time.monotonic() < self._ends_s:
            self.asked += 1
            number = self.asked
            await self._disturb(number)
            if number % _STATEMENTS_PER_CANCEL == 0:
                await self._ask_and_cancel()
            else:
                await ask(self._pgmcp, ask_something(self._chance), self.tally, excused=EXCUSED)
            self._bench.report(self.asked, wanted)

    async def _disturb(self, number: int) -> None:
        if number % _STATEMENTS_PER_KILL == 0:
            self.kills += 1
            kill_any_worker(self._pgmcp)
        cluster = self._bench.cluster
        if number % _STATEMENTS_PER_RESTART == 0 and cluster is not None:
            async with self._restarting:
                self.restarts += 1
                await asyncio.to_thread(cluster.restart)
                await recovered(self._pgmcp)

    async def _ask_and_cancel(self) -> None:
        """Run a long or short statement, and cancel it before or just after its answer."""
        self.cancels += 1
        question = self._chance.choice((ask_for_much(), ask_something(self._chance)))
        patience_s = self._chance.uniform(0, _LONGEST_PATIENCE_S)
        asking = asyncio.create_task(ask(self._pgmcp, question, self.tally, excused=EXCUSED))
        await asyncio.wait([asking], timeout=patience_s)
        if asking.cancel():
            with suppress(asyncio.CancelledError):
                await asking
            self.tally.outcomes["cancelled"] += asking.cancelled()


async def measure_soak(bench: Bench) -> Sequence[Measured]:
    """Disturb a server in every way while statements run, then measure leaks."""
    need_linux()
    settings: dict[str, Any] = {"database_min_pool_size": _WORKERS, "database_max_pool_size": _WORKERS}
    async with bench.pgmcp(server_query_timeout=5, **settings) as pgmcp:
        # Measure the normal state, in which all workers run and all caches are filled.
        await ask_many(pgmcp, Tally(bench.timeline), callers=_CALLERS, calls=_WARM_UP_CALLS)
        before = _Level.of(pgmcp.pid)
        soak = _Soak(bench, pgmcp)
        await soak.run()
        await recovered(pgmcp)
        # Use all workers again, because the server notices only then that an idle worker was killed.
        await ask_many(pgmcp, soak.tally, callers=_CALLERS, calls=_WARM_UP_CALLS)
        await until(lambda: not bench.activity.running(), "no statement runs on the server")
        await _settled(lambda: _Level.of(pgmcp.pid).descriptors <= before.descriptors)
        after = _Level.of(pgmcp.pid)
        locks = bench.activity.advisory_locks()
        processes = descendants(pgmcp.pid)
    await _settled(lambda: not bench.activity.sessions())
    left = {
        "processes": sum(is_running(process) for process in processes),
        "backends": len(bench.activity.sessions()),
        "advisory locks": locks,
    }
    return [
        Measured(len(soak.tally.wrong), note=soak.summary),
        Measured(sum(left.values()), note=", ".join(f"{count} {what}" for what, count in left.items())),
        Measured(after.descriptors - before.descriptors, note=f"{before.descriptors} before"),
        Measured(after.resident_mb - before.resident_mb, note=f"{before.resident_mb:.0f} MB before"),
    ]


async def _settled(is_so: Callable[[], bool]) -> None:
    """Wait until resources are released, at most some seconds; the figures show those that were not."""
    with suppress(LoadTestError):
        await until(is_so, "resources are released", timeout_s=_SETTLE_TIMEOUT_S)
