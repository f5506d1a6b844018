import re
import textwrap
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from pgmcp.execution.result import Column, Rows
from pgmcp.generation.context_file import load_context
from scripts.document_answers import FOLDER, PAGE, converse, documented_messages
from testing.own_statements import resolve_as_own

pytestmark = pytest.mark.anyio


async def test_the_worked_example_is_what_the_model_gets(new_database: Callable[[], str]) -> None:
    with psycopg.connect(new_database(), autocommit=True) as connection:
        connection.execute((FOLDER / "shop.sql").read_bytes())
        resolve_as_own(connection)

        async def fetch(sql: str) -> Rows:
            cursor = connection.execute(sql.encode())
            names = tuple(Column(column.name, "") for column in cursor.description or ())
            return Rows(names, [list(row) for row in cursor.fetchall()])

        messages = await converse(fetch)

    # The page must not break a line that is one line in the prompt.
    assert documented_messages() == [message["content"] for message in messages]


async def test_the_worked_example_names_no_person() -> None:
    assert not re.search(r"Customer \d|@example\.org", "".join(documented_messages()))


async def test_the_context_files_of_the_page_can_be_read(tmp_path: Path) -> None:
    blocks = re.findall(r"^  ```yaml\n(.*?)^  ```$", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    file = tmp_path / "context.yaml"
    contexts = []
    for block in blocks:
        file.write_text(textwrap.dedent(block), "utf-8")
        contexts.append(load_context(file)["main"])

    with_parameters, with_a_tool = contexts
    (match,) = with_parameters.matches("what has Ann Lee spent since 2026-01-31")
    assert match.arguments == {"customer": "Ann Lee", "start": "2026-01-31"}
    assert [verified.tool for verified in with_a_tool.verified] == ["top_customers"]
