"""Runs `pgmcp evaluate` on question sets that bring their databases as SQL files, also without a model.

    uv run python -m scripts.evaluate --questions dev.jsonl --load databases/*.sql --scripted gold
    uv run python -m scripts.evaluate --questions dev.jsonl --load databases/*.sql --scripted fan-out
    export PG_MCP_OPENAI_API_KEY=…                        # and PG_MCP_OPENAI_BASE_URL, PG_MCP_OPENAI_MODEL
    uv run python -m scripts.evaluate --questions mine.jsonl --url postgresql://… --context context.yaml

With --scripted no model is asked, and tokens are estimates. `gold` replies with each question's gold SQL,
`garbage` with unusable text, and `never-right` always with wrong SQL. The other scripts first reply with gold
SQL that has one error, and with the gold SQL when asked again. The expected rows are read without pgmcp.

The report of a scripted evaluation also counts repaired near misses, and values in the prompt.
"""

import argparse
import json
import sys
from pathlib import Path

from pgmcp.cli.terminal import Terminal
from scripts.evaluation.command import choose_questions, evaluate_all
from scripts.evaluation.databases import QuestionFileError
from scripts.evaluation.run import as_json, show
from scripts.evaluation.scripted import Script


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
    parser.add_argument("--endpoint", metavar="URL", help="the model's URL; default: PG_MCP_OPENAI_BASE_URL")
    parser.add_argument("--model", metavar="NAME", help="default: PG_MCP_OPENAI_MODEL")
    parser.add_argument("--scripted", type=Script, choices=list(Script), help="ask no model")
    parser.add_argument("--no-baseline", action="store_true", help="do not compare with the plain prompt")
    parser.add_argument("--json", metavar="FILE", help="write the report to this file; - is standard output")
    return parser.parse_args()


def main() -> None:
    """Evaluate, and publish the report."""
    arguments, terminal = parse_arguments(), Terminal()
    try:
        questions = choose_questions(arguments)
    except QuestionFileError as error:
        sys.exit(str(error))
    found = evaluate_all(arguments, questions, terminal)
    report = json.dumps(as_json(found), indent=2, ensure_ascii=False)
    if arguments.json == "-":
        sys.stdout.write(f"{report}\n")
    else:
        show(found, terminal)
    if arguments.json not in (None, "-"):
        Path(arguments.json).write_text(f"{report}\n", "utf-8")


if __name__ == "__main__":
    main()
