"""Answers the requests of the front (pgmcp's main process) one after another, each with one reply.

One thread handles frames and statements; psycopg's pool connects in another. While the thread waits for the
database, it also waits for the front, so it reads a Cancel and notices the front's end at once.
"""

import contextlib
import logging
import os
import select
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, NoReturn

import psycopg
from psycopg import pq

from worker.bounded_rows import Outcome
from worker.channel import Channel
from worker.connection import ServerConnection
from worker.failures import FailedError, broken_connection, failed_result
from worker.own_sql import OwnStatement, run_own
from worker.process import RecyclePolicy, limit_memory
from worker.protocol import (
    Cancel,
    Execute,
    Failure,
    FailureCode,
    FromWorker,
    Open,
    Opened,
    ProtocolError,
    Result,
    ShareSession,
    Terminate,
    Terminated,
    ToWorker,
)
from worker.session import Session
from worker.session_settings import TRANSACTION_TIMEOUT
from worker.statement import run_statement
from worker.type_names import TypeNames

logger = logging.getLogger(__name__)

CANCEL_TIMEOUT_S: Final = 2.0
"""Timeout of a cancel request. The front kills the worker long before, unless the front has ended."""

TERMINATE_TIMEOUT_S: Final = 5.0

GONE_WITHIN_S: Final = 1.0
"""How long a terminated backend may take to end before it counts as still running."""

_CHECK_END_EVERY_S: Final = 0.01
OWN_TIMEOUT_S: Final = 5.0
"""Timeout of the worker's own statements that belong to a request, such as a query for the names of types."""

_TERMINATE_SQL: Final = b"""
SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_get_activity($1) AS a
WHERE a.backend_start = $2
"""
_IS_THERE_SQL: Final = b"""
SELECT 1 FROM pg_catalog.pg_stat_get_activity($1) AS a WHERE a.backend_start = $2
"""
_SESSION_TYPES: Final = [23, 1184]
"""OIDs of the parameters' types in both statements: integer, and timestamp with time zone."""

_TRANSACTION_TIMEOUT_SQLSTATE: Final = "25P04"


class _Running:
    """The statement that runs now, and whether it was cancelled."""

    def __init__(self) -> None:
        self._id: int | None = None
        self._connection: ServerConnection | None = None
        self._cancelled_early: int | None = None
        self.was_cancelled = False

    def begin(self, request_id: int, connection: ServerConnection) -> None:
        """Note that this request runs from now on.

        Raises:
            FailedError: the request was cancelled while it waited for its connection.
        """
        if request_id == self._cancelled_early:
            raise FailedError(FailureCode.CANCELLED, "cancelled before it began")
        self._id, self._connection, self.was_cancelled = request_id, connection, False

    def end(self) -> None:
        """Forget the statement."""
        self._id = self._connection = None

    def cancel(self, request_id: int | None = None) -> None:
        """Cancel the running statement on the server if it has this id; None cancels it in any case.

        If the request does not run yet, `begin` refuses it.
        """
        if self._connection is None or request_id not in (None, self._id):
            self._cancelled_early = request_id
            return
        self.was_cancelled = True
        # An error means that the server was not reached or refused. The front then kills this process.
        with contextlib.suppress(psycopg.Error):
            self._connection.cancel_safe(timeout=CANCEL_TIMEOUT_S)


class Service:
    """Serves one channel: first the Open, then one request after another until the front has ended."""

    def __init__(self, channel: Channel, leave: Callable[[int], None] = os._exit) -> None:
        """Serve a channel.

        Args:
            channel: frames from and to the front.
            leave: exits the process at once, with all its threads; its argument is the exit code.
        """
        self._channel = channel
        self._leave = leave
        self._running = _Running()
        self._session: Session | None = None
        self._acquired: ServerConnection | None = None
        self._is_reusable = True
        self._type_names = TypeNames()
        self._recycle_policy = RecyclePolicy()

    def run(self) -> NoReturn:
        """Serve until the front has ended; never returns."""
        while True:
            message, body = self._next_request()
            if isinstance(message, ShareSession):
                self._share()
                continue
            try:
                self._channel.send(*self._reply(message, body))
            except OSError:
                self._end(0)  # the front closed its end while this process wrote
            self._give_back()

    def _next_request(self) -> tuple[ToWorker, bytes]:
        channel = self._channel
        while True:
            if channel.frames or channel.is_ended:
                self._read_requests()
                if channel.frames:
                    return channel.frames.popleft()
            self._read()

    def _wait(
        self, reading: Sequence[int] = (), writing: Sequence[int] = (), timeout_s: float | None = None
    ) -> bool:
        """Wait for descriptors or a frame, and read the frame; return False after `timeout_s`."""
        if self._channel.frames or self._channel.is_ended:
            self._read_requests()
        channel = self._channel.fileno()
        readable, writable, _ = select.select([*reading, channel], writing, [], timeout_s)
        if channel in readable:
            self._read()
            self._read_requests()
        return bool(readable or writable)

    def _read(self) -> None:
        try:
            self._channel.read()
        except ConnectionError:
            self._end(0)  # the front ended without reading the last reply
        except (ProtocolError, OSError) as error:
            logger.error("exiting: the channel is broken: %s", error)  # noqa: TRY400 # the traceback says nothing
            self._running.cancel()
            self._end(1)

    def _read_requests(self) -> None:
        """Read frames: act on a Cancel and on the front's end at once, and keep requests for later."""
        frames = self._channel.frames
        if frames:
            for frame in [frame for frame in frames if isinstance(frame[0], Cancel)]:
                frames.remove(frame)  # it may follow a ShareSession, which is handled later
                self._running.cancel(frame[0].id)
        if self._channel.is_ended:
            self._running.cancel()
            self._end(0)

    def _end(self, exit_code: int) -> None:
        """Close the connection with Terminate, so that the server logs nothing, and exit the process."""
        if self._session is not None:
            self._session.terminate(self._acquired)
        self._leave(exit_code)

    def _reply(self, message: ToWorker, body: bytes) -> tuple[FromWorker, bytes]:
        try:
            match message:
                case Open():
                    return self._open(message), b""
                case Execute():
                    return self._execute(message, body.decode("utf8"))
                case Terminate():
                    return self._terminate(message), b""
                case Cancel():
                    raise AssertionError("a Cancel is handled when it is read")
                case ShareSession():
                    raise AssertionError("a ShareSession has no reply")
        except FailedError as error:
            failure = Failure(
                message.id,
                error.code,
                error.message,
                error.sqlstate,
                error.hint,
                error.position,
                error.limit,
            )
            return failure, b""

    def _share(self) -> None:
        if self._session is not None:
            self._session.share()

    def _open(self, request: Open) -> Opened:
        limit_memory(request.memory_limit_mb)
        self._session = Session(
            request.conninfo,
            request.params,
            connect_timeout_s=request.connect_timeout_s,
            reconnects=request.reconnects,
            statement_timeout_ms=request.statement_timeout_ms,
            on_connect=self._channel.send,
            while_waiting=lambda: self._wait(timeout_s=0),
        )
        # Several hosts are tried one after another, so this is a multiple of the timeout for one host. The
        # front has a deadline of its own for the whole attempt.
        self._acquire_connection(timeout_s=request.connect_timeout_s * 10)
        return Opened(request.id)

    def _execute(self, request: Execute, sql: str) -> tuple[FromWorker, bytes]:
        connection = self._acquire_connection(timeout_s=request.statement_timeout_ms / 1000)
        limits = connection.facts.limits(request.statement_timeout_ms)
        self._running.begin(request.id, connection)
        started = time.monotonic()
        try:
            outcome = run_statement(
                connection,
                sql,
                request,
                limits,
                stop=lambda: self._running.cancel(request.id),
                wait=self._wait,
            )
        except FailedError as error:
            elapsed_ms = (time.monotonic() - started) * 1000
            if error.code is FailureCode.CANCELLED and not self._running.was_cancelled:
                error.code = _who_cancelled(elapsed_ms, limits.statement.ms)
                if error.code is FailureCode.TIMEOUT:
                    error.limit = limits.statement.description
            elif error.sqlstate == _TRANSACTION_TIMEOUT_SQLSTATE:
                error.limit = connection.facts.defaults.describe(TRANSACTION_TIMEOUT)
            raise
        finally:
            self._running.end()
            if self._running.was_cancelled:
                # The cancel request may arrive late, and would then cancel a later statement on this
                # connection.
                self._is_reusable = False
        return self._result(request.id, connection, outcome)

    def _result(
        self, request_id: int, connection: ServerConnection, outcome: Outcome
    ) -> tuple[FromWorker, bytes]:
        columns = self._type_names.named(outcome.columns)
        if columns is None:
            ask_own = partial(self._ask, connection, timeout_s=OWN_TIMEOUT_S)
            columns = self._type_names.look_up(ask_own, outcome.columns, connection.facts.encoding)
        reply = Result(
            request_id,
            columns,
            outcome.truncated,
            outcome.cut_cells,
            outcome.elapsed_ms,
            self._recycle_policy.should_recycle(len(outcome.body)),
            outcome.row_count,
            outcome.json_bytes,
            outcome.text_rows,
        )
        return reply, outcome.body

    def _terminate(self, request: Terminate) -> Terminated:
        connection = self._acquire_connection(timeout_s=TERMINATE_TIMEOUT_S)
        params = [str(request.backend.pid).encode(), request.backend.started.encode()]
        result = self._ask(connection, _TERMINATE_SQL, params, _SESSION_TYPES, timeout_s=TERMINATE_TIMEOUT_S)
        if result.status != pq.ExecStatus.TUPLES_OK:
            raise failed_result(result, connection.facts.encoding)
        was_signalled = result.ntuples > 0 and result.get_value(0, 0) == b"t"
        within_s = GONE_WITHIN_S if was_signalled else 0.0
        return Terminated(request.id, self._await_end(connection, params, within_s=within_s))

    def _await_end(self, connection: ServerConnection, params: list[bytes], *, within_s: float) -> bool:
        """Return whether the backend ends within `within_s`; pg_terminate_backend only sends a signal."""
        deadline_s = time.monotonic() + within_s
        while True:
            result = self._ask(
                connection, _IS_THERE_SQL, params, _SESSION_TYPES, timeout_s=TERMINATE_TIMEOUT_S
            )
            if result.status != pq.ExecStatus.TUPLES_OK:
                raise failed_result(result, connection.facts.encoding)
            if result.ntuples == 0:
                return True
            if time.monotonic() > deadline_s:
                return False
            self._wait(timeout_s=_CHECK_END_EVERY_S)

    def _ask(
        self,
        connection: ServerConnection,
        query: bytes,
        params: list[bytes],
        types: list[int],
        *,
        timeout_s: float,
    ) -> pq.abc.PGresult:
        facts = connection.facts
        settings = facts.own_settings(facts.limits(round(timeout_s * 1000)))
        statement = OwnStatement(query, settings, params, types, connection.encode_setting)
        try:
            (result,) = run_own(connection.pgconn, [statement], timeout_s=timeout_s, wait=self._wait)
        except psycopg.OperationalError as error:
            raise broken_connection(error) from error
        return result

    def _acquire_connection(self, *, timeout_s: float) -> ServerConnection:
        if self._session is None:
            raise FailedError(FailureCode.UNREACHABLE, "the first frame must be an Open")
        self._acquired = self._session.acquire(timeout_s)
        self._is_reusable = True
        return self._acquired

    def _give_back(self) -> None:
        """Return the connection, and reset the session while the front already handles the reply."""
        connection, self._acquired = self._acquired, None
        if connection is not None and self._session is not None:
            self._session.release(connection, reusable=self._is_reusable)


def _who_cancelled(elapsed_ms: float, statement_timeout_ms: int) -> FailureCode:
    """Return TIMEOUT if a cancelled statement reached its timeout, STATEMENT if another session cancelled it.

    The SQLSTATE is 57014 in both cases, and the message is in the server's language, so the time decides.
    """
    return FailureCode.TIMEOUT if elapsed_ms >= 0.9 * statement_timeout_ms else FailureCode.STATEMENT
