"""Reads facts about a server once per connection, by statements that a hardened server may refuse."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import psycopg
from psycopg import pq

from worker.failures import INSUFFICIENT_PRIVILEGE, DeniedError, failed_result
from worker.own_sql import OwnStatement, run_own
from worker.pooler import SeenBackend, find_pooler, is_admin_console
from worker.protocol import SHARED_SESSION, Backend, Connected
from worker.session_settings import (
    CLIENT_CHECK_INTERVAL,
    CLIENT_CHECK_SETTING,
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
from worker.text_encoding import TextEncoding, choose_encoding

logger = logging.getLogger(__name__)

# The functions of the views pg_stat_activity and pg_settings are called directly, because access to the views
# may be revoked.
_IDENTITY_SQL: Final = b"""
SELECT pg_catalog.pg_backend_pid(), pg_catalog.inet_client_port(), pg_catalog.current_setting('port'),
       pg_catalog.concat(a.backend_start), a.backend_type
FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS a
"""
# These run one at a time, because a server may refuse one of them.
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
_SEARCH_PATH: Final = "search_path"
_SETTING_BY_VARIABLE: Final = {"PGDATESTYLE": "DateStyle", "PGTZ": "TimeZone"}
_CANCELLED: Final = b"57014"
_OWN_TIMEOUT: Final = ("statement_timeout", "5000")
_SHOW_SETTINGS: Final = tuple(f"SHOW {name}".encode() for name in READ_SETTINGS)
_TEMPORARY_SQL: Final = b"""
SELECT pg_catalog.has_database_privilege(
           pg_catalog.current_database()::pg_catalog.text, 'TEMPORARY'::pg_catalog.text),
       pg_catalog.pg_my_temp_schema()
"""
_OPTIONS_VARIABLE: Final = "PGOPTIONS"
_CLIENT_CHECK_SQL: Final = (
    f"SELECT pg_catalog.set_config('{CLIENT_CHECK_SETTING}', '{CLIENT_CHECK_INTERVAL}', true)".encode()
)


_KEPT_LIMITS: Final = 64
"""Number of timeouts whose limits are cached; most statements have one of two timeouts."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """Facts about the server of one connection.

    Attributes:
        connected: the frame that describes the connection to the front.
        defaults: the settings with which a session of this role starts.
        encoding: the encoding of text on this connection.
        is_pooled: whether other clients may use the session, too: behind a pooler, each transaction may get
            another server connection; on some servers, all connections share one session.
        session_limits: the limits in `session_settings`.
        checks_its_client: whether the server can notice that its client has gone while a statement runs.
    """

    connected: Connected
    defaults: SessionDefaults
    encoding: TextEncoding
    is_pooled: bool
    checks_its_client: bool
    session_limits: TransactionLimits
    _limits_by_timeout: dict[int, TransactionLimits] = field(default_factory=dict, init=False)

    @property
    def date_style(self) -> str:
        """The role's DateStyle, such as "ISO, MDY"; "" if it is not known."""
        return self.defaults.values.get("DateStyle", "")

    def limits(self, timeout_ms: int) -> TransactionLimits:
        """Return the limits of a transaction for a statement with this timeout."""
        limits = self._limits_by_timeout.get(timeout_ms)
        if limits is None:
            if len(self._limits_by_timeout) >= _KEPT_LIMITS:
                self._limits_by_timeout.clear()
            limits = self._limits_by_timeout[timeout_ms] = choose_limits(self.defaults, timeout_ms)
        return limits

    def session_settings(self) -> list[tuple[str, str]]:
        """Return the settings of a session that no other client uses, for callers' statements."""
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

    def optional_rows(self, *queries: bytes, keeps_settings: bool = False) -> list[list[list[str]] | None]:
        """Run statements in one round trip; return the rows of each, or None for a refused statement.

        A NULL becomes "".

        Args:
            keeps_settings: run them with the session's own settings; only for SHOW, which resolves no names.

        Raises:
            psycopg.OperationalError: the connection broke, or no answer came in time.
        """
        settings = [] if keeps_settings else self._settings
        results = self._ask(queries, settings)
        if any(result.error_field(pq.DiagnosticField.SQLSTATE) == _CANCELLED for result in results):
            # Another client of a pooler may have left a statement_timeout of a millisecond in the session.
            # The first attempt sets no timeout: with one, the server would not report who set the role's own
            # limit.
            results = self._ask(queries, [*settings, _OWN_TIMEOUT])
        return [self._optional_rows(result) for result in results]

    def _ask(self, queries: Sequence[bytes], settings: list[tuple[str, str]]) -> list[pq.abc.PGresult]:
        statements = [OwnStatement(query, settings) for query in queries]
        return run_own(self._pgconn, statements, timeout_s=self._timeout_s)

    def require_settings(self) -> None:
        """Raise if settings cannot be set for a transaction.

        Raises:
            DeniedError: the role lacks a privilege that this needs, usually to execute set_config().
            psycopg.OperationalError: the server refused for another reason.
        """
        statement = OwnStatement(b"SELECT", self._settings)
        (result,) = run_own(self._pgconn, [statement], timeout_s=self._timeout_s)
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


def read_facts(pgconn: pq.abc.PGconn, timeout_s: float, requested_encoding: str) -> ServerFacts:
    """Return the facts about the server that the first statement needs.

    Args:
        pgconn: an idle connection.
        timeout_s: timeout of the answers of each round trip.
        requested_encoding: the connection string's client_encoding, or "".

    Raises:
        DeniedError: the role lacks a privilege that every statement of the worker needs.
        psycopg.OperationalError: the server cannot run pgmcp's statements, or did not answer in time.
    """
    if is_admin_console(pgconn):
        raise psycopg.OperationalError("this is PgBouncer's admin console, not a database")
    server_encoding = (pgconn.parameter_status(b"server_encoding") or b"").decode("ascii", "replace")
    encoding = choose_encoding(server_encoding, requested_encoding)
    first = _FirstStatements(pgconn, timeout_s, encoding)
    identity, defaults, client_check, temporary = first.optional_rows(
        _IDENTITY_SQL, _DEFAULTS_SQL, _CLIENT_CHECK_SQL, _TEMPORARY_SQL
    )
    if identity is None or defaults is None:
        first.require_settings()
    seen, started = _read_identity(first, identity)
    pooler = find_pooler(pgconn, seen)
    if not pooler and not started:
        logger.warning(
            "the role may not read when its sessions began (pg_stat_get_activity): pgmcp cannot end the "
            "session of a killed worker, because another session may have its pid by then; the session ends "
            "when the server notices that the worker is gone"
        )
    options_variable = _OPTIONS_VARIABLE if _has_options_of_environment(pgconn) else ""
    may_have_temporary_tables = not is_standby(pgconn) and _may_have_temporary_tables(
        temporary, is_pooled=bool(pooler)
    )
    session_defaults = replace(
        _read_defaults(first, defaults, options_variable),
        may_have_temporary_tables=may_have_temporary_tables,
        sees_temporary_schema=bool(temporary),
    )
    if pooler == SHARED_SESSION:
        session_defaults = _with_shared_search_path(first, session_defaults)
    if pooler:
        session_defaults = _with_settings_of_environment(pgconn, session_defaults)
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


def _may_have_temporary_tables(rows: list[list[str]] | None, *, is_pooled: bool) -> bool:
    """Return whether the session may have temporary tables before a statement.

    A session without a temporary schema keeps none for the next statement, because each transaction is rolled
    back. Behind a pooler, another client may create one.
    """
    if not rows:
        return True
    is_allowed, schema_oid = rows[0]
    return is_allowed != "f" and (is_pooled or schema_oid != "0")


def _has_options_of_environment(pgconn: pq.abc.PGconn) -> bool:
    options = os.environ.get(_OPTIONS_VARIABLE, "")
    return options != "" and pgconn.options == os.fsencode(options)


def _with_settings_of_environment(pgconn: pq.abc.PGconn, defaults: SessionDefaults) -> SessionDefaults:
    """Return defaults with the settings that libpq requests at login because of environment variables.

    A pooler sets them in the server's session, but the session's defaults do not change.
    """
    asked = {
        setting: (pgconn.parameter_status(setting.encode()) or b"").decode("ascii", "replace")
        for variable, setting in _SETTING_BY_VARIABLE.items()
        if variable in os.environ
    }
    return replace(
        defaults, values={**defaults.values, **{name: text for name, text in asked.items() if text}}
    )


def _with_shared_search_path(first: _FirstStatements, defaults: SessionDefaults) -> SessionDefaults:
    """Return defaults with the session's current search path, if the default path is only pg_catalog.

    PGlite 0.3 starts PostgreSQL with `pg_catalog` as the path, and then sets `public` for its one session.
    """
    if defaults.values.get(_SEARCH_PATH) != "pg_catalog":
        return defaults
    (shown,) = first.optional_rows(f"SHOW {_SEARCH_PATH}".encode(), keeps_settings=True)
    return replace(defaults, values={**defaults.values, _SEARCH_PATH: shown[0][0]}) if shown else defaults


def _session_identity(pgconn: pq.abc.PGconn, seen: SeenBackend, started: str) -> str:
    """Return an identifier that is unique among live sessions.

    A pid alone is not unique: pids are reused, and each host has its own.
    """
    address = pgconn.hostaddr or pgconn.host
    return f"{seen.pid} {started or (address + b':' + pgconn.port).decode('utf8', 'replace')}"


def _read_identity(first: _FirstStatements, rows: list[list[str]] | None) -> tuple[SeenBackend, str]:
    """Return the backend and its start time; the time is "" if the role may not read it."""
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


def _read_defaults(
    first: _FirstStatements, rows: list[list[str]] | None, options_variable: str
) -> SessionDefaults:
    """Return the defaults of the role; if the server refused to list them, the session's current values."""
    if rows:
        return read_defaults([(name, value, source) for name, value, source in rows], options_variable)
    logger.warning(
        "the role may not execute pg_show_all_settings(): the current settings of this session are used as "
        "the role's defaults"
    )
    shown = first.optional_rows(*_SHOW_SETTINGS, keeps_settings=True)
    return read_defaults(
        [
            (name, parse_ms(values[0][0]) if name in LIMITS else values[0][0], "")
            for name, values in zip(READ_SETTINGS, shown, strict=True)
            if values
        ]
    )


def is_standby(pgconn: pq.abc.PGconn) -> bool:
    """Return whether the server reports that it is a standby. PostgreSQL 13 does not report it."""
    return pgconn.parameter_status(b"in_hot_standby") == b"on"
