"""Measures how often answers are right: pgmcp's `query`, compared with a plain prompt with the whole schema.

    export PG_MCP_OPENAI_API_KEY=…                        # and PG_MCP_OPENAI_BASE_URL, PG_MCP_OPENAI_MODEL
    uv run scripts/evaluate.py --questions dev.jsonl --load databases/*.sql comments/*.sql
    uv run scripts/evaluate.py --questions mine.jsonl --url postgresql://… --context context.yaml
    uv run scripts/evaluate.py --questions dev.jsonl --load databases/*.sql --scripted wrong-case

Both use the same server, started as a host starts it, and the endpoint's count of tokens. With --scripted no
model is asked. The endpoint replies with each question's gold SQL; or with gold SQL that has one error, and
then with the gold SQL when asked again; or with garbage. Tokens are then estimates.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from scripts.evaluation.databases import Database, group_by_database, load, own_cluster
from scripts.evaluation.endpoint import OPENAI_URL, MeteredEndpoint, passing_endpoint, scripted_endpoint
from scripts.evaluation.questions import Question, QuestionFileError, read_questions
from scripts.evaluation.report import as_json, show
from scripts.evaluation.run import Model, Result, Script, Skipped, evaluate, open_server

_OPENAI: Final = "PG_MCP_OPENAI_"
# Only the settings that limit an answer are inherited; this script chooses the database, the model and the
# rest.
_NOT_PASSED_ON: Final = re.compile(r"PG(?!_MCP_SERVER_|_MCP_OPENAI_(MAX_RETRIES|TIMEOUT))", re.IGNORECASE)


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
    parser.add_argument("--endpoint", metavar="URL", help=f"of the model; {_OPENAI}BASE_URL without it")
    parser.add_argument("--model", metavar="NAME", help=f"{_OPENAI}MODEL without it")
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


def open_endpoint(arguments: argparse.Namespace) -> AbstractContextManager[MeteredEndpoint]:
    """Return the endpoint that both contestants use."""
    if arguments.scripted:
        return scripted_endpoint()
    return passing_endpoint(arguments.endpoint or os.environ.get(f"{_OPENAI}BASE_URL") or OPENAI_URL)


def choose_model(arguments: argparse.Namespace) -> Model:
    """Return the model's name and key; a local endpoint takes any key."""
    if arguments.scripted:
        return Model(f"scripted-{arguments.scripted}", "scripted")
    name = arguments.model or os.environ.get(f"{_OPENAI}MODEL") or "gpt-4o-mini"
    return Model(name, os.environ.get(f"{_OPENAI}API_KEY") or "none")


async def ask_all(
    questions: Sequence[Question],
    urls: Mapping[str, str],
    endpoint: MeteredEndpoint,
    arguments: argparse.Namespace,
    console: Console,
) -> tuple[list[Result], list[Skipped]]:
    """Evaluate each database on a separate server."""
    results: list[Result] = []
    skipped: list[Skipped] = []
    for name, url in urls.items():
        about = [question for question in questions if name in ("", question.database)]
        if about:
            with console.status("") as status:
                some, left_out = await ask_database(about, url, endpoint, arguments, status.update)
            results += some
            skipped += left_out
    return results, skipped


async def ask_database(
    questions: Sequence[Question],
    url: str,
    endpoint: MeteredEndpoint,
    arguments: argparse.Namespace,
    progress: Callable[[str], None],
) -> tuple[list[Result], list[Skipped]]:
    """Evaluate the questions about one database."""
    model = choose_model(arguments)
    environment = server_environment(arguments.context, questions[0].database)
    with closing(Database(url)) as database, tempfile.TemporaryDirectory() as folder:
        async with open_server(url, endpoint, model, environment, Path(folder)) as server:
            return await evaluate(
                questions,
                database,
                server,
                endpoint,
                model,
                script=arguments.scripted,
                with_baseline=not arguments.no_baseline,
                begin=lambda question: progress(f"{question.database} {question.id}"),
            )


def server_environment(context: Path | None, database_name: str) -> dict[str, str]:
    """Return the server's environment, with the path of the context file."""
    environment = {name: text for name, text in os.environ.items() if not _NOT_PASSED_ON.match(name)}
    if context:
        environment["PG_MCP_CONTEXT_FILE"] = str(context.resolve())
        environment["PG_MCP_DATABASE_NAME"] = database_name
    return environment


def main() -> None:
    """Evaluate, and publish the report."""
    arguments = parse_arguments()
    try:
        questions = choose_questions(arguments)
    except QuestionFileError as error:
        sys.exit(str(error))
    with ExitStack() as stack:
        folder = tempfile.TemporaryDirectory(prefix="pgmcp-evaluate-", ignore_cleanup_errors=True)
        urls = stack.enter_context(open_databases(arguments, Path(stack.enter_context(folder))))
        endpoint = stack.enter_context(open_endpoint(arguments))
        results, skipped = asyncio.run(ask_all(questions, urls, endpoint, arguments, Console(stderr=True)))
    report = json.dumps(as_json(results, skipped), indent=2, ensure_ascii=False)
    if arguments.json == "-":
        sys.stdout.write(f"{report}\n")
    else:
        show(results, skipped, Console())
    if arguments.json not in (None, "-"):
        Path(arguments.json).write_text(f"{report}\n", "utf-8")


if __name__ == "__main__":
    main()
