"""`pgmcp evaluate`: a team's own questions, put to the pipeline and, for comparison, to a plain prompt."""

import json
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from pgmcp.cli.command_session import Session, open_session, read_settings_quietly, with_databases
from pgmcp.cli.evaluation_report import show_outcome
from pgmcp.cli.terminal import Terminal
from pgmcp.errors import SettingsError
from pgmcp.evaluation.contestants import Contestant, Meter, Ours, PlainPrompt, create_tables
from pgmcp.evaluation.questions import Question, read_questions
from pgmcp.evaluation.report import as_json, share_right
from pgmcp.evaluation.run import Outcome, evaluate, for_evaluation, run_expected
from pgmcp.event_loop import run_coroutine
from pgmcp.generation.context_file import ContextFile, DatabaseContext, describe_unknown_databases
from pgmcp.generation.model import ModelClient
from pgmcp.settings import Settings


@dataclass(frozen=True, slots=True)
class EvaluateOptions:
    """The options of the command.

    Attributes:
        databases: only questions about these; all if empty.
        with_baseline: also ask with the plain prompt.
        asks_model: leave out a question's own verified SQL, so that the model has to answer it.
        output: where to write the report as JSON; None: nowhere.
    """

    databases: Sequence[str] = ()
    with_baseline: bool = True
    asks_model: bool = False
    as_json: bool = False
    output: Path | None = None


def run_evaluation(file: Path, options: EvaluateOptions) -> float:
    """Ask the questions of a file, show the report, and return the share of right answers.

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
        outcome = run_coroutine(_evaluate(questions, for_evaluation(settings), context, options, say))
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
    return share_right(outcome)


class _WithoutAsked(ContextFile):
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
    return (_WithoutAsked if asks_model else ContextFile)(settings.context_file)


async def _evaluate(
    questions: Sequence[Question],
    settings: Settings,
    context: ContextFile | None,
    options: EvaluateOptions,
    say: Callable[[str], None],
) -> Outcome:
    from pgmcp.serve import make_model

    outcome, meter = Outcome(), Meter()
    done = 0

    def begin(question: Question, contestant: str) -> None:
        nonlocal done
        done += contestant == Ours.name
        if isinstance(context, _WithoutAsked):
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
    contestants: list[Contestant] = [Ours(session.pipeline, meter, database)]
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
