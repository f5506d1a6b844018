"""Chooses the settings of sessions and transactions, and the smaller of the server's and pgmcp's limits.

A caller's statement has the same meaning as in psql. The styles of dates, intervals and bytes and the search
path are the role's, as `pg_settings.reset_val` gives them, regardless of the state of a pooled connection.
Only settings that could move the end of a literal away from where the validator saw it are fixed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from worker.own_sql import PATH_WITHOUT_TEMPORARY, SEARCH_PATH_SETTING
from worker.protocol import CALLER_SCHEMAS_SETTING

STATEMENT_TIMEOUT_MS: Final = 30_000
"""Default statement_timeout of a session."""

MAX_LOCK_WAIT_MS: Final = 5_000
"""Longest lock_timeout. A read waits only for ACCESS EXCLUSIVE locks, which DDL and LOCK TABLE take."""

TIMEOUT_SLACK_MS: Final = 20
"""By how much a session's statement_timeout may exceed a statement's timeout.

Within this limit, a transaction sets no timeout of its own. That saves a `SELECT set_config(…)`, which costs
PostgreSQL 27 µs of the 115 µs for a `select 1` with BEGIN and ROLLBACK. A late timeout does no harm: the next
step, a cancel request, comes 50 ms after the deadline.
"""

MAX_IDLE_IN_TRANSACTION_MS: Final = 10_000
"""Longest idle_in_transaction_session_timeout. An idle transaction of pgmcp has lost its worker."""

OWN_SEARCH_PATH: Final = "pg_catalog, pg_temp"
"""Search path of pgmcp's own statements. Without pg_temp at its end, PostgreSQL would search pg_temp first.
"""

CLIENT_CHECK_SETTING: Final = "client_connection_check_interval"
CLIENT_CHECK_INTERVAL: Final = "250ms"
"""How often a running backend checks that its client is still there (PostgreSQL 14 and later)."""

_STATEMENT_TIMEOUT: Final = "statement_timeout"
_LOCK_TIMEOUT: Final = "lock_timeout"
_IDLE_TIMEOUT: Final = "idle_in_transaction_session_timeout"
TRANSACTION_TIMEOUT: Final = "transaction_timeout"
LIMITS: Final = (_STATEMENT_TIMEOUT, _LOCK_TIMEOUT, _IDLE_TIMEOUT, TRANSACTION_TIMEOUT)

# Without this, a backslash moves the end of a string literal.
_STANDARD_STRINGS: Final = {"standard_conforming_strings": "on"}

_OWN_STYLES: Final = _STANDARD_STRINGS | {
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "row_security": "on",
    "quote_all_identifiers": "off",
}

_OWN_KEPT: Final = ("TimeZone", "restrict_nonsystem_relation_kind")
"""Settings that pgmcp's own statements set to the role's values, because a pooled session may have others."""

KEPT_SETTINGS: Final = (
    "search_path",
    "DateStyle",
    "IntervalStyle",
    "bytea_output",
    "extra_float_digits",
    "row_security",
    "array_nulls",
    "backslash_quote",
    "transform_null_equals",
    "xmlbinary",
    "xmloption",
    "lc_monetary",
    "lc_numeric",
    "lc_time",
    "quote_all_identifiers",  # before the next one, whose value it quotes
    "default_text_search_config",
    "TimeZone",
    "gin_fuzzy_search_limit",
    "restrict_nonsystem_relation_kind",
)
"""Settings that change a statement's meaning or how values are written.

In a session that other clients share, each transaction of a caller's statement sets them to the role's
values.
"""

DEFAULT_ISOLATION: Final = "default_transaction_isolation"

_JIT: Final = "jit"
"""Turned off for pgmcp's own statements. Servers with LLVM compile expensive queries by default. For catalog
queries, whose cost is overestimated, this takes seconds.
"""

READ_SETTINGS: Final = (*KEPT_SETTINGS, *LIMITS, DEFAULT_ISOLATION, _JIT)

_BY_SERVER: Final = "set by the server"
_OWNER_BY_SOURCE: Final = {
    "database": "set for the database",
    "user": "set for the role",
    "database user": "set for the role in this database",
    "environment variable": "set for the server's environment",
    "global": "set for all roles",  # ALTER ROLE ALL
    "default": _BY_SERVER,
    "configuration file": _BY_SERVER,
    "command line": _BY_SERVER,
}
_OF_UNKNOWN_SOURCE: Final = "set for the role, the database or the server"
"""The owner of a limit if the server does not tell, or if the session has another value for now."""


class Limit(NamedTuple):
    """A limit in milliseconds; 0 means none.

    Attributes:
        description: the setting and who set it, if the limit is the server's; "" if it is pgmcp's.
    """

    ms: int
    description: str = ""


@dataclass(frozen=True, slots=True)
class SessionDefaults:
    """The settings with which a new session of this role starts.

    Attributes:
        values: name → value. Limits are in milliseconds. A setting that this server lacks is left out.
        owners: name of a limit → who set it: "set for the role", "set by the server".
        may_have_temporary_tables: whether the session may have temporary tables before a statement. If it
            has none, the search path is the role's own: with pg_temp at its end, current_schema() would
            return, and even create, a temporary schema where the role's path has no existing schema.
        sees_temporary_schema: whether the role may call pg_my_temp_schema(), so that each transaction can
            check whether its session has a temporary schema.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    may_have_temporary_tables: bool = True
    sees_temporary_schema: bool = False

    def lower(self, name: str, own_ms: int) -> Limit:
        """Return the smaller of the server's limit and pgmcp's own.

        Args:
            name: the setting with the server's limit.
            own_ms: pgmcp's limit.
        """
        server_ms = int(self.values.get(name) or 0)
        if 0 < server_ms <= own_ms:
            return Limit(server_ms, self.describe(name))
        return Limit(own_ms)

    def describe(self, name: str) -> str:
        """Return the server's own limit in words: "statement_timeout = 1s, set for the role"."""
        return f"{name} = {_format_ms(int(self.values.get(name) or 0))}, {self.owners.get(name, '')}"


def read_defaults(rows: list[tuple[str, str, str]], options_variable: str = "") -> SessionDefaults:
    """Return the defaults from rows of (name, reset_val, source).

    Args:
        options_variable: the environment variable that has the connection's options; "" if the connection
            string has them.
    """
    of_client = f"set by {options_variable}" if options_variable else "set for the connection string"
    owner_by_source = {**_OWNER_BY_SOURCE, "client": of_client}
    values = {name: value for name, value, _ in rows}
    owners = {
        name: owner_by_source.get(source, _OF_UNKNOWN_SOURCE) for name, _, source in rows if name in LIMITS
    }
    return SessionDefaults(values, owners)


def caller_settings(
    defaults: SessionDefaults, limits: "TransactionLimits", client_encoding: str, *, is_pooled: bool
) -> dict[str, str]:
    """Return the settings of a transaction that runs a caller's statement.

    Args:
        client_encoding: the value to set; "" sets none.
        is_pooled: whether other clients share the session and may have changed its settings.
    """
    names = KEPT_SETTINGS if is_pooled else ("search_path", "DateStyle")
    kept = {name: defaults.values[name] for name in names if name in defaults.values}
    path = kept.get(SEARCH_PATH_SETTING)
    if path is not None and defaults.may_have_temporary_tables:
        kept[SEARCH_PATH_SETTING] = put_temporary_schema_last(path)
        if is_pooled and defaults.sees_temporary_schema:
            kept[PATH_WITHOUT_TEMPORARY] = path
    return kept | _STANDARD_STRINGS | limits.settings(defaults) | _encoding(client_encoding)


def session_settings(
    defaults: SessionDefaults, limits: "TransactionLimits", client_encoding: str
) -> list[tuple[str, str]]:
    """Return the settings of a session that no other client uses, for callers' statements.

    They are set once for the session: ROLLBACK at the end of each transaction undoes a statement's changes.
    """
    return list(caller_settings(defaults, limits, client_encoding, is_pooled=False).items())


def own_settings(
    defaults: SessionDefaults, limits: "TransactionLimits", client_encoding: str
) -> list[tuple[str, str]]:
    """Return the settings of a transaction that runs an own statement, in this order.

    The role's search path is set first, and its schemas are stored in `CALLER_SCHEMAS_SETTING`, because
    pgmcp's statements need them. Then pgmcp's own search path is set.
    """
    path = without_temporary_schema(defaults.values.get("search_path", ""))
    kept = {name: defaults.values[name] for name in _OWN_KEPT if name in defaults.values}
    rest = _OWN_STYLES | kept | limits.settings(defaults) | _encoding(client_encoding)
    if defaults.values.get(_JIT) == "on":
        rest[_JIT] = "off"
    return [
        ("search_path", path),
        (CALLER_SCHEMAS_SETTING, ""),
        ("search_path", OWN_SEARCH_PATH),
        *rest.items(),
    ]


class TransactionLimits(NamedTuple):
    """The limits of one transaction: for each, the smaller of the server's and pgmcp's."""

    statement: Limit
    lock: Limit
    idle: Limit

    def needed_in(self, session: "TransactionLimits") -> list[tuple[str, str]]:
        """Return the limits that a transaction has to set in a session with the limits `session`.

        A limit is left out if the session's is close enough (`TIMEOUT_SLACK_MS`).
        """
        settings = []
        if not _is_near(self.statement, session.statement):
            settings.append((_STATEMENT_TIMEOUT, str(self.statement.ms)))
        if not _is_near(self.lock, session.lock):
            settings.append((_LOCK_TIMEOUT, str(self.lock.ms)))
        return settings

    def settings(self, defaults: SessionDefaults) -> dict[str, str]:
        """Return the limits as settings, with the role's transaction_timeout if the server has it."""
        limits = {
            _STATEMENT_TIMEOUT: str(self.statement.ms),
            _LOCK_TIMEOUT: str(self.lock.ms),
            _IDLE_TIMEOUT: str(self.idle.ms),
        }
        if TRANSACTION_TIMEOUT in defaults.values:
            limits[TRANSACTION_TIMEOUT] = defaults.values[TRANSACTION_TIMEOUT]
        return limits


def choose_limits(defaults: SessionDefaults, timeout_ms: int) -> TransactionLimits:
    """Return the limits of a transaction whose statement may take `timeout_ms`."""
    return TransactionLimits(
        statement=defaults.lower(_STATEMENT_TIMEOUT, timeout_ms),
        lock=defaults.lower(_LOCK_TIMEOUT, min(timeout_ms, MAX_LOCK_WAIT_MS)),
        idle=defaults.lower(_IDLE_TIMEOUT, MAX_IDLE_IN_TRANSACTION_MS),
    )


def _is_near(wanted: Limit, of_session: Limit) -> bool:
    return 0 <= of_session.ms - wanted.ms <= TIMEOUT_SLACK_MS


def _encoding(client_encoding: str) -> dict[str, str]:
    return {"client_encoding": client_encoding} if client_encoding else {}


def _format_ms(ms: int) -> str:
    return f"{ms / 1000:g}s" if ms >= 1000 else f"{ms}ms"


_MS_BY_UNIT: Final = {"": 1, "us": 0.001, "ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_ms(text: str) -> str:
    """Return the milliseconds of a limit as SHOW gives it: "30s" is "30000"."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    return str(round(float(number or 0) * _MS_BY_UNIT.get(text[len(number) :], 1)))


_TEMPORARY_SCHEMA = "pg_temp"
_SYSTEM_SCHEMA = "pg_catalog"


def split_names(text: str) -> list[tuple[str, str]]:
    """Return (spelling, name) for each name of a list, as PostgreSQL reads it. The spelling keeps its quotes.

    Source: SplitIdentifierString() in src/backend/utils/adt/varlena.c. Names are separated by commas. A name
    in double quotes is taken as it is, with "" for one quote; any other name is folded to lower case.

    Args:
        text: a list that a server has accepted, so it is well-formed.
    """
    pieces: list[tuple[str, str]] = []
    start, is_quoted = 0, False
    for place, character in enumerate(text + ","):
        if character == '"':
            is_quoted = not is_quoted
        elif character == "," and not is_quoted:
            if spelling := text[start:place].strip():
                pieces.append((spelling, _name(spelling)))
            start = place + 1
    return pieces


def _name(spelling: str) -> str:
    if spelling.startswith('"'):
        return spelling[1:-1].replace('""', '"')
    return spelling.lower()


def put_temporary_schema_last(search_path: str) -> str:
    """Return the search path with pg_temp at its end.

    If the path does not name pg_temp, PostgreSQL searches it first, and a temporary table would hide a real
    one.
    """
    return ", ".join([without_temporary_schema(search_path) or _SYSTEM_SCHEMA, _TEMPORARY_SCHEMA])


def without_temporary_schema(search_path: str) -> str:
    """Return the search path without pg_temp and without empty names; "" if nothing is left.

    current_schemas() creates the temporary schema if pg_temp is the first existing schema of the path. That
    fails on a standby, and for a role without the privilege TEMPORARY.
    """
    spellings = [
        spelling for spelling, name in split_names(search_path) if name not in ("", _TEMPORARY_SCHEMA)
    ]
    return ", ".join(spellings)
