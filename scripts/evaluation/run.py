"""Asks each contestant every question, and judges each attempt."""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Final

import psycopg

from scripts.evaluation.comparison import Row, compare
from scripts.evaluation.contestants import UNANSWERABLE, Attempt, Ours, PlainPrompt
from scripts.evaluation.databases import Database, GoldFailedError
from scripts.evaluation.endpoint import Form, MeteredEndpoint, garbage, replies_with
from scripts.evaluation.near_miss import Spoil, spoil_case, spoil_cast, spoil_column
from scripts.evaluation.questions import Question
from scripts.evaluation.shown_values import GoldValues
from scripts.load.bench import PGMCP
from scripts.load.client import LoadTestError, StdioServer

RESULT_BOUNDS: Final = {
    "SERVER_MAX_RESULT_ROWS": "100000",
    "SERVER_MAX_RESULT_BYTES": str(64 << 20),
    "SERVER_MAX_RESULT_TOKENS": "1000000",
}
"""Limits that no result reaches, because whole results are compared."""

_LOG_CHARACTERS: Final = 2_000


class Script(StrEnum):
    """The replies of a scripted endpoint."""

    GOLD = "gold"
    WRONG_CASE = "wrong-case"
    WRONG_COLUMN = "wrong-column"
    MISSING_CAST = "missing-cast"
    GARBAGE = "garbage"
    NEVER_RIGHT = "never-right"


_SPOIL_BY_SCRIPT: Final[Mapping[Script, Spoil]] = {
    Script.WRONG_CASE: spoil_case,
    Script.WRONG_COLUMN: spoil_column,
    Script.MISSING_CAST: spoil_cast,
    Script.NEVER_RIGHT: spoil_column,
}


class Verdict(StrEnum):
    """The verdict on an attempt."""

    RIGHT = "right"
    WRONG = "wrong"
    REFUSED = "refused"
    ERROR = "error"


class Miss(StrEnum):
    """The effect of a near miss in the database, the easiest to notice first."""

    FAILS = "fails"
    EMPTY = "no rows, or only NULL or 0"
    OTHER_ROWS = "other rows"


@dataclass(frozen=True, slots=True)
class Judged:
    """An attempt and its verdict.

    Attributes:
        why: what is wrong; "" if it is right.
    """

    attempt: Attempt
    verdict: Verdict
    why: str


@dataclass(frozen=True, slots=True)
class Result:
    """A question and its results.

    Attributes:
        attempts: by contestant.
        miss: the effect of the scripted near miss; None without such a script.
        named_values: how many values in the gold SQL are from columns whose values can all be listed.
        missing_values: those of them that are not in pgmcp's prompt.
    """

    question: Question
    attempts: dict[str, Judged]
    miss: Miss | None = None
    named_values: int = 0
    missing_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """The model's name and key; for a script, any name."""

    name: str
    api_key: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """A skipped question, and the reason."""

    question: Question
    why: str


@asynccontextmanager
async def open_server(
    url: str,
    endpoint: MeteredEndpoint,
    model: Model,
    environment: Mapping[str, str],
    folder: Path,
) -> AsyncIterator[StdioServer]:
    """Start pgmcp on one database, with the metered endpoint as its model.

    Args:
        environment: of the server, without its database, its model and its limits of results.
        folder: an empty folder to run in.
    """
    settings = {
        **RESULT_BOUNDS,
        "DATABASE_URL": url,
        "OPENAI_BASE_URL": endpoint.base_url,
        "OPENAI_API_KEY": model.api_key,
        "OPENAI_MODEL": model.name,
        "RATE_LIMIT_ENABLED": "false",
    }
    given = {f"PG_MCP_{name}": text for name, text in settings.items()}
    try:
        server = await StdioServer.start(PGMCP, {**environment, **given}, folder)
    except LoadTestError as error:
        log = (folder / "stderr.txt").read_text("utf-8", errors="replace")
        raise LoadTestError(f"{error}; the end of its log:\n{log[-_LOG_CHARACTERS:]}") from error
    try:
        yield server
    finally:
        await server.stop()


async def evaluate(
    questions: Sequence[Question],
    database: Database,
    server: StdioServer,
    endpoint: MeteredEndpoint,
    model: Model,
    *,
    script: Script | None,
    with_baseline: bool = True,
    begin: Callable[[Question], None] = lambda question: None,
) -> tuple[list[Result], list[Skipped]]:
    """Ask every question, one at a time.

    Args:
        questions: about this database only.
        script: the endpoint's replies, if it is scripted.
        with_baseline: also ask with the plain prompt.
        begin: called with each question before it is asked.
    """
    plain = PlainPrompt(
        server,
        endpoint,
        model=model.name,
        api_key=model.api_key,
        schema=database.schema_dump(),
        server_version=database.server_version(),
    )
    contestants: list[Ours | PlainPrompt] = [Ours(server, endpoint), *([plain] if with_baseline else [])]
    columns = database.column_names()
    values = GoldValues(database)
    results: list[Result] = []
    skipped: list[Skipped] = []
    for number, question in enumerate(questions):
        begin(question)
        try:
            replies, miss = _script_of(question, database, columns, script, number)
            attempts = {
                each.name: await _ask(each, question, database, endpoint, replies) for each in contestants
            }
        except (GoldFailedError, NoNearMissError) as error:
            skipped.append(Skipped(question, str(error)))
        else:
            gold, prompt = question.gold_sql[0], attempts[Ours.name].attempt.prompt
            results.append(
                Result(
                    question,
                    attempts,
                    miss,
                    len(values.named_in(gold)),
                    tuple(values.missing_from(gold, prompt)),
                )
            )
    await plain.close()
    return results, skipped


class NoNearMissError(Exception):
    """The mistake cannot be added to a question's gold SQL."""


Replies = Callable[[Form], list[str]]


def _script_of(
    question: Question, database: Database, columns: Collection[str], script: Script | None, number: int
) -> tuple[Replies, Miss | None]:
    """Return the replies to a question, and the effect of the first if it is a near miss."""
    if script is None:
        return lambda form: [], None
    if script is Script.GARBAGE:
        return lambda form: garbage(number), None
    gold = question.gold_sql[0]
    if script is Script.GOLD:
        return lambda form: replies_with(form, [gold]), None
    spoilt, miss = _near_miss(question, database, _SPOIL_BY_SCRIPT[script](gold, columns))
    statements = [spoilt] if script is Script.NEVER_RIGHT else [spoilt, gold]
    return lambda form: replies_with(form, statements), miss


def _near_miss(question: Question, database: Database, variants: Iterable[str]) -> tuple[str, Miss]:
    """Return the wrong variant that is easiest to notice.

    Raises:
        NoNearMissError: there is none.
    """
    gold = database.gold_rows(question.gold_sql)
    found: dict[Miss, str] = {}
    for variant in variants:
        if miss := _what_it_does(variant, database, gold):
            found.setdefault(miss, variant)
    for miss in Miss:
        if miss in found:
            return found[miss], miss
    raise NoNearMissError("this mistake cannot be added to the SQL")


def _what_it_does(statement: str, database: Database, gold: Sequence[Sequence[Row]]) -> Miss | None:
    """Return the effect of a wrong statement; None if it is right."""
    try:
        rows = database.rows(statement)
    except psycopg.Error:
        return Miss.FAILS
    if any(compare(expected, rows, is_ordered=False) is None for expected in gold):
        return None
    is_empty = all(cell is None or cell == "0" for row in rows for cell in row)
    return Miss.EMPTY if is_empty else Miss.OTHER_ROWS


async def _ask(
    contestant: Ours | PlainPrompt,
    question: Question,
    database: Database,
    endpoint: MeteredEndpoint,
    replies: Replies,
) -> Judged:
    # Read again for each question, because gold statements may depend on the current date or time.
    gold = database.gold_rows(question.gold_sql)
    endpoint.begin(contestant.form, replies(contestant.form))
    attempt = replace(await contestant.ask(question), prompt=endpoint.first_prompt)
    return judge(attempt, gold, is_ordered=question.is_ordered)


def judge(attempt: Attempt, gold: Sequence[Sequence[Row]], *, is_ordered: bool) -> Judged:
    """Return the verdict on an attempt; it is right if it has the rows of any gold statement."""
    if attempt.rows is None:
        verdict = Verdict.REFUSED if attempt.error == UNANSWERABLE else Verdict.ERROR
        return Judged(attempt, verdict, attempt.message)
    differences = [compare(rows, attempt.rows, is_ordered=is_ordered) for rows in gold]
    if None in differences:
        return Judged(attempt, Verdict.RIGHT, "")
    if not attempt.is_whole:
        return Judged(attempt, Verdict.WRONG, "the result was too large to compare")
    return Judged(attempt, Verdict.WRONG, " / ".join(dict.fromkeys(d.text for d in differences if d)))
