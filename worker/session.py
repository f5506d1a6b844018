"""Opens and replaces the worker's one connection, with a psycopg pool of size one.

A connection is kept from one statement to the next until it breaks or is too old. A pool that cannot connect
would keep retrying, so the session closes it, and the next statement opens a new pool.
"""

import logging
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Final

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

from worker.connection import ServerConnection, is_idle, is_open, read_to_end, reset_if_needed
from worker.failures import FailedError, failed_connect, read_sqlstates
from worker.own_sql import NAME_SETTING, reset_for_session
from worker.protocol import SHARED_SESSION, Connected, FailureCode
from worker.server_facts import ServerFacts
from worker.session_settings import STATEMENT_TIMEOUT_MS

READY_CHECK_S: Final = 0.001
"""How long to wait for a connection that the pool may have ready; with 0, the pool would return none."""
REFUSAL_CHECK_S: Final = 0.02
"""How often a wait for a connection checks whether the attempt has failed; getconn does not report it."""

READ_SQLSTATES_TIMEOUT_S: Final = 5.0
"""Timeout of the attempt that finds the SQLSTATE of a refusal with an unknown message."""

END_TIMEOUT_S: Final = 0.5
"""How long a cancelled statement may take to end when the process ends."""

CONNECTED_WITHIN_S: Final = 1.0
"""How long the end of the process waits for an attempt to connect."""

OPEN_CHECK_INTERVAL_S: Final = 0.005
"""Within this time after a statement, the next one is sent without a check of the connection."""

logger = logging.getLogger(__name__)


class Session:
    """Lends the worker's connection to one statement at a time."""

    def __init__(
        self,
        conninfo: str,
        params: Mapping[str, str],
        *,
        connect_timeout_s: int,
        statement_timeout_ms: int = STATEMENT_TIMEOUT_MS,
        on_connect: Callable[[Connected], None],
        while_waiting: Callable[[], object] = lambda: None,
        reconnects: bool = True,
    ) -> None:
        """Store the parameters without connecting.

        Args:
            conninfo: libpq URL or key=value string; may be empty.
            params: libpq parameters that are added to the conninfo.
            connect_timeout_s: timeout for each host, unless the conninfo or PGCONNECT_TIMEOUT has another
                one.
            statement_timeout_ms: as in `worker.protocol.Open`.
            on_connect: called in the borrowing thread before the first statement on a new connection.
            while_waiting: called repeatedly while waiting for a connection.
            reconnects: whether a connection that ended or is too old is replaced.
        """
        self._conninfo, self._requested_encoding = _complete(conninfo, params, connect_timeout_s)
        self._statement_timeout_ms = statement_timeout_ms
        self._on_connect = on_connect
        self._while_waiting = while_waiting
        self._may_connect = True
        self._reconnects = reconnects
        self._pool: ConnectionPool[ServerConnection] | None = None
        self._kept: ServerConnection | None = None
        self._connect_error: psycopg.Error | None = None
        self._announced: ServerFacts | None = None

    def acquire(self, timeout_s: float) -> ServerConnection:
        """Return the connection, reopened if necessary. The caller gives it back with `release`.

        Raises:
            FailedError: the database refused, is not reachable, or took longer than `timeout_s`; the
                connection has ended and may not be replaced; or libpq cannot read the connection string.
        """
        connection = self._take_kept() or self._connect(timeout_s)
        if connection.facts is not self._announced:
            self._announced = connection.facts
            self._on_connect(connection.facts.connected)
        return connection

    def release(self, connection: ServerConnection, *, reusable: bool) -> None:
        """Keep the connection for the next statement, or close and replace it."""
        if reusable and is_idle(connection) and reset_if_needed(connection):
            connection.checked_at_s = time.monotonic()
            self._kept = connection
        else:
            self._replace(connection)

    def share(self) -> None:
        """Reset the session settings, and set them in each transaction from now on.

        Called when another connection shares this session. A connection that replaces this one counts as not
        shared, until this is called for it.
        """
        kept = self._kept
        if kept is None or kept.facts.is_pooled:
            return
        connected = Connected(None, kept.facts.connected.server_version, SHARED_SESSION)
        defaults = replace(kept.facts.defaults, may_have_temporary_tables=True)
        kept.facts = self._announced = replace(
            kept.facts, connected=connected, defaults=defaults, is_pooled=True
        )
        with suppress(psycopg.Error):  # the next statement finds out that the connection broke
            names = [name for name, _ in kept.facts.session_settings()]
            reset_for_session(kept.pgconn, [*names, NAME_SETTING])

    def terminate(self, acquired: ServerConnection | None) -> None:
        """Close the connection with Terminate; called just before the process exits.

        If a cancelled statement still runs, its end is awaited first. A connection that is being made is
        completed first. Otherwise, the server would log a lost client.

        Args:
            acquired: the connection, if it has not been returned.
        """
        connection = acquired or self._kept or self._take_ready()
        if connection is not None and (is_idle(connection) or read_to_end(connection, END_TIMEOUT_S)):
            connection.pgconn.finish()

    def _take_ready(self) -> ServerConnection | None:
        """Return the connection that the pool has opened or is opening; None if it is not ready in time.

        It does not wait after a refusal: the pool would try again, and the end of the process would break
        that attempt.
        """
        is_opening = self._may_connect and self._connect_error is None
        deadline_s = time.monotonic() + CONNECTED_WITHIN_S
        while self._pool is not None:
            with suppress(PoolTimeout):
                return self._pool.getconn(timeout=REFUSAL_CHECK_S if is_opening else READY_CHECK_S)
            if not is_opening or self._connect_error is not None or time.monotonic() >= deadline_s:
                break
        return None

    def close(self) -> None:
        """Close the connection and the pool. A later `acquire` opens them again."""
        kept, self._kept = self._kept, None
        if kept is not None:
            kept.close()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close(timeout=0)

    def _connect(self, timeout_s: float) -> ServerConnection:
        if not self._may_connect:
            raise FailedError(FailureCode.DISCONNECTED, "the connection has ended")
        connection = self._wait_for_connection(self._open_pool(), timeout_s)
        self._may_connect = self._reconnects
        return connection

    def _take_kept(self) -> ServerConnection | None:
        kept, self._kept = self._kept, None
        if kept is None:
            return None
        now_s = time.monotonic()
        if now_s < kept.renew_at_s and (now_s < kept.checked_at_s + OPEN_CHECK_INTERVAL_S or is_open(kept)):
            return kept
        self._replace(kept)
        return None

    def _replace(self, connection: ServerConnection) -> None:
        connection.close()
        if self._pool is not None and self._may_connect:
            self._pool.putconn(connection)  # the pool opens another connection in place of a closed one

    def _open_pool(self) -> ConnectionPool[ServerConnection]:
        if self._connect_error is not None:
            self.close()
            self._connect_error = None
        if self._pool is None:
            pool: ConnectionPool[ServerConnection] = ConnectionPool(
                self._conninfo,
                kwargs={
                    "on_failure": lambda error: self._note_refusal(pool, error),
                    "requested_encoding": self._requested_encoding,
                    "statement_timeout_ms": self._statement_timeout_ms,
                },
                connection_class=ServerConnection,
                min_size=1,
                max_size=1,
                num_workers=1,
                open=False,
            )
            self._pool = pool
            pool.open()
        return self._pool

    def _note_refusal(self, pool: ConnectionPool[ServerConnection], error: psycopg.Error) -> None:
        if pool is self._pool:
            self._connect_error = error

    def _wait_for_connection(
        self, pool: ConnectionPool[ServerConnection], timeout_s: float
    ) -> ServerConnection:
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                return pool.getconn(timeout=REFUSAL_CHECK_S)
            except PoolTimeout:
                self._while_waiting()
                if self._connect_error is None and time.monotonic() < deadline_s:
                    continue
                self.close()
                raise self._refusal(timeout_s) from None

    def _refusal(self, timeout_s: float) -> FailedError:
        if self._connect_error is not None:
            return failed_connect(
                self._connect_error, lambda: read_sqlstates(self._conninfo, READ_SQLSTATES_TIMEOUT_S)
            )
        return FailedError(FailureCode.UNREACHABLE, f"no connection within {timeout_s:.1f} s")


def _complete(conninfo: str, params: Mapping[str, str], connect_timeout_s: int) -> tuple[str, str]:
    """Return the whole connection string, and the client_encoding that was requested, or "".

    Connections begin in UTF8, and `worker.text_encoding` chooses the encoding of later texts. The requested
    encoding matters only in a SQL_ASCII database: in others it changes how text is transferred, not the text.

    Raises:
        FailedError: libpq cannot read the connection string.
    """
    try:
        merged = make_conninfo(conninfo, **params)
    except psycopg.ProgrammingError:  # the message may contain part of the password
        raise FailedError(FailureCode.UNREACHABLE, "libpq cannot read the connection string") from None
    given = conninfo_to_dict(merged)
    defaults = {"fallback_application_name": "pgmcp", "keepalives_idle": "30"}
    if "PGCONNECT_TIMEOUT" not in os.environ:
        defaults["connect_timeout"] = str(connect_timeout_s)
    if "service" not in given and "PGSERVICE" not in os.environ:  # a service may have the right one
        # Without sslpassword, OpenSSL asks for an encrypted key's pass phrase in the terminal of the command.
        defaults["sslpassword"] = "none"
    missing = {name: value for name, value in defaults.items() if name not in given}
    requested = str(given.get("client_encoding") or os.environ.get("PGCLIENTENCODING", ""))
    return make_conninfo(merged, **missing, client_encoding="utf8"), requested
