"""Makes the replies of the scripted endpoint from each question's gold SQL."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Final

import psycopg

from pgmcp.evaluation.comparison import Row, compare
from pgmcp.evaluation.contestants import PgmcpContestant
from pgmcp.evaluation.questions import Question
from pgmcp.evaluation.run import CannotAskError
from scripts.evaluation.databases import Database
from scripts.evaluation.endpoint import Form, ScriptedReplies, garbage, replies_with
from scripts.evaluation.near_miss import Mutation, mutate_case, mutate_cast, mutate_column, mutate_rows


class Script(StrEnum):
    """The replies of a scripted endpoint."""

    GOLD = "gold"
    WRONG_CASE = "wrong-case"
    WRONG_COLUMN = "wrong-column"
    MISSING_CAST = "missing-cast"
    FAN_OUT = "fan-out"
    GARBAGE = "garbage"
    NEVER_RIGHT = "never-right"


_MUTATION_BY_SCRIPT: Final[Mapping[Script, Mutation]] = {
    Script.WRONG_CASE: mutate_case,
    Script.WRONG_COLUMN: mutate_column,
    Script.MISSING_CAST: mutate_cast,
    Script.FAN_OUT: mutate_rows,
    Script.NEVER_RIGHT: mutate_column,
}


class Miss(StrEnum):
    """The effect of a near miss in the database. The effects that pgmcp notices most easily come first."""

    FAILS = "fails"
    EMPTY = "no rows, or only NULL or 0"
    OTHER_ROWS = "other rows"


Replies = Callable[[Form], list[str]]


class ScriptedModel:
    """Gives the endpoint its replies, and records the prompts.

    Attributes:
        misses: the effect of the first reply, by the id of each question with a near miss.
        prompts: pgmcp's first prompt, by the id of the question.
    """

    def __init__(self, script: Script, database: Database, endpoint: ScriptedReplies) -> None:
        self._script = script
        self._database = database
        self._endpoint = endpoint
        self._names = database.names()
        self._number = -1
        self._replies: Replies = lambda form: []
        self._current = ""
        self.misses: dict[str, Miss] = {}
        self.prompts: dict[str, str] = {}

    def begin(self, question: Question, contestant: str) -> None:
        """Set the endpoint's replies to a question of a contestant.

        Raises:
            CannotAskError: the script's mistake cannot be added to the gold SQL.
        """
        self.note_prompt()
        if contestant == PgmcpContestant.name:
            self._number += 1
            self._replies, miss = self._script_of(question)
            if miss is not None:
                self.misses[question.id] = miss
            self._current = question.id
        self._endpoint.begin(
            self._replies(Form.CONTRACT if contestant == PgmcpContestant.name else Form.PLAIN)
        )

    def note_prompt(self) -> None:
        """Keep the prompt of the question that was asked last."""
        if self._current and self._endpoint.first_prompt:
            self.prompts.setdefault(self._current, self._endpoint.first_prompt)

    def _script_of(self, question: Question) -> tuple[Replies, Miss | None]:
        number, gold = self._number, question.gold_sql[0]
        if self._script is Script.GARBAGE:
            return lambda form: garbage(number), None
        if self._script is Script.GOLD:
            return lambda form: replies_with(form, [gold]), None
        variants = _MUTATION_BY_SCRIPT[self._script](gold, self._names)
        # A joined table may also make names ambiguous. That fails, and is not the mistake of this script.
        wanted = [Miss.OTHER_ROWS] if self._script is Script.FAN_OUT else list(Miss)
        spoilt, miss = _near_miss(question, self._database, variants, wanted)
        statements = [spoilt] if self._script is Script.NEVER_RIGHT else [spoilt, gold]
        return lambda form: replies_with(form, statements), miss


def _near_miss(
    question: Question, database: Database, variants: Iterable[str], wanted: Sequence[Miss]
) -> tuple[str, Miss]:
    """Return a variant with one of the wanted effects, and its effect; earlier effects are preferred.

    Raises:
        CannotAskError: no variant has a wanted effect.
    """
    gold = [database.rows(statement) for statement in question.gold_sql]
    found: dict[Miss, str] = {}
    for variant in variants:
        if miss := _effect_of(variant, database, gold):
            found.setdefault(miss, variant)
    for miss in wanted:
        if miss in found:
            return found[miss], miss
    raise CannotAskError("this mistake cannot be added to the SQL")


def _effect_of(statement: str, database: Database, gold: Sequence[Sequence[Row]]) -> Miss | None:
    """Return the effect of a wrong statement; None if it is right."""
    try:
        rows = database.rows(statement)
    except psycopg.Error:
        return Miss.FAILS
    if any(compare(expected, rows, is_ordered=False) is None for expected in gold):
        return None
    is_empty = all(cell is None or cell == "0" for row in rows for cell in row)
    return Miss.EMPTY if is_empty else Miss.OTHER_ROWS
