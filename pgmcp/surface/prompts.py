"""Prompts that a person starts by name: hosts offer them in a menu or as /commands.

Each tells the model in which order to use pgmcp's tools. All arguments can be left out: without a database,
the prompt names the default one; without a question or a statement, the model asks the user for it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pgmcp.answers.failure import render_error
from pgmcp.errors import MAX_NAME_CHARACTERS, InvalidArgumentError, UnknownDatabaseError
from pgmcp.surface.reply import INVALID_PARAMS, RequestError
from pgmcp.surface.surface_settings import SurfaceSettings
from pgmcp.untrusted import shorten

_DATABASE: Final = ("database", "Name of a configured database; the default one if left out")

EXPLORE: Final = """\
Find out what {database} contains. Use pgmcp's tools; they can only read.
1. search_schema with detail="names": which tables are there?
2. search_schema with tables=[…] for the five to ten that matter most, by their keys, sizes and comments.
3. A few small aggregates with execute_sql: how many rows, from when to when, which states and how often. \
Never fetch whole tables.
Then tell me, on one page: what the data is about, the main tables and how they join, the period it covers, \
and what looks odd or is missing. End with five questions that it can answer well.
"""

ASK: Final = """\
{question}
1. Say which measure, which dates and which states the question means. If two readings would give different \
answers, ask me first.
{steps}
Then answer in your first sentence. Below it: the SQL, what you assumed, and whether rows were cut off.
"""

ASK_BY_QUERY: Final = """\
2. Call query with the question in these exact words and return_type="both".
3. Check its SQL against what is meant: joins that count rows twice, a missing filter, the dates' time zone.
4. If it is wrong or the call fails: search_schema for the exact names, then execute_sql with one SELECT."""

ASK_BY_SQL: Final = """\
2. search_schema for the exact names of tables, columns and values.
3. execute_sql with one SELECT that aggregates in the database. If it fails, correct it as the error says.
4. Check the result: joins that count rows twice, a missing filter, the dates' time zone."""

EXPLAIN: Final = """\
Find out why a statement is slow, and what would make it faster. It runs in {database}.
{statement}
1. execute_sql with EXPLAIN before it: this plans the statement and does not run it.
2. search_schema with tables=[…] of its tables and detail="full": types, indexes, estimated rows.
3. Only if the plan looks affordable: execute_sql with EXPLAIN (ANALYZE, BUFFERS) before it. \
This runs the statement, up to pgmcp's time limit; say so before you do it.
4. Name the step that costs most and why: estimated and actual rows, an index that is missing or cannot be \
used, a join that multiplies rows, a sort or hash that spills to disk.
Then propose changes, the most effective first: a rewritten SELECT, with its EXPLAIN beside the old one; \
an index, as CREATE INDEX for someone who may run it. Nothing here can change the database, so do not try.
"""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt.

    Attributes:
        arguments: name and description of each; all may be left out.
        write: returns the text, given the settings and the arguments by name; an argument that was left out
            is "".
    """

    name: str
    title: str
    description: str
    arguments: Sequence[tuple[str, str]]
    write: Callable[[SurfaceSettings, Mapping[str, str]], str]

    def describe(self) -> dict[str, Any]:
        """Return the prompt as a list shows it."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "arguments": [
                {"name": name, "description": description, "required": False}
                for name, description in self.arguments
            ],
        }


def get_prompt(settings: SurfaceSettings, name: str, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return a prompt as the protocol's `GetPromptResult`.

    Raises:
        RequestError: there is no such prompt, or its arguments are invalid.
    """
    prompt = next((each for each in PROMPTS if each.name == name), None)
    if prompt is None:
        raise RequestError(INVALID_PARAMS, f"Unknown prompt: {shorten(name, MAX_NAME_CHARACTERS)}")
    try:
        text = prompt.write(settings, _read_arguments(prompt, raw))
    except (InvalidArgumentError, UnknownDatabaseError) as error:
        raise RequestError(INVALID_PARAMS, render_error(error)) from error
    message = {"role": "user", "content": {"type": "text", "text": text}}
    return {"description": prompt.description, "messages": [message]}


def _read_arguments(prompt: Prompt, raw: Mapping[str, Any]) -> dict[str, str]:
    names = [name for name, _ in prompt.arguments]
    given = {name: value for name, value in raw.items() if value not in (None, "")}
    for name, value in given.items():
        if name in names and not isinstance(value, str | int | float):
            raise InvalidArgumentError(f"{name}: expected a string")
    unknown = [name for name in given if name not in names]
    if unknown:
        from pgmcp.surface.arguments import check_near_names

        takes = f"this prompt takes {', '.join(names)}"
        check_near_names(unknown, [name for name in names if name not in given], takes)
    return {name: str(given.get(name, "")) for name in names}


def _name_database(settings: SurfaceSettings, name: str) -> str:
    """Return the words with which a prompt refers to the database."""
    known = list(settings.database_names)
    if name and name not in known:
        raise UnknownDatabaseError(name, known)
    return f"the database {name or known[0]}"


def _explore(settings: SurfaceSettings, given: Mapping[str, str]) -> str:
    return EXPLORE.format(database=_name_database(settings, given["database"]))


def _ask(settings: SurfaceSettings, given: Mapping[str, str]) -> str:
    from pgmcp.argument_bounds import checked_question

    where = _name_database(settings, given["database"])
    question = checked_question(given["question"]) if given["question"].strip() else ""
    asked = f"Answer this question from {where}:\n{question}" if question else ""
    steps = ASK_BY_QUERY if settings.answers_questions else ASK_BY_SQL
    return ASK.format(question=asked or f"Ask me what I want to know from {where}.", steps=steps)


def _explain(settings: SurfaceSettings, given: Mapping[str, str]) -> str:
    sql = given["sql"].strip()
    statement = f"```sql\n{sql}\n```" if sql else "Ask me for the statement first."
    return EXPLAIN.format(database=_name_database(settings, given["database"]), statement=statement)


PROMPTS: Final = (
    Prompt(
        "explore_database",
        "Explore a database",
        "Describes its main tables, how they join, the period they cover, and questions worth asking.",
        [_DATABASE],
        _explore,
    ),
    Prompt(
        "ask_question",
        "Ask a question well",
        "Makes the question exact, checks the SQL, and says what the answer assumes.",
        [("question", "What to find out, in plain language"), _DATABASE],
        _ask,
    ),
    Prompt(
        "explain_slow_query",
        "Explain a slow query",
        "Explains from its plan why a statement is slow, and what would make it faster.",
        [("sql", "The slow SELECT"), _DATABASE],
        _explain,
    ),
)
