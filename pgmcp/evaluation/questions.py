"""Reads the questions of an evaluation from a file in the form of the context file."""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from pgmcp.errors import SettingsError, SqlRejectedError
from pgmcp.generation.context_file import load_context
from pgmcp.generation.verified_reader import Expectation, Row
from pgmcp.validation.lexer import tokenize

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


@dataclass(frozen=True, slots=True)
class Question:
    """One question and its expected answer.

    Attributes:
        database: the database's name.
        gold_sql: the expected statements; each returns the right rows.
        expected_rows: the right rows, if they are given instead.
        is_unanswerable: whether the right answer is a refusal.
        context: notes of the user; "" for none.
        is_ordered: whether the rows must have the expected order.
    """

    id: str
    database: str
    text: str
    gold_sql: tuple[str, ...] = ()
    expected_rows: tuple[Row, ...] | None = None
    is_unanswerable: bool = False
    category: str = ""
    context: str = ""
    is_ordered: bool = False

    @property
    def asked(self) -> str:
        """The question as it is asked, and below it the notes."""
        return f"{self.text}\n\nNotes:\n{self.context}" if self.context else self.text

    def by_gold_sql(self) -> list["Question"]:
        """Return a copy of the question for each of its expected statements, with that statement first."""
        return [
            replace(
                self,
                id=f"{self.id}#{number}" if number > 1 else self.id,
                gold_sql=(gold, *(other for other in self.gold_sql if other != gold)),
            )
            for number, gold in enumerate(self.gold_sql, 1)
        ]


def read_questions(file: Path, databases: Collection[str] = ()) -> list[Question]:
    """Return the questions of a file in the form of the context file, in order.

    Args:
        databases: only questions about these; all if empty.

    Raises:
        SettingsError: the file is invalid, or has no such question.
    """
    questions = [
        question
        for database, context in load_context(file, named_by="").items()
        for number, expectation in enumerate(context.expectations, 1)
        for question in _questions_of(expectation, database, number)
        if not databases or database in databases
    ]
    if not questions:
        raise SettingsError(
            f"{file} has no question about {', '.join(databases) or 'any database'}",
            hint="as in the context file, list the questions of a database with their SQL under `verified`",
        )
    return questions


def _questions_of(expectation: Expectation, database: str, number: int) -> Iterator[Question]:
    """Yield a question for each set of example arguments; one question if the expectation has no examples."""
    verified = expectation.verified
    examples: tuple[Mapping[str, str], ...] = expectation.examples or ({},)
    for place, given in enumerate(examples, 1):
        arguments = verified.read(given) if verified.parameters else {}
        text = verified.asked_with(arguments)
        statements = tuple(
            replace(verified, sql=sql).bind(arguments)
            for sql in (verified.sql, *expectation.also_right)
            if sql
        )
        is_ordered = expectation.is_ordered
        if is_ordered is None:
            is_ordered = is_order_asked_for(text, statements)
        yield Question(
            id=f"{number}.{place}" if len(examples) > 1 else str(number),
            database=database,
            text=text,
            gold_sql=() if expectation.is_unanswerable else statements,
            expected_rows=expectation.rows,
            is_unanswerable=expectation.is_unanswerable,
            category=expectation.category,
            context=expectation.notes,
            is_ordered=is_ordered,
        )


def is_order_asked_for(question: str, statements: Collection[str]) -> bool:
    """Return whether the order of the rows counts: the question asks for it, and the SQL sorts its rows."""
    sorts = all(map(sorts_rows, statements)) if statements else True
    return sorts and asks_for_order(question)


def asks_for_order(question: str) -> bool:
    """Return whether the words ask for an order of the rows."""
    return bool(_ASKS_FOR_ORDER.search(_ORDERS_OF_A_TRADE.sub("", question)))


def sorts_rows(statement: str) -> bool:
    """Return whether a statement has ORDER BY outside all parentheses."""
    depth = 0
    try:
        for token in tokenize(statement):
            depth += {"(": 1, ")": -1}.get(token.text, 0)
            if depth == 0 and token.text.lower() == "order":
                return True
    except SqlRejectedError:
        return False
    return False
