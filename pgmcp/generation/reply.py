"""Defines the JSON object that the model must reply with, and reads it from the reply's text.

Some endpoints enforce the schema, some only guarantee JSON. Some models put the object into prose, fences or
a chain of thought. `parse_reply` accepts all of these, but never guesses.
"""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from pgmcp.errors import ModelReplyError
from pgmcp.generation.loose_json import read_object
from pgmcp.untrusted import drop_invisible, shorten
from pgmcp.validation.lexer import words_of
from pgmcp.validation.statement_kind import is_one_statement

# All properties are required and no others are allowed, because OpenAI's strict mode accepts only such
# schemas. The schema has no descriptions: it counts as a part of the prompt, and the rules explain each
# property.
REPLY_SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "answerable": {"type": "boolean"},
        "sql": {"type": "string"},
        "readings": {"type": "array", "items": {"type": "string"}},
        "reason": {"type": "string"},
        "follow_up": {"type": "string"},
    },
    "required": ["answerable", "sql", "readings", "reason", "follow_up"],
    "additionalProperties": False,
}

_REASONING_TAG = "think|thinking|seed:think"
# These tags also occur in data, such as LIKE '%<reason>%', so they count only at the beginning of a line.
_REASONING_TAGS = "|".join(
    [
        *("thoughts?", "thought_process", "reason", "reasoning", "rationale", "reflection", "analysis"),
        *("scratchpad", "inner_monologue", "internal_monologue", "plan", "planning", "cot"),
    ]
)
_REASONING = re.compile(
    rf"(?:<({_REASONING_TAG})>|(?:^|(?<=>))[ \t]*<({_REASONING_TAGS})>).*?(</(?:\1|\2)>|\Z)",
    re.DOTALL | re.IGNORECASE | re.MULTILINE,
)
_REASONING_START = re.compile(rf"<(?:{_REASONING_TAG})>", re.IGNORECASE)
_REASONING_END = re.compile(rf"</(?:{_REASONING_TAG})>", re.IGNORECASE)
_OTHER_REASONING_ENDS = ("[/THINK]", "◁/think▷", "<|end_of_thought|>", "<|/thinking|>", "<unused95>")
"""Marks of Magistral, Kimi and other models that end a chain of thought; the answer follows."""

# The end of a reply also ends a code fence, because a token limit or a stop word may have cut off the mark.
_FENCE_END = r"(?:```|~~~|\Z)"
_SQL_FENCE = re.compile(
    rf"(?:```|~~~)[ \t]*(?:sql|postgresql|postgres|pgsql|psql|plpgsql)\b[^\n`]*\n(.*?){_FENCE_END}",
    re.DOTALL | re.IGNORECASE,
)
_PLAIN_FENCE = re.compile(
    rf"(?:```|~~~)(?:(?:sql|text|txt|plain(?:text)?|code)\b)?[ \t]*\r?\n?(.*?){_FENCE_END}",
    re.DOTALL | re.IGNORECASE,
)
_SQL_LABEL = re.compile(
    r"^[ \t]*\**(?:SQL ?(?:Query|Statement)?|Query|Answer|Final answer)\**:\**", re.IGNORECASE | re.MULTILINE
)
# A line that announces SQL after it: "SQL:", "Here is the query you need:", or the same in other languages in
# which models answer; U+FF1A is the wide colon of some of them.
_ANNOUNCEMENT = re.compile(
    r"^[ \t]*\**(?:SQL ?(?:Query|Statement)?|Query)\**:\**"
    r"|^[^\n:]{0,200}\b(?:SQL|query|statement|Abfrage|requête|consulta|запрос)\b[^\n:]{0,100}:\**[ \t]*$"
    r"|^[^\n:\uFF1A]{0,200}(?:SQL|查询|查詢|语句|クエリ|쿼리)[^\n:\uFF1A]{0,100}[:\uFF1A]\**[ \t]*$",
    re.IGNORECASE | re.MULTILINE,
)
_PARAGRAPH_END = re.compile(r"\n[ \t\r]*\n")
_STATEMENT_END = re.compile(r";[ \t\r]*(?=\n|\Z)|\n[ \t\r]*(?=\n)|\Z")
_MAX_STATEMENT_ENDS = 20
# Marks around a reply that is only SQL: those of SQLCoder and similar models, of chat templates, of Markdown.
_WRAPPER = re.compile(
    r"\A(?:<s>|<sql>|<answer>|\[SQL\]|<\|begin_of_solution\|>|`)\s*(.*?)"
    r"\s*(?:</s>|</sql>|</answer>|\[/SQL\]|<\|end_of_solution\|>|`)?\Z",
    re.DOTALL | re.IGNORECASE,
)
_QUESTION = re.compile(r"\A\s*\[QUESTION\].*?\[/QUESTION\]", re.DOTALL | re.IGNORECASE)
_AFTER_SQL = re.compile(r"^[ \t]*(?:SQLResult|Answer):.*", re.DOTALL | re.IGNORECASE | re.MULTILINE)
# OpenAI's harmony format, if a server forwards the model's channels: the last "final" channel is the answer.
_FINAL_CHANNEL = re.compile(
    r"<\|channel\|>[ \t]*final\b[^<]{0,100}(?:<\|constrain\|>[^<]{0,100})?<\|message\|>"
)
_OTHER_CHANNEL = re.compile(r"<\|channel\|>.*?(?:<\|end\|>|(?=<\|start\|>)|\Z)", re.DOTALL)
_CONTROL_TOKEN = re.compile(r"<\|(?:start|end|return|message|channel)\|>")
_END_TOKEN = re.compile(r"(?:<\|(?:eot_id|im_end|endoftext|end_of_text)\|>|</s>|<end_of_turn>)\s*\Z")
_LEADING_COMMENTS = re.compile(r"\s*((?:--[^\n]*\n\s*)+)")
MAX_READINGS = 4
"""Maximum number of readings of one question; with "None of these", a person has at most five choices."""

MAX_TITLE_CHARACTERS = 80
_USUAL_TITLE = "the usual reading"

_WHOLE_FENCE = re.compile(r"\s*```\w*\s*\n(.*?)```\s*", re.DOTALL)

# Every brace that does not open a JSON object costs one attempt. Without a limit, a text of many braces takes
# quadratic time.
_MAX_OBJECT_ATTEMPTS = 100

_REPLY_START = re.compile(
    r"\{\s*[\"']?(?:answerable|sql|readings|reason|follow_up|assumptions)[\"']?\s*:", re.IGNORECASE
)
# A string without an end does not match. Then its escaped quotes are skipped, because a search from each of
# them for the end of a string would take quadratic time.
_STRING_OR_BRACE = re.compile(r'"(?:[^"\\]|\\.)*"|\\"|[{}]', re.DOTALL)

_MAX_MEMBERS = 20
_SQL_NAMES = ("sql_query", "sqlquery", "query", "statement")
"""Other names that models use for the member with the SQL."""

_ASK_FOR_JSON_HINT = (
    "ask again; if it happens often, set PG_MCP_OPENAI_MODEL to a model that follows JSON instructions"
)


class Reading(msgspec.Struct, frozen=True):
    """One way to understand a question, and its SQL."""

    title: str
    sql: str


class SqlReply(msgspec.Struct, frozen=True):
    """The model's answer.

    Attributes:
        sql: the statement; "" if not answerable.
        assumptions: how the model resolved ambiguities.
        reason: why the question cannot be answered; "" if it can.
        suggested_question: a question to ask instead; "" if the model has none.
        readings: the usual reading, whose SQL is `sql`, and other readings with different SQL; () if there is
            only one reading.
    """

    sql: str
    assumptions: tuple[str, ...] = ()
    answerable: bool = True
    reason: str = ""
    suggested_question: str = ""
    readings: tuple[Reading, ...] = ()


class _LooseReply(msgspec.Struct):
    """A reply without an enforced schema: fields may be missing, null, or text instead of a list."""

    sql: str | None = None
    assumptions: list[str] | str | None = None
    answerable: bool | None = None
    reason: str | None = None
    follow_up: str | None = None
    readings: Any = None


def parse_reply(text: str) -> SqlReply:
    """Return the reply in `text`, ignoring the text around it.

    The last matching JSON object counts, because models that think aloud end with their answer. Without one,
    the text must contain exactly one SQL statement: in code blocks, after a line that announces it, or at the
    beginning.

    Raises:
        ModelReplyError: the text has no such object or statement, the object is cut off, or it says that the
            question can be answered but has no SQL.
    """
    answer = _without_reasoning(text)
    if not answer.strip():
        raise ModelReplyError("the model's reply was empty", hint=_ASK_FOR_JSON_HINT)
    replies = list(_replies_in(answer))
    if replies:
        return _to_reply(replies[-1])
    statements = _SQL_FENCE.findall(answer) or list(filter(is_one_statement, _PLAIN_FENCE.findall(answer)))
    if not statements and "```" not in answer:
        statements = _bare_statements(answer) or _announced_statements(answer)
    distinct = list({words_of(each): each for each in reversed(statements)}.values())
    if len(distinct) == 1:
        return _to_reply(_LooseReply(sql=distinct[0]))
    raise ModelReplyError("the model's reply contains no JSON object with SQL", hint=_ASK_FOR_JSON_HINT)


def last_object(text: str) -> dict[str, Any]:
    """Return the last JSON object in a reply, without thoughts and the text around it.

    Raises:
        ModelReplyError: there is none.
    """
    objects = [each for each in _json_objects_in(_without_reasoning(text)) if isinstance(each, dict)]
    if not objects:
        raise ModelReplyError("the model's reply contains no JSON object", hint=_ASK_FOR_JSON_HINT)
    return objects[-1]


def _bare_statements(answer: str) -> list[str]:
    """Return the text without label and marks if PostgreSQL's grammar parses it as one statement, or []."""
    statement = answer.strip()
    if is_one_statement(statement):
        return [statement]
    *_, labelled = _SQL_LABEL.split(_QUESTION.sub("", statement), maxsplit=1)
    statement = _AFTER_SQL.sub("", labelled).strip()
    if wrapped := _WRAPPER.match(statement):
        statement = wrapped[1]
    return [statement] if is_one_statement(statement) else []


def _announced_statements(answer: str) -> list[str]:
    """Return the statement after the only line that announces one; prose may surround them.

    Without such a line, the reply may begin with the statement, and continue with prose after an empty line.
    """
    announcements = list(itertools.islice(_ANNOUNCEMENT.finditer(answer), 2))
    if not announcements:
        return _statements_between("", answer.lstrip(), _PARAGRAPH_END)
    if len(announcements) > 1:
        return []
    before, after = answer[: announcements[0].start()], answer[announcements[0].end() :]
    return _statements_between(before, after.lstrip(), _STATEMENT_END)


def _statements_between(before: str, after: str, end: re.Pattern[str]) -> list[str]:
    """Return the statement that `after` begins with.

    Returns several candidates if the statement's end is ambiguous, and [] if the prose also contains SQL.
    """
    ends = [found.end() for found in itertools.islice(end.finditer(after), _MAX_STATEMENT_ENDS)]
    found = {after[:end].strip(): after[end:] for end in ends if is_one_statement(after[:end].strip())}
    prose = [part for text in (before, *found.values()) for part in _PARAGRAPH_END.split(text)]
    has_other_sql = any(";" in rest for rest in found.values()) or any(map(is_one_statement, prose))
    return [] if has_other_sql else list(found)


def _without_reasoning(text: str) -> str:
    text = _END_TOKEN.sub("", _final_channel(text).lstrip("\ufeff"))
    for end_mark in _OTHER_REASONING_ENDS:
        text = text.rpartition(end_mark)[2]
    # Some chat templates put the thought's opening tag into the prompt, so the reply has only the end tag.
    end = _REASONING_END.search(text)
    if end and not _REASONING_START.search(text, 0, end.start()):
        text = text[end.end() :]
    return _REASONING.sub("", text)


def _final_channel(text: str) -> str:
    """Return the last final channel of a reply in the harmony format; any other text unchanged."""
    if "<|channel|>" not in text:
        return text
    *before, final = _FINAL_CHANNEL.split(text)
    answer = final if before else text
    return _CONTROL_TOKEN.sub("", _OTHER_CHANNEL.sub("", answer))


def _replies_in(text: str) -> Iterator[_LooseReply]:
    for candidate in _json_objects_in(text):
        for found in _nested(candidate):
            try:
                reply = msgspec.convert(found, _LooseReply, strict=False)
            except msgspec.ValidationError:
                continue
            if reply.sql is not None or reply.answerable is not None:
                yield reply
                break


def _nested(candidate: Any) -> Iterator[dict[str, Any]]:
    """Yield the object, with its SQL as the member `sql`, and then each member that is an object.

    A tool call or a wrapper has the reply in a member. The names of all members are in lower case.
    """
    if not isinstance(candidate, dict):
        return
    folded = {str(name).lower(): value for name, value in candidate.items()}
    for name in _SQL_NAMES:
        if isinstance(folded.get(name), str) and is_one_statement(folded[name]):
            folded.setdefault("sql", folded[name])
    yield folded
    for value in list(candidate.values())[:_MAX_MEMBERS]:
        if isinstance(value, dict):
            yield {str(name).lower(): member for name, member in value.items()}


def _json_objects_in(text: str) -> Iterator[Any]:
    """Yield the objects in a text, but none from inside a reply that is not valid JSON.

    Raises:
        ModelReplyError: a reply is cut off, so an object inside it may not be the answer.
    """
    # strict=False allows unescaped line breaks in strings, as small models write them.
    decoder = json.JSONDecoder(strict=False)
    position = text.find("{")
    for _ in range(_MAX_OBJECT_ATTEMPTS):
        if position < 0:
            return
        end = position + 1
        for decode in (decoder.raw_decode, read_object):
            try:
                value, end = decode(text, position)
            except (ValueError, RecursionError):
                continue
            yield value
            break
        else:
            if _REPLY_START.match(text, position):
                end = _end_of_object(text, position)
        position = text.find("{", end)


def _end_of_object(text: str, position: int) -> int:
    """Return the end of an object that is not valid JSON.

    Raises:
        ModelReplyError: the object has no end.
    """
    depth = 0
    for found in _STRING_OR_BRACE.finditer(text, position):
        depth += (found[0] == "{") - (found[0] == "}")
        if depth == 0:
            return found.end()
    raise ModelReplyError("the model's reply contains no JSON object that ends", hint=_ASK_FOR_JSON_HINT)


def _to_reply(loose: _LooseReply) -> SqlReply:
    sql = _without_fence(loose.sql or "")
    answerable = bool(sql) if loose.answerable is None else loose.answerable
    if answerable and not sql:
        raise ModelReplyError("the model's reply contains no SQL", hint=_ASK_FOR_JSON_HINT)
    if not answerable:
        reason = (loose.reason or "").strip() or "the model gave no reason"
        return SqlReply("", _as_texts(loose.assumptions), False, reason, (loose.follow_up or "").strip())
    stated, sql = _split_comments(sql)
    assumptions = tuple(dict.fromkeys((*stated, *_as_texts(loose.assumptions))))
    usual = Reading(_as_title(assumptions[0]) if assumptions else _USUAL_TITLE, sql)
    return SqlReply(sql, assumptions, readings=_distinct([usual, *_other_readings(loose.readings)]))


def _split_comments(sql: str) -> tuple[tuple[str, ...], str]:
    """Return the lines of the comment at the beginning of a statement, and the statement without it."""
    found = _LEADING_COMMENTS.match(sql)
    statement = sql[found.end() :] if found else ""
    if found is None or not statement:
        return (), sql
    lines = (line.strip().lstrip("-").strip() for line in found[1].splitlines())
    return tuple(line for line in lines if line), statement


def _other_readings(given: Any) -> Iterator[Reading]:
    """Yield the valid readings, which have a title and one statement; an item may be a text or an object."""
    for item in given if isinstance(given, list) else ():
        match item:
            case str(text):
                comments, sql = _split_comments(_without_fence(text))
                title = comments[0] if comments else ""
            case {"title": str(title), "sql": str(text)}:
                _, sql = _split_comments(_without_fence(text))
            case _:
                continue
        if _as_title(title) and is_one_statement(sql):
            yield Reading(_as_title(title), sql)


def _as_title(text: str) -> str:
    return shorten(" ".join(drop_invisible(text).split()), MAX_TITLE_CHARACTERS)


def _distinct(readings: list[Reading]) -> tuple[Reading, ...]:
    """Return the readings without repeated titles or SQL, in order; () if only one is left."""
    kept: dict[tuple[str, ...], Reading] = {}
    for reading in readings:
        titles = {each.title.casefold() for each in kept.values()}
        if reading.title.casefold() not in titles:
            kept.setdefault(words_of(reading.sql), reading)
    return tuple(kept.values())[:MAX_READINGS] if len(kept) > 1 else ()


def _without_fence(sql: str) -> str:
    fenced = _WHOLE_FENCE.fullmatch(sql)
    return (fenced[1] if fenced else sql).strip()


def _as_texts(value: list[str] | str | None) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value or []
    return tuple(text.strip() for text in texts if text.strip())
