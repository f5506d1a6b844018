"""The report of `pgmcp evaluate`, and what only a scripted endpoint can tell."""

from typing import Any

from pgmcp.cli.evaluate import share_table, show_outcome
from pgmcp.cli.terminal import Terminal
from pgmcp.evaluation import report
from scripts.evaluation.run import ScriptedOutcome


def as_json(found: ScriptedOutcome) -> dict[str, Any]:
    """Return the whole report."""
    whole = report.as_json(found.outcome)
    for question in whole["questions"]:
        miss, values = found.misses.get(question["id"]), found.values.get(question["id"])
        question["near_miss"] = miss and str(miss)
        question["named_values"] = values.named if values else 0
        question["missing_values"] = list(values.missing) if values else []
    return whole


def show(found: ScriptedOutcome, terminal: Terminal) -> None:
    """Print the report of `pgmcp evaluate`, and what the script adds."""
    results = found.outcome.results
    show_outcome(found.outcome, terminal)
    if found.misses:
        missed = [result for result in results if result.question.id in found.misses]
        groups = report.group(missed, lambda result: str(found.misses[result.question.id]))
        terminal.show(share_table("the first reply …", groups, report.names_of(results)))
    if found.values:
        terminal.say_line(_describe_values(found))


def _describe_values(found: ScriptedOutcome) -> str:
    """Return how many values of the gold SQL are in the prompts."""
    named = sum(values.named for values in found.values.values())
    missing = [text for values in found.values.values() for text in values.missing]
    shown = f"values of the gold SQL in the prompt: {named - len(missing)} of {named}"
    return f"{shown}; missing: {', '.join(missing)}" if missing else shown
