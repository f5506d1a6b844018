"""Evaluates the questions about one database with a scripted endpoint or a model, and reports the result."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pgmcp.cli.evaluate import share_table, show_outcome
from pgmcp.cli.terminal import Terminal
from pgmcp.composition import make_model, open_pipeline
from pgmcp.evaluation import report
from pgmcp.evaluation.contestants import Contestant, Meter, PgmcpContestant, PlainPrompt, create_tables
from pgmcp.evaluation.questions import Question
from pgmcp.evaluation.run import Outcome, evaluate, for_evaluation
from pgmcp.settings.load import load_settings
from scripts.evaluation.databases import Database
from scripts.evaluation.endpoint import ScriptedReplies
from scripts.evaluation.scripted import Miss, Script, ScriptedModel
from scripts.evaluation.shown_values import GoldValues


@dataclass(frozen=True, slots=True)
class Values:
    """The values in a question's gold SQL that pgmcp's prompt has to contain (see `GoldValues`).

    Attributes:
        named: the number of these values.
        missing: the values that pgmcp's prompt lacks.
    """

    named: int
    missing: tuple[str, ...]


@dataclass(slots=True)
class ScriptedOutcome:
    """The results, and for each question the facts that only a scripted endpoint knows."""

    outcome: Outcome = field(default_factory=Outcome)
    misses: dict[str, Miss] = field(default_factory=dict)
    values: dict[str, Values] = field(default_factory=dict)
    prompts: dict[str, str] = field(default_factory=dict)

    def add(self, other: "ScriptedOutcome") -> None:
        """Add the results about another database."""
        self.outcome.results += other.outcome.results
        self.outcome.skipped += other.outcome.skipped
        self.misses |= other.misses
        self.values |= other.values
        self.prompts |= other.prompts


async def ask_database(
    questions: Sequence[Question],
    database: Database,
    environment: Mapping[str, str],
    *,
    script: tuple[Script, ScriptedReplies] | None = None,
    with_baseline: bool = True,
    begin: Callable[[Question], None] = lambda question: None,
) -> ScriptedOutcome:
    """Evaluate the questions about one database.

    Args:
        environment: the settings of the pipeline, without its database.
        script: the endpoint's replies, if it is scripted; otherwise the settings name a model.
        begin: called with each question before it is asked.
    """
    endpoint = {"PG_MCP_OPENAI_BASE_URL": script[1].base_url} if script else {}
    given = {**environment, **endpoint, "PG_MCP_DATABASE_URL": database.url}
    settings = for_evaluation(load_settings(given, env_file=None))
    meter, model = Meter(), make_model(settings.openai)
    scripted_model = ScriptedModel(script[0], database, script[1]) if script else None

    def start(question: Question, contestant: str) -> None:
        if contestant == PgmcpContestant.name:
            begin(question)
        if scripted_model is not None:
            scripted_model.begin(question, contestant)

    async with open_pipeline(settings, None, observers=[meter]) as (pipeline, _):
        contestants: list[Contestant] = [PgmcpContestant(pipeline, meter)]
        if with_baseline and model is not None:
            catalog = await pipeline.databases.catalog(None)
            schema = create_tables(catalog)
            contestants.append(
                PlainPrompt(pipeline, model, schema=schema, server_version=catalog.server_version)
            )
        outcome = await evaluate(questions, contestants, database.expected_rows, begin=start)
    if model is not None:
        await model.aclose()
    if scripted_model is None:
        return ScriptedOutcome(outcome)
    scripted_model.note_prompt()
    values = _values(outcome, database, scripted_model.prompts)
    return ScriptedOutcome(outcome, scripted_model.misses, values, scripted_model.prompts)


def _values(outcome: Outcome, database: Database, prompts: Mapping[str, str]) -> dict[str, Values]:
    gold_values = GoldValues(database)
    found = {}
    for result in outcome.results:
        gold = result.question.gold_sql[0]
        missing = gold_values.missing_from(gold, prompts.get(result.question.id, ""))
        found[result.question.id] = Values(len(gold_values.named_in(gold)), tuple(missing))
    return found


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
    """Print the report of `pgmcp evaluate`, and below it the additions of the script."""
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
