"""Prepares a connection to the server for callers' statements, and resets it between them."""

import random
import re
import select
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, Self

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo, timeout_from_conninfo

from worker.failures import failed_result
from worker.own_sql import set_for_session
from worker.server_facts import ServerFacts, is_standby, read_facts
from worker.session_settings import DEFAULT_ISOLATION, STATEMENT_TIMEOUT_MS

MAX_CONNECTION_AGE_S: Final = 30 * 60.0
"""A connection is replaced after half an hour, so that its backend's cache memory is released."""

RESET_TIMEOUT_S: Final = 5.0

# The pattern has only the encoding and the bytes of the message, because the server may speak another
# language.
_INVALID_IN_UTF8: Final = re.compile(r"UTF8\W{1,5}0x[0-9a-f]{2}")

_SET_REPEATABLE_READ: Final = b"SET default_transaction_isolation = 'repeatable read'"


class ServerConnection(psycopg.Connection[Any]):
    """A connection that has the facts about its server, and reports why an attempt to connect failed.

    psycopg's pool only logs the reason, and `getconn` fails with a timeout. `on_failure` gets the reason.

    Attributes:
        renew_at_s: monotonic time at which the connection is to be replaced.
        checked_at_s: monotonic time at which the connection was last seen open.
        needs_reset: whether the server refused the clean-up after a statement (`reset_if_needed`).
        own_name: the application_name that the connection was opened with.
    """

    facts: ServerFacts
    renew_at_s: float
    checked_at_s: float = 0.0
    needs_reset: bool = False
    own_name: str = ""

    def encode_setting(self, value: str, errors: str = "replace") -> bytes:
        """Return the value of a setting in the session's present client_encoding.

        Args:
            errors: as for `TextEncoding.encode_setting`.

        Raises:
            UnicodeEncodeError: the encoding lacks a character, and `errors` is "strict".
        """
        present = (self.pgconn.parameter_status(b"client_encoding") or b"").decode("ascii", "replace")
        return self.facts.encoding.encode_setting(value, present, errors)

    @property
    def name(self) -> str:
        """The session's application_name, as the server reports it; "" if it reports none."""
        return (self.pgconn.parameter_status(b"application_name") or b"").decode("utf8", "surrogateescape")

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        """Connect, read the facts about the server, and prepare the session.

        Args:
            conninfo: libpq URL or key=value string.
            kwargs: `on_failure`, called with the psycopg.Error; `requested_encoding`, the connection string's
                client_encoding; `statement_timeout_ms` (`worker.protocol.Open`); others go to
                `psycopg.Connection.connect`.

        Raises:
            psycopg.Error: the attempt failed; `on_failure` got the same error.
        """
        on_failure: Callable[[psycopg.Error], None] = kwargs.pop("on_failure")
        requested_encoding: str = kwargs.pop("requested_encoding")
        timeout_ms: int = kwargs.pop("statement_timeout_ms", STATEMENT_TIMEOUT_MS)
        try:
            connection = cls._log_in(conninfo, **kwargs)
            timeout_s = timeout_from_conninfo(conninfo_to_dict(conninfo))
            try:
                facts = read_facts(connection.pgconn, timeout_s, requested_encoding)
                connection.facts = replace(facts, session_limits=facts.limits(timeout_ms))
                connection.own_name = connection.name
                _prepare_session(connection, timeout_s)
            except psycopg.Error:
                connection.close()
                raise
        except psycopg.Error as error:
            on_failure(error)
            raise
        # The time is random, so that workers do not all reconnect at the same time.
        connection.renew_at_s = time.monotonic() + MAX_CONNECTION_AGE_S * random.uniform(0.9, 1.0)  # noqa: S311
        return connection

    @classmethod
    def _log_in(cls, conninfo: str, **kwargs: Any) -> Self:
        """Connect without reading anything.

        PostgreSQL 18 reports the search path at login. In a SQL_ASCII database it may be invalid in UTF8, in
        which connections begin, and the server refuses the login.
        """
        kwargs |= {"autocommit": True, "prepare_threshold": None}
        try:
            return super().connect(conninfo, **kwargs)
        except psycopg.OperationalError as error:
            if not _INVALID_IN_UTF8.search(str(error)):
                raise
        return super().connect(make_conninfo(conninfo, client_encoding="sql_ascii"), **kwargs)


def _prepare_session(connection: ServerConnection, timeout_s: float) -> None:
    """Set the settings that every statement needs for the whole session.

    A session that other clients share gets them in each transaction instead.

    Raises:
        psycopg.Error: the server refused, or the connection broke.
    """
    facts = connection.facts
    if facts.is_pooled:
        return
    if facts.defaults.values.get(DEFAULT_ISOLATION) == "serializable" and is_standby(connection.pgconn):
        # A standby refuses every statement at the level serializable; PostgreSQL advises repeatable read
        # there.
        connection.pgconn.exec_params(_SET_REPEATABLE_READ, None)
    settings, encode = facts.session_settings(), connection.encode_setting
    result = set_for_session(connection.pgconn, settings, encode, timeout_s=timeout_s)
    if result.status != pq.ExecStatus.TUPLES_OK:
        raise psycopg.OperationalError(failed_result(result, facts.encoding).message)


def is_idle(connection: ServerConnection) -> bool:
    """Return whether no statement runs and no transaction is open."""
    return connection.pgconn.transaction_status == pq.TransactionStatus.IDLE


def read_to_end(connection: ServerConnection, timeout_s: float) -> bool:
    """Discard the server's remaining output, and return whether the statement ended within the timeout."""
    pgconn = connection.pgconn
    deadline_s = time.monotonic() + timeout_s
    try:
        while pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0:
                return False
            writing = [pgconn.socket] if pgconn.flush() else []
            if not pgconn.is_busy():
                pgconn.get_result()
            elif any(select.select([pgconn.socket], writing, [], left_s)):
                pgconn.consume_input()
    except psycopg.Error:
        return False
    return True


def reset_if_needed(connection: ServerConnection) -> bool:
    """Run DISCARD ALL if the connection needs it; return whether the connection can be used again.

    `worker.statement` cleans up with functions that a hardened server may refuse. DISCARD ALL then cleans up
    instead. It is not sent behind a pooler, where it would reach another server connection, or in a shared
    session, where it would discard other clients' state.
    """
    if not connection.needs_reset or connection.facts.is_pooled:
        return True
    try:
        result = connection.pgconn.exec_params(b"DISCARD ALL", None)
        if result.status != pq.ExecStatus.COMMAND_OK:
            return False
        _prepare_session(connection, RESET_TIMEOUT_S)
    except psycopg.Error:
        return False
    connection.needs_reset = False
    return True


def is_open(connection: ServerConnection) -> bool:
    """Return whether the connection is still open, without a round trip.

    Notices and notifications that have arrived are discarded. If the server has closed the connection,
    reading fails.
    """
    pgconn = connection.pgconn
    try:
        while select.select([pgconn.socket], [], [], 0)[0]:
            pgconn.consume_input()
            pgconn.notifies()
    except psycopg.OperationalError:
        return False
    return True
