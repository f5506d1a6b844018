"""Measures pgmcp under load, and compares each figure with its limit (gate).

    uv run scripts/loadtest.py                             # everything, on a PostgreSQL of its own
    uv run scripts/loadtest.py --scenario sort rows --url postgresql://…
    uv run scripts/loadtest.py --peers --scenario repeated literals shapes throughput
    uv run scripts/loadtest.py --http --servers 1 2 4
    uv run scripts/loadtest.py --gate --json report.json --plot latency.svg
    uv run scripts/loadtest.py --scenario soak --soak-statements 10000 --soak-s 900

The script measures the compared targets in turns within one run, so that a busy machine slows all of them.
Therefore, only the ratios are comparable between runs, not the milliseconds.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import psycopg
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from scripts.load.bench import Bench, Effort, open_bench
from scripts.load.client import LoadTestError
from scripts.load.gates import Gate, Measured, Missing, Scenario, SkippedError, Verdict
from scripts.load.measure import Timeline
from scripts.load.peers import install_peers
from scripts.load.report import all_passed, as_json, draw, show
from scripts.load.scenarios import SCENARIOS

_NAMES = [scenario.name for scenario in SCENARIOS]
_UNFINISHED: Final = (LoadTestError, OSError, psycopg.Error)
"""If a scenario raises one of these errors, only its own gates fail."""


def parse_arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--scenario",
        nargs="+",
        choices=_NAMES,
        default=_NAMES,
        metavar="NAME",
        help=f"some of {', '.join(_NAMES)}; default: all",
    )
    parser.add_argument("--url", help="the database; without it a PostgreSQL is started for the run")
    parser.add_argument(
        "--quick", action="store_true", help="a tenth of the repetitions, to check that everything runs"
    )
    parser.add_argument(
        "--peers",
        action="store_true",
        help="install other servers from npm into a cache folder, and measure them in the same run",
    )
    parser.add_argument(
        "--soak-s",
        type=float,
        default=120.0,
        help="maximum seconds of a soak, which is a long run with disturbances (%(default)g)",
    )
    parser.add_argument(
        "--soak-statements", type=int, default=2000, help="number of statements of a soak (%(default)s)"
    )
    parser.add_argument("--http", action="store_true", help="run only the scenario http")
    parser.add_argument(
        "--servers",
        nargs="+",
        type=int,
        choices=(1, 2, 4),
        default=(1, 2, 4),
        help="how many servers share the calls over HTTP, one measurement each; default: 1 2 4",
    )
    parser.add_argument("--json", metavar="FILE", help="write the report to this file; - is standard output")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw latency over time, as SVG")
    parser.add_argument("--gate", action="store_true", help="exit with 1 if a figure exceeds its gate")
    arguments = parser.parse_args()
    if arguments.http:
        arguments.scenario = ["http"]
    if arguments.plot and arguments.plot.suffix != ".svg":
        parser.error("--plot takes a file that ends in .svg")
    return arguments


def measure(arguments: argparse.Namespace, timeline: Timeline, console: Console) -> list[Verdict]:
    """Run the requested scenarios, with progress on stderr."""
    chosen = [scenario for scenario in SCENARIOS if scenario.name in arguments.scenario]
    effort = Effort(arguments.quick, arguments.soak_s, arguments.soak_statements, tuple(arguments.servers))
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=console, transient=True) as progress:
        whole = progress.add_task("starting PostgreSQL", total=len(chosen))
        inner = progress.add_task("", total=None, visible=False)

        def begin(name: str) -> None:
            progress.update(whole, description=name, advance=1 if timeline.scenario else 0)
            progress.update(inner, visible=False)

        def report(done: int, total: int) -> None:
            progress.update(inner, completed=done, total=total, visible=True)

        if arguments.peers:
            progress.update(whole, description="installing peers")
            install_peers()
        with open_bench(arguments.url, effort, timeline, report, with_peers=arguments.peers) as bench:
            return asyncio.run(run_scenarios(chosen, bench, begin))


def publish(verdicts: Sequence[Verdict], timeline: Timeline, arguments: argparse.Namespace) -> None:
    """Write the report in the requested forms."""
    report = json.dumps(as_json(verdicts), indent=2, ensure_ascii=False)
    if arguments.json == "-":
        sys.stdout.write(f"{report}\n")
    else:
        show(verdicts, Console())
    if arguments.json not in (None, "-"):
        Path(arguments.json).write_text(f"{report}\n", "utf-8")
    if arguments.plot:
        arguments.plot.write_text(draw(timeline.samples), "utf-8")


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


def main() -> None:
    """Run the load test and publish its report."""
    arguments = parse_arguments()
    timeline = Timeline()
    # SIGTERM acts like Ctrl-C, so that PostgreSQL and all servers are stopped.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        verdicts = measure(arguments, timeline, Console(stderr=True))
    except KeyboardInterrupt:
        sys.exit("stopped")
    publish(verdicts, timeline, arguments)
    if arguments.gate and not all_passed(verdicts):
        sys.exit(1)


if __name__ == "__main__":
    main()
