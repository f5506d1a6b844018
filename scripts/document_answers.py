"""Updates the worked example of docs/answers.md after a change of prompts.

    uv run scripts/document_answers.py

Starts a separate PostgreSQL, loads the example's database and replaces the messages in the page. A test
compares both.
"""

import asyncio
import re
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Final

import psycopg

from pgmcp.catalog.introspection import read_catalog
from pgmcp.execution.result import Column, Rows
from pgmcp.generation.context_file import load_context
from pgmcp.generation.prompt import Message, MismatchedAttempt
from pgmcp.generation.prompt_writer import PromptWriter
from pgmcp.lookup.value_check import check_listed, resolve
from pgmcp.tokens import estimate_tokens
from pgmcp.validation.references import find_references
from scripts.evaluation.databases import load, own_cluster
from testing.own_statements import resolve_as_own

FOLDER: Final = Path(__file__).parents[1] / "tests" / "data" / "answers"
PAGE: Final = Path(__file__).parents[1] / "docs" / "answers.md"

QUESTION: Final = "How many refunded orders went by swift post to German customers last quarter?"
FIRST_SQL: Final = """\
SELECT count(*) AS orders
FROM orders AS o
JOIN customers AS c ON c.id = o.customer_id
WHERE o.status = 'refunded'
  AND o.carrier = 'Swift Post'
  AND c.country = 'German'
  AND o.placed_at >= '2026-07-01'
  AND o.placed_at < '2026-10-01'"""

_BLOCK = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)


async def converse(fetch: Callable[[str], Awaitable[Rows]]) -> list[Message]:
    """Return the conversation after the first reply, whose SQL finds nothing.

    Args:
        fetch: runs a statement in a database that `shop.sql` created.
    """
    catalog = replace(await read_catalog(fetch), server_version="18.1", time_zone="Europe/Berlin")
    mismatches = check_listed(resolve(find_references(FIRST_SQL), catalog))
    writer = PromptWriter(max_tokens=8000, count_tokens=estimate_tokens)
    return writer.write(
        QUESTION,
        catalog,
        load_context(FOLDER / "context.yaml")["main"],
        today=date(2026, 11, 22),
        max_rows=1000,
        attempts=[MismatchedAttempt(FIRST_SQL, tuple(mismatch.describe() for mismatch in mismatches))],
    )


def with_messages(page: str, messages: list[Message]) -> str:
    """Return the text of the page with these messages in place of its own."""
    contents = iter(message["content"] for message in messages)
    return _BLOCK.sub(lambda _: f"```text\n{next(contents)}\n```", page)


def documented_messages() -> list[str]:
    """Return the messages of the page."""
    return [block.removesuffix("\n") for block in _BLOCK.findall(PAGE.read_text("utf-8"))]


def main() -> int:
    """Rewrite the page."""
    with tempfile.TemporaryDirectory() as folder, own_cluster(Path(folder)) as cluster:
        url = load(cluster.url(), "shop", [FOLDER / "shop.sql"])
        with psycopg.connect(url, autocommit=True) as connection:
            resolve_as_own(connection)

            async def fetch(sql: str) -> Rows:
                cursor = connection.execute(sql.encode())
                names = tuple(Column(column.name, "") for column in cursor.description or ())
                return Rows(names, [list(row) for row in cursor.fetchall()])

            messages = asyncio.run(converse(fetch))
    PAGE.write_text(with_messages(PAGE.read_text("utf-8"), messages), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
