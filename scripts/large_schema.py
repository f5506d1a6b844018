"""Generates a schema of thousands of tables and measures pgmcp with it.

    uv run scripts/large_schema.py                                  # 2,000 and 10,000 tables
    uv run scripts/large_schema.py --tables 10000 --tokens 8000 --json report.json
    uv run scripts/large_schema.py --tables 2000 --url postgresql://…   # in an empty database, which is kept

The script asks the questions of `scripts/large/questions.txt`, which names the tables that each one needs. A
question is complete if its prompt shows all these tables with their columns, including tables that only join
others. The model is scripted, so no data leaves the machine.
"""

import argparse
import asyncio
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console

from scripts.evaluation.databases import grant_reading, own_cluster
from scripts.large.company import read_company, read_known_questions
from scripts.large.growth import grow
from scripts.large.loading import load
from scripts.large.measure import Run, measure
from scripts.large.report import Scale, as_json, show

_TABLES: Final = (2_000, 10_000)
_BUDGETS_TOKENS: Final = (8_000, 4_000, 16_000)
_NOT_PASSED_ON: Final = re.compile(r"PG", re.IGNORECASE)


def parse_arguments() -> argparse.Namespace:
    """Return the parsed command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--tables",
        nargs="+",
        type=int,
        default=list(_TABLES),
        metavar="N",
        help="sizes of the schema (%(default)s)",
    )
    parser.add_argument(
        "--tokens",
        nargs="+",
        type=int,
        default=list(_BUDGETS_TOKENS),
        metavar="N",
        help="maximum tokens of a prompt, one measurement each (%(default)s)",
    )
    parser.add_argument("--seed", type=int, default=1, help="seed of the generated schema (%(default)s)")
    parser.add_argument(
        "--filled", action="store_true", help="fill every table, so that every column has statistics"
    )
    parser.add_argument(
        "--url", help="URL of an empty database, with its owner as user; without it, a PostgreSQL is started"
    )
    parser.add_argument("--json", metavar="FILE", help="write the report to this file; - is standard output")
    return parser.parse_args()


@contextmanager
def empty_database(url: str | None) -> Iterator[str]:
    """Yield the URL of an empty database, with its owner as user."""
    if url:
        yield url
        return
    prefix = "pgmcp-large-"
    with (
        tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True) as folder,
        own_cluster(Path(folder)) as cluster,
    ):
        yield cluster.url()


def make(
    url: str, table_count: int, seed: int, console: Console, *, is_filled: bool = False
) -> tuple[str, float]:
    """Create the tables; return the URL of a role that may read them, and the duration in seconds."""
    tables = grow(read_company(), table_count, seed=seed)
    start_s = time.perf_counter()
    with console.status("") as status:
        load(
            url,
            tables,
            lambda done, count: status.update(f"{done:,} of {count:,} tables"),
            is_filled=is_filled,
        )
    return grant_reading(url), time.perf_counter() - start_s


async def measure_all(url: str, budgets_tokens: Sequence[int]) -> list[Run]:
    """Measure with each token budget, on a separate server."""
    environment = {name: text for name, text in os.environ.items() if not _NOT_PASSED_ON.match(name)}
    runs = []
    for budget_tokens in budgets_tokens:
        with tempfile.TemporaryDirectory() as folder:
            questions = read_known_questions()
            runs.append(await measure(url, questions, budget_tokens, environment, Path(folder)))
    return runs


def main() -> None:
    """Measure every size, and publish the report."""
    arguments = parse_arguments()
    console = Console(stderr=True)
    scales = []
    for table_count in arguments.tables:
        with empty_database(arguments.url) as url:
            reader_url, load_s = make(url, table_count, arguments.seed, console, is_filled=arguments.filled)
            runs = asyncio.run(measure_all(reader_url, arguments.tokens))
            scales.append(Scale(table_count, load_s, tuple(runs)))
    report = json.dumps(as_json(scales), indent=2, ensure_ascii=False)
    if arguments.json == "-":
        sys.stdout.write(f"{report}\n")
    else:
        show(scales, Console())
    if arguments.json not in (None, "-"):
        Path(arguments.json).write_text(f"{report}\n", "utf-8")


if __name__ == "__main__":
    main()
