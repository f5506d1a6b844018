"""A pgpool-II process in front of one server."""

import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote, urlsplit, urlunsplit

from pgmcp.demo.binaries import choose_server_user
from testing.activity import until

HOST = "127.0.0.1"

_CONFIGURATION = """\
listen_addresses = '{host}'
port = {port}
pcp_port = {pcp_port}
unix_socket_directories = '{folder}'
pcp_socket_dir = '{folder}'
wd_ipc_socket_dir = '{folder}'
pid_file_name = '{folder}/pgpool.pid'
logdir = '{folder}'
memqcache_oiddir = '{folder}'
backend_clustering_mode = 'raw'
backend_hostname0 = '{upstream_host}'
backend_port0 = {upstream_port}
backend_flag0 = 'ALLOW_TO_FAILOVER'
enable_pool_hba = on
pool_passwd = '{folder}/pool_passwd'
allow_clear_text_frontend_auth = on
num_init_children = 8
health_check_period = 0
sr_check_period = 0
{more}
"""


def find_pgpool() -> str | None:
    """Return the program's path; on Debian it is only on root's PATH."""
    return shutil.which("pgpool") or shutil.which("pgpool", path="/usr/sbin")


class Pgpool:
    """A pgpool-II process with one node in raw mode, as a context manager."""

    def __init__(self, program: str, upstream_url: str, *, more: str = "") -> None:
        """Prepare a process in front of the URL's server; the URL's role may log in.

        Args:
            more: further lines of its configuration.
        """
        self._more = more
        self._program = program
        self._upstream = urlsplit(upstream_url)
        self._user = choose_server_user()
        self._port, self._pcp_port = _free_ports(2)
        self._folder = tempfile.TemporaryDirectory(prefix="pgmcp-pgpool-")

    def url(self, upstream_url: str) -> str:
        """Return the URL of the same database through pgpool-II."""
        parts = urlsplit(upstream_url)
        userinfo, _, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{userinfo}@{HOST}:{self._port}"))

    def __enter__(self) -> Self:
        folder = Path(self._folder.name)
        self._write_configuration(folder)
        self._process = subprocess.Popen(
            [self._program, "-n", "-f", f"{folder}/pgpool.conf", "-F", f"{folder}/pcp.conf",
             "-a", f"{folder}/pool_hba.conf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **(self._user.spawn_arguments() if self._user else {}),
        )  # fmt: skip
        until(self._accepts, "pgpool-II accepts connections")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.send_signal(signal.SIGINT)  # "fast": it does not wait for its clients
        self._process.wait()
        self._folder.cleanup()

    def _write_configuration(self, folder: Path) -> None:
        user, password = unquote(self._upstream.username or ""), unquote(self._upstream.password or "")
        files = {
            "pgpool.conf": _CONFIGURATION.format(
                host=HOST,
                port=self._port,
                pcp_port=self._pcp_port,
                folder=folder,
                upstream_host=self._upstream.hostname,
                upstream_port=self._upstream.port,
                more=self._more,
            ),
            "pool_hba.conf": f"host all all {HOST}/32 password\n",
            "pool_passwd": f"{user}:TEXT{password}\n",
            "pcp.conf": "",
        }
        for name, text in files.items():
            (folder / name).write_text(text)
        if self._user:
            for path in (folder, *folder.iterdir()):
                shutil.chown(path, self._user.uid, self._user.gid)

    def _accepts(self) -> bool:
        assert self._process.poll() is None, "pgpool-II has ended"
        try:
            socket.create_connection((HOST, self._port), timeout=1).close()
        except OSError:
            return False
        return True


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind((HOST, 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports
