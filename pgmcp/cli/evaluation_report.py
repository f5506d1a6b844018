"""Shows the results of an evaluation to a person."""

from collections.abc import Callable, Sequence
from typing import Any, Final

from rich.table import Table

from pgmcp.cli.terminal import Terminal
from pgmcp.evaluation.contestants import Ours
from pgmcp.evaluation.report import (
    attempts_of,
    group,
    names_of,
    paired,
    plausible_but_wrong,
    summary,
)
from pgmcp.evaluation.run import Outcome, Result, Verdict
from pgmcp.untrusted import escape_untrusted, shorten

_MAX_SHOWN_CHARACTERS: Final = 200
_LABEL_BY_NAME: Final = {Ours.name: "pgmcp"}

_FIGURES: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "right": lambda of: f"{of['right']} of {of['questions']}",
    "accuracy (95 % interval)": lambda of: "{:.1%} ({:.0%}-{:.0%})".format(
        of["accuracy"], *of["accuracy_95"]
    ),
    "wrong rows": lambda of: str(of["wrong"]),
    "of these without a note": lambda of: str(of["wrong_without_note"]),
    "refused": lambda of: str(of["refused"]),
    "rightly refused": lambda of: str(of["rightly_refused"]),
    "error": lambda of: str(of["error"]),
    "by verified SQL": lambda of: str(of["verified"]),
    "repaired": lambda of: str(of["repaired"]),
    "with a note": lambda of: str(of["noted"]),
    "model calls": lambda of: str(of["calls"]),
    "most for one question": lambda of: str(of["most_calls"]),
    "tokens in": lambda of: f"{of['tokens_in']:,}",
    "of these cached": lambda of: f"{of['tokens_cached']:,}",
    "tokens out": lambda of: f"{of['tokens_out']:,}",
    "median of one question, in": lambda of: f"{of['median_tokens_in']:,.0f}",
    "latency p50": lambda of: f"{of['p50_ms']:.0f} ms",
}


def show_outcome(outcome: Outcome, terminal: Terminal) -> None:
    """Print the tables, and all questions that were not answered right."""
    results = outcome.results
    names = names_of(results)
    if results:
        terminal.show(_summary_table(results, names))
    categories = group(results, lambda result: result.question.category)
    if len(categories) > 1:
        terminal.show(share_table("category", categories, names))
    if counts := paired(results):
        terminal.say_line("paired: " + ", ".join(f"{what} {count}" for what, count in counts.items()))
    for name in names:
        _show_wrong(results, name, terminal)
    for name in names:
        for verdict in (Verdict.REFUSED, Verdict.ERROR):
            _show_failed(results, name, verdict, terminal)
    for why in dict.fromkeys(each.why for each in outcome.skipped):
        ids = ", ".join(each.question.id for each in outcome.skipped if each.why == why)
        terminal.say_line(f"skipped, because {escape_untrusted(why)}: {ids}", "dim")


def share_table(what: str, groups: dict[Any, list[Result]], names: Sequence[str]) -> Table:
    """Return a table with the share of right answers by group."""
    table = Table(what, "questions", *(f"right: {_label(name)}" for name in names))
    for key, of_group in groups.items():
        shares = (_share_right(of_group, name) for name in names)
        table.add_row(escape_untrusted(str(key or "(none)")), str(len(of_group)), *shares)
    return table


def _summary_table(results: Sequence[Result], names: Sequence[str]) -> Table:
    table = Table("", *map(_label, names))
    for column in table.columns[1:]:
        column.justify = "right"
    summaries = [summary(attempts_of(results, name)) for name in names]
    for what, tell in _FIGURES.items():
        table.add_row(what, *(tell(each) for each in summaries))
    return table


def _show_wrong(results: Sequence[Result], name: str, terminal: Terminal) -> None:
    """Print the wrong rows that a reader would believe, with their SQL."""
    found = plausible_but_wrong(results, name)
    noted = [
        result
        for result in results
        if result.attempts[name].verdict is Verdict.WRONG and result.attempts[name].attempt.notes
    ]
    for heading, some in (("plausible but wrong", found), ("wrong, with a note", noted)):
        if some:
            terminal.say(f"\n{heading}, {_label(name)}:", "bold")
        for result in some:
            judged = result.attempts[name]
            terminal.say_line(f"  {result.question.id}: {_line(result.question.text)}")
            terminal.say_line(f"    {_line(judged.why)}", "yellow")
            terminal.say_line(f"    {_line(judged.attempt.sql)}", "dim")


def _show_failed(results: Sequence[Result], name: str, verdict: Verdict, terminal: Terminal) -> None:
    found = [result for result in results if result.attempts[name].verdict is verdict]
    if found:
        terminal.say(f"\n{verdict}, {_label(name)}:", "bold")
    for result in found:
        terminal.say_line(f"  {result.question.id}: {_line(result.question.text)}")
        terminal.say_line(f"    {_line(result.attempts[name].why)}", "dim")


def _line(text: str) -> str:
    return escape_untrusted(shorten(" ".join(text.split()), _MAX_SHOWN_CHARACTERS))


def _label(name: str) -> str:
    return _LABEL_BY_NAME.get(name, name)


def _share_right(results: Sequence[Result], name: str) -> str:
    right = sum(each.verdict is Verdict.RIGHT for each in attempts_of(results, name))
    return f"{right} ({right / len(results):.0%})"
