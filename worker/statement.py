"""Runs one statement inside a transaction that is always rolled back, in one round trip.

    ──▶ BEGIN READ ONLY · (SELECT set_config(…)) · the statement · ROLLBACK · clean-up · Sync
    ◀── its rows, as they come

A statement that fails makes the server skip what follows up to the Sync; ROLLBACK and clean-up are then sent
again. Everything goes through the extended protocol, where the server itself refuses a second statement in
one text.

What holds for every statement is set once for the session (`worker.session`). A statement can change it with
set_config, but its transaction ends in ROLLBACK, which undoes such a change. In a session that is shared with
others, behind a pooler, all settings are set in each transaction. The SELECT before the statement also takes
the role and the settings of the person that the statement runs for; ROLLBACK undoes both. And it takes the
transaction's snapshot: without one, the statement could be SET TRANSACTION READ WRITE. A statement inside our
own SELECT … LIMIT cannot be that, so the SELECT is left out there if nothing has to be set: it is a quarter
of PostgreSQL's work for a `select 1`.
"""

import time
from collections.abc import Callable
from typing import Final

import psycopg
from psycopg import pq

from worker.bounded_rows import BoundedRows, Outcome
from worker.connection import ServerConnection
from worker.failures import FailedError, broken_connection, failed_result
from worker.own_sql import BEGIN_OWN, BEGIN_READ_ONLY, ROLE_SETTING, Wait, set_local, wait_for
from worker.protocol import Execute, FailureCode, Identity, StatementMode, StatementOrigin
from worker.session_settings import TransactionLimits
from worker.text_encoding import TextEncoding

CHUNK_ROWS: Final = 32
"""Rows that libpq gathers before we see them: few, because a row may be megabytes long."""

_WRAP_BEFORE: Final = "SELECT * FROM (\n"
_WRAP_AFTER: Final = "\n) AS q LIMIT "

_COPY_STATUSES: Final = (pq.ExecStatus.COPY_OUT, pq.ExecStatus.COPY_IN, pq.ExecStatus.COPY_BOTH)
_UNLOCK_SQL: Final = b"SELECT pg_catalog.pg_advisory_unlock_all()"
_SHARED_CLEAN_UP: Final = (_UNLOCK_SQL,)
"""Prepared statements of a session that others share are theirs."""

_CLEAN_UP: Final = (_UNLOCK_SQL, b"DEALLOCATE ALL")
"""What a ROLLBACK leaves of a read: session advisory locks, and what a function made with PREPARE.

Of what else DISCARD ALL ends, ROLLBACK undoes or drops settings, cursors WITH HOLD, LISTEN and temporary
tables of the transaction; a read-only transaction advances no sequence.
"""

_CLEAN_UP_AFTER_WRITES: Final = (*_CLEAN_UP, b"DISCARD SEQUENCES", b"DISCARD TEMP")
"""nextval() is not undone by ROLLBACK, and lastval() shows it."""

_DISCARD_PLANS: Final = b"DISCARD PLANS"
"""After a statement for one person. PL/pgSQL keeps plans, and a plan holds the result of a function that is
wrongly declared IMMUTABLE and reads a setting: the next person would get rows by the settings of the last."""

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
    """Run the statement and return its bounded rows; the transaction is over when this returns.

    Args:
        connection: idle, in autocommit.
        sql: the statement, without a trailing semicolon.
        request: its origin and bounds.
        limits: the smaller of the request's and the server's own.
        stop: cancels the statement on the server; called when a bound is reached and rows keep coming.
        wait: waits for the connection.

    Raises:
        FailedError: the server refused the statement, it ran out of time or memory, or the connection broke.
    """
    wrapped = request.mode is StatementMode.WRAPPABLE
    text = f"{_WRAP_BEFORE}{sql}{_WRAP_AFTER}{request.max_rows + 1}" if wrapped else sql
    encoding = connection.facts.encoding
    encoded = _encode(text, encoding)
    identity = _identity_settings(request.identity, encoding) if request.identity is not None else []
    exchange = _Exchange(connection, request, stop, wait, identity)
    try:
        return exchange.run(encoded, limits)
    except psycopg.Error as error:
        # A server that ends a session says why before it closes the connection.
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
            f"the statement has a character that the encoding {encoding.client_encoding} lacks",
            sqlstate=_UNTRANSLATABLE,
            hint="leave the character out: no text in this database can contain it",
        ) from None


def _identity_settings(identity: Identity, encoding: TextEncoding) -> list[tuple[str, str]]:
    """Return the role and the settings of a person, as `set_local` takes them."""
    role = [(ROLE_SETTING, identity.role)] if identity.role else []
    try:
        return [
            (name, encoding.encode(value).decode("utf8", "surrogateescape"))
            for name, value in (*role, *identity.settings)
        ]
    except UnicodeEncodeError:
        raise FailedError(
            FailureCode.IDENTITY,
            f"a claim has a character that the encoding {encoding.client_encoding or 'UTF8'} lacks",
        ) from None


def _refused_identity(failure: FailedError) -> FailedError:
    """Return the failure for a role or settings that PostgreSQL did not let the login role take.

    A statement that was cancelled or lost its connection meanwhile stays that.
    """
    if failure.code is not FailureCode.STATEMENT:
        return failure
    message = failure.message
    if failure.sqlstate == _DIVISION_BY_ZERO:
        message = "another role than the one asked for became the current one"
    return FailedError(FailureCode.IDENTITY, message, sqlstate=failure.sqlstate)


def _describe_lock_wait(limits: TransactionLimits) -> str:
    whose = limits.lock.description or f"a read here waits {limits.lock.ms / 1000:g} s for a lock at most"
    return f"{whose}: another session holds a lock on a table of the statement; try again later"


def _unwrap_position(position: int | None, sql_length: int) -> int | None:
    if position is None:
        return None
    inside = position - len(_WRAP_BEFORE)
    return inside if 0 <= inside < sql_length else None


class _Exchange:
    """One pipelined exchange on libpq's own interface.

    psycopg's cursors would buffer the whole result and make objects of its values; and
    libpq's blocking get_result() waits for nothing else, so a Cancel would not be
    heard.

    Attributes:
        failure: what the server said last of the statement, if it refused or ended it.
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
        self._rows = BoundedRows(connection, request, stop)
        self._is_unsent = False
        self.failure: FailedError | None = None

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
        """Send the whole exchange; return how many commands come before the statement."""
        pgconn = self._pgconn
        settings = [*self._identity, *self._settings(limits)]
        needs_snapshot = self._request.mode is not StatementMode.WRAPPABLE
        pgconn.send_query_params(self._begin(), None)
        if settings or needs_snapshot:
            pgconn.send_query_params(*set_local(settings))
        pgconn.send_query_params(text, None)
        self._send_end()
        return 2 if settings or needs_snapshot else 1

    def _settings(self, limits: TransactionLimits) -> list[tuple[str, str]]:
        facts = self._connection.facts
        if self._request.origin is StatementOrigin.OWN:
            return facts.own_settings(limits)
        if facts.is_pooled:
            return facts.caller_settings(limits)
        return limits.beside(facts.session_limits)

    def _begin(self) -> bytes:
        if self._request.origin is StatementOrigin.OWN:
            return BEGIN_OWN
        return BEGIN_READ_ONLY if self._is_read_only else b"BEGIN"

    @property
    def _is_read_only(self) -> bool:
        return self._request.origin is StatementOrigin.OWN or self._request.read_only

    def _send_end(self) -> None:
        """Send what ends the transaction and cleans up, before the Sync.

        At the answer to a Sync a pooler gives the server connection to its next client.
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
        pgconn.pipeline_sync()
        self._is_unsent = pgconn.flush() != 0

    def _skip_command(self) -> None:
        """Read the results of a command that gives no rows we want."""
        while (result := self._next_result()) is not None:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                self.failure = failed_result(result, self._encoding)

    def _read_rows(self) -> None:
        self._pgconn.set_chunked_rows_mode(CHUNK_ROWS)
        while (result := self._next_result()) is not None:
            status = result.status
            if status in _ROW_STATUSES:
                self._rows.take(result)
            elif status == pq.ExecStatus.FATAL_ERROR and not self._rows.is_truncated:
                self.failure = failed_result(
                    result, self._encoding
                )  # once truncated, it is the answer to our own cancel
            elif status in _COPY_STATUSES:
                # libpq would report it for ever; the pool closes a connection that is still busy.
                raise FailedError(FailureCode.STATEMENT, "COPY gives no rows here", sqlstate="0A000")

    def _finish(self) -> None:
        """Read up to the Sync; send the end of the transaction again if the server skipped it."""
        if self._read_sync():
            return
        self._send_end()
        if not self._read_sync():
            self._connection.needs_reset = True

    def _read_sync(self) -> bool:
        """Read up to the Sync; return whether every command before it was carried out."""
        is_whole = True
        while True:
            result = self._next_result()
            if result is None:
                self._pgconn.flush()  # raises if the connection has ended: then no Sync will come
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
        """Wait until a result is there, and send meanwhile what the server has not taken yet."""
        pgconn = self._pgconn
        connection = [pgconn.socket]
        while True:
            self._wait(connection, connection if self._is_unsent else (), None)
            pgconn.consume_input()
            if self._is_unsent:
                self._is_unsent = pgconn.flush() != 0
            if not pgconn.is_busy():
                return
