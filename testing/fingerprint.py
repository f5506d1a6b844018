"""Digests of a cluster's state. If two fingerprints are equal, nothing was changed in between."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import psycopg
from psycopg import sql

Fingerprint = dict[str, str]

# Columns that VACUUM, ANALYZE and time change.
_VOLATILE_COLUMNS_BY_CATALOG = {
    "pg_class": ["relpages", "reltuples", "relallvisible", "relallfrozen", "relfrozenxid", "relminmxid"],
    "pg_database": ["datfrozenxid", "datminmxid"],
}

_STATE_BY_NAME = {
    "settings": "select name, setting, pending_restart from pg_settings where name not like 'transaction%'",
    "configuration files": "select * from pg_file_settings",
    "locks": "select locktype, objid, mode, granted from pg_locks where pid <> pg_backend_pid()"
    " and locktype <> 'virtualxid'",
    "replication slots": "select slot_name, restart_lsn, confirmed_flush_lsn from pg_replication_slots",
    "replication progress": "select * from pg_replication_origin_status",
    "prepared transactions": "select * from pg_prepared_xacts",
    "next transaction id": "select pg_snapshot_xmax(pg_current_snapshot())",
    "transaction in progress": "select pid from pg_stat_activity where backend_xid is not null",
    "server start": "select pg_postmaster_start_time(), pg_conf_load_time(), pg_is_in_recovery()",
    "statistics resets": "select datname, stats_reset from pg_stat_database",
    "shared statistics resets": "select b.stats_reset, w.stats_reset, c.stats_reset"
    " from pg_stat_bgwriter b, pg_stat_wal w, pg_stat_checkpointer c",
    "notification queue": "select pg_notification_queue_usage()",
    "sequences": "select schemaname, sequencename, last_value from pg_sequences",
}

# Files that the server writes even if no client changes anything.
_MOVING_FILES = (
    "base",
    "global",
    "pg_wal",
    "pg_xact",
    "pg_subtrans",
    "pg_stat",
    "pg_multixact",
    "pg_commit_ts",
)


def take_fingerprint(connection: psycopg.Connection, data_dir: Path, *, outside: Path) -> Fingerprint:
    """Return a digest for each catalog, table and kind of state.

    Args:
        connection: a superuser's connection in autocommit mode.
        outside: a folder outside the data directory to which attacks try to write.
    """
    digests = {name: _digest(connection, statement) for name, statement in _STATE_BY_NAME.items()}
    digests |= dict(_relations(connection))
    digests |= dict(_files(data_dir))
    return digests | {f"outside {path.name}": str(path.stat().st_size) for path in outside.iterdir()}


def changes(before: Fingerprint, after: Fingerprint) -> list[str]:
    """Return the names of the parts that differ."""
    return sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))


def wal_position_bytes(connection: psycopg.Connection) -> int:
    """Return how many bytes of WAL the server has written so far."""
    row = connection.execute("select (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint").fetchone()
    assert row is not None
    return int(row[0])


def _digest(connection: psycopg.Connection, statement: str) -> str:
    rows = connection.execute(statement.encode()).fetchall()
    return hashlib.md5(repr(sorted(map(repr, rows))).encode(), usedforsecurity=False).hexdigest()


def _relations(connection: psycopg.Connection) -> Iterator[tuple[str, str]]:
    """Yield a digest of the rows of every table and catalog, in one round trip.

    ONLY leaves out foreign tables that inherit from a table: a read of them may call functions.
    """
    relations = connection.execute(
        "select relnamespace::regnamespace::text, relname from pg_class"
        " where relkind = 'r' and relnamespace not in ('information_schema'::regnamespace)"
    ).fetchall()
    parts = [
        sql.SQL(
            "select {name}, md5(string_agg(r, E'\\n' order by r collate \"C\"))"
            " from (select {row} as r from only {table} t) rows"
        ).format(
            name=f"{schema}.{table}",
            row=_row_as_text(_VOLATILE_COLUMNS_BY_CATALOG.get(table, [])),
            table=sql.Identifier(schema.strip('"'), table),
        )
        for schema, table in relations
    ]
    yield from connection.execute(sql.SQL(" union all ").join(parts)).fetchall()


def _row_as_text(volatile_columns: list[str]) -> sql.Composable:
    """Return an SQL expression for a row as text; to_jsonb() would call casts, which may be traps."""
    if not volatile_columns:
        return sql.SQL("t::text")
    return sql.SQL("(to_jsonb(t) - {}::text[])::text").format(volatile_columns)


def _files(data_dir: Path) -> Iterator[tuple[str, str]]:
    for folder, folders, names in os.walk(data_dir):
        if Path(folder) == data_dir:
            folders[:] = [each for each in folders if not each.startswith(_MOVING_FILES)]
        for name in [*folders, *names]:
            path = Path(folder, name)
            if name in ("server.log", "postmaster.pid"):
                continue
            content = path.read_bytes() if path.is_file() else b""
            digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
            yield f"file {path.relative_to(data_dir)}", digest
