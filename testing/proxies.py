"""Runs nginx and HAProxy with the repository's example configurations, on free ports of loopback."""

import shutil
import socket
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from testing.activity import until
from testing.machine import HOST, free_port

EXAMPLES = Path(__file__).parents[1] / "scripts" / "compose"

_NGINX = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/example.conf;
}}
"""

_TCP_HAPROXY = """\
defaults
    mode tcp
    retries 1
    option redispatch 1
    timeout connect 2s
    timeout client {timeout_s}s
    timeout server {timeout_s}s

listen postgres
    bind {host}:{port}
"""


class Proxy:
    """A proxy process in front of servers, as a context manager.

    Attributes:
        port: the port it listens on.
    """

    def __init__(self, server_ports: Sequence[int]) -> None:
        self.port = free_port()
        self._server_ports = server_ports
        self._folder = tempfile.TemporaryDirectory(prefix="pgmcp-proxy-")

    def command(self, folder: Path) -> list[str]:
        """Write the configuration, and return the command that runs it in the foreground."""
        raise NotImplementedError

    def adapted(self, example: str) -> str:
        """Return an example configuration of the repository with its ports replaced."""
        text = (EXAMPLES / example).read_text("utf-8")
        for number, port in enumerate(self._server_ports, start=1):
            assert f"pgmcp-{number}:8765" in text
            text = text.replace(f"pgmcp-{number}:8765", f"{HOST}:{port}")
        assert "8765" not in text, "the example has more servers than the test"
        return text

    def __enter__(self) -> Self:
        command = self.command(Path(self._folder.name))
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        until(self._accepts, f"{command[0]} accepts connections")
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()

    def _accepts(self) -> bool:
        assert self._process.poll() is None, self._process.communicate()[0].decode()
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True


class Nginx(Proxy):
    """nginx with scripts/compose/nginx.conf."""

    def command(self, folder: Path) -> list[str]:
        example = self.adapted("nginx.conf").replace("listen 8080;", f"listen {HOST}:{self.port};")
        (folder / "example.conf").write_text(example)
        (folder / "nginx.conf").write_text(_NGINX.format(folder=folder))
        return [find("nginx") or "", "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]


class HaProxy(Proxy):
    """HAProxy with scripts/compose/haproxy.cfg."""

    def command(self, folder: Path) -> list[str]:
        example = self.adapted("haproxy.cfg").replace("bind :8080", f"bind {HOST}:{self.port}")
        (folder / "haproxy.cfg").write_text(example)
        return [find("haproxy") or "", "-db", "-f", str(folder / "haproxy.cfg")]


class TcpHaProxy(Proxy):
    """HAProxy in front of PostgreSQL servers, one after the other, without health checks.

    If a server does not accept a connection, it tries the next one. It closes a connection that is silent for
    `timeout_s`.
    """

    def __init__(self, server_ports: Sequence[int], timeout_s: int = 60) -> None:
        super().__init__(server_ports)
        self._timeout_s = timeout_s

    def command(self, folder: Path) -> list[str]:
        servers = "".join(f"    server s{port} {HOST}:{port}\n" for port in self._server_ports)
        configuration = _TCP_HAPROXY.format(host=HOST, port=self.port, timeout_s=self._timeout_s)
        (folder / "haproxy.cfg").write_text(configuration + servers)
        return [find("haproxy") or "", "-db", "-f", str(folder / "haproxy.cfg")]


def find(program: str) -> str | None:
    """Return the path of a program; Debian puts server programs only on root's PATH."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin")
