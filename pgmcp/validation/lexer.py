"""The lexical rules of PostgreSQL, without recursion: what is a word, a string, a comment.

Follows `src/backend/parser/scan.l` closely enough that no text can hide code
from the bounds in what this lexer takes for a string or a comment. It decides
nothing about meaning; `pgmcp.validation.bounds` counts its tokens, and the
real grammar reads the text again by itself.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from pgmcp.errors import SqlRejectedError

MAX_COMMENT_DEPTH = 32


class TokenKind(Enum):
    """What a token is, as far as counting needs it."""

    WORD = auto()
    PUNCTUATION = auto()
    OPERATOR = auto()
    STRING = auto()
    NUMBER = auto()
    QUOTED_NAME = auto()
    PARAMETER = auto()


class Token(NamedTuple):
    """A token and the 0-based character offset at which it starts."""

    kind: TokenKind
    text: str
    start: int


_SPACE = r"[ \t\n\r\f\v]"
_SKIPPED = rf"(?:{_SPACE}++|--[^\n\r]*+)*+"
# Letters beyond ASCII are letters of names to PostgreSQL, a no-break space included.
_LETTER = r"A-Za-z_\x80-\U0010ffff"
_ESCAPE_BODY = r"[^'\\]*+(?:(?:\\.|'')[^'\\]*+)*+'"

# Possessive repetition (++, *+) everywhere: nothing is tried twice, so hostile
# text costs time in proportion to its length.
_TOKEN = re.compile(
    rf"""
    {_SKIPPED}(?:
      # A string that goes on after a line break keeps its escapes.
      (?P<escape_string>[eE]'{_ESCAPE_BODY}(?:{_SKIPPED}'{_ESCAPE_BODY})*+)
    | (?P<STRING>(?:[bBxXnN]|[uU]&)?'[^']*+(?:''[^']*+)*+')
    | (?P<unfinished_string>(?:[eEbBxXnN]|[uU]&)?')
    | (?P<unicode_name>[uU]&")
    | (?P<WORD>[{_LETTER}][{_LETTER}0-9$]*+)
    | (?P<block_comment>/\*)
    | (?P<OPERATOR>::|(?:(?!--|/\*)[-+*/<>=~!@\#%^&|`?])++)
    | (?P<NUMBER>\.?[0-9][0-9A-Za-z_.]*+)
    | (?P<QUOTED_NAME>"[^"]*+(?:""[^"]*+)*+")
    | (?P<unfinished_name>")
    | (?P<dollar_quote>\$(?:[{_LETTER}][{_LETTER}0-9]*+)?+\$)
    | (?P<PARAMETER>\$[0-9]++)
    | (?P<PUNCTUATION>.)
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_KIND_BY_GROUP = {kind.name: kind for kind in TokenKind} | {"escape_string": TokenKind.STRING}


def tokenize(sql: str) -> Iterator[Token]:
    """Yield the tokens of a text in order, without spaces and comments.

    Raises:
        SqlRejectedError: if a string, quoted name or comment never ends, comments
            nest too deep, or a name is written with Unicode escapes.
    """
    position = 0
    while match := _TOKEN.match(sql, position):
        group = match.lastgroup or ""
        start, position = match.span(group)
        if kind := _KIND_BY_GROUP.get(group):
            yield Token(kind, match[group], start)
        elif group == "block_comment":
            position = _end_of_comment(sql, start)
        elif group == "dollar_quote":
            position = _end_of_dollar_quote(sql, start, match[group])
            yield Token(TokenKind.STRING, sql[start:position], start)
        else:
            raise _refusal(group, sql, start)


def _end_of_comment(sql: str, start: int) -> int:
    """Return where a block comment ends; they nest."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth > MAX_COMMENT_DEPTH:
            raise SqlRejectedError(
                f"comments nest deeper than {MAX_COMMENT_DEPTH}",
                hint="leave the comments out",
                position=start,
            )
        if depth == 0:
            return edge.end()
    raise _refusal("unfinished_comment", sql, start)


def _end_of_dollar_quote(sql: str, start: int, delimiter: str) -> int:
    end = sql.find(delimiter, start + len(delimiter))
    if end < 0:
        raise _refusal("unfinished_string", sql, start)
    return end + len(delimiter)


def _refusal(group: str, sql: str, start: int) -> SqlRejectedError:
    if group == "unicode_name":
        return SqlRejectedError(
            'names written with Unicode escapes (U&"...") are not accepted',
            hint="write the name itself, in plain double quotes if it needs quoting",
            offending=sql[start : start + 3],
            position=start,
        )
    return SqlRejectedError(
        f"a {group.removeprefix('unfinished_')} is opened and never closed",
        hint="close it; the statement may have been cut off",
        offending=sql[start : start + 20],
        position=start,
    )
