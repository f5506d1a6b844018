"""Writes the verdicts as a table for people and as JSON for programs, and plots the latencies as SVG."""

import colorsys
import math
import platform
from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final
from xml.sax.saxutils import escape

from rich.console import Console
from rich.table import Table

from scripts.load.gates import RATIO, Verdict
from scripts.load.measure import Sample

_RESULT: Final = {True: "[green]pass[/]", False: "[bold red]FAIL[/]", None: ""}

_WIDTH: Final = 1200
_HEIGHT: Final = 480
_LEFT: Final = 80
_RIGHT: Final = 1020
_TOP: Final = 40
_BOTTOM: Final = 440
_FIRST_HUE_DEGREES: Final = 210
_HUE_STEP_DEGREES: Final = 137.5
"""The golden angle, which gives neighbouring series different colours for any number of series."""


def as_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Return the whole report."""
    return {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "passed": all_passed(verdicts),
        "gates": [verdict.as_json() for verdict in verdicts],
    }


def all_passed(verdicts: Sequence[Verdict]) -> bool:
    """Return whether no gate failed."""
    return all(verdict.passed is not False for verdict in verdicts)


def show(verdicts: Sequence[Verdict], console: Console) -> None:
    """Print the table at the end of a run, and the notes below it."""
    table = Table("", "what", "measured", "floor", "figure", "gate", "")
    for column in table.columns[2:6]:
        column.justify = "right"
    for number, verdict in enumerate(verdicts):
        is_first = number == 0 or verdicts[number - 1].scenario != verdict.scenario
        name = verdict.scenario if is_first else ""
        table.add_row(name, verdict.gate.what, *_figures(verdict), _result(verdict))
    console.print(table)
    notes: dict[str, None] = {}
    for verdict in verdicts:
        if note := verdict.problem or (verdict.measured.note if verdict.measured else ""):
            notes[f"{verdict.scenario}: {note}"] = None
    for line in notes:
        console.print(line, style="dim", markup=False)


def _figures(verdict: Verdict) -> tuple[str, str, str, str]:
    gate, measured = verdict.gate, verdict.measured
    at_most = "" if gate.at_most is None else f"≤ {gate.at_most:g} {gate.unit}"
    if measured is None or verdict.judged is None:
        return "", "", "", at_most
    if measured.floor is None:
        return "", "", f"{round(verdict.judged, 1):g} {gate.unit}", at_most
    return f"{measured.value:.2f} ms", f"{measured.floor:.2f} ms", f"{verdict.judged:.2f} {RATIO}", at_most


def _result(verdict: Verdict) -> str:
    return "skipped" if verdict.is_skipped else _RESULT[verdict.passed]


def draw(samples: Sequence[Sample]) -> str:
    """Return a plot with a dot per call: x is the time in seconds, y the latency in ms, logarithmic."""
    axes = _Axes(samples)
    parts = [*_grid(axes), *_scenarios(samples, axes), *_dots(samples, axes), *_legend(samples)]
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
        ' font-family="sans-serif" font-size="11">'
    )
    return "\n".join([head, f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>', *parts, "</svg>\n"])


class _Axes:
    def __init__(self, samples: Sequence[Sample]) -> None:
        latencies_ms = [sample.latency_ms for sample in samples] or [1.0]
        self._end_s = max((sample.at_s for sample in samples), default=1.0)
        self.low = math.floor(math.log10(max(min(latencies_ms), 0.01)))
        self.high = max(self.low + 1, math.ceil(math.log10(max(*latencies_ms, 0.02))))

    def x(self, at_s: float) -> float:
        return _LEFT + (_RIGHT - _LEFT) * at_s / self._end_s

    def y(self, latency_ms: float) -> float:
        share = (math.log10(max(latency_ms, 0.01)) - self.low) / (self.high - self.low)
        return _BOTTOM - (_BOTTOM - _TOP) * share


def _grid(axes: _Axes) -> list[str]:
    parts = []
    for exponent in range(axes.low, axes.high + 1):
        y = axes.y(10**exponent)
        parts.append(f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="#ddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10**exponent:g} ms</text>')
    return parts


def _scenarios(samples: Sequence[Sample], axes: _Axes) -> list[str]:
    """Mark the beginning of each scenario, with its name in one of two rows."""
    parts = []
    for number, (name, group) in enumerate(groupby(samples, key=lambda sample: sample.scenario)):
        first = next(group)
        x, y = axes.x(first.at_s - first.latency_ms / 1000), 14 + 12 * (number % 2)
        parts.append(f'<path d="M{x:.1f} {_TOP - 10}V{_BOTTOM}" stroke="#aaa" stroke-dasharray="3"/>')
        parts.append(f'<text x="{x:.1f}" y="{y}">{escape(name)}</text>')
    return parts


def _dots(samples: Sequence[Sample], axes: _Axes) -> list[str]:
    colours = _colours(samples)
    return [
        f'<circle cx="{axes.x(sample.at_s):.1f}" cy="{axes.y(sample.latency_ms):.1f}" r="1.5"'
        f' fill="{colours[sample.series]}" fill-opacity="0.6"/>'
        for sample in samples
    ]


def _legend(samples: Sequence[Sample]) -> list[str]:
    parts = []
    for row, (name, colour) in enumerate(_colours(samples).items()):
        y = _TOP + 16 * row
        parts.append(f'<circle cx="{_RIGHT + 14}" cy="{y}" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{_RIGHT + 24}" y="{y + 4}">{escape(name)}</text>')
    return parts


def _colours(samples: Sequence[Sample]) -> dict[str, str]:
    names = dict.fromkeys(sample.series for sample in samples)
    return {name: _colour(number) for number, name in enumerate(names)}


def _colour(number: int) -> str:
    hue = (_FIRST_HUE_DEGREES + _HUE_STEP_DEGREES * number) % 360 / 360
    red, green, blue = (round(255 * part) for part in colorsys.hls_to_rgb(hue, 0.45, 0.7))
    return f"#{red:02x}{green:02x}{blue:02x}"
