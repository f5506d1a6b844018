"""A PostgreSQL with TLS and its own pg_hba.conf.

The embedded PostgreSQL is built without TLS, so this uses the system's PostgreSQL, if installed.
"""

import os
import shutil
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlencode

import psycopg
import trustme

from pgmcp.demo.binaries import choose_server_user

HOST: Final = "127.0.0.1"
PASSWORD: Final = "a password"

# The first matching line applies; no line matches the role `unlisted`.
_RULES: Final = """\
host    all postgres,reader {host}/32 scram-sha-256
hostssl all tls_only        {host}/32 scram-sha-256
host    all rejected        {host}/32 reject
"""
_ROLES: Final = ("reader", "tls_only", "rejected", "unlisted")


def find_programs() -> Path | None:
    """Return the folder of the newest installed server's programs, which Debian does not put on PATH."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[4]))
    on_path = shutil.which("postgres")
    found = debian[-1] if debian else Path(on_path) if on_path else None
    return found.resolve().parent if found else None


class TlsPostgres:
    """A cluster with TLS, as a context manager that starts and stops it.

    Attributes:
        ca_file: the certificate of the private CA that signed the server's certificate for localhost.
        other_ca_file: the certificate of another CA, which has signed nothing.
    """

    def __init__(
        self,
        programs: Path,
        folder: Path,
        *,
        settings: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare a cluster.

        Args:
            programs: the folder from `find_programs`.
            folder: an empty folder that the server's user can enter.
            settings: further settings of the server.
            environment: further environment variables of the server.
        """
        self._settings = settings or {}
        self._environment = environment or {}
        self._programs = programs
        self._folder = folder
        self._user = choose_server_user()
        self._data = folder / "data"
        self._port = 0
        self.ca_file = folder / "ca.pem"
        self.other_ca_file = folder / "other-ca.pem"

    def url(self, user: str = "reader", *, host: str = HOST, dbname: str = "postgres", **options: str) -> str:
        """Return the URL of the cluster with these options of libpq."""
        query = f"?{urlencode(options)}" if options else ""
        return f"postgresql://{user}:{PASSWORD.replace(' ', '%20')}@{host}:{self._port}/{dbname}{query}"

    def __enter__(self) -> Self:
        self._data.mkdir(mode=0o700)
        password_file = self._folder / "password"
        password_file.write_text(PASSWORD)
        for path in (self._data, password_file):
            self._chown(path)
        self._run(
            "initdb", f"--pwfile={password_file}", "--username=postgres", "--auth=scram-sha-256", "--no-sync"
        )
        (self._data / "pg_hba.conf").write_text(_RULES.format(host=HOST))
        self._write_certificates()
        self._start()
        with psycopg.connect(self.url("postgres"), autocommit=True) as admin:
            for role in _ROLES:
                admin.execute(f"create role {role} login password '{PASSWORD}'".encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("pg_ctl", "stop", "--mode=immediate", "--wait")

    def log(self) -> str:
        """Return the server's log."""
        return (self._data / "server.log").read_text("utf-8")

    def restart_without_end(self) -> None:
        """Restart the server so that it does not become ready: its restore command sleeps for an hour."""
        self._run("pg_ctl", "stop", "--mode=fast", "--wait")
        signal_file = self._data / "recovery.signal"
        signal_file.touch()
        self._chown(signal_file)
        self._settings = {**self._settings, "restore_command": "sleep 3600"}
        self._start("--no-wait")

    def _write_certificates(self) -> None:
        ca = trustme.CA()
        ca.cert_pem.write_to_path(self.ca_file)
        trustme.CA().cert_pem.write_to_path(self.other_ca_file)
        certificate = ca.issue_cert("localhost")
        key_file = self._data / "server.key"
        key_file.touch(mode=0o600)
        certificate.private_key_pem.write_to_path(key_file)
        certificate.cert_chain_pems[0].write_to_path(self._data / "server.crt")
        for path in (key_file, self._data / "server.crt"):
            self._chown(path)

    def _start(self, wait: str = "--wait") -> None:
        if not self._port:
            with socket.socket() as probe:
                probe.bind((HOST, 0))
                self._port = probe.getsockname()[1]
        settings = {
            "port": str(self._port),
            "listen_addresses": HOST,
            "unix_socket_directories": "",
            "ssl": "on",
            "fsync": "off",
            **self._settings,
        }
        options = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        self._run("pg_ctl", "start", wait, f"--log={self._data / 'server.log'}", f"--options={options}")

    def _chown(self, path: Path) -> None:
        if self._user:
            shutil.chown(path, self._user.uid, self._user.gid)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._programs / program), "-D", str(self._data), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            cwd=self._folder,
            env=os.environ | self._environment,
            check=True,
            timeout=60,
            **(self._user.spawn_arguments() if self._user else {}),
        )
