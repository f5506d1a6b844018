"""Statements with a nonce that the reply must contain, so that a reply to another call is noticed."""

import asyncio
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from scripts.load.client import CallFailedError, LostReplyError, StdioServer
from scripts.load.measure import Series, Timeline

_MANY: Final = 200
_MUCH: Final = "count(*) from generate_series(1, 100000) as a, generate_series(1, 100000) as b"


@dataclass(frozen=True, slots=True)
class Question:
    """A statement, and a check whether a reply belongs to it.

    Attributes:
        answers: returns whether rows belong to the statement.
        code: the expected error code; "" if rows are expected.
    """

    sql: str
    nonce: str
    answers: Callable[[list[list[Any]]], bool] = lambda rows: False
    code: str = ""


@dataclass
class Tally:
    """Counts of the outcomes of questions.

    Attributes:
        outcomes: counts by "answered", "cancelled", "lost" or the error's code.
        wrong: one line for each reply that was lost, belongs to another call, or is an unexpected error.
    """

    timeline: Timeline
    series: Series = field(default_factory=Series)
    outcomes: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, outcome: str, latency_ms: float) -> None:
        """Count a reply."""
        self.outcomes[outcome] += 1
        self.series.latencies_ms.append(latency_ms)
        self.timeline.add(outcome, latency_ms)

    @property
    def summary(self) -> str:
        """The outcomes in one line, and the first wrong reply."""
        counted = ", ".join(f"{count:,} {outcome}" for outcome, count in self.outcomes.most_common())
        return "; ".join([*self.wrong[:3], counted])


def ask_for_one_row() -> Question:
    """Return a question whose answer is one cell."""
    nonce = new_nonce()
    return Question(f"select '{nonce}' as nonce", nonce, lambda rows: rows == [[nonce]])


def ask_for_many_rows() -> Question:
    """Return a question with its nonce in every row."""
    nonce = new_nonce()
    expected = [[f"{nonce}-{number}", number] for number in range(1, _MANY + 1)]
    sql = f"select '{nonce}-' || n as nonce, n from generate_series(1, {_MANY}) as n order by n"  # noqa: S608 # a word of our own
    return Question(sql, nonce, lambda rows: rows == expected)


def ask_for_a_sort() -> Question:
    """Return a question that takes the database a few milliseconds."""
    nonce = new_nonce()
    sql = f"select '{nonce}' as nonce, n from generate_series(1, 20000) as n order by n desc limit 3"  # noqa: S608 # as above
    return Question(sql, nonce, lambda rows: rows == [[nonce, n] for n in (20000, 19999, 19998)])


def ask_for_a_big_cell() -> Question:
    """Return a question whose answer is a cell of about 10 kB."""
    nonce = new_nonce()
    sql = f"select repeat('{nonce} ', 600) as nonce"
    return Question(
        sql, nonce, lambda rows: len(rows) == 1 and str(rows[0][0]).startswith(f"{nonce} {nonce}")
    )


def ask_for_an_error() -> Question:
    """Return a question that PostgreSQL refuses with the nonce in its message."""
    nonce = new_nonce()
    return Question(f"select cast('{nonce}' as integer)", nonce, code="statement_failed")


def ask_for_a_lock() -> Question:
    """Return a question that pgmcp refuses."""
    nonce = new_nonce()
    return Question(f"select pg_advisory_lock(1), {nonce}.lock", nonce, code="rejected")


def ask_for_much() -> Question:
    """Return a question that runs until the server or a caller stops it."""
    nonce = new_nonce()
    return Question(f"select '{nonce}', {_MUCH}", nonce, code="timeout")


_KINDS: Final = (
    ask_for_one_row,
    ask_for_many_rows,
    ask_for_a_sort,
    ask_for_a_big_cell,
    ask_for_an_error,
    ask_for_a_lock,
)


def ask_something(chance: random.Random) -> Question:
    """Return a random short question."""
    return chance.choice(_KINDS)()


class Executor(Protocol):
    """Runs a statement; raises CallFailedError or LostReplyError."""

    async def execute(self, sql: str) -> dict[str, Any]:
        """Return the structured answer."""
        ...


async def ask(
    server: Executor, question: Question, tally: Tally, *, excused: frozenset[str] = frozenset()
) -> None:
    """Run the question, and check that the reply belongs to it.

    Args:
        excused: error codes that do not count as wrong, such as "worker_lost" while workers are killed.
    """
    before_s = time.perf_counter()
    try:
        answer = await server.execute(question.sql)
    except LostReplyError as error:
        outcome, problem, is_right = "lost", str(error), False
    except CallFailedError as error:
        outcome, problem = error.code, str(error)
        is_right = error.code in excused or _is_own_failure(error, question)
    else:
        outcome, problem = "answered", f"{answer['rows']!r:.80}"
        is_right = not question.code and question.answers(answer["rows"])
    tally.add(outcome, (time.perf_counter() - before_s) * 1000)
    if not is_right:
        tally.wrong.append(f"{question.sql:.60} got {problem:.120}")


async def ask_many(server: StdioServer, tally: Tally, *, callers: int, calls: int) -> None:
    """Run random short questions for several callers at once, `calls` for each, one after another."""
    chance = random.Random(callers)  # noqa: S311 # the same mix in every run

    async def ask_repeatedly() -> None:
        for _ in range(calls):
            await ask(server, ask_something(chance), tally)

    await asyncio.gather(*(ask_repeatedly() for _ in range(callers)))


def _is_own_failure(error: CallFailedError, question: Question) -> bool:
    # The error must quote the nonce. Only a timeout's error does not quote the statement.
    return error.code == question.code and (question.nonce in str(error) or error.code == "timeout")


def new_nonce() -> str:
    """Return a word that occurs nowhere else."""
    return f"n{secrets.token_hex(6)}"
