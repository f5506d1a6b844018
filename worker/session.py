"""The worker's one connection, kept by a psycopg pool of size one.

The pool connects, ages and replaces it. It would go on trying where we have an
answer already: one that cannot connect is given up at once, and the next
statement opens a new one.
"""

import select
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo, timeout_from_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

from worker.failures import FailedError, failed_connect
from worker.pooler import find_pooler, is_admin_console
from worker.protocol import Backend, Connected, FailureCode

MAX_CONNECTION_AGE_S: Final = 30 * 60.0
"""A connection is replaced after half an hour, so that memory its backend cached is given back."""

REFUSAL_CHECK_S: Final = 0.02
"""How often a wait for a connection looks whether it was refused; the pool tells nobody who waits in it."""

CLIENT_CHECK_INTERVAL: Final = "250ms"
"""How often a running backend looks whether its client is still there (PostgreSQL 14 and later)."""

# Fixed for every transaction. `standard_conforming_strings`: with it off, a backslash moves the end of
# a string literal away from where the validator saw it. The output styles make values deterministic.
_FIXED_SETTINGS: Final = {
    "standard_conforming_strings": "on",
    "idle_in_transaction_session_timeout": "10s",
    "row_security": "on",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
}

_FACTS_SQL: Final = b"""
SELECT pg_catalog.pg_backend_pid(),
       (SELECT backend_start::text FROM pg_catalog.pg_stat_activity WHERE pid = pg_catalog.pg_backend_pid()),
       pg_catalog.current_setting('search_path')
"""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a connection learned of its server, once.

    Attributes:
        settings: name → value, set anew in every transaction, beside the timeouts.
    """

    connected: Connected
    settings: Mapping[str, str]

    @property
    def is_pooled(self) -> bool:
        """Whether the server session is not this connection's own: behind a pooler, or shared by clients."""
        return self.connected.backend is None


class ServerConnection(psycopg.Connection[Any]):
    """A connection that knows its server, and tells why it could not be made.

    The pool only logs the reason of a failed attempt; its caller would see a timeout.
    """

    facts: ServerFacts

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        """Connect and read the facts, or report the reason to `on_failure` and raise it.

        Args:
            conninfo: libpq's.
            kwargs: `on_failure`, called with the psycopg.Error; the rest is libpq's.
        """
        on_failure: Callable[[psycopg.Error], None] = kwargs.pop("on_failure")
        try:
            connection = super().connect(conninfo, autocommit=True, prepare_threshold=None, **kwargs)
            timeout_s = timeout_from_conninfo(conninfo_to_dict(conninfo))
            connection.facts = _read_facts(connection.pgconn, timeout_s)
        except psycopg.Error as error:
            on_failure(error)
            raise
        return connection


class Session:
    """Lends the worker's connection out, one statement at a time."""

    def __init__(
        self,
        conninfo: str,
        params: Mapping[str, str],
        *,
        connect_timeout_s: int,
        on_connect: Callable[[Connected], None],
    ) -> None:
        """Remember where to connect; nothing is opened yet.

        Args:
            conninfo: libpq URL or key=value string; may be empty.
            params: libpq keywords added to it.
            connect_timeout_s: for each host, unless the conninfo says otherwise.
            on_connect: called in the borrowing thread before the first statement on a new connection.
        """
        self._conninfo = _complete(conninfo, params, connect_timeout_s)
        self._on_connect = on_connect
        self._pool: ConnectionPool[ServerConnection] | None = None
        self._connect_error: psycopg.Error | None = None
        self._announced: ServerFacts | None = None

    def borrow(self, timeout_s: float) -> ServerConnection:
        """Return the connection, opened anew if need be; give it back with `give_back`.

        Raises:
            FailedError: the database refused, is out of reach, or took longer than `timeout_s`.
        """
        connection = self._wait_for_connection(self._open_pool(), timeout_s)
        if connection.facts is not self._announced:
            self._announced = connection.facts
            self._on_connect(connection.facts.connected)
        return connection

    def give_back(self, connection: ServerConnection, *, reusable: bool) -> None:
        """Return the connection; it is reset for its next statement, or closed and replaced."""
        if not reusable:
            connection.close()
        if self._pool is not None:
            self._pool.putconn(connection)

    def close(self) -> None:
        """Close the connection and the pool; the session can be borrowed from again."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.close(timeout=0)

    def _open_pool(self) -> ConnectionPool[ServerConnection]:
        if self._connect_error is not None:
            self.close()
            self._connect_error = None
        if self._pool is None:
            pool: ConnectionPool[ServerConnection] = ConnectionPool(
                self._conninfo,
                kwargs={"on_failure": lambda error: self._note_refusal(pool, error)},
                connection_class=ServerConnection,
                min_size=1,
                max_size=1,
                num_workers=1,
                max_lifetime=MAX_CONNECTION_AGE_S,
                check=_check_socket,
                reset=_reset,
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
                if self._connect_error is None and time.monotonic() < deadline_s:
                    continue
                self.close()
                raise self._refusal(timeout_s) from None

    def _refusal(self, timeout_s: float) -> FailedError:
        if self._connect_error is not None:
            return failed_connect(self._connect_error)
        return FailedError(FailureCode.UNREACHABLE, f"no connection within {timeout_s:.1f} s")


def _complete(conninfo: str, params: Mapping[str, str], connect_timeout_s: int) -> str:
    try:
        merged = make_conninfo(conninfo, **params)
    except psycopg.ProgrammingError:  # its words may quote a piece of the password
        raise FailedError(FailureCode.UNREACHABLE, "libpq cannot read the connection string") from None
    given = conninfo_to_dict(merged)
    defaults = {
        "connect_timeout": str(connect_timeout_s),
        "application_name": "pgmcp",
        "keepalives_idle": "30",
        "client_encoding": "utf8",
    }
    missing = {name: value for name, value in defaults.items() if name not in given}
    return make_conninfo(merged, **(missing | {"client_encoding": "utf8"}))


def _read_facts(pgconn: pq.abc.PGconn, timeout_s: float) -> ServerFacts:
    if is_admin_console(pgconn):
        raise psycopg.OperationalError("this is PgBouncer's admin console, not a database")
    result = _first_answer(pgconn, _FACTS_SQL, timeout_s)
    if result.status != pq.ExecStatus.TUPLES_OK:
        raise psycopg.OperationalError(result.error_message.decode("utf8", "replace").strip())
    pid, started, search_path = ((result.get_value(0, i) or b"").decode() for i in range(3))
    pooler = find_pooler(pgconn, int(pid))
    backend = None if pooler else Backend(int(pid), started)
    settings = _FIXED_SETTINGS | {"search_path": _safe_search_path(search_path)}
    if _checks_its_client(pgconn):
        settings["client_connection_check_interval"] = CLIENT_CHECK_INTERVAL
    return ServerFacts(Connected(backend, pgconn.server_version, pooler), settings)


def _first_answer(pgconn: pq.abc.PGconn, query: bytes, timeout_s: float) -> pq.abc.PGresult:
    """Return the first result of a query; where there are two, it has the reason why the connection ends.

    Raises:
        psycopg.OperationalError: none came in time, as behind a pooler that has no server to give us.
    """
    deadline_s = time.monotonic() + timeout_s
    pgconn.send_query_params(query, None)
    pgconn.flush()
    while pgconn.is_busy():
        if not select.select([pgconn.socket], [], [], max(0.0, deadline_s - time.monotonic()))[0]:
            raise psycopg.OperationalError(
                f"connected, but no answer within {timeout_s:g} s: is a pooler out of server connections?"
            )
        pgconn.consume_input()
    first = pgconn.get_result()
    if first is None:
        raise psycopg.OperationalError("connected, but the connection broke at once")
    while pgconn.get_result() is not None:
        pass
    return first


def _checks_its_client(pgconn: pq.abc.PGconn) -> bool:
    """Tell whether the server can look for its client: since 14, and not on every system it runs on."""
    query = b"SELECT pg_catalog.set_config('client_connection_check_interval', $1, true)"
    return pgconn.exec_params(query, [CLIENT_CHECK_INTERVAL.encode()]).status == pq.ExecStatus.TUPLES_OK


def _safe_search_path(search_path: str) -> str:
    """Put pg_temp last: left out, it comes first, and a temporary table would stand before a real one."""
    schemas = [part.strip() for part in search_path.split(",") if part.strip()]
    return ", ".join([*(schema for schema in schemas if schema != "pg_temp"), "pg_temp"])


def _check_socket(connection: psycopg.Connection[Any]) -> None:
    """Find a connection that the server closed while it was idle, without a round trip.

    A healthy idle connection has nothing to read; a closed one reads as EOF.
    """
    pgconn = connection.pgconn
    while select.select([pgconn.socket], [], [], 0)[0]:
        pgconn.consume_input()
        pgconn.notifies()


def _reset(connection: ServerConnection) -> None:
    """Forget whatever a statement left behind: ROLLBACK keeps session advisory locks.

    Behind a pooler this would reach another server connection, and in a session that several connections
    share it would end other clients' state; there `worker.statement` undoes only what a read can leave.
    """
    if connection.facts.is_pooled:
        return
    result = connection.pgconn.exec_params(b"DISCARD ALL", None)
    if result.status != pq.ExecStatus.COMMAND_OK:
        raise psycopg.OperationalError("the session could not be reset")
