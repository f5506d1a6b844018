r"""Splits the input of a person into SQL, questions and commands.

    \dt                      a command: one line that begins with a backslash
    select 1;                SQL: begins with an SQL keyword, ends with a semicolon, may have many lines
    select 1 \gx             the same; a line that ends with \g or \gx ends SQL, as in psql
    How many orders?         a question: everything else; one line
    ? select the best month  a question, because it begins with "?"
    Show the best month?     a question, because the line ends with "?"

The first word decides, so that a person can predict the kind. Questions often begin with the words SHOW,
EXPLAIN, DO and TABLE. These words begin SQL only if the line ends with ";" or continues like SQL: SHOW with
the name of one setting, EXPLAIN with a statement, DO with a block, TABLE with a name.
"""

import difflib
import re
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from pgmcp.errors import SqlRejectedError
from pgmcp.validation.lexer import Token, TokenKind, tokenize

_READING: Final = ("select", "with", "values", "table", "explain", "show")
# The guard refuses these with the reason; asking a model would be useless.
_WRITING: Final = """
abort alter analyze begin call checkpoint close cluster comment commit copy create deallocate declare
delete discard do drop end execute fetch grant import insert listen load lock merge move notify prepare
reassign refresh reindex release reset revoke rollback savepoint security set start truncate unlisten
update vacuum
"""
KEYWORDS: Final = frozenset((*_READING, *_WRITING.split()))
"""First words of SQL."""

_NAME: Final = r'(?:[\w$.]|"[^"]*")+'
_LOOKS_LIKE_SQL: Final = {
    "show": re.compile(
        rf"\s+(?:{_NAME}|time\s+zone|transaction\s+isolation\s+level|session\s+authorization)\s*;?\s*$",
        re.IGNORECASE,
    ),
    "explain": re.compile(
        r"\s*\(|\s+(?:analyze|verbose|select|with|values|table|insert|update|delete|merge|execute)\b|\s*$",
        re.IGNORECASE,
    ),
    "do": re.compile(r"\s*(?:\$|'|language\b)", re.IGNORECASE),
    "table": re.compile(
        rf"\s+(?:only\s+)?{_NAME}\s*(?:;|$|\b(?:order|limit|offset|fetch|union)\b)", re.IGNORECASE
    ),
}
_OFTEN_MISSPELT: Final = ("select", "with", "values", "table", "explain", "insert", "update", "delete")
"""Without SHOW, because "how" resembles it."""
_NEAR_ENOUGH: Final = 0.75
_END: Final = re.compile(r";|\\gx?[ \t\r;]*(?=\n|$)|\\(?=[A-Za-z?!])")
"""Tokens that may end SQL. PostgreSQL has no use for a backslash outside strings."""
_RUN_AT_END: Final = re.compile(r"\\g(x?)[\s;]*$")
# As in psql, where they need no backslash.
_COMMAND_BY_WORD: Final = {"exit": r"\q", "quit": r"\q", "help": r"\?"}


class InputKind(StrEnum):
    """Kinds of inputs."""

    SQL = "sql"
    QUESTION = "question"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Input:
    r"""One input.

    Attributes:
        text: SQL without its terminator, a question without a "?" in front, a command with its backslash.
        meant: the keyword that the first word of a question resembles, if the question may be SQL; else "".
        as_records: SQL that ends with `\gx`.
        refused: another command that follows SQL on its last line, as in `select 1 \watch`; "" if none does.
        line: the line of the whole text on which the input begins, from 1.
    """

    kind: InputKind
    text: str
    meant: str = ""
    as_records: bool = False
    refused: str = ""
    line: int = field(default=1, compare=False)


def kind_of(text: str) -> InputKind:
    """Return the kind of the first input in a text that is not blank."""
    stripped = text.strip()
    first_line = stripped.partition("\n")[0].rstrip()
    if first_line.startswith("\\") or first_line.rstrip(";").lower() in _COMMAND_BY_WORD:
        return InputKind.COMMAND
    if first_line.startswith("?") or first_line.endswith("?"):
        return InputKind.QUESTION
    word = _first_word(stripped)
    if word is None or word.text.lower() not in KEYWORDS:
        return InputKind.SQL if stripped.startswith(("(", "--", "/*")) else InputKind.QUESTION
    looks_like_sql = _LOOKS_LIKE_SQL.get(word.text.lower())
    following = stripped[word.start + len(word.text) :].partition("\n")[0].rstrip()
    ends = following.endswith(";") or _RUN_AT_END.search(following)
    if looks_like_sql is None or ends or looks_like_sql.match(following):
        return InputKind.SQL
    return InputKind.QUESTION


def find_misspelt_keyword(text: str) -> str:
    """Return the keyword that the first word of a question resembles, if the question ends like SQL."""
    word = _first_word(text)
    if word is None or not text.rstrip().endswith(";"):
        return ""
    near = difflib.get_close_matches(word.text.lower(), _OFTEN_MISSPELT, n=1, cutoff=_NEAR_ENOUGH)
    return near[0] if near and near[0] != word.text.lower() else ""


def _first_word(text: str) -> Token | None:
    """Return the first token after any "("; None if there is none, or a comment is not closed."""
    try:
        return next((token for token in tokenize(text) if token.text != "("), None)
    except SqlRejectedError:
        return None


def split(text: str, *, is_whole: bool = False) -> tuple[list[Input], str]:
    """Return the complete inputs of a text, and the rest, whose end is missing.

    Args:
        is_whole: nothing follows, so the end of the text also ends a statement.
    """
    inputs: list[Input] = []
    rest = text.lstrip("; \t\r\n\f\v")
    while rest:
        kind = kind_of(rest)
        length, command = _sql_end(rest) if kind is InputKind.SQL else (_line_length(rest), None)
        if length is None and not is_whole and _has_tokens(rest):
            return inputs, rest
        piece = rest[:length]
        if kind is not InputKind.SQL or _has_tokens(piece):
            line = text.count("\n", 0, len(text) - len(rest)) + 1
            inputs.append(_read(kind, piece, line, has_ended=length is not None, command=command))
        rest = rest[len(piece) :].lstrip("; \t\r\n\f\v")
    return inputs, ""


def _read(kind: InputKind, piece: str, line: int, *, has_ended: bool, command: int | None) -> Input:
    r"""Return the input of a piece of text.

    Args:
        has_ended: the end of the statement was found, which may be `\g` or `\gx`.
        command: where another command begins; None if none ends the SQL.
    """
    if kind is InputKind.SQL and command is not None:
        return Input(kind, _cleaned(kind, piece[:command]), refused=piece[command:].strip(), line=line)
    if kind is InputKind.SQL:
        run = _RUN_AT_END.search(piece) if has_ended else None
        sql = piece[: run.start()] if run else piece
        return Input(kind, _cleaned(kind, sql), as_records=bool(run and run[1]), line=line)
    may_be_sql = kind is InputKind.QUESTION and not piece.startswith("?")
    meant = find_misspelt_keyword(piece) if may_be_sql else ""
    return Input(kind, _cleaned(kind, piece), meant, line=line)


def is_complete(text: str) -> bool:
    """Return whether Enter should run the text."""
    return not split(text)[1]


def _line_length(text: str) -> int:
    end = text.find("\n")
    return len(text) if end < 0 else end


def _sql_end(text: str) -> tuple[int | None, int | None]:
    r"""Return the length of the first statement and its terminator, and where a command other than \g begins.

    The length is None if the statement has not ended.
    """
    for end in _END.finditer(text):
        last = _last_token(text[: end.start() + 1])
        if last is not None and last.kind is TokenKind.PUNCTUATION and last.start == end.start():
            if end[0] == "\\":
                return end.start() + _line_length(text[end.start() :]), end.start()
            return end.end(), None
    return None, None


def _last_token(text: str) -> Token | None:
    """Return the last token; None if a string, a name or a comment is not closed."""
    try:
        last = deque(tokenize(text), maxlen=1)
    except SqlRejectedError:
        return None
    return last[0] if last else None


def _has_tokens(sql: str) -> bool:
    """Return whether the text is more than comments."""
    try:
        return any(token.text != ";" for token in tokenize(sql))
    except SqlRejectedError:
        return True


def _cleaned(kind: InputKind, piece: str) -> str:
    text = piece.strip()
    match kind:
        case InputKind.SQL:
            return text.removesuffix(";").rstrip()
        case InputKind.QUESTION:
            return text.removeprefix("?").strip()
        case _:
            return _COMMAND_BY_WORD.get(text.rstrip(";").lower(), text)
