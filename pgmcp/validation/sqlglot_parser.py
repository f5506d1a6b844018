"""Bounds sqlglot's parser for PostgreSQL, and adds short cuts that give the same tokens and trees.

On nested arrays and types, sqlglot's parser backtracks exponentially often. The number of its steps back is
limited here. There are two short cuts:

- sqlglot's tokenizer looks at every character. For a text without comments, escapes and the like, one regular
  expression takes a quarter of the time.
- An operand without operators, such as `o.total` before a comma, is not parsed through a dozen levels of
  operators.

Tests compare the results of the short cuts with sqlglot's own.

Import this module late: sqlglot takes a few hundred milliseconds to load.
"""

import re
from collections.abc import Callable
from typing import Final

from pgmcp.validation.sqlglot_source import load_from_source

load_from_source()  # before the first import of sqlglot

from sqlglot import exp  # noqa: E402
from sqlglot.dialects.postgres import Postgres  # noqa: E402
from sqlglot.parsers.postgres import PostgresParser  # noqa: E402
from sqlglot.tokenizer_core import Token, TokenType  # noqa: E402

MAX_STEPS_BACK: Final = 5_000

_DIALECT: Final = Postgres()
_TOKENIZER: Final = Postgres.Tokenizer

_UNUSUAL_SYNTAX: Final = re.compile(r"""[^\t\n\r -~]|[$;\\{}@`]|--|/\*|&['"]""")
"""Syntax that the short cut does not support: escapes, comments, parameters, Jinja, U&''."""


def _spelled(keyword: str) -> str:
    return r"\s+".join(map(re.escape, keyword.split(" ")))


_KEYWORDS: Final = _TOKENIZER.KEYWORDS
_SINGLE: Final = _TOKENIZER.SINGLE_TOKENS
_OF_WORDS: Final = [each for each in _KEYWORDS if " " in each]
_OF_SIGNS: Final = sorted(
    (each for each in _KEYWORDS if not each[0].isalnum() and " " not in each), key=len, reverse=True
)
_TOKEN: Final = re.compile(
    rf"""\s*(?:
      (?P<words>(?i:{"|".join(map(_spelled, _OF_WORDS))})(?!\w))
    | (?P<word>[A-Za-z_]\w*+)(?!')
    | (?P<number>[0-9]+(?:\.[0-9]+)?(?![\w.]))
    | (?P<string>'(?:[^']++|'')*'(?!'))
    | (?P<name>"[^"]*"(?!"))
    | (?P<sign>{"|".join(map(re.escape, _OF_SIGNS))})
    | (?P<single>[{re.escape("".join(_SINGLE.keys() - set("'`" + '"$')))}])
    | (?P<end>\Z)
    )""",
    re.VERBOSE | re.ASCII,
)
_COMMANDS: Final = _TOKENIZER.COMMANDS


def keywords() -> dict[str, TokenType]:
    """Return the keywords that the tokenizer knows, in upper case."""
    return _KEYWORDS


def tokenize(sql: str) -> list[Token]:
    """Return the tokens of a text."""
    tokens = None if _UNUSUAL_SYNTAX.search(sql) else _tokenize_plain(sql)
    return _DIALECT.tokenize(sql) if tokens is None else tokens


def _tokenize_plain(sql: str) -> list[Token] | None:
    """Return the tokens of a text without unusual syntax; None if it has some.

    Their lines and columns, which only sqlglot's messages show, are left out.
    """
    tokens: list[Token] = []
    end = 0
    for match in _TOKEN.finditer(sql):
        if match.start() != end:
            return None
        kind = match.lastgroup or ""
        start, end = match.span(kind)
        text = sql[start:end]
        if kind == "word":
            token_type = _KEYWORDS.get(text.upper(), TokenType.VAR)
            if token_type in _COMMANDS:
                return None
        elif kind == "single":
            token_type = _SINGLE[text]
        elif kind == "end":
            break
        else:
            token_type, text = _READ_BY_KIND[kind](text)
        tokens.append(Token(token_type, text, 1, 1, start, end - 1))
    return tokens if end == len(sql) else None


def _read_keyword(text: str) -> tuple[TokenType, str]:
    spelled = " ".join(text.upper().split())
    return _KEYWORDS[spelled], spelled


_READ_BY_KIND: Final[dict[str, Callable[[str], tuple[TokenType, str]]]] = {
    "words": _read_keyword,
    "sign": _read_keyword,
    "number": lambda text: (TokenType.NUMBER, text),
    "string": lambda text: (TokenType.STRING, text[1:-1].replace("''", "'")),
    "name": lambda text: (TokenType.IDENTIFIER, text[1:-1]),
}


class BoundedParser(PostgresParser):
    """Parses one statement; use a new parser for each statement."""

    def __init__(self) -> None:
        super().__init__(dialect=_DIALECT)
        self._steps_back_left = MAX_STEPS_BACK

    def _retreat(self, index: int) -> None:
        self._steps_back_left -= 1
        if self._steps_back_left < 0:
            raise StepLimitError
        if index != self._index:
            self._advance(index - self._index)

    def _parse_disjunction(self) -> exp.Expr | None:
        # sqlglot would look for an expression first, a dozen levels deep.
        if self._curr.token_type in _QUERY_STARTS:
            return None
        return self._parse_lone_operand(_AFTER_EXPRESSION) or super()._parse_disjunction()

    def _parse_bitwise(self) -> exp.Expr | None:
        return self._parse_lone_operand(_AFTER_OPERAND) or super()._parse_bitwise()

    def _parse_lone_operand(self, ends: frozenset[TokenType]) -> exp.Expr | None:
        """Return a number, a string, `name` or `name.name` if one of `ends` follows; else None."""
        token_type, next_type = self._curr.token_type, self._next.token_type
        if token_type in _LITERALS:
            is_alone = next_type in ends
        elif token_type in _NAMES:
            is_alone = next_type in ends or (next_type == TokenType.DOT and self._is_name_after_dot(ends))
        else:
            is_alone = False
        return self._parse_atom() if is_alone else None

    def _is_name_after_dot(self, ends: frozenset[TokenType]) -> bool:
        at = self._index + 2
        if at >= self._tokens_size or self._tokens[at].token_type not in _NAMES:
            return False
        return (
            TokenType.SENTINEL if at + 1 == self._tokens_size else self._tokens[at + 1].token_type
        ) in ends


class StepLimitError(Exception):
    """The parser stepped back too often."""


_QUERY_STARTS: Final = frozenset({TokenType.SELECT, TokenType.WITH})
_LITERALS: Final = frozenset({TokenType.NUMBER, TokenType.STRING})
_NAMES: Final = frozenset({TokenType.VAR, TokenType.IDENTIFIER})

# Tokens that end an operand at every level of operators, and at the levels below comparisons.
_AFTER_EXPRESSION: Final = frozenset(
    {TokenType.SENTINEL, TokenType.COMMA, TokenType.R_PAREN, TokenType.FROM, TokenType.ALIAS, TokenType.THEN}
    | {TokenType.WHERE, TokenType.GROUP_BY, TokenType.ORDER_BY, TokenType.HAVING, TokenType.ON}
)
_AFTER_OPERAND: Final = _AFTER_EXPRESSION | {
    *(TokenType.AND, TokenType.OR, TokenType.EQ, TokenType.NEQ, TokenType.GTE, TokenType.LTE),
    *(TokenType.IN, TokenType.IS, TokenType.LIKE, TokenType.ILIKE, TokenType.BETWEEN, TokenType.NOT),
}
