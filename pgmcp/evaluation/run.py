"""Asks each contestant every question, and judges each attempt."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from pgmcp.errors import PgmcpError
from pgmcp.evaluation.comparison import Row, compare
from pgmcp.evaluation.contestants import CALLER, UNANSWERABLE, Attempt, Contestant
from pgmcp.evaluation.questions import Question
from pgmcp.pipeline import CallOptions, Pipeline
from pgmcp.settings import RateLimitSettings, Settings

_MAX_ROWS: Final = 100_000


class Verdict(StrEnum):
    """The verdict on an attempt."""

    RIGHT = "right"
    WRONG = "wrong"
    REFUSED = "refused"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class JudgedAttempt:
    """An attempt and its verdict.

    Attributes:
        why: what is wrong; "" if it is right.
    """

    attempt: Attempt
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class Result:
    """A question and its results, by contestant."""

    question: Question
    attempts: dict[str, JudgedAttempt]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A question that was not asked, and the reason.

    Attributes:
        error: the stable code of the error that its expected SQL ended with; "" if there was none.
    """

    question: Question
    why: str
    error: str = ""


@dataclass(slots=True)
class Outcome:
    """The results of an evaluation."""

    results: list[Result] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


class CannotAskError(Exception):
    """A question cannot be asked, because its expected rows are not known; the message says why.

    Args:
        error: as in `Skipped`.
    """

    def __init__(self, message: str, error: str = "") -> None:
        super().__init__(message)
        self.error = error


ExpectedRows = Callable[[Question], Awaitable[list[list[Row]]]]
"""Returns the rows of each expected statement; raises CannotAskError."""


async def evaluate(
    questions: Sequence[Question],
    contestants: Sequence[Contestant],
    expected_rows: ExpectedRows,
    *,
    begin: Callable[[Question, str], None] = lambda question, contestant: None,
) -> Outcome:
    """Ask every question, one at a time.

    Args:
        questions: about the contestants' database only.
        begin: called with each question and contestant before it is asked; may raise CannotAskError.
    """
    outcome = Outcome()
    for question in questions:
        attempts: dict[str, JudgedAttempt] = {}
        try:
            for contestant in contestants:
                # Read again for each, because expected statements may depend on the current date or time.
                expected = [] if question.is_unanswerable else await expected_rows(question)
                begin(question, contestant.name)
                attempts[contestant.name] = judge(await contestant.ask(question), question, expected)
        except CannotAskError as error:
            outcome.skipped.append(Skipped(question, str(error), error.error))
        else:
            outcome.results.append(Result(question, attempts))
    return outcome


async def run_expected(pipeline: Pipeline, database: str | None, question: Question) -> list[list[Row]]:
    """Return the rows of a question's expected statements, read under the same guards as any other.

    Raises:
        CannotAskError: one failed.
    """
    if question.expected_rows is not None:
        return [list(question.expected_rows)]
    found: list[list[Row]] = []
    for statement in question.gold_sql:
        try:
            answer = await pipeline.execute_sql(statement, CallOptions(database=database, caller=CALLER))
        except PgmcpError as error:
            message = f"its expected SQL failed ({error.code}: {error})"
            raise CannotAskError(message, str(error.code)) from error
        if answer.rows is not None and answer.rows.truncated is not None:
            raise CannotAskError(f"its expected SQL has more rows than can be compared ({_MAX_ROWS:,})")
        found.append(list(answer.rows.rows) if answer.rows else [])
    return found


def judge(attempt: Attempt, question: Question, expected: Sequence[Sequence[Row]]) -> JudgedAttempt:
    """Return the verdict on an attempt; it is right if it has the rows of any expected statement."""
    if question.is_unanswerable:
        return _judge_refusal(attempt)
    if attempt.rows is None:
        verdict = Verdict.REFUSED if attempt.error == UNANSWERABLE else Verdict.ERROR
        return JudgedAttempt(attempt, verdict, attempt.message)
    differences = [compare(rows, attempt.rows, is_ordered=question.is_ordered) for rows in expected]
    if None in differences:
        return JudgedAttempt(attempt, Verdict.RIGHT, "")
    if not attempt.is_whole:
        return JudgedAttempt(attempt, Verdict.WRONG, "the result was too large to compare")
    return JudgedAttempt(attempt, Verdict.WRONG, " / ".join(dict.fromkeys(d.text for d in differences if d)))


def _judge_refusal(attempt: Attempt) -> JudgedAttempt:
    if attempt.error == UNANSWERABLE:
        return JudgedAttempt(attempt, Verdict.RIGHT, "")
    if attempt.rows is None:
        return JudgedAttempt(attempt, Verdict.ERROR, attempt.message)
    return JudgedAttempt(attempt, Verdict.WRONG, "it was answered, but should have been refused")


def for_evaluation(settings: Settings) -> Settings:
    """Return settings without rate limits, and with row limits that no result reaches.

    The limits are that high because whole results are compared.
    """
    server = replace(
        settings.server,
        max_result_rows=_MAX_ROWS,
        max_result_bytes=64 << 20,
        max_result_tokens=1_000_000,
    )
    return replace(settings, server=server, rate_limit=RateLimitSettings(enabled=False))
