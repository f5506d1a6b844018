"""Question files: one JSON object per line, with a question and the SQL that answers it.

    {"id": "q1", "db": "shop", "question": "How many customers are there?",
     "gold_sql": ["select count(*) from customers"], "category": "count", "context": "…", "ordered": false}

`gold_sql` may be a text or a list of alternatives. `context` (notes of the user) and `ordered` (whether the
rows must have the gold's order) may be left out; other keys are ignored. `pgmcp evaluate` reads the form of
the context file instead.
"""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from pgmcp.evaluation.questions import Question, is_order_asked_for


class QuestionFileError(Exception):
    """A question file is invalid; the message has the position and the reason."""


def read_questions(file: Path, databases: Collection[str] = ()) -> list[Question]:
    """Return the questions of a file in order.

    Args:
        file: in the format that the module describes.
        databases: only questions about these; all if empty.

    Raises:
        QuestionFileError: a line is not a question, or no question is selected.
    """
    questions = [
        _parse(line, f"{file}:{number}")
        for number, line in enumerate(file.read_text("utf-8").splitlines(), 1)
        if line.strip()
    ]
    chosen = [question for question in questions if not databases or question.database in databases]
    if not chosen:
        raise QuestionFileError(f"{file} has no question about {', '.join(databases) or 'anything'}")
    return chosen


def _parse(line: str, where: str) -> Question:
    try:
        given: dict[str, Any] = json.loads(line)
        gold = given["gold_sql"]
        statements = (gold,) if isinstance(gold, str) else tuple(gold)
        return Question(
            id=str(given["id"]),
            database=given.get("db", ""),
            text=given["question"],
            gold_sql=statements,
            category=given.get("category", ""),
            context=given.get("context") or "",
            is_ordered=given.get("ordered", is_order_asked_for(given["question"], statements)),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise QuestionFileError(f"{where}: expected a question in JSON with {error}") from error
