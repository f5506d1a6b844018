"""Splits SQL into tokens by the lexical rules of PostgreSQL, without recursion.

The lexer follows `src/backend/parser/scan.l` closely. Otherwise a text could hide code from the limits in
what only looks like a string or a comment. `pgmcp.validation.bounds` counts the tokens. The grammar splits
the text again by itself.
"""

import re
from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple

from pgmcp.errors import SqlRejectedError

MAX_COMMENT_DEPTH = 32


class TokenKind(Enum):
    """Kinds of tokens that the limits distinguish."""

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


# PostgreSQL accepts all characters beyond ASCII in names, even a no-break space.
_LETTER = r"A-Za-z_\x80-\U0010ffff"
_SKIPPED = r"(?:[ \t\n\r\f\v]++|--[^\n\r]*+)*"
_LINE_BREAK_NEXT = r"(?=[ \t\f\v]*+(?:--[^\n\r]*+)?[\n\r])"
# A closing quotation mark is never followed by another one, so the pattern does not backtrack.
_STRING_BODY = r"(?:[^']++|'')*'(?!')"
_ESCAPE_BODY = r"(?:[^'\\]++|\\.|'')*'(?!')"
_NAME_BODY = r'(?:[^"]++|"")*"(?!")'

# The time must be proportional to the length, even for hostile text: repetition of single characters is
# possessive (++, *+), and after a repeated group only one continuation can match. Repetition of a group is
# never possessive, because CPython before 3.11.5 matches that wrongly
# (https://github.com/python/cpython/issues/106052).
_TOKEN = re.compile(
    rf"""
    {_SKIPPED}(?:
      # A string that goes on after a line break keeps its escapes. Without a line break, a new string begins.
      (?P<escape_string>[eE]'{_ESCAPE_BODY}(?:{_LINE_BREAK_NEXT}{_SKIPPED}'{_ESCAPE_BODY})*)
    | (?P<STRING>(?:[bBxXnN]|[uU]&)?'{_STRING_BODY})
    | (?P<unfinished_string>(?:[eEbBxXnN]|[uU]&)?')
    | (?P<QUOTED_NAME>(?:[uU]&)?"{_NAME_BODY})
    | (?P<unfinished_name>(?:[uU]&)?")
    | (?P<WORD>[{_LETTER}][{_LETTER}0-9$]*+)
    | (?P<block_comment>/\*)
    | (?P<OPERATOR>::|(?:(?!--|/\*)[-+*/<>=~!@\#%^&|`?])+)
    | (?P<assignment>:=)
    | (?P<NUMBER>\.?[0-9][0-9A-Za-z_.]*+)
    | (?P<dollar_quote>\$(?:[{_LETTER}][{_LETTER}0-9]*+)?\$)
    | (?P<PARAMETER>\$[0-9]++)
    | (?P<PUNCTUATION>.)
    | (?P<end>\Z)  # without it, spaces at the end of the text would be tried again as other tokens
    )
    """,
    re.VERBOSE | re.DOTALL,
)
_NOT_STANDARD = re.compile(r"[~!@#^&|`?%]")
_ESCAPED_QUOTE = re.compile(r"(?<!\\)(?:\\\\)*\\'")
_MAX_CHANGED_STRINGS = 20
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_KIND_BY_GROUP = {kind.name: kind for kind in TokenKind} | {"escape_string": TokenKind.STRING}


def tokenize(sql: str) -> Iterator[Token]:
    """Yield the tokens of a text in order, without spaces and comments.

    Raises:
        SqlRejectedError: a string, quoted name or comment has no end, or comments are nested too deeply.
    """
    position = 0
    while match := _TOKEN.match(sql, position):
        group = match.lastgroup or ""
        start, position = match.span(group)
        if group == "OPERATOR" and match[group][-1] in "+-":
            yield from _split_operators(match[group], start)
        elif kind := _KIND_BY_GROUP.get(group):
            yield Token(kind, match[group], start)
        elif group == "assignment":  # as in PL/pgSQL, never the beginning of a longer operator
            yield Token(TokenKind.PUNCTUATION, ":", start)
            yield Token(TokenKind.OPERATOR, "=", start + 1)
        elif group == "block_comment":
            position = _end_of_comment(sql, start)
        elif group == "dollar_quote":
            position = _end_of_dollar_quote(sql, start, match[group])
            yield Token(TokenKind.STRING, sql[start:position], start)
        elif group == "end":
            return
        else:
            raise _refusal(group, sql, start)


def _split_operators(run: str, start: int) -> Iterator[Token]:
    """Yield the operators in a run of operator characters that ends with `+` or `-`.

    An operator of several characters may end with `+` or `-` only if it has a character that no operator of
    standard SQL has: `@-` is one operator, and `=-` is two.
    """
    first = len(run) if _NOT_STANDARD.search(run) else max(1, len(run.rstrip("+-")))
    yield Token(TokenKind.OPERATOR, run[:first], start)
    for place in range(first, len(run)):
        yield Token(TokenKind.OPERATOR, run[place], start + place)


def string_content(string: str) -> str:
    """Return the text between a string's quotes; in E'', backslashes are removed, and escapes not decoded."""
    if string.startswith("$"):
        delimiter = string[: string.index("$", 1) + 1]
        return string[len(delimiter) : -len(delimiter)]
    quoted = string[string.index("'") + 1 : -1].replace("''", "'")
    return re.sub(r"\\(.)", r"\1", quoted) if string[0] in "eE" else quoted


def depends_on_escapes(sql: str) -> bool:
    """Return whether a text is readable, but has other strings, if backslashes escape in plain ones.

    This is so with standard_conforming_strings = off, if a backslash is before a quotation mark.
    """
    if not _ESCAPED_QUOTE.search(sql):
        return False
    is_other = False
    for _ in range(_MAX_CHANGED_STRINGS):
        try:
            changed = next((each for each in tokenize(sql) if _escapes_a_quote(each)), None)
            if changed is None:
                return is_other
        except SqlRejectedError:
            return False
        is_other = True
        place = changed.start + changed.text.index("'")
        sql = f"{sql[:place]} E{sql[place:]}"
    return True


def _escapes_a_quote(token: Token) -> bool:
    return token.text.startswith(("'", "n'", "N'")) and bool(_ESCAPED_QUOTE.search(token.text))


def _end_of_comment(sql: str, start: int) -> int:
    """Return where a block comment ends; it may contain other comments."""
    depth = 0
    for edge in _COMMENT_EDGE.finditer(sql, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth > MAX_COMMENT_DEPTH:
            raise SqlRejectedError(
                f"comments are nested more than {MAX_COMMENT_DEPTH} levels deep",
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
    return SqlRejectedError(
        f"a {group.removeprefix('unfinished_')} is not closed",
        hint="close it; the statement may have been cut off",
        offending=sql[start : start + 20],
        position=start,
    )


def words_of(sql: str) -> tuple[str, ...]:
    """Return the tokens of a statement, without comments and with unquoted words in lower case.

    A text that cannot be split into tokens is returned as a single item.
    """
    try:
        tokens = [token for token in tokenize(sql) if token.text != ";"]
    except SqlRejectedError:
        return (sql,)
    return tuple(token.text.lower() if token.kind is TokenKind.WORD else token.text for token in tokens)
