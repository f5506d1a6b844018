"""Runs one statement inside a transaction that is always rolled back, in one round trip.

    ──▶ BEGIN READ ONLY · (SELECT set_config(…)) · the statement · ROLLBACK · clean-up · Sync
    ◀── its rows, as they come

If a statement fails, the server skips the rest up to the Sync; ROLLBACK and clean-up are then sent again. All
messages use the extended protocol, in which the server itself refuses a second statement in one text.

Settings that all statements of callers share are set once for the session (`worker.connection`). pgmcp's own
statements set theirs in each transaction. A statement can change settings with set_config, but ROLLBACK
undoes such a change. In a session that other clients share, for example behind a pooler, all settings are set
in each transaction.

The SELECT before the statement also sets the role and the settings of the caller that the statement runs for;
ROLLBACK undoes both. This SELECT also takes the transaction's snapshot, because PostgreSQL allows SET
TRANSACTION READ WRITE only before the first snapshot. The SELECT is a quarter of PostgreSQL's work for a
`select 1`. So it is left out if nothing has to be set and the statement is inside the worker's SELECT …
LIMIT, where the statement cannot be a SET. To leave the SELECT out more often, the session keeps the host's
application_name between statements. It does not keep the name of a principal.
"""

import time
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg import pq

from worker.bounded_rows import BoundedRows, Outcome
from worker.connection import ServerConnection
from worker.failures import FailedError, broken_connection, failed_result
from worker.own_sql import (
    BEGIN_OWN,
    BEGIN_READ_ONLY,
    NAME_SETTING,
    ROLE_SETTING,
    Wait,
    set_in_session,
    set_local,
    wait_for,
)
from worker.protocol import Execute, FailureCode, Identity, StatementMode, StatementOrigin
from worker.session_settings import TransactionLimits
from worker.text_encoding import TextEncoding

CHUNK_ROWS: Final = 32
"""Rows that libpq collects before it returns them; few, because a row may be megabytes long."""

_WRAP_BEFORE: Final = "SELECT * FROM (\n"
_WRAP_AFTER: Final = "\n) AS q LIMIT "

_COPY_STATUSES: Final = (pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_BOTH)
_UNLOCK_SQL: Final = b"SELECT pg_catalog.pg_advisory_unlock_all()"
_SHARED_CLEAN_UP: Final = (_UNLOCK_SQL,)
"""The clean-up of a shared session: its prepared statements belong to other clients."""

_CLEAN_UP: Final = (_UNLOCK_SQL, b"DEALLOCATE ALL")
"""Releases what ROLLBACK keeps after a read: session advisory locks, and statements that a function prepared.

DISCARD ALL is not needed. ROLLBACK undoes settings, cursors WITH HOLD, LISTEN and temporary tables, and a
read-only transaction does not advance sequences.
"""

_CLEAN_UP_AFTER_WRITES: Final = (*_CLEAN_UP, b"DISCARD SEQUENCES", b"DISCARD TEMP")
"""ROLLBACK does not undo nextval(), and lastval() would show it."""

_DISCARD_PLANS: Final = b"DISCARD PLANS"
"""The clean-up after a statement with a caller's role. PL/pgSQL caches plans. If a function is wrongly
declared IMMUTABLE and reads a setting, its result is part of the plan. The next caller would get rows by the
settings of the previous one.
"""

_LOCK_NOT_AVAILABLE: Final = "55P03"
_UNTRANSLATABLE: Final = "22P05"
_DIVISION_BY_ZERO: Final = "22012"

_FAILED_STATUSES: Final = (pq.ExecStatus.FATAL_ERROR, pq.ExecStatus.PIPELINE_ABORTED)
_ROW_STATUSES: Final = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.TUPLES_CHUNK, pq.ExecStatus.SINGLE_TUPLE)


def run_statement(
    connection: ServerConnection,
    sql: str,
    request: Execute,
    limits: TransactionLimits,
    stop: Callable[[], None],
    wait: Wait = wait_for,
) -> Outcome:
    """Run the statement and return its rows, up to the limits; the transaction has ended when this returns.

    Args:
        connection: an idle connection in autocommit mode.
        sql: the statement, without a trailing semicolon.
        request: the origin and limits of the statement.
        limits: the smaller of the request's and the server's limits.
        stop: cancels the statement on the server; called when a limit is reached and rows keep coming.
        wait: waits for the connection.

    Raises:
        FailedError: the statement was refused or failed, ran out of time or memory, or the connection broke.
    """
    wrapped = request.mode is StatementMode.WRAPPABLE
    text = f"{_WRAP_BEFORE}{sql}{_WRAP_AFTER}{request.max_rows + 1}" if wrapped else sql
    encoding = connection.facts.encoding
    encoded = _encode(text, encoding)
    identity = _identity_settings(request.identity, connection) if request.identity is not None else []
    exchange = _Exchange(connection, request, stop, wait, identity)
    try:
        return exchange.run(encoded, limits)
    except psycopg.Error as error:
        # A server that ends a session sends the reason before it closes the connection.
        raise exchange.failure or broken_connection(error) from error
    except MemoryError:
        raise FailedError(FailureCode.TOO_LARGE, "the result does not fit the worker's memory") from None
    except FailedError as error:
        if error.position is not None:
            error.position = encoding.character_position(error.position, text)
        if wrapped:
            error.position = _unwrap_position(error.position, len(sql))
        if error.sqlstate == _LOCK_NOT_AVAILABLE and not error.hint:
            error.hint = _describe_lock_wait(limits)
        raise


def _encode(text: str, encoding: TextEncoding) -> bytes:
    try:
        return encoding.encode(text)
    except UnicodeEncodeError:
        raise FailedError(
            FailureCode.STATEMENT,
            f"the statement has a character that cannot be sent in the encoding {encoding.client_encoding}",
            sqlstate=_UNTRANSLATABLE,
            hint="remove the character",
        ) from None


def _identity_settings(identity: Identity, connection: ServerConnection) -> list[tuple[str, str]]:
    """Return the role and the settings of a caller, as `set_local` takes them.

    Raises:
        FailedError: one of them has a character that is not in the encoding.
    """
    role = [(ROLE_SETTING, identity.role)] if identity.role else []
    settings = [*role, *identity.settings]
    encoding = connection.facts.encoding
    try:
        for _, value in settings:
            encoding.encode(value)
            # Behind a pooler, the session may still have another client's encoding.
            connection.encode_setting(value, "strict")
    except UnicodeEncodeError:
        raise FailedError(
            FailureCode.IDENTITY,
            "the role or a claim has a character that is not in the encoding "
            f"{encoding.client_encoding or 'UTF8'}",
        ) from None
    return settings


def _refused_identity(failure: FailedError) -> FailedError:
    """Return the failure for a role or settings that PostgreSQL did not allow the login role to set.

    The failure is returned unchanged if the statement was cancelled or lost its connection.
    """
    if failure.code is not FailureCode.STATEMENT:
        return failure
    message = failure.message
    if failure.sqlstate == _DIVISION_BY_ZERO:
        message = "the current role is not the requested one"
    return FailedError(FailureCode.IDENTITY, message, sqlstate=failure.sqlstate)


def _describe_lock_wait(limits: TransactionLimits) -> str:
    whose = limits.lock.description or f"pgmcp waits at most {limits.lock.ms / 1000:g} s for a lock"
    return f"{whose}: another session holds a lock on a table of the statement; try again later"


def _unwrap_position(position: int | None, sql_length: int) -> int | None:
    if position is None:
        return None
    inside = position - len(_WRAP_BEFORE)
    return inside if 0 <= inside < sql_length else None


class _Exchange:
    """One pipelined exchange with the server, through libpq's own interface.

    psycopg's cursors would buffer the whole result and convert its values to objects. get_result() blocks
    while libpq is busy, and the worker could not read a Cancel meanwhile. So `_receive` first waits for the
    server and the front.

    Attributes:
        failure: the last error that the server sent for this exchange; None without one.
    """

    def __init__(
        self,
        connection: ServerConnection,
        request: Execute,
        stop: Callable[[], None],
        wait: Wait,
        identity: list[tuple[str, str]],
    ) -> None:
        self._connection = connection
        self._pgconn = connection.pgconn
        self._encoding = connection.facts.encoding
        self._request = request
        self._wait = wait
        self._identity = identity
        self._takes_role = request.identity is not None and request.identity.role != ""
        self._new_name = self._find_new_name(request.identity)
        self._rows = BoundedRows(connection, request, stop)
        self._is_unsent = False
        self.failure: FailedError | None = None

    def _find_new_name(self, identity: Identity | None) -> str:
        """Return the application_name that the statement has to set; "" if none has to be set."""
        connection = self._connection
        name = identity.application_name if identity is not None else ""
        if connection.facts.is_pooled:
            return name
        name = name or connection.own_name
        return "" if name == connection.name else name

    def run(self, text: bytes, limits: TransactionLimits) -> Outcome:
        pgconn = self._pgconn
        pgconn.nonblocking = 1
        pgconn.enter_pipeline_mode()
        started = time.monotonic()
        for _ in range(self._send(text, limits)):
            self._skip_command()
        if self.failure is None:
            self._read_rows()
        elif self._takes_role:
            self.failure = _refused_identity(self.failure)
        elapsed_ms = (time.monotonic() - started) * 1000
        self._finish()
        pgconn.exit_pipeline_mode()
        pgconn.nonblocking = 0
        if self.failure is not None:
            raise self.failure
        return self._rows.complete(elapsed_ms)

    def _send(self, text: bytes, limits: TransactionLimits) -> int:
        """Send the whole exchange; return the number of commands before the statement."""
        pgconn = self._pgconn
        settings = [*self._identity, *self._settings(limits)]
        if self._new_name:
            settings.append((NAME_SETTING, self._new_name))
        needs_snapshot = self._request.mode is not StatementMode.WRAPPABLE
        pgconn.send_query_params(self._begin(), None)
        if settings or needs_snapshot:
            pgconn.send_query_params(*set_local(settings, self._connection.encode_setting))
        pgconn.send_query_params(text, None)
        self._send_end()
        return 2 if settings or needs_snapshot else 1

    def _settings(self, limits: TransactionLimits) -> list[tuple[str, str]]:
        facts = self._connection.facts
        if self._request.origin is StatementOrigin.OWN:
            return facts.own_settings(limits)
        if facts.is_pooled:
            return facts.caller_settings(limits)
        return limits.needed_in(facts.session_limits)

    def _begin(self) -> bytes:
        if self._request.origin is StatementOrigin.OWN:
            return BEGIN_OWN
        return BEGIN_READ_ONLY if self._is_read_only else b"BEGIN"

    @property
    def _keeps_name(self) -> bool:
        """Whether the session keeps the statement's application_name for the statements that follow."""
        identity, connection = self._request.identity, self._connection
        is_reported = connection.own_name != ""  # otherwise the session's name could not be read later
        return is_reported and not connection.facts.is_pooled and (identity is None or identity.keeps_name)

    @property
    def _is_read_only(self) -> bool:
        return self._request.origin is StatementOrigin.OWN or self._request.read_only

    def _send_end(self) -> None:
        """Send the end of the transaction and the clean-up, before the Sync.

        After the answer to a Sync, a pooler gives the server connection to another client.
        """
        pgconn = self._pgconn
        pgconn.send_query_params(b"ROLLBACK", None)
        clean_up: tuple[bytes, ...]
        if self._connection.facts.is_pooled:
            clean_up = _SHARED_CLEAN_UP
        else:
            clean_up = _CLEAN_UP if self._is_read_only else _CLEAN_UP_AFTER_WRITES
        for command in clean_up:
            pgconn.send_query_params(command, None)
        if self._takes_role:
            pgconn.send_query_params(_DISCARD_PLANS, None)
        if self._new_name and self._keeps_name:
            renamed = [(NAME_SETTING, self._new_name)]
            pgconn.send_query_params(*set_in_session(renamed, self._connection.encode_setting))
        pgconn.pipeline_sync()
        self._is_unsent = pgconn.flush() != 0

    def _skip_command(self) -> None:
        """Read and discard the results of a command."""
        while (result := self._next_result()) is not None:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                self.failure = failed_result(result, self._encoding)

    def _read_rows(self) -> None:
        self._pgconn.set_chunked_rows_mode(CHUNK_ROWS)
        while (result := self._next_result()) is not None:
            status = result.status
            if status in _ROW_STATUSES:
                self._rows.take(result)
            elif status == pq.ExecStatus.FATAL_ERROR:
                # After truncation, the error answers the worker's own cancel request.
                if not self._rows.is_truncated:
                    self.failure = failed_result(result, self._encoding)
            elif status in _COPY_STATUSES:
                # libpq would return this result forever; `Session.release` closes such a connection.
                raise FailedError(FailureCode.STATEMENT, "COPY gives no rows here", sqlstate="0A000")

    def _finish(self) -> None:
        """Read up to the Sync; send the end of the transaction again if the server skipped it."""
        if self._read_sync():
            return
        self._send_end()
        if not self._read_sync():
            self._connection.needs_reset = True

    def _read_sync(self) -> bool:
        """Read up to the Sync; return whether all commands before it succeeded."""
        pgconn, is_whole = self._pgconn, True
        while True:
            if pgconn.is_busy():
                self._receive()
            result = pgconn.get_result()
            if result is None:
                pgconn.flush()  # raises if the connection has ended, because then no Sync will arrive
                continue
            status = result.status
            if status == pq.ExecStatus.PIPELINE_SYNC:
                return is_whole
            if status in _FAILED_STATUSES:
                is_whole = False

    def _next_result(self) -> pq.abc.PGresult | None:
        if self._pgconn.is_busy():
            self._receive()
        return self._pgconn.get_result()

    def _receive(self) -> None:
        """Wait for a result; meanwhile, send the remaining output."""
        pgconn = self._pgconn
        connection = [pgconn.socket]
        while True:
            self._wait(connection, connection if self._is_unsent else (), None)
            pgconn.consume_input()
            if self._is_unsent:
                self._is_unsent = pgconn.flush() != 0
            if not pgconn.is_busy():
                return
