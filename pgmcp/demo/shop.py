"""Creates the demo shop: one database, and one read-only role."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import LiteralString
from urllib.parse import quote

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pgmcp.errors import SettingsError

SHOP_DATABASE = "pgmcp_shop"
READER_ROLE = "pgmcp_reader"
_SHOP_VERSION = 1  # increase it when shop.sql changes, so that older shops are reloaded
_MAX_AGE = timedelta(days=1)  # so that "the last seven days" has answers
_LOADING_DATABASE = "pgmcp_shop_loading"
_LOCK_KEY = 7_460_281  # key of the advisory lock during loading; an arbitrary number
_STEP = re.compile(r"^-- step: (.+)$", re.MULTILINE)
_MARKER = re.compile(r"demo shop, version (\d+), as of (\S+)")

# Defaults of the reader's sessions, which the reader may change. pgmcp sets its own in every transaction.
_READER_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "60s",
    "lock_timeout": "5s",
    "idle_in_transaction_session_timeout": "60s",
}

# The reader can only read. It has none of the default privileges of PUBLIC: temporary tables, large objects,
# messages in the write-ahead log, DO blocks.
_GRANTS: tuple[LiteralString, ...] = (
    "revoke all on database {database} from public",
    "grant connect on database {database} to {reader}",
    "revoke all on schema public from public",
    "grant usage on schema public to {reader}",
    "grant select on all tables in schema public to {reader}",
    "revoke execute on function lo_creat(integer), lo_create(oid), lo_from_bytea(oid, bytea) from public",
    "revoke execute on function pg_logical_emit_message(boolean, text, text, boolean) from public",
    "revoke execute on function pg_logical_emit_message(boolean, text, bytea, boolean) from public",
    "revoke usage on language plpgsql from public",
)


@dataclass(frozen=True, slots=True)
class Shop:
    """URLs of the shop for the reader and for the superuser."""

    reader_url: str
    admin_url: str


def create_shop(
    admin_url: str,
    progress: Callable[[str], None],
    *,
    as_of: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Shop:
    """Create the shop and its reader if necessary; a shop older than a day is reloaded.

    The new shop replaces the old one only when it is complete. If two calls overlap, the second one waits.

    Args:
        admin_url: a superuser's URL of any database of the cluster but the shop itself.
        progress: called with a few words before each step.
        as_of: returns the time at which the shop's data ends; called once.

    Raises:
        SettingsError: PostgreSQL cannot be reached or cannot hold the shop.
    """
    now = as_of()
    try:
        with psycopg.connect(admin_url, autocommit=True) as connection:
            return _find_or_load(connection, admin_url, now, progress)
    except psycopg.Error as error:
        raise SettingsError(f"the demo shop could not be loaded: {error}") from error


def _find_or_load(
    connection: psycopg.Connection, admin_url: str, now: datetime, progress: Callable[[str], None]
) -> Shop:
    connection.execute("select pg_advisory_lock(%s)", [_LOCK_KEY])
    password = _derive_reader_password(admin_url)
    _make_reader(connection, password)
    if not _is_fresh(connection, now):
        _replace_shop(connection, admin_url, now, progress)
    server = connection.info
    return Shop(
        reader_url=_url(server, READER_ROLE, password),
        admin_url=_url(server, server.user, server.password),
    )


def _is_fresh(connection: psycopg.Connection, now: datetime) -> bool:
    query = "select shobj_description(oid, 'pg_database') from pg_database where datname = %s"
    row = connection.execute(query, [SHOP_DATABASE]).fetchone()
    marker = _MARKER.search(row[0] or "") if row else None
    if marker is None or int(marker[1]) != _SHOP_VERSION:
        return False
    return abs(now - datetime.fromisoformat(marker[2])) < _MAX_AGE


def _replace_shop(
    connection: psycopg.Connection, admin_url: str, now: datetime, progress: Callable[[str], None]
) -> None:
    shop, loading = sql.Identifier(SHOP_DATABASE), sql.Identifier(_LOADING_DATABASE)
    connection.execute(sql.SQL("drop database if exists {} with (force)").format(loading))
    connection.execute(sql.SQL("create database {} template template0").format(loading))
    with psycopg.connect(make_conninfo(admin_url, dbname=_LOADING_DATABASE)) as target:
        _load(target, now, progress)
    marker = f"pgmcp demo shop, version {_SHOP_VERSION}, as of {now.isoformat()}"
    connection.execute(sql.SQL("comment on database {} is {}").format(loading, sql.Literal(marker)))
    connection.execute(sql.SQL("drop database if exists {} with (force)").format(shop))
    connection.execute(sql.SQL("alter database {} rename to {}").format(loading, shop))


def _load(target: psycopg.Connection, now: datetime, progress: Callable[[str], None]) -> None:
    """Run shop.sql step by step in one transaction, grant, and gather statistics."""
    target.execute("set local timezone = 'UTC'")
    target.execute("select set_config('shop.as_of', %s, true)", [now.isoformat()])
    script = resources.files("pgmcp.demo").joinpath("shop.sql").read_text("utf-8")
    _, *steps = _STEP.split(script)
    for label, statements in zip(steps[::2], steps[1::2], strict=True):
        progress(label)
        target.execute(statements.encode())
    database, reader = sql.Identifier(target.info.dbname), sql.Identifier(READER_ROLE)
    for statement in _GRANTS:
        target.execute(sql.SQL(statement).format(database=database, reader=reader))
    target.commit()
    progress("gathering statistics")
    target.autocommit = True
    target.execute("vacuum analyze")


def _make_reader(connection: psycopg.Connection, password: str) -> None:
    """Create or reset the role; only the password's SCRAM verifier is sent."""
    role = sql.Identifier(READER_ROLE)
    found = connection.execute("select from pg_roles where rolname = %s", [READER_ROLE]).fetchone()
    if found is None:
        connection.execute(sql.SQL("create role {}").format(role))
    verifier = connection.pgconn.encrypt_password(password.encode(), READER_ROLE.encode(), b"scram-sha-256")
    connection.execute(
        sql.SQL(
            "alter role {} login nosuperuser nocreatedb nocreaterole noinherit noreplication nobypassrls"
            " password {}"
        ).format(role, sql.Literal(verifier.decode()))
    )
    for name, value in _READER_SETTINGS.items():
        setting = sql.SQL("alter role {} set {} = {}")
        connection.execute(setting.format(role, sql.Identifier(name), sql.Literal(value)))


def _derive_reader_password(admin_url: str) -> str:
    """Return the same password for the same superuser, so that a second demo does not lock out the first."""
    superuser_password = conninfo_to_dict(admin_url).get("password") or secrets.token_urlsafe(24)
    return hmac.new(str(superuser_password).encode(), READER_ROLE.encode(), hashlib.sha256).hexdigest()


def _url(server: psycopg.ConnectionInfo, user: str, password: str) -> str:
    userinfo = f"{quote(user, safe='')}:{quote(password, safe='')}"
    return f"postgresql://{userinfo}@{server.host}:{server.port}/{SHOP_DATABASE}"
