"""Question files: one JSON object a line, each a question and the SQL that answers it.

    {"id": "q1", "db": "shop", "question": "How many customers are there?",
     "gold_sql": ["select count(*) from customers"], "category": "count", "context": "…", "ordered": false}

`gold_sql` may be one text or a list of which any is right. `context` (notes that a user gives along) and
`ordered` (whether the rows must come in the gold's order) may be left out; any other key is ignored.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

# What a person says who cares in which order the rows come; "the top five" alone does not say it, and
# "orders by country" means something else.
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
    """A question file cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question and what answers it.

    Attributes:
        database: the name of the database it is about.
        gold_sql: statements of which any gives the right rows.
        context: notes that the user gives along; "" for none.
        is_ordered: the rows must come in the order of the gold's.
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
        """What is asked: the question, and below it the notes."""
        return f"{self.text}\n\nNotes:\n{self.context}" if self.context else self.text

    def by_gold(self) -> list["Question"]:
        """Return the question once for each of its gold statements, that one first."""
        return [
            replace(
                self,
                id=f"{self.id}#{number}" if number > 1 else self.id,
                gold_sql=(gold, *(other for other in self.gold_sql if other != gold)),
            )
            for number, gold in enumerate(self.gold_sql, 1)
        ]


def read_questions(file: Path, databases: Collection[str] = ()) -> list[Question]:
    """Return the questions of a file in its order.

    Args:
        file: as the module describes.
        databases: only questions about these; all of them when empty.

    Raises:
        QuestionFileError: a line is not a question, or none is left.
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
    """Whether the words ask for the rows in a certain order."""
    return bool(_ASKS_FOR_ORDER.search(_ORDERS_OF_A_TRADE.sub("", question)))
