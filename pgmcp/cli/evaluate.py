"""`pgmcp evaluate`: asks a team's own questions, and shows how many answers are right.

The pipeline answers each question and, for comparison, so does the model with a plain prompt.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from pgmcp.cli.command_session import Session, open_session, read_settings_quietly, with_databases
from pgmcp.cli.terminal import Terminal
from pgmcp.ending_signals import run_coroutine
from pgmcp.errors import SettingsError
from pgmcp.evaluation.contestants import Contestant, Meter, PgmcpContestant, PlainPrompt, create_tables
from pgmcp.evaluation.questions import Question, read_questions
from pgmcp.evaluation.report import (
    as_json,
    attempts_of,
    group,
    names_of,
    paired,
    plausible_but_wrong,
    summary,
)
from pgmcp.evaluation.run import Outcome, Result, Verdict, evaluate, for_evaluation, run_expected
from pgmcp.generation.context_file import ContextFile, DatabaseContext, describe_unknown_databases
from pgmcp.generation.model import ModelClient
from pgmcp.settings import Settings
from pgmcp.untrusted import escape_untrusted, shorten


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """The options of the command.

    Attributes:
        databases: only questions about these; all if empty.
        with_baseline: also ask with the plain prompt.
        asks_model: leave out a question's own verified SQL, so that the model has to answer the question.
        output: where to write the report as JSON; None: nowhere.
    """

    databases: Sequence[str] = ()
    with_baseline: bool = True
    asks_model: bool = False
    as_json: bool = False
    output: Path | None = None


def run_evaluation(file: Path, options: EvaluateOptions) -> Outcome:
    """Ask the questions of a file, show the report, and return the results.

    Raises:
        PgmcpError: the file or the settings are invalid, a database cannot be read, or the report cannot be
            written.
    """
    terminal = Terminal()
    questions = read_questions(file, options.databases)
    named = list(dict.fromkeys(question.database for question in questions))
    settings = read_settings_quietly(terminal.warning_handler())
    check_databases(named, list(settings.databases))
    settings = with_databases(settings, named)
    context = _context(settings, asks_model=options.asks_model)
    with terminal.progress() as say:
        outcome = run_coroutine(lambda: _evaluate(questions, for_evaluation(settings), context, options, say))
    report = json.dumps(as_json(outcome), indent=2, ensure_ascii=False) + "\n"
    if options.output is not None:
        try:
            options.output.write_text(report, "utf-8")
        except OSError as error:
            raise SettingsError(f"cannot write {options.output}: {error.strerror}") from error
    if options.as_json:
        terminal.write_exactly(report)
    else:
        show_outcome(outcome, terminal)
    terminal.flush()
    return outcome


class _ContextWithoutAskedQuestion(ContextFile):
    """A context file without the verified SQL of the question that is being asked."""

    asked = ""

    def get(self, database: str) -> DatabaseContext:
        context = super().get(database)
        others = tuple(
            verified
            for verified in context.verified
            if self.asked not in verified.wordings and verified.arguments(self.asked) is None
        )
        return replace(context, verified=others)


def _context(settings: Settings, *, asks_model: bool) -> ContextFile | None:
    if settings.context_file is None:
        return None
    return (_ContextWithoutAskedQuestion if asks_model else ContextFile)(settings.context_file)


async def _evaluate(
    questions: Sequence[Question],
    settings: Settings,
    context: ContextFile | None,
    options: EvaluateOptions,
    say: Callable[[str], None],
) -> Outcome:
    from pgmcp.composition import make_model

    outcome, meter = Outcome(), Meter()
    done = 0

    def begin(question: Question, contestant: str) -> None:
        nonlocal done
        done += contestant == PgmcpContestant.name
        if isinstance(context, _ContextWithoutAskedQuestion):
            context.asked = question.asked
        say(f"question {done} of {len(questions)}, {contestant}")

    async with AsyncExitStack() as cleanup:
        session = await cleanup.enter_async_context(
            open_session(settings, context_file=context, observers=[meter])
        )
        model = make_model(settings.openai) if options.with_baseline else None
        if model is not None:
            cleanup.push_async_callback(model.aclose)
        for name in settings.databases:
            about = [question for question in questions if question.database == name]
            contestants = await _contestants(session, meter, model, name)
            found = await evaluate(
                about, contestants, partial(run_expected, session.pipeline, name), begin=begin
            )
            outcome.results += found.results
            outcome.skipped += found.skipped
    return outcome


async def _contestants(
    session: Session, meter: Meter, model: ModelClient | None, database: str
) -> list[Contestant]:
    contestants: list[Contestant] = [PgmcpContestant(session.pipeline, meter, database)]
    if model is not None:
        catalog = await session.pipeline.databases.catalog(database)
        plain = PlainPrompt(
            session.pipeline,
            model,
            schema=create_tables(catalog),
            server_version=catalog.server_version,
            database=database,
        )
        contestants.append(plain)
    return contestants


def check_databases(named: Sequence[str], configured: Sequence[str]) -> None:
    """Refuse questions about databases that are not configured.

    Raises:
        SettingsError: one is not configured; the message has similar names.
    """
    if problem := describe_unknown_databases(named, configured):
        raise SettingsError(
            problem.replace("the context file describes", "the questions are about"),
            hint="name the databases as the settings do, or choose some with --database",
        )


_MAX_SHOWN_CHARACTERS: Final = 200
_LABEL_BY_NAME: Final = {PgmcpContestant.name: "pgmcp"}

_FIGURES: Final[dict[str, Callable[[dict[str, Any]], str]]] = {
    "right": lambda of: f"{of['right']} of {of['questions']}",
    "accuracy (95 % interval)": lambda of: "{:.1%} ({:.0%}-{:.0%})".format(
        of["accuracy"], *of["accuracy_95"]
    ),
    "wrong rows": lambda of: str(of["wrong"]),
    "wrong rows without a note": lambda of: str(of["wrong_without_note"]),
    "refused": lambda of: str(of["refused"]),
    "refused, as expected": lambda of: str(of["rightly_refused"]),
    "error": lambda of: str(of["error"]),
    "answered by verified SQL": lambda of: str(of["verified"]),
    "SQL repaired": lambda of: str(of["repaired"]),
    "answers with a note": lambda of: str(of["noted"]),
    "model calls": lambda of: str(of["calls"]),
    "most calls for one question": lambda of: str(of["most_calls"]),
    "tokens in": lambda of: f"{of['tokens_in']:,}",
    "tokens in, cached": lambda of: f"{of['tokens_cached']:,}",
    "tokens out": lambda of: f"{of['tokens_out']:,}",
    "median tokens in per question": lambda of: f"{of['median_tokens_in']:,.0f}",
    "median latency": lambda of: f"{of['p50_ms']:.0f} ms",
}


def show_outcome(outcome: Outcome, terminal: Terminal) -> None:
    """Print the tables, and the questions that were answered wrong, refused, failed or skipped."""
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
    """Print the questions with wrong rows: first those without a note, whose rows a reader would believe."""
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
