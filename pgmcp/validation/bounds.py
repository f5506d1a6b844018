"""Checks the size and depth of a text before the parsers read it.

A hostile text can crash both parsers. For example, a sum of a few thousand terms makes libpg_query end the
process, because libpg_query prints its tree by recursion. In a measurement with libpg_query 18, a stack of
256 KB was enough for trees of 1,000 levels, about four times `MAX_DEPTH`.
"""

import re

from pgmcp.errors import SqlRejectedError
from pgmcp.validation.lexer import Token, TokenKind, tokenize

MAX_BYTES = 64 * 1024
MAX_TOKENS = 16_000
_BYTE_ORDER_MARK = "\ufeff"

MAX_DEPTH = 256
"""Maximum estimated number of levels of the syntax tree: a bracket or CASE counts 4, an operator 1."""

_BRACKET_LEVELS = 4
_BRACKETS = {")": "(", "]": "["}

# Tokens that only the lexer can distinguish: comments, escapes, dollar quotes, parameters, letters beyond
# ASCII.
_NEEDS_LEXER = re.compile(r"[^\t\n\r -~]|[$\\]|--|/\*")
_QUOTED = re.compile(r"""'[^']*'|"[^"]*\"""")
_PIECE = re.compile(r"\w+|[^\w\s]", re.ASCII)
_BRACKET = re.compile(r"[()\[\]]")

# Each of these words puts the expression before it one level deeper: a lasting word for the rest of the
# bracket, a chaining word for the rest of the expression.
_LASTING_WORDS = frozenset({"union", "intersect", "except", "join", "between"})
_CHAINING_WORDS = frozenset(
    {
        "not",
        "is",
        "isnull",
        "notnull",
        "in",
        "like",
        "ilike",
        "similar",
        "collate",
        "at",
        "operator",
        "overlaps",
    }
)
# After these words, a new expression starts beside the previous one, not inside it.
_RESTARTING_WORDS = frozenset({"and", "or", "select", "where", "on", "when", "then", "else"}) | _LASTING_WORDS


class _Nesting:
    """Estimates the depth of the syntax tree of the tokens read so far.

    A level is an open bracket or CASE. Each level keeps the depth that its own operators add: `lasting` for
    those that chain over the whole level (UNION, JOIN), `chain` for those of the current expression.
    """

    def __init__(self) -> None:
        self._levels: list[tuple[str, int, int, int]] = []  # opener, its offset, outer lasting, outer chain
        self._outer_depth = 0
        self._lasting = 0
        self._chain = 0

    @property
    def depth(self) -> int:
        return self._outer_depth + self._lasting + self._chain

    @property
    def innermost(self) -> str:
        return self._levels[-1][0] if self._levels else ""

    @property
    def unclosed_bracket(self) -> tuple[str, int] | None:
        return next(((opener, at) for opener, at, _, _ in reversed(self._levels) if opener != "case"), None)

    def open(self, opener: str, offset: int) -> None:
        self._levels.append((opener, offset, self._lasting, self._chain))
        self._outer_depth += _BRACKET_LEVELS + self._lasting + self._chain
        self._lasting = self._chain = 0

    def close(self) -> None:
        _, _, self._lasting, self._chain = self._levels.pop()
        self._outer_depth -= _BRACKET_LEVELS + self._lasting + self._chain

    def close_bracket(self, opener: str) -> bool:
        """Close the innermost bracket and every CASE left open in it; False if it does not match."""
        while self.innermost == "case":
            self.close()
        if self.innermost != opener:
            return False
        self.close()
        return True

    def add_word(self, word: str, offset: int) -> None:
        if word in _CHAINING_WORDS:
            self._chain += 1
        elif word in _RESTARTING_WORDS:
            self._chain = 0
            # BETWEEN counts 2: its lower bound may contain NOT, and the AND does not end the level of NOT.
            self._lasting += 2 if word == "between" else word in _LASTING_WORDS
        elif word == "case":
            self.open("case", offset)
        elif word == "end" and self.innermost == "case":
            self.close()

    def add_operator(self, operator: str) -> None:
        # PostgreSQL splits a run like `+-+-` into single signs, each a level of its own.
        self._chain += max(1, operator.count("+") + operator.count("-"))

    def restart_expression(self) -> None:
        self._chain = 0


def trim_and_bound(sql: str) -> tuple[str, int]:
    """Return the statement up to its last token, and its token count or an upper estimate.

    Removes trailing semicolons, spaces and comments, and a leading byte order mark, as psql does. The rest of
    the text is unchanged.

    Raises:
        SqlRejectedError: the text is empty, too long or too deep; contains invalid characters or a parameter
            such as `$1`; starts with a semicolon; or has a bracket, string or comment that does not end.
    """
    sql = sql.removeprefix(_BYTE_ORDER_MARK)
    _check_characters(sql)
    return _trim_shallow(sql) or _trim_exactly(sql)


def _trim_exactly(sql: str) -> tuple[str, int]:
    nesting = _Nesting()
    end = count = 0
    previous = ""
    for token in tokenize(sql):
        count += 1
        if token.text != ";":
            if previous == ";" and not end:
                raise _leading_semicolon()
            end = token.start + len(token.text)
        _weigh(nesting, token, previous)
        previous = token.text
        if count > MAX_TOKENS or nesting.depth > MAX_DEPTH:
            raise _too_complex(nesting.depth, token.start)
    if unclosed := nesting.unclosed_bracket:
        raise _unbalanced(*unclosed)
    if not end:
        raise SqlRejectedError("the statement is empty", hint="write one SELECT statement")
    return sql[:end], count


def _trim_shallow(sql: str) -> tuple[str, int] | None:
    """Return the same as `trim_and_bound` for a plain text that certainly meets the limits; else None.

    Each word and sign counts as a level of the tree, so depth and number of tokens are upper estimates.
    """
    bare = sql.rstrip(" \t\n\r").removesuffix(";").rstrip(" \t\n\r")
    if not bare or ";" in bare or _NEEDS_LEXER.search(bare):
        return None
    code, quoted_count = _QUOTED.subn(" ", bare)
    if "'" in code or '"' in code:
        return None
    lower = code.lower()
    more = (_BRACKET_LEVELS - 1) * (lower.count("case") + code.count("(") + code.count("["))
    more += lower.count("between") + quoted_count
    if len(code) + more > MAX_DEPTH and len(_PIECE.findall(code)) + more > MAX_DEPTH:
        return None
    return (bare, MAX_DEPTH) if _is_balanced(code) else None


def _is_balanced(code: str) -> bool:
    opened: list[str] = []
    for bracket in _BRACKET.findall(code):
        if bracket in "([":
            opened.append(bracket)
        elif not opened or opened.pop() != _BRACKETS[bracket]:
            return False
    return not opened


def _check_characters(sql: str) -> None:
    if "\x00" in sql:
        raise SqlRejectedError(
            "the statement contains a NUL character", hint="leave it out", position=sql.index("\x00")
        )
    try:
        size_bytes = len(sql.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise SqlRejectedError(
            "the statement contains a lone surrogate, which is not a character",
            hint="leave it out",
            position=error.start,
        ) from None
    if size_bytes > MAX_BYTES:
        raise SqlRejectedError(
            f"the statement is {size_bytes} bytes long, more than {MAX_BYTES}",
            hint="shorten it: select by a condition or a join instead of a long list of values",
        )


def _weigh(nesting: _Nesting, token: Token, previous: str) -> None:
    kind, text, start = token
    if kind is TokenKind.WORD:
        if previous != ".":  # `t.end` is a column
            nesting.add_word(text.lower(), start)
    elif kind is TokenKind.PUNCTUATION:
        _weigh_punctuation(nesting, text, start)
    elif kind is TokenKind.OPERATOR:
        nesting.add_operator(text)
    elif kind is TokenKind.PARAMETER:
        raise SqlRejectedError(
            f"the statement has the parameter {text}, which has no value here",
            hint="write the value itself in the statement",
            offending=text,
            position=start,
        )


def _weigh_punctuation(nesting: _Nesting, text: str, offset: int) -> None:
    if text in "([":
        nesting.open(text, offset)
    elif opener := _BRACKETS.get(text):
        if not nesting.close_bracket(opener):
            raise _unbalanced(text, offset)
    elif text == ",":
        nesting.restart_expression()


def _unbalanced(bracket: str, offset: int) -> SqlRejectedError:
    return SqlRejectedError(
        f"the bracket {bracket} at character {offset + 1} has no counterpart",
        hint="balance the brackets; the statement may have been cut off",
        offending=bracket,
        position=offset,
    )


def _leading_semicolon() -> SqlRejectedError:
    # PostgreSQL ignores a leading semicolon, but not inside FROM ( … ), where the worker puts the statement.
    return SqlRejectedError(
        "the statement starts with a semicolon", hint="leave it out", offending=";", position=0
    )


def _too_complex(depth: int, offset: int) -> SqlRejectedError:
    if depth > MAX_DEPTH:
        return SqlRejectedError(
            f"the statement is nested or chained too deeply (more than {MAX_DEPTH} levels)",
            hint="split it: fewer nested subqueries, IN (...) instead of long chains, WITH for the parts",
            position=offset,
        )
    return SqlRejectedError(
        f"the statement has more than {MAX_TOKENS} words and symbols",
        hint="shorten it: select by a condition or a join instead of a long list of values",
        position=offset,
    )
