"""Reads the questions that people asked, and the SQL that answered them, from the audit file."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pgmcp.errors import SettingsError
from pgmcp.knowledge.entries import one_line, text_of

MAX_READ_BYTES: Final = 8 << 20
"""Only the end of the file is read, about 20,000 calls."""

MAX_QUESTIONS: Final = 60
_MAX_SQL_CHARACTERS: Final = 1000
_TOLD_OUTCOMES: Final = ("answered", "unanswerable", "statement_failed", "rejected")


@dataclass(frozen=True, slots=True)
class AskedQuestion:
    """A question of the audit file.

    Attributes:
        sql: the SQL that answered it last; "" if it was never answered.
        count: how often it was asked.
    """

    question: str
    sql: str
    count: int

    def describe(self) -> str:
        """Return one line for a prompt."""
        often = f" ({self.count} times)" if self.count > 1 else ""
        return f"{self.question}{often}: {self.sql or 'no answer'}"


def read_asked(path: Path, database: str) -> list[AskedQuestion]:
    """Return the questions that were asked about a database, most frequent first.

    Raises:
        SettingsError: the file cannot be read.
    """
    count_by_question: Counter[str] = Counter()
    sql_by_question: dict[str, str] = {}
    for line in _records(path):
        question = one_line(text_of(line.get("question")), 300)
        if not question or line.get("database") != database or line.get("outcome") not in _TOLD_OUTCOMES:
            continue
        count_by_question[question] += 1
        if line.get("outcome") == "answered":
            sql_by_question[question] = one_line(text_of(line.get("sql")), _MAX_SQL_CHARACTERS)
    return [
        AskedQuestion(question, sql_by_question.get(question, ""), count)
        for question, count in count_by_question.most_common(MAX_QUESTIONS)
    ]


def _records(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - MAX_READ_BYTES))
            contents = file.read(MAX_READ_BYTES)
    except OSError as error:
        raise SettingsError(
            f"cannot read {path}: {error.strerror}", hint="name the audit file of a server"
        ) from error
    for line in contents.decode("utf-8", "replace").splitlines():
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue  # the first line may be cut
        if isinstance(record, dict):
            yield record
