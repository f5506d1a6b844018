"""Writes the results of an evaluation as tables for people and as JSON for programs."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from math import sqrt
from typing import Any, Final, TypeVar

from rich.console import Console
from rich.table import Table

from scripts.evaluation.contestants import Ours, PlainPrompt
from scripts.evaluation.run import Judged, Result, Skipped, Verdict

_MAX_SHOWN_CHARACTERS: Final = 160
_Z_95: Final = 1.96

Key = TypeVar("Key")

_FIGURES: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "right": lambda of: f"{of['right']} of {of['questions']}",
    "accuracy (95 % interval)": lambda of: "{:.1%} ({:.0%}-{:.0%})".format(
        of["accuracy"], *of["accuracy_95"]
    ),
    "wrong rows": lambda of: str(of["wrong"]),
    "refused": lambda of: str(of["refused"]),
    "error": lambda of: str(of["error"]),
    "repaired": lambda of: str(of["repaired"]),
    "with a note": lambda of: str(of["noted"]),
    "model calls": lambda of: str(of["calls"]),
    "most for one question": lambda of: str(of["most_calls"]),
    "tokens in": lambda of: f"{of['tokens_in']:,}",
    "tokens out": lambda of: f"{of['tokens_out']:,}",
    "median of one question, in": lambda of: f"{of['median_tokens_in']:,.0f}",
    "latency p50": lambda of: f"{of['p50_ms']:.0f} ms",
}


def as_json(results: Sequence[Result], skipped: Sequence[Skipped]) -> dict[str, Any]:
    """Return the whole report."""
    return {
        "contestants": {name: _summary(_attempts(results, name)) for name in _names(results)},
        "categories": {
            category: {name: _summary(_attempts(of_category, name)) for name in _names(results)}
            for category, of_category in _by(results, lambda result: result.question.category).items()
        },
        "paired": _paired(results),
        "questions": [_question(result) for result in results],
        "skipped": [{"id": each.question.id, "why": each.why} for each in skipped],
    }


def show(results: Sequence[Result], skipped: Sequence[Skipped], console: Console) -> None:
    """Print the tables, and all questions with a wrong answer."""
    names = _names(results)
    console.print(_summary_table(results, names))
    if any(result.miss for result in results):
        console.print(_miss_table(results, names))
    if len(_by(results, lambda result: result.question.category)) > 1:
        console.print(_category_table(results, names))
    if paired := _paired(results):
        console.print("paired: " + ", ".join(f"{what} {count}" for what, count in paired.items()))
    console.print(_describe_values(results), markup=False)
    for result in results:
        for name, judged in result.attempts.items():
            if judged.verdict is not Verdict.RIGHT:
                why = " ".join(judged.why.split())[:_MAX_SHOWN_CHARACTERS]
                line = f"{result.question.id}, {name}: {judged.verdict}: {why}"
                console.print(line, style="dim", markup=False)
    for why in dict.fromkeys(each.why for each in skipped):
        ids = ", ".join(each.question.id for each in skipped if each.why == why)
        console.print(f"skipped, because {why}: {ids}", style="dim", markup=False)


def _describe_values(results: Sequence[Result]) -> str:
    """Return how many values of the gold SQL are in the prompts."""
    named = sum(result.named_values for result in results)
    missing = [text for result in results for text in result.missing_values]
    shown = f"values of the gold SQL in the prompt: {named - len(missing)} of {named}"
    return f"{shown}; missing: {', '.join(missing)}" if missing else shown


def _names(results: Sequence[Result]) -> list[str]:
    return list(results[0].attempts) if results else []


def _attempts(results: Iterable[Result], name: str) -> list[Judged]:
    return [result.attempts[name] for result in results]


def _by(results: Sequence[Result], key: Callable[[Result], Key]) -> dict[Key, list[Result]]:
    groups: dict[Key, list[Result]] = {}
    for result in results:
        groups.setdefault(key(result), []).append(result)
    return groups


def _summary(attempts: Sequence[Judged]) -> dict[str, Any]:
    bills = [judged.attempt.bill for judged in attempts]
    verdicts = {str(verdict): sum(each.verdict is verdict for each in attempts) for verdict in Verdict}
    low, high = _interval(verdicts["right"], len(attempts))
    return {
        "questions": len(attempts),
        **verdicts,
        "accuracy": round(verdicts["right"] / len(attempts), 4),
        "accuracy_95": [round(low, 3), round(high, 3)],
        "repaired": sum(each.attempt.source == "repaired" for each in attempts),
        "noted": sum(bool(each.attempt.notes) for each in attempts),
        "calls": sum(bill.calls for bill in bills),
        "most_calls": max(bill.calls for bill in bills),
        "tokens_in": sum(bill.tokens_in for bill in bills),
        "tokens_out": sum(bill.tokens_out for bill in bills),
        "median_tokens_in": statistics.median(bill.tokens_in for bill in bills),
        "p50_ms": round(statistics.median(each.attempt.elapsed_ms for each in attempts), 1),
    }


def _interval(right: int, count: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share (Wilson)."""
    share, spread = right / count, _Z_95**2 / count
    middle = (share + spread / 2) / (1 + spread)
    half = _Z_95 * sqrt(share * (1 - share) / count + spread / (4 * count)) / (1 + spread)
    return max(0.0, middle - half), min(1.0, middle + half)


def _paired(results: Sequence[Result]) -> dict[str, int]:
    if set(_names(results)) != {Ours.name, PlainPrompt.name}:
        return {}
    counts = {"both right": 0, "only ours": 0, "only the plain prompt": 0, "neither": 0}
    what = {(True, True): "both right", (True, False): "only ours", (False, True): "only the plain prompt"}
    for result in results:
        right = tuple(
            result.attempts[name].verdict is Verdict.RIGHT for name in (Ours.name, PlainPrompt.name)
        )
        counts[what.get((right[0], right[1]), "neither")] += 1
    return counts


def _question(result: Result) -> dict[str, Any]:
    return {
        "id": result.question.id,
        "database": result.question.database,
        "category": result.question.category,
        "near_miss": result.miss and str(result.miss),
        "named_values": result.named_values,
        "missing_values": list(result.missing_values),
        **{name: _judged(judged) for name, judged in result.attempts.items()},
    }


def _judged(judged: Judged) -> dict[str, Any]:
    attempt = judged.attempt
    return {
        "verdict": str(judged.verdict),
        "why": judged.why,
        "code": attempt.error,
        "source": attempt.source,
        "sql": attempt.sql,
        "notes": list(attempt.notes),
        "calls": attempt.bill.calls,
        "tokens_in": attempt.bill.tokens_in,
        "tokens_out": attempt.bill.tokens_out,
        "elapsed_ms": round(attempt.elapsed_ms, 1),
    }


def _summary_table(results: Sequence[Result], names: Sequence[str]) -> Table:
    table = Table("", *names)
    for column in table.columns[1:]:
        column.justify = "right"
    summaries = [_summary(_attempts(results, name)) for name in names]
    for what, tell in _FIGURES.items():
        table.add_row(what, *(tell(summary) for summary in summaries))
    return table


def _miss_table(results: Sequence[Result], names: Sequence[str]) -> Table:
    """Return how many near misses were repaired, by their effect in the database."""
    table = Table("the first reply …", "questions", *(f"right: {name}" for name in names))
    for miss, group in _by([each for each in results if each.miss], lambda result: result.miss).items():
        table.add_row(str(miss), str(len(group)), *(_share_right(group, name) for name in names))
    return table


def _category_table(results: Sequence[Result], names: Sequence[str]) -> Table:
    table = Table("category", "questions", *(f"right: {name}" for name in names))
    for category, group in _by(results, lambda result: result.question.category).items():
        table.add_row(category or "(none)", str(len(group)), *(_share_right(group, name) for name in names))
    return table


def _share_right(results: Sequence[Result], name: str) -> str:
    right = sum(each.verdict is Verdict.RIGHT for each in _attempts(results, name))
    return f"{right} ({right / len(results):.0%})"
