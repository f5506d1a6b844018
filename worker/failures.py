"""Finds out why a statement or a connection failed, by the SQLSTATE or, if there is none, by the message.

Codes: PostgreSQL manual, appendix A. For a failed connection, libpq keeps only the server's message, which is
in the language of the server's lc_messages. If the message is not known, the attempt is repeated with libpq's
trace, which has the fields of each ErrorResponse.
"""

import os
import re
import select
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import pq

from worker.protocol import FailureCode
from worker.text_encoding import TextEncoding

ACCEPTED: Final = "00000"
"""SQLSTATE of success."""

_MAX_TRACE_BYTES: Final = 1 << 20
_RESPONSE: Final = re.compile(rb'\tErrorResponse\t S "[^"]*"(?: V "[^"]*")? C "([0-9A-Z]{5})"')
"""A line of the trace: severity, severity in English (PostgreSQL 9.6 and later), SQLSTATE."""


def read_sqlstates(conninfo: str, timeout_s: float) -> list[str]:
    """Connect once more and return the SQLSTATEs of the refusals; an empty list if they cannot be found.

    The last one is ACCEPTED if the server accepts this attempt. Works on Linux only.

    Args:
        conninfo: libpq URL or key=value string.
        timeout_s: timeout of the whole attempt.
    """
    if not hasattr(os, "memfd_create"):  # psycopg supports the trace only on Linux
        return []
    trace = os.memfd_create("pgmcp")  # the trace contains the messages of the login, so its file has no name
    try:
        accepted: list[str] = []
        with suppress(psycopg.Error, OSError):
            if _connect(conninfo, trace, time.monotonic() + timeout_s):
                accepted = [ACCEPTED]
        size = min(os.fstat(trace).st_size, _MAX_TRACE_BYTES)
        return [found.decode() for found in _RESPONSE.findall(os.pread(trace, size, 0))] + accepted
    finally:
        os.close(trace)


def _connect(conninfo: str, trace: int, deadline_s: float) -> bool:
    """Try to connect until that succeeds, fails or reaches the deadline; close the connection.

    Returns:
        Whether it succeeded.
    """
    pgconn = pq.PGconn.connect_start(conninfo.encode())
    try:
        pgconn.trace(trace)
        while (state := pgconn.connect_poll()) in (pq.PollingStatus.READING, pq.PollingStatus.WRITING):
            left_s = deadline_s - time.monotonic()
            is_reading = state == pq.PollingStatus.READING
            sockets = [pgconn.socket]
            if left_s <= 0 or not any(
                select.select(sockets if is_reading else [], [] if is_reading else sockets, [], left_s)
            ):
                break
        pgconn.untrace()
        return state == pq.PollingStatus.OK
    finally:
        pgconn.finish()


_CODE_BY_SQLSTATE = {
    "57014": FailureCode.CANCELLED,
    "57P01": FailureCode.UNREACHABLE,  # admin_shutdown
    "57P02": FailureCode.UNREACHABLE,  # crash_shutdown
    "57P03": FailureCode.UNREACHABLE,  # cannot_connect_now
    "57P05": FailureCode.UNREACHABLE,  # idle_session_timeout
    "25P03": FailureCode.UNREACHABLE,  # idle_in_transaction_session_timeout
    "25P04": FailureCode.TIMEOUT,  # transaction_timeout
}
_CODE_BY_SQLSTATE_CLASS = {
    "08": FailureCode.UNREACHABLE,  # connection exceptions
    "28": FailureCode.AUTH,  # invalid authorization
}

_ROLLED_BACK_CLASS = "40"
_RUN_AGAIN = "the statement itself is correct: run it again"
"""Hint after a deadlock or a serialization failure, or on a standby that had to catch up with its primary."""

# libpq gives no SQLSTATE for a refused connection, only the server's message.
_AUTH_WORDS = re.compile(
    r"password authentication failed|no password supplied|authentication failed"
    r"|no pg_hba\.conf entry|pg_hba\.conf rejects|(?:role|database) \".*\" does not exist"
    r"|is not permitted to log in|permission denied for database"
    r"|no such database|failed to authenticate with backend|login rejected"
    r"|statement pooling mode"  # PgBouncer, after it accepted the login
    r"|FATAL:  not allowed$"  # PgBouncer, to a user who may not open its admin console
    r"|FATAL:  (?:SSL required|no such user|bouncer config error)$"  # PgBouncer
    # Errors of settings in the connection string.
    r"|configuration parameter|for parameter \"|parameter \".*\" (?:cannot be changed|requires)"
    r"|requires a value|to set parameter|command-line argument"
    # Errors of the client's certificate. Errors of the server's certificate do not belong here, because they
    # are not refusals by the server.
    r"|client certificate|alert certificate required",
    re.IGNORECASE | re.MULTILINE,
)
_SERVER_WORDS = re.compile(r"(?:^|[:;] )[^\s:]+(?: \([^)]*\))?:  \S")
"""libpq repeats a server's error with two blanks after the severity, in every language."""

TOO_MANY_CONNECTIONS = "53300"

# Messages of PostgreSQL and pgpool-II, PgBouncer, Supavisor, and RDS Proxy.
_LIMIT_WORDS = re.compile(
    r"too many (?:clients|connections)|remaining connection slots"
    r"|max_(?:client_conn|db_client|user_client)"
    r"|max clients reached|max client connections reached|MaxClientsIn"
    r"|unable to check out (?:connection|process)|timed-out waiting to acquire database connection",
    re.IGNORECASE,
)
# Messages of PostgreSQL, PgBouncer and pgpool-II.
_UNREACHABLE_WORDS = re.compile(
    r"database system is|not (?:yet )?accepting connections|terminating connection"
    r"|server login has been failing|server_login_retry|query_wait_timeout|cannot connect to server"
    r"|backend nodes are down|no valid (?:backend )?node",
    re.IGNORECASE,
)
_REFUSED_SQLSTATE_CLASSES = ("28", "3D", "42")
"""Invalid authorization, unknown database, no right to connect to it."""

MAX_TEXT_CHARACTERS = 2_000
"""Limit of each text of a failure, because PostgreSQL quotes an offending value whole, however long it is."""

_PREFIX = re.compile(r"connection (?:failed|is bad): ")
"""The text that psycopg puts before libpq's message."""

_OUT_OF_MEMORY = re.compile(r"out of memory|cannot allocate", re.IGNORECASE)


INSUFFICIENT_PRIVILEGE = "42501"

_POOLER_LIMIT_BY_MESSAGE = {"query timeout": "query_timeout, set in pgbouncer.ini"}
"""Limits of PgBouncer by its message; the SQLSTATE is that of a protocol violation, 08P01."""

_PACKET_TOO_LONG = re.compile(r"bad (?:packet|pkt) header")
"""PgBouncer's message for a statement, or a row of its result, that is longer than max_packet_size."""

_INTERNAL_ERROR = "XX000"
_SERVER_LOST = re.compile(r"unable to (?:read data from|write data to) DB node")
"""pgpool-II's message if its connection to the server ended; its SQLSTATE is XX000."""

_PACKET_HINT = (
    "PgBouncer does not let a statement or row of this length through (max_packet_size in pgbouncer.ini): "
    "shorten the statement, or select fewer or shorter columns, for example left(column, 1000)"
)


class DeniedError(psycopg.OperationalError):
    """The role may not execute a function that every transaction of the worker needs."""


@dataclass
class FailedError(Exception):
    """A request failed; becomes a `worker.protocol.Failure`.

    Attributes:
        position: 0-based offset in the text that PostgreSQL parsed, as the server counts it (see
            `TextEncoding.counts_bytes`), or None. `run_statement` converts it for `worker.protocol.Failure`.
        limit: as in `worker.protocol.Failure`.
    """

    code: FailureCode
    message: str
    sqlstate: str = ""
    hint: str = ""
    position: int | None = None
    limit: str = ""


def classify(sqlstate: str, message: str) -> FailureCode:
    """Return the code for a failed statement.

    An exact SQLSTATE wins over its two-character class. Without a SQLSTATE the message is libpq's: the
    worker ran out of memory, or the connection broke. pgpool-II reports a lost server as an internal error.
    """
    if sqlstate == _INTERNAL_ERROR and _SERVER_LOST.match(message):
        return FailureCode.UNREACHABLE
    if sqlstate:
        by_class = _CODE_BY_SQLSTATE_CLASS.get(sqlstate[:2], FailureCode.STATEMENT)
        return _CODE_BY_SQLSTATE.get(sqlstate, by_class)
    if _OUT_OF_MEMORY.search(message):
        return FailureCode.TOO_LARGE
    return FailureCode.UNREACHABLE


def failed_result(result: pq.abc.PGresult, encoding: TextEncoding) -> FailedError:
    """Return the failure that a result of status FATAL_ERROR describes."""

    def field(code: pq.DiagnosticField) -> str:
        return encoding.decode(result.error_field(code) or b"")[:MAX_TEXT_CHARACTERS]

    sqlstate = field(pq.DiagnosticField.SQLSTATE)
    message = field(pq.DiagnosticField.MESSAGE_PRIMARY) or encoding.decode(result.error_message).strip()
    position = field(pq.DiagnosticField.STATEMENT_POSITION)
    if sqlstate.startswith("08") and _PACKET_TOO_LONG.match(message):
        return FailedError(FailureCode.STATEMENT, message, sqlstate=sqlstate, hint=_PACKET_HINT)
    limit = _POOLER_LIMIT_BY_MESSAGE.get(message, "") if sqlstate.startswith("08") else ""
    return FailedError(
        FailureCode.TIMEOUT if limit else classify(sqlstate, message),
        message,
        sqlstate=sqlstate,
        hint=_RUN_AGAIN
        if sqlstate.startswith(_ROLLED_BACK_CLASS)
        else field(pq.DiagnosticField.MESSAGE_HINT),
        position=int(position) - 1 if position else None,
        limit=limit,
    )


def _in_one_line(error: psycopg.Error) -> str:
    lines = (line.strip() for line in str(error).splitlines())
    return _PREFIX.sub("", "; ".join(line for line in lines if line))


def failed_connect(
    error: psycopg.Error, read_sqlstates: Callable[[], Sequence[str]] = lambda: ()
) -> FailedError:
    """Return the failure for a connection that could not be made.

    Args:
        error: raised by the attempt to connect.
        read_sqlstates: finds the SQLSTATEs of the refusal; called only if the message is unknown.
    """
    message = _in_one_line(error)
    if isinstance(error, DeniedError):
        return FailedError(FailureCode.DENIED, message, sqlstate=INSUFFICIENT_PRIVILEGE)
    if _AUTH_WORDS.search(message):
        return FailedError(FailureCode.AUTH, message, sqlstate=error.sqlstate or "")
    if error.sqlstate == TOO_MANY_CONNECTIONS or _LIMIT_WORDS.search(message):
        return FailedError(FailureCode.LIMITED, message, sqlstate=TOO_MANY_CONNECTIONS)
    if error.sqlstate:
        return FailedError(FailureCode.UNREACHABLE, message, sqlstate=error.sqlstate)
    if not _SERVER_WORDS.search(message) or _UNREACHABLE_WORDS.search(message):
        return FailedError(FailureCode.UNREACHABLE, message)
    return _classify_unknown_refusal(message, read_sqlstates())


def _classify_unknown_refusal(message: str, sqlstates: Sequence[str]) -> FailedError:
    """Return the failure for a message that no pattern matches, for example in another language."""
    refused = [sqlstate for sqlstate in sqlstates if sqlstate[:2] in _REFUSED_SQLSTATE_CLASSES]
    if refused or not sqlstates:  # the server has answered, so the address is right
        return FailedError(FailureCode.AUTH, message, sqlstate=next(iter(refused), ""))
    if TOO_MANY_CONNECTIONS in sqlstates:
        return FailedError(FailureCode.LIMITED, message, sqlstate=TOO_MANY_CONNECTIONS)
    # A second attempt that was accepted does not show why the first one was refused.
    known = [sqlstate for sqlstate in sqlstates if sqlstate != ACCEPTED]
    return FailedError(FailureCode.UNREACHABLE, message, sqlstate=known[-1] if known else "")


def broken_connection(error: psycopg.Error) -> FailedError:
    """Return the failure for a connection that broke or ran out of memory during a statement."""
    message = _in_one_line(error)
    return FailedError(classify("", message), message)
