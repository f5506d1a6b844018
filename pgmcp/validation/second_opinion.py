"""A second grammar's opinion, from sqlglot: one statement, a query, nothing in it that modifies.

It can only refuse. Where sqlglot cannot read what PostgreSQL's own grammar
accepts, PostgreSQL's grammar is right. sqlglot tries, steps back and tries
again, exponentially often on nested arrays and types: its steps back are
counted, and when they are spent it has no opinion.

Import this module late: sqlglot takes a few hundred milliseconds to load.
"""

import logging

from sqlglot import exp
from sqlglot.dialects.postgres import Postgres
from sqlglot.parsers.postgres import PostgresParser

from pgmcp.errors import SqlRejectedError

_MAX_TOKENS = 3_000
_MAX_STEPS_BACK = 5_000

_ROOTS = (exp.Query, exp.Values)
_MODIFYING_NODES = (exp.DML, exp.DDL, exp.Into, exp.Lock, exp.Drop, exp.Alter, exp.Command)

_logger = logging.getLogger(__name__)
# It warns of syntax it does not know, with the text of the statement.
logging.getLogger("sqlglot").setLevel(logging.ERROR)


class _StepsSpentError(Exception):
    """The parser stepped back too often."""


class _Parser(PostgresParser):
    """sqlglot's parser with a bound on its backtracking; one statement, then thrown away."""

    _steps_back_left = _MAX_STEPS_BACK

    def _retreat(self, index: int) -> None:
        self._steps_back_left -= 1
        if self._steps_back_left < 0:
            raise _StepsSpentError
        super()._retreat(index)


_DIALECT = Postgres()


def check(sql: str, token_count: int) -> None:
    """Refuse a query that sqlglot takes for something else than one read.

    Args:
        token_count: how long the query is; no opinion is asked on very long ones.

    Raises:
        SqlRejectedError: if sqlglot reads it as something else than one read.
    """
    try:
        statements = _parse(sql) if token_count <= _MAX_TOKENS else None
    except Exception as error:  # besides its own errors, strange text makes it raise TypeError and the like
        _logger.debug("PostgreSQL's grammar decides alone: %s", type(error).__name__)
        return
    if statements is not None and (other := _other_than_one_read(statements)):
        raise SqlRejectedError(
            f"a second grammar reads the statement as {other}",
            hint="write it in plain SQL: one SELECT, without constructs that depend on the dialect",
        )


def _parse(sql: str) -> list[exp.Expr | None]:
    return _Parser(dialect=_DIALECT).parse(_DIALECT.tokenize(sql), sql)


def _other_than_one_read(statements: list[exp.Expr | None]) -> str:
    """Return what the statements are besides one read; "" when they are just that."""
    if len(statements) != 1:
        return f"{len(statements)} statements"
    (root,) = statements
    if not isinstance(root, _ROOTS):
        return type(root).__name__.upper()
    return next(
        (type(node).__name__.upper() for node in root.walk() if isinstance(node, _MODIFYING_NODES)), ""
    )
