"""Finds out whether a connection pooler is between this connection and its server.

A backend behind a pooler must not be terminated: if pg_terminate_backend ends one, pgpool-II assumes that its
node was shut down, and serves no client from then on.

    libpq has a pid other than the backend's own           PgBouncer and most others
    the client's port is not the one the server sees       something is in between: `SHOW POOL_VERSION`
                                                           finds pgpool-II, which shows the backend's own pid
    the backend runs without a postmaster, or its pid is 0   one session for all connections (PGlite)
"""

import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from psycopg import pq

from worker.protocol import SHARED_SESSION

UNKNOWN_POOLER: Final = "a connection pooler"
PERHAPS_A_POOLER: Final = "perhaps a connection pooler (the role may not execute pg_backend_pid)"

_POOL_VERSION_SQL: Final = b"SHOW POOL_VERSION"
_STANDALONE: Final = "standalone backend"
_ADMIN_CONSOLE_SUFFIX: Final = b"/bouncer"


def is_admin_console(pgconn: pq.abc.PGconn) -> bool:
    """Return whether the other end is PgBouncer's admin console, by the version that it reports."""
    return (pgconn.parameter_status(b"server_version") or b"").endswith(_ADMIN_CONSOLE_SUFFIX)


@dataclass(frozen=True, slots=True)
class SeenBackend:
    """The server's own description of the session that answers.

    Attributes:
        pid: result of pg_backend_pid(); None if the role may not execute it.
        client_port: result of inet_client_port(); "" for a Unix socket, None if the role may not execute it.
        server_port: value of the setting `port`; "" if the role may not read it.
        kind: pg_stat_activity.backend_type; "" if the role may not read it.
    """

    pid: int | None
    client_port: str | None
    server_port: str
    kind: str


def find_pooler(pgconn: pq.abc.PGconn, seen: SeenBackend) -> str:
    """Return a description of the pooler in front of the server; "" for a direct connection.

    Args:
        pgconn: connected, idle, outside a transaction.
        seen: the backend that answered on this connection.
    """
    if seen.pid == 0:  # PGlite up to 0.3; no process of a real server has this pid
        return SHARED_SESSION
    if seen.pid is None:
        return _find_pgpool(pgconn) or PERHAPS_A_POOLER
    if seen.pid != pgconn.backend_pid:
        # The version is not queried, because a PgBouncer with disable_pqexec would end the connection.
        return UNKNOWN_POOLER
    if seen.kind == _STANDALONE:
        return SHARED_SESSION
    # A direct connection is not queried, because the server would log an error for the unknown parameter.
    if _is_direct(pgconn, seen):
        return ""
    return _find_pgpool(pgconn)


def _find_pgpool(pgconn: pq.abc.PGconn) -> str:
    # pgpool-II answers this statement only in the simple protocol. PostgreSQL answers it with an error, which
    # does no harm: no transaction is open, and SHOW resolves no name through the search_path.
    version = _value(pgconn.exec_(_POOL_VERSION_SQL))
    return f"pgpool-II {version.decode('utf8', 'replace')}" if version else ""


def _is_direct(pgconn: pq.abc.PGconn, seen: SeenBackend) -> bool:
    """Return whether the server is connected to this socket itself, without a pooler between.

    Over TCP, the client port that the server reports is the local port of this socket. Over a Unix socket the
    server reports no client port, but the socket's name ends in the server's own port; a pooler on the same
    machine listens on another port.
    """
    if seen.client_port is None:
        return False
    if pgconn.host.startswith(b"/"):
        return not seen.client_port and seen.server_port == pgconn.port.decode()
    with suppress(OSError):
        duplicate = socket.fromfd(pgconn.socket, socket.AF_INET, socket.SOCK_STREAM)
        with duplicate:
            address = duplicate.getsockname()
        return isinstance(address, tuple) and seen.client_port == str(address[1])
    return False


def _value(result: pq.abc.PGresult) -> bytes:
    if result.status != pq.ExecStatus.TUPLES_OK or result.ntuples != 1:
        return b""
    return result.get_value(0, 0) or b""
