"""The worker's one connection, opened and replaced by a psycopg pool of size one.

A connection is kept from one statement to the next until it breaks or is too old. The pool would keep
retrying; we close a pool that cannot connect, and the next statement opens a new one.
"""

import logging
import random
import select
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import psycopg
from psycopg import pq
from psycopg.conninfo import conninfo_to_dict, make_conninfo, timeout_from_conninfo
from psycopg_pool import ConnectionPool, PoolTimeout

from worker.failures import (
    INSUFFICIENT_PRIVILEGE,
    DeniedError,
    FailedError,
    failed_connect,
    failed_result,
)
from worker.own_sql import Question, ask_all, reset_for_session, set_for_session
from worker.pooler import SeenBackend, find_pooler, is_admin_console
from worker.protocol import SHARED_SESSION, Backend, Connected, FailureCode
from worker.refusal import read_sqlstates
from worker.session_settings import (
    CLIENT_CHECK_INTERVAL,
    CLIENT_CHECK_SETTING,
    DEFAULT_ISOLATION,
    LIMITS,
    OWN_SEARCH_PATH,
    READ_SETTINGS,
    STATEMENT_TIMEOUT_MS,
    SessionDefaults,
    TransactionLimits,
    caller_settings,
    choose_limits,
    own_settings,
    parse_ms,
    read_defaults,
    session_settings,
)
from worker.text_encoding import TextEncoding, choose_encoding, codec_of

MAX_CONNECTION_AGE_S: Final = 30 * 60.0
"""A connection is replaced after half an hour, so that its backend's cache memory is released."""

REFUSAL_CHECK_S: Final = 0.02
"""How often to check for a failed attempt while waiting for a connection; getconn does not report one."""

RESET_TIMEOUT_S: Final = 5.0

READ_SQLSTATES_TIMEOUT_S: Final = 5.0
"""For the attempt that finds out why a server refused a connection in words that are unknown here."""

OPEN_CHECK_INTERVAL_S: Final = 0.005
"""After a statement, the next one is sent within this time without checking that the connection is open."""

logger = logging.getLogger(__name__)

# The functions behind the views pg_stat_activity and pg_settings: access to the views may be revoked.
_IDENTITY_SQL: Final = b"""
SELECT pg_catalog.pg_backend_pid(), pg_catalog.inet_client_port(), pg_catalog.current_setting('port'),
       pg_catalog.concat(a.backend_start), a.backend_type
FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a
"""
# Run one at a time: a server may refuse one of them.
_IDENTITY_PARTS: Final = (
    b"SELECT pg_catalog.pg_backend_pid()",
    b"SELECT pg_catalog.inet_client_port()",
    b"SHOW port",
)
_DEFAULTS_SQL: Final = f"""
SELECT s.name, s.reset_val, s.source
FROM pg_catalog.pg_show_all_settings() AS s
WHERE s.name IN ({", ".join(f"'{name}'" for name in READ_SETTINGS)}) AND s.reset_val IS NOT NULL
""".encode()  # noqa: S608 - constant names
_CANCELLED: Final = b"57014"
_SET_REPEATABLE_READ: Final = b"SET default_transaction_isolation = 'repeatable read'"
_OWN_TIMEOUT: Final = ("statement_timeout", "5000")
_SHOW_SETTINGS: Final = tuple(f"SHOW {name}".encode() for name in READ_SETTINGS)
_MAY_HAVE_TEMPORARY_SQL: Final = b"""
SELECT pg_catalog.has_database_privilege(
    pg_catalog.current_database()::pg_catalog.text, 'TEMPORARY'::pg_catalog.text)
"""
_CLIENT_CHECK_SQL: Final = (
    f"SELECT pg_catalog.set_config('{CLIENT_CHECK_SETTING}', '{CLIENT_CHECK_INTERVAL}', true)".encode()
)


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Server facts, read once per connection.

    Attributes:
        defaults: what a session of this role starts with.
        encoding: how text travels.
        is_pooled: whether a pooler is in front of the server, so that each transaction may get another
            server connection.
        session_limits: what `session_settings` sets.
        checks_its_client: whether the server can notice that its client has gone while a statement runs.
    """

    connected: Connected
    defaults: SessionDefaults
    encoding: TextEncoding
    is_pooled: bool
    checks_its_client: bool
    session_limits: TransactionLimits

    @property
    def date_style(self) -> str:
        """The role's DateStyle: "ISO, MDY"."""
        return self.defaults.values.get("DateStyle", "")

    def limits(self, timeout_ms: int) -> TransactionLimits:
        """Return the limits of a transaction for a statement with this timeout."""
        return choose_limits(self.defaults, timeout_ms)

    def session_settings(self) -> list[tuple[str, str]]:
        """Return the settings of a session that nobody else uses, for callers' statements."""
        settings = session_settings(self.defaults, self.session_limits, self.encoding.client_encoding)
        return [*settings, *self._client_check()]

    def caller_settings(self, limits: TransactionLimits) -> list[tuple[str, str]]:
        """Return the settings of a transaction that runs a caller's statement in a shared session."""
        settings = caller_settings(
            self.defaults, limits, self.encoding.client_encoding, is_pooled=self.is_pooled
        )
        return [*settings.items(), *self._client_check()]

    def own_settings(self, limits: TransactionLimits) -> list[tuple[str, str]]:
        """Return the settings of a transaction that runs one of pgmcp's own statements."""
        settings = own_settings(self.defaults, limits, self.encoding.client_encoding)
        return [*settings, *self._client_check()]

    def _client_check(self) -> list[tuple[str, str]]:
        return [(CLIENT_CHECK_SETTING, CLIENT_CHECK_INTERVAL)] if self.checks_its_client else []


class ServerConnection(psycopg.Connection[Any]):
    """A connection that holds server facts and reports connect errors.

    The pool only logs the reason of a failed attempt; its caller would see a timeout.

    Attributes:
        renew_at_s: monotonic time of its replacement.
        checked_at_s: monotonic time at which the connection was last seen open.
        needs_reset: the clean-up after a statement was refused.
    """

    facts: ServerFacts
    renew_at_s: float
    checked_at_s: float = 0.0
    needs_reset: bool = False

    @classmethod
    def connect(cls, conninfo: str = "", **kwargs: Any) -> Self:
        """Connect and read the facts, or report the reason to `on_failure` and raise it.

        Args:
            conninfo: libpq's.
            kwargs: `on_failure`, called with the psycopg.Error; `requested_encoding`, the connection string's
                client_encoding; `statement_timeout_ms`, see `worker.protocol.Open`; the rest is libpq's.
        """
        on_failure: Callable[[psycopg.Error], None] = kwargs.pop("on_failure")
        requested_encoding: str = kwargs.pop("requested_encoding")
        timeout_ms: int = kwargs.pop("statement_timeout_ms", STATEMENT_TIMEOUT_MS)
        try:
            connection = super().connect(conninfo, autocommit=True, prepare_threshold=None, **kwargs)
            timeout_s = timeout_from_conninfo(conninfo_to_dict(conninfo))
            try:
                facts = _read_facts(connection.pgconn, timeout_s, requested_encoding)
                connection.facts = replace(facts, session_limits=facts.limits(timeout_ms))
                _prepare_session(connection, timeout_s)
            except psycopg.Error:
                connection.close()
                raise
        except psycopg.Error as error:
            on_failure(error)
            raise
        # Randomised so that workers do not reconnect together.
        connection.renew_at_s = time.monotonic() + MAX_CONNECTION_AGE_S * random.uniform(0.9, 1.0)  # noqa: S311
        return connection


class Session:
    """Lends the worker's connection out, one statement at a time."""

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
            params: libpq keywords added to it.
            connect_timeout_s: for each host, unless the conninfo says otherwise.
            statement_timeout_ms: see `worker.protocol.Open`.
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
        """Return the connection, reopened if necessary; return it with `release`.

        Raises:
            FailedError: the database refused, is out of reach, or took longer than `timeout_s`; or the
                connection has ended and may not be replaced.
        """
        connection = self._take_kept() or self._connect(timeout_s)
        if connection.facts is not self._announced:
            self._announced = connection.facts
            self._on_connect(connection.facts.connected)
        return connection

    def release(self, connection: ServerConnection, *, reusable: bool) -> None:
        """Keep the connection for the next statement, or close and replace it."""
        if reusable and _is_idle(connection) and _reset_if_needed(connection):
            connection.checked_at_s = time.monotonic()
            self._kept = connection
        else:
            self._replace(connection)

    def share(self) -> None:
        """Reset the session settings, and set them in each transaction from now on.

        Called when another connection shares this session. A new connection starts with a session of its own.
        """
        kept = self._kept
        if kept is None or kept.facts.is_pooled:
            return
        connected = Connected(None, kept.facts.connected.server_version, SHARED_SESSION)
        kept.facts = self._announced = replace(kept.facts, connected=connected, is_pooled=True)
        with suppress(psycopg.Error):  # the next statement finds out that the connection broke
            reset_for_session(kept.pgconn, [name for name, _ in kept.facts.session_settings()])

    def terminate(self, lent: ServerConnection | None) -> None:
        """Send Terminate on the connection, unless a statement runs there; the process ends now.

        Args:
            lent: the connection, if it has not been given back.
        """
        for connection in (lent, self._kept):
            if connection is not None and _is_idle(connection):
                connection.pgconn.finish()

    def close(self) -> None:
        """Close the connection and the pool; the session can be borrowed from again."""
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
        if now_s < kept.renew_at_s and (now_s < kept.checked_at_s + OPEN_CHECK_INTERVAL_S or _is_open(kept)):
            return kept
        self._replace(kept)
        return None

    def _replace(self, connection: ServerConnection) -> None:
        connection.close()
        if self._pool is not None and self._may_connect:
            self._pool.putconn(connection)  # it opens another in place of a closed one

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
    """Return the whole connection string, and the client_encoding that it asked for or "".

    Connections begin in UTF8. What was asked for matters in a SQL_ASCII database alone: elsewhere the
    encoding only says how the same text travels. A name that is not known is left for the server to refuse.
    """
    try:
        merged = make_conninfo(conninfo, **params)
    except psycopg.ProgrammingError:  # the message may contain part of the password
        raise FailedError(FailureCode.UNREACHABLE, "libpq cannot read the connection string") from None
    given = conninfo_to_dict(merged)
    defaults = {
        "connect_timeout": str(connect_timeout_s),
        "application_name": "pgmcp",
        "keepalives_idle": "30",
    }
    missing = {name: value for name, value in defaults.items() if name not in given}
    requested = str(given.get("client_encoding") or "")
    if not requested or requested == "auto" or codec_of(requested):
        missing["client_encoding"] = "utf8"
    return make_conninfo(merged, **missing), requested


class _FirstStatements:
    """The worker's own statements on a new connection."""

    def __init__(self, pgconn: pq.abc.PGconn, timeout_s: float, encoding: TextEncoding) -> None:
        self._pgconn = pgconn
        self._timeout_s = timeout_s
        self._encoding = encoding
        self._settings = [
            ("search_path", OWN_SEARCH_PATH),
            ("DateStyle", "ISO, YMD"),
        ]
        if encoding.client_encoding:
            self._settings.append(("client_encoding", encoding.client_encoding))

    def optional_rows(self, *queries: bytes, on_path_of_role: bool = False) -> list[list[list[str]] | None]:
        """Run statements in one round trip; return the rows of each, None for one the server refuses.

        NULL is "".

        Args:
            on_path_of_role: leave the settings as they are, for statements that resolve no names (SHOW).
        """
        settings = [] if on_path_of_role else self._settings
        results = self._ask(queries, settings)
        if any(result.error_field(pq.DiagnosticField.SQLSTATE) == _CANCELLED for result in results):
            # Another client of a pooler may have left a millisecond in the session. Not set before: then the
            # server would not say who set the role's own limit.
            results = self._ask(queries, [*settings, _OWN_TIMEOUT])
        return [self._optional_rows(result) for result in results]

    def _ask(self, queries: Sequence[bytes], settings: list[tuple[str, str]]) -> list[pq.abc.PGresult]:
        questions = [Question(query, settings) for query in queries]
        return ask_all(self._pgconn, questions, timeout_s=self._timeout_s)

    def require_settings(self) -> None:
        """Raise if settings cannot be set for a transaction.

        Raises:
            DeniedError: the role may not execute set_config().
            psycopg.OperationalError: the server refuses it for another reason.
        """
        (result,) = ask_all(self._pgconn, [Question(b"SELECT", self._settings)], timeout_s=self._timeout_s)
        if result.status != pq.ExecStatus.TUPLES_OK:
            refusal = failed_result(result, self._encoding)
            is_denied = refusal.sqlstate == INSUFFICIENT_PRIVILEGE
            raise (DeniedError if is_denied else psycopg.OperationalError)(refusal.message)

    def _optional_rows(self, result: pq.abc.PGresult) -> list[list[str]] | None:
        if result.status != pq.ExecStatus.TUPLES_OK:
            refusal = failed_result(result, self._encoding)
            logger.debug("an optional statement was refused: %s", refusal.message)
            return None
        return [
            [self._encoding.decode(result.get_value(row, column) or b"") for column in range(result.nfields)]
            for row in range(result.ntuples)
        ]


def _read_facts(pgconn: pq.abc.PGconn, timeout_s: float, requested_encoding: str) -> ServerFacts:
    if is_admin_console(pgconn):
        raise psycopg.OperationalError("this is PgBouncer's admin console, not a database")
    server_encoding = (pgconn.parameter_status(b"server_encoding") or b"").decode("ascii", "replace")
    encoding = choose_encoding(server_encoding, requested_encoding)
    first = _FirstStatements(pgconn, timeout_s, encoding)
    identity, defaults, client_check, temporary = first.optional_rows(
        _IDENTITY_SQL, _DEFAULTS_SQL, _CLIENT_CHECK_SQL, _MAY_HAVE_TEMPORARY_SQL
    )
    if identity is None or defaults is None:
        first.require_settings()
    seen, started = _read_identity(first, identity)
    pooler = find_pooler(pgconn, seen)
    if not pooler and not started:
        logger.warning(
            "the role may not read when its sessions began (pg_stat_get_activity): the server has to notice "
            "by itself that a worker was killed, because a pid alone may belong to another session by then"
        )
    may_not = temporary == [["f"]] or _is_standby(pgconn)
    session_defaults = replace(_read_defaults(first, defaults), can_have_temporary_schema=not may_not)
    backend = Backend(seen.pid, started) if seen.pid and started and not pooler else None
    escapes_backslashes = pgconn.parameter_status(b"standard_conforming_strings") == b"off"
    session = "" if pooler else _session_identity(pgconn, seen, started)
    return ServerFacts(
        Connected(backend, pgconn.server_version, pooler, session, escapes_backslashes),
        session_defaults,
        encoding,
        is_pooled=bool(pooler),
        checks_its_client=client_check is not None,
        session_limits=choose_limits(session_defaults, STATEMENT_TIMEOUT_MS),
    )


def _session_identity(pgconn: pq.abc.PGconn, seen: SeenBackend, started: str) -> str:
    """Return an identifier that is unique among live sessions.

    A pid belongs to one host, and pids are reused.
    """
    address = pgconn.hostaddr or pgconn.host
    return f"{seen.pid} {started or (address + b':' + pgconn.port).decode('utf8', 'replace')}"


def _read_identity(first: _FirstStatements, rows: list[list[str]] | None) -> tuple[SeenBackend, str]:
    """Return the backend, and when it started as PostgreSQL's text; both as far as the role may read them."""
    if rows:
        pid, client_port, server_port, started, kind = rows[0]
        return SeenBackend(int(pid), client_port, server_port, kind), started
    parts = first.optional_rows(*_IDENTITY_PARTS)
    known = [part[0][0] if part else None for part in parts]
    pid_text, known_client_port, known_server_port = known
    seen = SeenBackend(
        int(pid_text) if pid_text else None, known_client_port, known_server_port or "", kind=""
    )
    return seen, ""


def _read_defaults(first: _FirstStatements, rows: list[list[str]] | None) -> SessionDefaults:
    """Return the defaults from where they are defined; if that was refused, from the session's state."""
    if rows:
        return read_defaults([(name, value, source) for name, value, source in rows])
    logger.warning(
        "the role may not execute pg_show_all_settings(): the settings of this session are taken for the "
        "role's own"
    )
    shown = first.optional_rows(*_SHOW_SETTINGS, on_path_of_role=True)
    return read_defaults(
        [
            (name, parse_ms(values[0][0]) if name in LIMITS else values[0][0], "")
            for name, values in zip(READ_SETTINGS, shown, strict=True)
            if values
        ]
    )


def _prepare_session(connection: ServerConnection, timeout_s: float) -> None:
    """Set once what every statement needs; a session that others share gets it with each transaction."""
    facts = connection.facts
    if facts.is_pooled:
        return
    if facts.defaults.values.get(DEFAULT_ISOLATION) == "serializable" and _is_standby(connection.pgconn):
        # A standby refuses every statement in serializable; repeatable read is what PostgreSQL advises there.
        connection.pgconn.exec_params(_SET_REPEATABLE_READ, None)
    result = set_for_session(connection.pgconn, facts.session_settings(), timeout_s=timeout_s)
    if result.status != pq.ExecStatus.TUPLES_OK:
        raise psycopg.OperationalError(failed_result(result, facts.encoding).message)


def _is_standby(pgconn: pq.abc.PGconn) -> bool:
    """Return whether the server says that it is a standby, as PostgreSQL 14 and later do."""
    return pgconn.parameter_status(b"in_hot_standby") == b"on"


def _is_idle(connection: ServerConnection) -> bool:
    return connection.pgconn.transaction_status == pq.TransactionStatus.IDLE


def _reset_if_needed(connection: ServerConnection) -> bool:
    """Return whether the session is clean; runs DISCARD ALL if needed.

    A hardened server may not let the role call what `worker.statement` cleans up with. DISCARD ALL reaches
    another server connection behind a pooler, and other clients' state in a shared session.
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


def _is_open(connection: ServerConnection) -> bool:
    """Return whether the server has left the connection open, without a round trip.

    A healthy idle connection has nothing to read; a closed one reads as EOF.
    """
    pgconn = connection.pgconn
    try:
        while select.select([pgconn.socket], [], [], 0)[0]:
            pgconn.consume_input()
            pgconn.notifies()
    except psycopg.OperationalError:
        return False
    return True
