"""Updates the worked example of docs/answers.md after a change of prompts.

    uv run scripts/document_answers.py

Starts a separate PostgreSQL, loads the example's database and replaces the messages in the page. A test
compares both.
"""

import asyncio
import sys
import tempfile
from pathlib import Path

import psycopg

from pgmcp.execution.result import Column, Rows
from scripts.evaluation.databases import load, own_cluster
from testing.answers_example import FOLDER, PAGE, converse, with_messages
from testing.own_statements import resolve_as_own


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
