"""Measures the latencies of several targets in turns, so that a busy machine slows all of them alike."""

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

WARM_UP_CALLS: Final = 10


@dataclass
class Series:
    """The latencies of one target."""

    latencies_ms: list[float] = field(default_factory=list)

    @property
    def p50_ms(self) -> float:
        """The median."""
        return statistics.median(self.latencies_ms)

    @property
    def p95_ms(self) -> float:
        """The latency that one call in twenty exceeds."""
        if len(self.latencies_ms) < 2:
            return self.latencies_ms[0]
        return statistics.quantiles(self.latencies_ms, n=20, method="inclusive")[-1]


@dataclass(frozen=True, slots=True)
class Sample:
    """One call on the time axis of the whole run."""

    at_s: float
    scenario: str
    series: str
    latency_ms: float


class Timeline:
    """All calls of a run, for the plot.

    Attributes:
        scenario: the current one.
    """

    def __init__(self) -> None:
        self._started_s = time.perf_counter()
        self.scenario = ""
        self.samples: list[Sample] = []

    def add(self, series: str, latency_ms: float) -> None:
        """Record a call that has just ended."""
        at_s = time.perf_counter() - self._started_s
        self.samples.append(Sample(at_s, self.scenario, series, latency_ms))


Target = Callable[[int, Callable[[float], None]], Awaitable[None]]
"""Makes a number of calls one after another and records the duration of each, in ms."""


def awaited(call: Callable[[], Awaitable[Any]]) -> Target:
    """Return a target that awaits `call`."""

    async def run(calls: int, note: Callable[[float], None]) -> None:
        for _ in range(calls):
            before_s = time.perf_counter()
            await call()
            note((time.perf_counter() - before_s) * 1000)

    return run


def blocking(call: Callable[[], Any]) -> Target:
    """Return a target that makes all its calls in one thread."""

    def run_all(calls: int, note: Callable[[float], None]) -> None:
        for _ in range(calls):
            before_s = time.perf_counter()
            call()
            note((time.perf_counter() - before_s) * 1000)

    async def run(calls: int, note: Callable[[float], None]) -> None:
        await asyncio.to_thread(run_all, calls, note)

    return run


async def in_turns(
    targets: Mapping[str, Target], timeline: Timeline, *, turns: int, calls: int, warm_up: int = WARM_UP_CALLS
) -> dict[str, Series]:
    """Let each target make its calls, in turns; return the latencies by target.

    Args:
        calls: number of calls per target and turn.
        warm_up: number of calls per target before the first turn, which are not recorded.
    """
    series = {name: Series() for name in targets}
    for run in targets.values():
        await run(warm_up, lambda latency_ms: None)
    for _ in range(turns):
        for name, run in targets.items():
            await run(calls, _noting(series[name], timeline, name))
    return series


def _noting(series: Series, timeline: Timeline, name: str) -> Callable[[float], None]:
    def note(latency_ms: float) -> None:
        series.latencies_ms.append(latency_ms)
        timeline.add(name, latency_ms)

    return note
