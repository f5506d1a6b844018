"""Writes the verdicts as a table for people and as JSON for programs."""

import platform
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from scripts.load.gates import RATIO, Verdict

_RESULT: Final = {True: "[green]pass[/]", False: "[bold red]FAIL[/]", None: ""}


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
