"""Which settings sessions and transactions get, and whose limit holds where the role or database has one.

A caller's statement means what it means in psql: the styles of dates, intervals and bytes and the search
path are the role's, as `pg_settings.reset_val` defines them, and not what a pooled connection happens to
carry. Only settings that move the end of a literal away from where the validator saw it are fixed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from worker.name_list import put_temporary_schema_last, without_temporary_schema
from worker.protocol import CALLER_SCHEMAS_SETTING

STATEMENT_TIMEOUT_MS: Final = 30_000
"""Of a session, unless the front says otherwise."""

MAX_LOCK_WAIT_MS: Final = 5_000
"""A read that waits this long for a lock stands behind DDL, and others queue behind it."""

TIMEOUT_SLACK_MS: Final = 20
"""A session's statement_timeout may be later than a statement's deadline by this much.

A `SELECT set_config(…)` costs PostgreSQL 27 µs of the 115 µs for a `select 1` and its frame. The next rung
of the ladder, a cancel request, comes 50 ms after the deadline.
"""

MAX_IDLE_IN_TRANSACTION_MS: Final = 10_000
"""Our transactions are never idle; one that is has lost its client."""

OWN_SEARCH_PATH: Final = "pg_catalog, pg_temp"
"""For pgmcp's own statements. Without pg_temp at its end, PostgreSQL would look there first."""

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
}

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
    "default_text_search_config",
)
"""Settings that decide what a statement means or how its values look; each transaction has the role's."""

DEFAULT_ISOLATION: Final = "default_transaction_isolation"

READ_SETTINGS: Final = (*KEPT_SETTINGS, *LIMITS, DEFAULT_ISOLATION)

_OWNER_BY_SOURCE: Final = {
    "database": "the database",
    "user": "the role",
    "database user": "the role in this database",
    "client": "the connection string",
    "environment variable": "the server's environment",
    "global": "all databases",
}


class Limit(NamedTuple):
    """A limit in milliseconds; 0 means none.

    Attributes:
        description: names the setting and who set it, if it is the server's; "" if it is ours.
    """

    ms: int
    description: str = ""


@dataclass(frozen=True, slots=True)
class SessionDefaults:
    """What a new session of this role starts with.

    Attributes:
        values: name → value. Limits are in milliseconds. A setting that this server lacks is left out.
        owners: name of a limit → who set it, as it follows "set for".
        can_have_temporary_schema: the session may make one. Where it may not, a path whose first usable
            schema is pg_temp makes current_schema() fail, because that tries to make it.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    can_have_temporary_schema: bool = True

    def lower(self, name: str, ours_ms: int) -> Limit:
        """Return the smaller of the server's limit and ours."""
        theirs_ms = int(self.values.get(name) or 0)
        if 0 < theirs_ms <= ours_ms:
            return Limit(theirs_ms, self.describe(name))
        return Limit(ours_ms)

    def describe(self, name: str) -> str:
        """Return the server's own limit in words: "statement_timeout = 1s, set for the role"."""
        return f"{name} = {_spell_ms(int(self.values.get(name) or 0))}, {self.owners.get(name, '')}"


def read_defaults(rows: list[tuple[str, str, str]]) -> SessionDefaults:
    """Return the defaults that (name, reset_val, source) describe."""
    values = {name: value for name, value, _ in rows}
    owners = {
        name: f"set for {owner}" if (owner := _OWNER_BY_SOURCE.get(source)) else "set by the server"
        for name, _, source in rows
        if name in LIMITS
    }
    return SessionDefaults(values, owners)


def caller_settings(
    defaults: SessionDefaults, limits: "TransactionLimits", client_encoding: str, *, is_pooled: bool
) -> dict[str, str]:
    """Return the settings of a transaction that runs a caller's statement.

    Args:
        is_pooled: the session is shared with other clients of a pooler, who may have changed its settings.
    """
    names = KEPT_SETTINGS if is_pooled else ("search_path", "DateStyle")
    kept = {name: defaults.values[name] for name in names if name in defaults.values}
    if "search_path" in kept and defaults.can_have_temporary_schema:
        kept["search_path"] = put_temporary_schema_last(kept["search_path"])
    return kept | _STANDARD_STRINGS | limits.settings(defaults) | _encoding(client_encoding)


def session_settings(
    defaults: SessionDefaults, limits: "TransactionLimits", client_encoding: str
) -> list[tuple[str, str]]:
    """Return what holds for every caller's statement of a session that nobody else uses.

    Set once, for the session: a transaction that ends in ROLLBACK undoes whatever a statement changes.
    """
    return list(caller_settings(defaults, limits, client_encoding, is_pooled=False).items())


def own_settings(
    defaults: SessionDefaults, limits: "TransactionLimits", client_encoding: str
) -> list[tuple[str, str]]:
    """Return the settings of a transaction that runs an own statement, in this order.

    The caller's search path comes first: the schemas on it are put into a setting, for our statements need
    to know them. The path of our own comes after it.
    """
    path = without_temporary_schema(defaults.values.get("search_path", ""))
    rest = _OWN_STYLES | limits.settings(defaults) | _encoding(client_encoding)
    return [
        ("search_path", path),
        (CALLER_SCHEMAS_SETTING, ""),
        ("search_path", OWN_SEARCH_PATH),
        *rest.items(),
    ]


class TransactionLimits(NamedTuple):
    """The limits of one transaction, the smaller of the server's and ours."""

    statement: Limit
    lock: Limit
    idle: Limit

    def beside(self, session: "TransactionLimits") -> list[tuple[str, str]]:
        """Return the settings of one transaction in a session that has the limits of `session`.

        Nothing is set if those limits do, see `TIMEOUT_SLACK_MS`.
        """
        settings = []
        if not _is_near(self.statement, session.statement):
            settings.append((_STATEMENT_TIMEOUT, str(self.statement.ms)))
        if not _is_near(self.lock, session.lock):
            settings.append((_LOCK_TIMEOUT, str(self.lock.ms)))
        return settings

    def settings(self, defaults: SessionDefaults) -> dict[str, str]:
        """Return them as settings."""
        limits = {
            _STATEMENT_TIMEOUT: str(self.statement.ms),
            _LOCK_TIMEOUT: str(self.lock.ms),
            _IDLE_TIMEOUT: str(self.idle.ms),
        }
        if TRANSACTION_TIMEOUT in defaults.values:
            limits[TRANSACTION_TIMEOUT] = defaults.values[TRANSACTION_TIMEOUT]
        return limits


def choose_limits(defaults: SessionDefaults, timeout_ms: int) -> TransactionLimits:
    """Return the limits of a transaction whose statement may take so long."""
    return TransactionLimits(
        statement=defaults.lower(_STATEMENT_TIMEOUT, timeout_ms),
        lock=defaults.lower(_LOCK_TIMEOUT, min(timeout_ms, MAX_LOCK_WAIT_MS)),
        idle=defaults.lower(_IDLE_TIMEOUT, MAX_IDLE_IN_TRANSACTION_MS),
    )


def _is_near(wanted: Limit, of_session: Limit) -> bool:
    return 0 <= of_session.ms - wanted.ms <= TIMEOUT_SLACK_MS


def _encoding(client_encoding: str) -> dict[str, str]:
    return {"client_encoding": client_encoding} if client_encoding else {}


def _spell_ms(ms: int) -> str:
    return f"{ms / 1000:g}s" if ms >= 1000 else f"{ms}ms"


_MS_BY_UNIT: Final = {"": 1, "us": 0.001, "ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def parse_ms(text: str) -> str:
    """Return the milliseconds of a limit as SHOW gives it: "30s" is "30000"."""
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    return str(round(float(number or 0) * _MS_BY_UNIT.get(text[len(number) :], 1)))
