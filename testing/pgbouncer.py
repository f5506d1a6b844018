"""A PgBouncer process in front of a cluster."""

import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import psycopg

from pgmcp.demo.binaries import choose_server_user
from testing.activity import until
from testing.machine import HOST, free_port

_CONFIGURATION = """\
[databases]
{database} = host={upstream_host} port={upstream_port}

[pgbouncer]
listen_addr = {host}
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {users}
pool_mode = {pool_mode}
default_pool_size = {pool_size}
server_round_robin = 1
server_login_retry = 0.1
{more}
"""


def find_pgbouncer() -> str | None:
    """Return the program's path; on Debian it is only on root's PATH."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")


class PgBouncer:
    """A PgBouncer process, as a context manager.

    Successive transactions use its server connections in turn, so code that relies on one of them fails.
    """

    def __init__(
        self,
        program: str,
        upstream_url: str,
        *,
        pool_size: int,
        pool_mode: str = "transaction",
        database: str = "*",
        more: str = "",
    ) -> None:
        """Prepare the process.

        Args:
            upstream_url: URL of any database of the cluster; only its role may log in.
            pool_size: number of server connections per database.
            pool_mode: transaction, session or statement.
            database: the served database; "*" for all databases of the cluster.
            more: further lines of its configuration.
        """
        self._program = program
        self._upstream = urlsplit(upstream_url)
        self._settings = {
            "pool_size": pool_size,
            "pool_mode": pool_mode,
            "database": database,
            "more": more,
        }
        self._user = choose_server_user()
        self._port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="pgmcp-pgbouncer-")

    def url(self, upstream_url: str) -> str:
        """Return the URL of the same database through PgBouncer."""
        parts = urlsplit(upstream_url)
        userinfo, _, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{userinfo}@{HOST}:{self._port}"))

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        self._process = subprocess.Popen(
            [self._program, "--quiet", str(self._write_configuration())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **(self._user.spawn_arguments() if self._user else {}),
        )
        until(self._accepts, "PgBouncer accepts connections")

    def change_password(self, password: str) -> None:
        """Use another password for the role, with clients and with the server; wait until it is in effect."""
        parts = self._upstream
        netloc = f"{parts.username}:{quote(password)}@{parts.hostname}:{parts.port}"
        self._upstream = parts._replace(netloc=netloc)
        self._write_configuration()
        self._process.send_signal(signal.SIGHUP)
        until(self._accepts_connections, "PgBouncer accepts the new password")

    def stop(self) -> None:
        """Stop it immediately."""
        self._process.terminate()
        self._process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
        self._folder.cleanup()

    def _write_configuration(self) -> Path:
        folder = Path(self._folder.name)
        users = folder / "users.txt"
        users.write_text(
            f'"{unquote(self._upstream.username or "")}" "{unquote(self._upstream.password or "")}"\n'
        )
        configuration = folder / "pgbouncer.ini"
        configuration.write_text(
            _CONFIGURATION.format(
                host=HOST,
                port=self._port,
                upstream_host=self._upstream.hostname,
                upstream_port=self._upstream.port,
                users=users,
                **self._settings,
            )
        )
        if self._user:
            for path in (folder, users, configuration):
                shutil.chown(path, self._user.uid, self._user.gid)
        return configuration

    def _accepts_connections(self) -> bool:
        try:
            psycopg.connect(self.url(urlunsplit(self._upstream))).close()
        except psycopg.OperationalError:
            return False
        return True

    def _accepts(self) -> bool:
        assert self._process.poll() is None, "PgBouncer has ended; its log went to syslog or nowhere"
        try:
            socket.create_connection((HOST, self._port), timeout=1).close()
        except OSError:
            return False
        return True
