"""Writes the measurements of large schemas as a table for people and as JSON for programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from scripts.large.measure import Missing, Prompted, Run


@dataclass(frozen=True, slots=True)
class Scale:
    """One size of schema and its measurements."""

    tables: int
    load_s: float
    runs: tuple[Run, ...]


def as_json(scales: Sequence[Scale]) -> dict[str, Any]:
    """Return the whole report."""
    return {
        "scales": [
            {
                "tables": scale.tables,
                "load_s": round(scale.load_s, 1),
                "runs": [_run(run) for run in scale.runs],
            }
            for scale in scales
        ]
    }


def show(scales: Sequence[Scale], console: Console) -> None:
    """Print the figures, and below them each question whose prompt lacks a table."""
    headings = ("tables", "tokens", "complete", "tables found", "longest", "shown")
    table = Table(*headings, "read, again", "front, idle, read, most", "prompt, first, p50")
    for column in table.columns:
        column.justify = "right"
    for scale in scales:
        for run in scale.runs:
            table.add_row(f"{scale.tables:,}", *_figures(run))
    console.print(table)
    for scale in scales:
        for run in scale.runs:
            _show_missing(scale, run, console)


def _figures(run: Run) -> tuple[str, ...]:
    complete = sum(not prompt.missing for prompt in run.prompts)
    needed = sum(len(prompt.question.needed) for prompt in run.prompts)
    missing = sum(len(prompt.missing) for prompt in run.prompts)
    shown = sorted(prompt.tables for prompt in run.prompts)[len(run.prompts) // 2]
    return (
        f"{run.budget_tokens:,}",
        f"{complete} of {len(run.prompts)} ({run.recall:.0%})",
        f"{needed - missing} of {needed}",
        f"{run.most_tokens:,}",
        str(shown),
        f"{run.introspection_s:.1f}, {run.refresh_s:.1f} s",
        f"{run.idle_mb:.0f}, {run.read_mb:.0f}, {run.front_mb:.0f} MB",
        f"{run.first_build_ms:.0f}, {run.build_p50_ms:.0f} ms",
    )


def _show_missing(scale: Scale, run: Run, console: Console) -> None:
    for prompt in run.prompts:
        if prompt.missing:
            lacks = ", ".join(_describe(missing) for missing in prompt.missing)
            line = f"{scale.tables:,} tables, {run.budget_tokens:,} tokens: {prompt.question.text}: {lacks}"
            console.print(line, style="dim", markup=False, soft_wrap=True)


def _describe(missing: Missing) -> str:
    role = "subject" if missing.is_subject else "joins others"
    return f"{missing.table} ({role}{', named' if missing.is_named else ''})"


def _run(run: Run) -> dict[str, Any]:
    return {
        "budget_tokens": run.budget_tokens,
        "recall": round(run.recall, 4),
        "introspection_s": round(run.introspection_s, 2),
        "refresh_s": round(run.refresh_s, 2),
        "idle_mb": round(run.idle_mb, 1),
        "read_mb": round(run.read_mb, 1),
        "front_mb": round(run.front_mb, 1),
        "first_build_ms": round(run.first_build_ms, 1),
        "build_p50_ms": round(run.build_p50_ms, 1),
        "most_tokens": run.most_tokens,
        "questions": [_question(prompt) for prompt in run.prompts],
    }


def _question(prompt: Prompted) -> dict[str, Any]:
    return {
        "question": prompt.question.text,
        "needed": prompt.question.needed,
        "tokens": prompt.tokens,
        "build_ms": round(prompt.build_ms, 1),
        "tables": prompt.tables,
        "missing": [
            {"table": each.table, "is_subject": each.is_subject, "is_named": each.is_named}
            for each in prompt.missing
        ],
    }
