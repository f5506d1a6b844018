"""The steps of `scripts/evaluate.py`: chooses the questions, opens the databases, and asks."""

import argparse
import asyncio
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from pgmcp.cli.terminal import Terminal
from pgmcp.evaluation.questions import Question
from scripts.evaluation.databases import (
    Database,
    QuestionFileError,
    group_by_database,
    load,
    own_cluster,
    read_questions,
)
from scripts.evaluation.endpoint import ScriptedReplies, scripted_endpoint
from scripts.evaluation.run import ScriptedOutcome, ask_database
from scripts.evaluation.scripted import Script

# Variables that are not inherited: libpq's variables, and all settings except those of answers and the model.
_NOT_PASSED_ON: Final = re.compile(r"PG(?!_MCP_SERVER_|_MCP_OPENAI_)", re.IGNORECASE)


def evaluate_all(
    arguments: argparse.Namespace, questions: Sequence[Question], terminal: Terminal
) -> ScriptedOutcome:
    """Open the databases and the endpoint, and ask all questions."""
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="pgmcp-evaluate-", ignore_cleanup_errors=True)
        urls = stack.enter_context(open_databases(arguments, Path(stack.enter_context(folder))))
        endpoint = stack.enter_context(scripted_endpoint()) if arguments.scripted else None
        return asyncio.run(ask_all(questions, urls, endpoint, arguments, terminal))


def choose_questions(arguments: argparse.Namespace) -> list[Question]:
    """Return the questions; if the script is `gold`, repeat each question for each of its gold statements."""
    about = arguments.database
    if arguments.load and not about:
        about = list(group_by_database(arguments.load))
    questions = read_questions(arguments.questions, about)
    if arguments.only:
        questions = [question for question in questions if question.id in arguments.only]
        if not questions:
            raise QuestionFileError(f"{arguments.questions} has no question with these ids")
    if arguments.scripted is Script.GOLD:
        questions = [each for question in questions for each in question.by_gold_sql()]
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
    """Evaluate each database with a separate pipeline."""
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
