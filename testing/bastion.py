"""An sshd on loopback with its own keys and configuration: the bastion in front of a database."""

import getpass
import os
import shutil
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import pytest

from testing.machine import free_port
from testing.processes import until

HOST: Final = "127.0.0.1"
_SSHD: Final = "/usr/sbin/sshd"
_KEYGEN: Final = "/usr/bin/ssh-keygen"
_PRIVILEGE_SEPARATION: Final = Path("/run/sshd")

_SERVER: Final = """\
Port {port}
ListenAddress {host}
HostKey {folder}/host_key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowTcpForwarding {forwarding}
"""
_CLIENT: Final = """\
Host bastion
  HostName {host}
  Port {port}
  User {user}
  IdentityFile {folder}/user_key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile none
Host jump
  ProxyJump bastion
  HostName {host}
  Port {port}
  User {user}
  IdentityFile {folder}/user_key
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/known_hosts
  GlobalKnownHostsFile none
"""


class Bastion:
    """An sshd that a test starts and kills. `ssh -F config bastion` connects to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._sshd: subprocess.Popen[bytes] | None = None
        self.config = folder / "config"

    @classmethod
    def create(cls, folder: Path) -> Self:
        """Write keys and configuration; skip the test if OpenSSH is not installed."""
        if shutil.which("ssh") is None or not Path(_SSHD).exists():
            pytest.skip("OpenSSH's client and server are not installed")
        if os.geteuid() == 0:
            with suppress(FileExistsError):
                _PRIVILEGE_SEPARATION.mkdir(mode=0o755)
        bastion = cls(folder)
        for name in ("host_key", "user_key", "other_key"):
            bastion._make_key(name)
        bastion.authorize("user_key")
        bastion.add_known_host("host_key")
        bastion.config.write_text(
            _CLIENT.format(host=HOST, port=bastion._port, user=getpass.getuser(), folder=folder)
        )
        bastion.config.chmod(0o600)
        return bastion

    def configure(self, *lines: str) -> Path:
        """Write a second ssh configuration that adds these lines for the bastion; return its path."""
        config = self._folder / "other_config"
        heading = "Host bastion\n"
        added = "".join(f"  {line}\n" for line in lines)
        config.write_text(self.config.read_text().replace(heading, heading + added))
        config.chmod(0o600)
        return config

    def authorize(self, *keys: str) -> None:
        """Allow logins with these keys only."""
        lines = [self._public(key) for key in keys]
        (self._folder / "authorized_keys").write_text("".join(lines))

    def add_known_host(self, *keys: str) -> None:
        """Write these keys to known_hosts as the bastion's host keys."""
        lines = [f"[{HOST}]:{self._port} {self._public(key)}" for key in keys]
        (self._folder / "known_hosts").write_text("".join(lines))

    async def start(self, *, forwarding: str = "yes") -> None:
        """Start sshd, and wait until it listens."""
        settings = self._folder / "sshd_config"
        settings.write_text(
            _SERVER.format(host=HOST, port=self._port, folder=self._folder, forwarding=forwarding)
        )
        log = self._folder / "sshd.log"
        log.write_bytes(b"")
        with log.open("wb") as output:
            self._sshd = subprocess.Popen([_SSHD, "-D", "-e", "-f", str(settings)], stderr=output)
        await until(lambda: "listening" in log.read_text().lower(), "sshd listens")

    def kill(self, pids: Sequence[int]) -> None:
        """Kill sshd and the given processes, which serve its connections."""
        self.stop()
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, 9)

    def stop(self) -> None:
        """Stop sshd; its existing connections stay open."""
        sshd, self._sshd = self._sshd, None
        if sshd is not None:
            sshd.kill()
            sshd.wait()

    @property
    def is_running(self) -> bool:
        """Whether sshd was started and not stopped."""
        return self._sshd is not None

    @property
    def pid(self) -> int:
        """The process id of sshd."""
        assert self._sshd is not None
        return self._sshd.pid

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _public(self, key: str) -> str:
        return (self._folder / f"{key}.pub").read_text()

    def _make_key(self, name: str) -> None:
        subprocess.run([_KEYGEN, "-q", "-t", "ed25519", "-N", "", "-f", str(self._folder / name)], check=True)
