"""Tests at startup that the guards work in this interpreter, with the installed packages.

A regular expression, a library or a compiled parser may behave differently here than in the tests, and let a
write pass unnoticed. A few texts with known results detect that.
"""

from functools import cache
from typing import Final

from pgmcp.errors import GuardFailedError, SqlRejectedError
from pgmcp.validation import grammar
from pgmcp.validation.body import BodyText
from pgmcp.validation.lexer import tokenize

_TOKENS_BY_TEXT: Final = {
    "-/* x */a": ["-", "a"],
    "a /* b /* c */ d */ (-- e\n)": ["a", "(", ")"],
    "'it''s'||E'\\'' || $a$ '$$ $a$": ["'it''s'", "||", "E'\\''", "||", "$a$ '$$ $a$"],
    'U&"a""b" "c"': ['U&"a""b"', '"c"'],
}
_BODY: Final = (
    "select log_it /* or /* not */ */ (), \"Log\" -- why\n(1) === 2, '/*' || hide /* */ (2) || '*/'"
)
_READ: Final = "SELECT a FROM t WHERE b = 1"
_WRITES: Final = ("DELETE FROM t", "WITH x AS (DELETE FROM t RETURNING a) SELECT a FROM x")

_HINT: Final = (
    "pgmcp runs no statement while the self-test fails: install pgmcp into a new environment with the "
    "versions in its pyproject.toml, or use another version of Python"
)


@cache
def check_parsers() -> None:
    """Check the lexer, the reader of function bodies and PostgreSQL's grammar; takes under a millisecond.

    Raises:
        GuardFailedError: one of them gives a wrong result.
    """
    for text, expected in _TOKENS_BY_TEXT.items():
        if [token.text for token in tokenize(text)] != expected:
            raise GuardFailedError("the SQL lexer", hint=_HINT)
    body = BodyText(f"CREATE FUNCTION f() AS $f${_BODY}$f$", "sql")
    if body.hides_calls or not {("", "log_it"), ("", "Log"), ("", "hide")} <= body.calls:
        raise GuardFailedError("the reader of function bodies", hint=_HINT)
    if not {"===", "||"} <= body.symbols:
        raise GuardFailedError("the reader of function bodies", hint=_HINT)
    kinds = [grammar.parse(text)[0].kind for text in (_READ, _WRITES[0])]
    if kinds != ["SelectStmt", "DeleteStmt"]:
        raise GuardFailedError("PostgreSQL's grammar (postgast)", hint=_HINT)


@cache
def check_second_grammar() -> None:
    """Check that sqlglot accepts a read and refuses writes; the first call loads it.

    Raises:
        GuardFailedError: sqlglot gives a wrong result, or cannot be loaded.
    """
    try:
        from pgmcp.validation import second_opinion  # slow to import, so not before it is needed

        second_opinion.require_read(_READ)
    except Exception as error:
        raise GuardFailedError(f"the second grammar (sqlglot): {type(error).__name__}", hint=_HINT) from error
    for write in _WRITES:
        try:
            second_opinion.is_read(write)
        except SqlRejectedError:
            continue
        raise GuardFailedError("the second grammar (sqlglot)", hint=_HINT)
