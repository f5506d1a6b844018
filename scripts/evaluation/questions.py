"""Question files: one JSON object per line, with a question and the SQL that answers it.

    {"id": "q1", "db": "shop", "question": "How many customers are there?",
     "gold_sql": ["select count(*) from customers"], "category": "count", "context": "…", "ordered": false}

`gold_sql` may be a text or a list of alternatives. `context` (notes of the user) and `ordered` (whether the
rows must have the gold's order) may be left out; other keys are ignored.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# Phrases that ask for an order of the rows; "the top five" alone does not, and "orders by country" means
# something else.
_ASKS_FOR_ORDER = re.compile(
    r"\b(order(ed|ing)?|sort(ed|ing)?|rank(ed)|arranged?|listed)( \w+){0,4} (by|from|in)\b(?! (each|every)\b)"
    r"|\b(ascending|descending|alphabetical(ly)?|chronological(ly)?)\b"
    r"|\b(starting|beginning) (from|with) the\b"
    r"|\bfrom (the )?(highest|lowest|most|least|newest|oldest|latest|earliest|largest|smallest)\b",
    re.IGNORECASE,
)
_ORDERS_OF_A_TRADE = re.compile(
    r"\b(the|all|of|many|which|what|their|those|these|placed) orders? (by|from|in)\b", re.I
)


class QuestionFileError(Exception):
    """A question file is invalid; the message has the position and the reason."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question and its gold SQL.

    Attributes:
        database: the database's name.
        gold_sql: statements that each return the right rows.
        context: notes of the user; "" for none.
        is_ordered: the rows must have the gold's order.
    """

    id: str
    database: str
    text: str
    gold_sql: tuple[str, ...]
    category: str = ""
    context: str = ""
    is_ordered: bool = False

    @property
    def asked(self) -> str:
        """The prompt: the question, and below it the notes."""
        return f"{self.text}\n\nNotes:\n{self.context}" if self.context else self.text

    def by_gold(self) -> list["Question"]:
        """Return a copy of the question for each of its gold statements, with that statement first."""
        return [
            replace(
                self,
                id=f"{self.id}#{number}" if number > 1 else self.id,
                gold_sql=(gold, *(other for other in self.gold_sql if other != gold)),
            )
            for number, gold in enumerate(self.gold_sql, 1)
        ]


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
        return Question(
            id=str(given["id"]),
            database=given.get("db", ""),
            text=given["question"],
            gold_sql=(gold,) if isinstance(gold, str) else tuple(gold),
            category=given.get("category", ""),
            context=given.get("context") or "",
            is_ordered=given.get("ordered", asks_for_order(given["question"])),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise QuestionFileError(f"{where}: expected a question in JSON with {error}") from error


def asks_for_order(question: str) -> bool:
    """Return whether the words ask for an order of the rows."""
    return bool(_ASKS_FOR_ORDER.search(_ORDERS_OF_A_TRADE.sub("", question)))
