"""Runs scenarios one after another; a scenario that raises an error fails only its own gates."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import psycopg

from scripts.load.bench import Bench
from scripts.load.client import LoadTestError
from scripts.load.gates import Gate, Measured, Missing, Scenario, SkippedError, Verdict

_UNFINISHED: Final = (LoadTestError, OSError, psycopg.Error)


async def run_scenarios(
    scenarios: Iterable[Scenario], bench: Bench, begin: Callable[[str], None]
) -> list[Verdict]:
    """Measure each scenario and compare it with its gates.

    Args:
        begin: called with the name of each scenario.
    """
    verdicts: list[Verdict] = []
    for scenario in scenarios:
        begin(scenario.name)
        bench.timeline.scenario = scenario.name
        verdicts.extend(await _judge(scenario, bench))
    return verdicts


async def _judge(scenario: Scenario, bench: Bench) -> list[Verdict]:
    try:
        async with asyncio.timeout(scenario.timeout_s):
            figures = await scenario.measure(bench)
    except SkippedError as reason:
        return list(_without_figures(scenario, str(reason), is_skipped=True))
    except TimeoutError:
        return list(_without_figures(scenario, f"not done within {scenario.timeout_s:g} s"))
    except _UNFINISHED as error:
        return list(_without_figures(scenario, str(error)))
    pairs = zip(scenario.gates, figures, strict=True)
    return [_verdict(scenario, gate, figure) for gate, figure in pairs]


def _verdict(scenario: Scenario, gate: Gate, figure: Measured | Missing) -> Verdict:
    if isinstance(figure, Missing):
        return Verdict(scenario.name, gate, problem=figure.reason, is_skipped=True)
    return Verdict(scenario.name, gate, figure)


def _without_figures(scenario: Scenario, problem: str, *, is_skipped: bool = False) -> Iterator[Verdict]:
    for gate in scenario.gates:
        yield Verdict(scenario.name, gate, problem=problem, is_skipped=is_skipped)
