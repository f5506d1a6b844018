"""Renders an error as text: its code, message, position in the statement, and hint."""

from collections.abc import Callable, Iterator

from pgmcp.errors import PgmcpError, SqlRejectedError, StatementFailedError
from pgmcp.untrusted import escape_untrusted, shorten

_MAX_MESSAGE_CHARACTERS = 2_000  # PostgreSQL quotes the caller's values in its messages
_EXCERPT_CHARACTERS = 80  # on either side of the caret
_SUBJECT = "the database "


Escape = Callable[[str], str]


def render_error(error: PgmcpError, *, sql: str = "", escape: Escape = escape_untrusted) -> str:
    """Return `code: message`, the position in the statement if it is known, and `hint: …`.

    Args:
        sql: the statement that `error.position` refers to.
        escape: makes a text safe in one line.
    """
    return "\n".join(_lines(error, sql, escape))


def _lines(error: PgmcpError, sql: str, escape: Escape) -> Iterator[str]:
    sqlstate = f" (SQLSTATE {error.sqlstate})" if isinstance(error, StatementFailedError) else ""
    yield f"{error.code}: {_shorten(_with_place(error), escape)}{sqlstate}"
    position = _locate(error, sql)
    if position is not None:
        yield from _excerpt(sql, position, escape)
    if error.hint:
        yield f"hint: {_shorten(error.hint, escape)}"


def _with_place(error: PgmcpError) -> str:
    """Return the message with the error's database, unless only one is configured or the message names it."""
    message = str(error)
    is_named = f"database {error.database}" in message or f"database {error.database!r}" in message
    if not error.database or is_named:
        return message
    if message.startswith(_SUBJECT):  # "the database is not …" becomes "database shop is not …"
        return f"database {error.database} {message.removeprefix(_SUBJECT)}"
    return f"database {error.database}: {message}"


def _shorten(text: str, escape: Escape) -> str:
    return escape(shorten(text, _MAX_MESSAGE_CHARACTERS))


def _locate(error: PgmcpError, sql: str) -> int | None:
    """Return the 0-based offset of the error in `sql`; None if the offending text occurs more than once."""
    if not isinstance(error, SqlRejectedError | StatementFailedError):
        return None
    if error.position is not None:
        return error.position if 0 <= error.position < len(sql) else None
    offending = error.offending if isinstance(error, SqlRejectedError) else ""
    return sql.index(offending) if offending and sql.count(offending) == 1 else None


def _excerpt(sql: str, position: int, escape: Escape) -> Iterator[str]:
    """Yield the line around `position` and a caret below it, as psql does."""
    line_start = sql.rfind("\n", 0, position) + 1
    line_end = sql.find("\n", position)
    start = max(line_start, position - _EXCERPT_CHARACTERS)
    end = min(len(sql) if line_end < 0 else line_end, position + _EXCERPT_CHARACTERS)
    label = f"line {sql.count(chr(10), 0, position) + 1}: "
    before = label + ("…" if start > line_start else "") + escape(sql[start:position])
    yield before + escape(sql[position:end])
    yield " " * len(before) + "^"
