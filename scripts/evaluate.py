"""Runs `pgmcp evaluate` on question sets that bring their databases as SQL files, also without a model.

    uv run python -m scripts.evaluate --questions dev.jsonl --load databases/*.sql --scripted gold
    uv run python -m scripts.evaluate --questions dev.jsonl --load databases/*.sql --scripted fan-out
    export PG_MCP_OPENAI_API_KEY=…                        # and PG_MCP_OPENAI_BASE_URL, PG_MCP_OPENAI_MODEL
    uv run python -m scripts.evaluate --questions mine.jsonl --url postgresql://… --context context.yaml

With --scripted no model is asked. The endpoint replies with each question's gold SQL; or with gold SQL that
has one error, and then with the gold SQL when asked again; or with garbage. Tokens are then estimates. The
expected rows are read without pgmcp.

A scripted evaluation adds repaired near misses and values in the prompt to the report.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any, Final

from pgmcp.cli.evaluation_report import share_table, show_outcome
from pgmcp.cli.terminal import Terminal
from pgmcp.evaluation import report
from pgmcp.evaluation.questions import Question
from scripts.evaluation.databases import Database, group_by_database, load, own_cluster
from scripts.evaluation.endpoint import ScriptedReplies, scripted_endpoint
from scripts.evaluation.questions import QuestionFileError, read_questions
from scripts.evaluation.run import ScriptedOutcome, ask_database
from scripts.evaluation.scripted import Script

# Only the settings of answers and of the model are inherited; this script chooses the rest.
_NOT_PASSED_ON: Final = re.compile(r"PG(?!_MCP_SERVER_|_MCP_OPENAI_)", re.IGNORECASE)


def parse_arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--questions", type=Path, required=True, metavar="FILE", help="JSON objects, one per line"
    )
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument("--url", help="the database; its role should only be able to read")
    asked.add_argument(
        "--load",
        nargs="+",
        type=Path,
        metavar="FILE",
        help="SQL files to load into a separate PostgreSQL; a file's name without suffix is its database",
    )
    parser.add_argument(
        "--database", nargs="+", default=[], metavar="NAME", help="only questions about these databases"
    )
    parser.add_argument("--only", nargs="+", default=[], metavar="ID", help="only these questions")
    parser.add_argument("--context", type=Path, metavar="FILE", help="a context file for pgmcp")
    parser.add_argument("--endpoint", metavar="URL", help="of the model; PG_MCP_OPENAI_BASE_URL without it")
    parser.add_argument("--model", metavar="NAME", help="PG_MCP_OPENAI_MODEL without it")
    parser.add_argument("--scripted", type=Script, choices=list(Script), help="ask no model")
    parser.add_argument("--no-baseline", action="store_true", help="do not compare with the plain prompt")
    parser.add_argument("--json", metavar="FILE", help="write the report to this file; - is standard output")
    return parser.parse_args()


def choose_questions(arguments: argparse.Namespace) -> list[Question]:
    """Return the questions; with gold replies, each one once per gold statement."""
    about = arguments.database
    if arguments.load and not about:
        about = list(group_by_database(arguments.load))
    questions = read_questions(arguments.questions, about)
    if arguments.only:
        questions = [question for question in questions if question.id in arguments.only]
        if not questions:
            raise QuestionFileError(f"{arguments.questions} has no question of these names")
    if arguments.scripted is Script.GOLD:
        questions = [each for question in questions for each in question.by_gold()]
    return questions


@contextmanager
def open_databases(arguments: argparse.Namespace, folder: Path) -> Iterator[Mapping[str, str]]:
    """Yield the URL of each database by its name; a single database has the name ""."""
    if arguments.url:
        yield {"": arguments.url}
        return
    with own_cluster(folder) as cluster:
        groups = group_by_database(arguments.load)
        yield {name: load(cluster.url(), name, files) for name, files in groups.items()}


async def ask_all(
    questions: Sequence[Question],
    urls: Mapping[str, str],
    endpoint: ScriptedReplies | None,
    arguments: argparse.Namespace,
    terminal: Terminal,
) -> ScriptedOutcome:
    """Evaluate each database with a pipeline of its own."""
    found = ScriptedOutcome()
    for name, url in urls.items():
        about = [question for question in questions if name in ("", question.database)]
        if not about:
            continue
        with closing(Database(url)) as database, terminal.progress() as say:
            found.add(
                await ask_database(
                    about,
                    database,
                    environment_for(arguments, about[0].database),
                    script=(arguments.scripted, endpoint) if endpoint else None,
                    with_baseline=not arguments.no_baseline,
                    begin=lambda question, say=say: say(f"{question.database} {question.id}"),  # type: ignore[misc]
                )
            )
    return found


def environment_for(arguments: argparse.Namespace, database_name: str) -> dict[str, str]:
    """Return the settings of the pipeline, without its database's URL."""
    environment = {name: text for name, text in os.environ.items() if not _NOT_PASSED_ON.match(name)}
    if arguments.context:
        environment["PG_MCP_CONTEXT_FILE"] = str(arguments.context.resolve())
        environment["PG_MCP_DATABASE_NAME"] = database_name
    if arguments.endpoint:
        environment["PG_MCP_OPENAI_BASE_URL"] = arguments.endpoint
    if arguments.model:
        environment["PG_MCP_OPENAI_MODEL"] = arguments.model
    return environment


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


def main() -> None:
    """Evaluate, and publish the report."""
    arguments, terminal = parse_arguments(), Terminal()
    try:
        questions = choose_questions(arguments)
    except QuestionFileError as error:
        sys.exit(str(error))
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="pgmcp-evaluate-", ignore_cleanup_errors=True)
        urls = stack.enter_context(open_databases(arguments, Path(stack.enter_context(folder))))
        endpoint = stack.enter_context(scripted_endpoint()) if arguments.scripted else None
        found = asyncio.run(ask_all(questions, urls, endpoint, arguments, terminal))
    report = json.dumps(as_json(found), indent=2, ensure_ascii=False)
    if arguments.json == "-":
        sys.stdout.write(f"{report}\n")
    else:
        show(found, terminal)
    if arguments.json not in (None, "-"):
        Path(arguments.json).write_text(f"{report}\n", "utf-8")


if __name__ == "__main__":
    main()
