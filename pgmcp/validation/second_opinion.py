"""Checks with a second grammar, sqlglot, that a text is one query that changes nothing.

This check can only refuse. If sqlglot cannot parse a text that PostgreSQL's own grammar accepts, PostgreSQL's
grammar decides alone. The same holds if sqlglot backtracks too often, as on nested arrays and types: its
parser is stopped at a limit. It also holds for any other exception in sqlglot, which is logged as a warning.

Import this module late: sqlglot takes a few hundred milliseconds to load.
"""

import logging
from collections.abc import Iterator
from typing import Any, Final

from pgmcp.validation.sqlglot_parser import BoundedParser, StepLimitError, tokenize  # isort: split

from sqlglot import exp
from sqlglot.errors import SqlglotError

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import lexer
from pgmcp.validation.outline import outline_of

_MAX_TOKENS = 3_000

_ROOTS = (exp.Query, exp.Values)
_MODIFYING_NODES = (exp.DML, exp.DDL, exp.Into, exp.Lock, exp.Drop, exp.Alter, exp.Command)

_logger = logging.getLogger(__name__)
# sqlglot logs a warning for unknown syntax, with the text of the statement.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


_MAX_OUTLINES = 1_000
_reads: set[str | None] = set()
"""Outlines of statements that sqlglot parsed as one read."""

_NO_OPINION = (SqlglotError, StepLimitError, RecursionError)


def check(sql: str, token_count: int) -> None:
    """Refuse a query that sqlglot does not parse as one read.

    A query with the outline of an earlier read is not parsed again.

    Args:
        sql: the query.
        token_count: number of tokens in the query, or an upper estimate. A query with more than 3,000 tokens
            is not checked.

    Raises:
        SqlRejectedError: sqlglot parses the query as something else.
    """
    if token_count > _MAX_TOKENS:
        return
    outline = outline_of(sql)
    if outline in _reads:
        return
    if is_read(sql) and outline is not None:
        if len(_reads) >= _MAX_OUTLINES:
            _reads.clear()
        _reads.add(outline)


def is_read(sql: str) -> bool:
    """Return whether sqlglot parses a query as one read; False if it cannot parse it.

    Raises:
        SqlRejectedError: sqlglot parses the query as something else.
    """
    try:
        statements = _parse(sql)
    except _NO_OPINION as error:
        _logger.debug("PostgreSQL's grammar decides alone: %s", type(error).__name__)
        return False
    except Exception as error:  # some texts make sqlglot raise TypeError and the like
        _logger.warning(
            "the second grammar failed with %s; PostgreSQL's grammar decided alone", type(error).__name__
        )
        return False
    if other := _other_than_one_read(statements):
        raise SqlRejectedError(
            f"a second grammar parses the statement as {other}",
            hint="write it in plain SQL: one SELECT, without constructs that depend on the dialect",
        )
    return True


def require_read(sql: str) -> None:
    """Raise unless sqlglot parses a statement as one read; for the self-test.

    Raises:
        Exception: any failure, also those of sqlglot that `check` ignores.
    """
    if other := _other_than_one_read(_parse(sql)):
        raise RuntimeError(f"a read is parsed as {other}")


def _parse(sql: str) -> list[exp.Expr | None]:
    plain = _without_unicode_escapes(sql)
    return BoundedParser().parse(tokenize(plain), plain)


def _without_unicode_escapes(sql: str) -> str:
    """Return the text with `U&"name" UESCAPE 'x'` as `"name"`: sqlglot does not know the notation.

    The name itself makes no difference here, so escapes are left as they are.
    """
    if '&"' not in sql:
        return sql
    cuts = []
    tokens = list(lexer.tokenize(sql))
    for at, (kind, text, start) in enumerate(tokens):
        if kind is lexer.TokenKind.QUOTED_NAME and not text.startswith('"'):
            cuts.append((start, start + len("U&")))
            if [token.text.lower() for token in tokens[at + 1 : at + 2]] == ["uescape"]:
                last = tokens[at + 2]
                cuts.append((tokens[at + 1].start, last.start + len(last.text)))
    ends = [0, *(end for _, end in cuts)]
    starts = [*(start for start, _ in cuts), len(sql)]
    return "".join(sql[end:start] for end, start in zip(ends, starts, strict=True))


def _other_than_one_read(statements: list[exp.Expr | None]) -> str:
    """Return what the statements are instead of one read; "" if they are one read."""
    if len(statements) != 1:
        return f"{len(statements)} statements"
    (root,) = statements
    if not isinstance(root, _ROOTS):
        return type(root).__name__.upper()
    return next((type(node).__name__.upper() for node in _nodes(root) if _MODIFIES[type(node)]), "")


def _nodes(root: exp.Expr) -> Iterator[exp.Expr]:
    """Yield a node and all below it; sqlglot's own `walk` takes four times as long."""
    pending: list[Any] = [root]
    while pending:
        value = pending.pop()
        if isinstance(value, exp.Expr):
            yield value
            pending.extend(value.args.values())
        elif isinstance(value, list):
            pending.extend(value)


class _ModifyingKinds(dict[type, bool]):
    """Caches which kinds of nodes modify data; `isinstance` would compare each node with seven classes."""

    def __missing__(self, kind: type) -> bool:
        self[kind] = issubclass(kind, _MODIFYING_NODES)
        return self[kind]


_MODIFIES: Final = _ModifyingKinds()
