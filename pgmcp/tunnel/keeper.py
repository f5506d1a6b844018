"""Runs ssh for one tunnel, and a relay: `python -P -m pgmcp.tunnel.keeper SOCKET PORT ssh …`.

The relay is a loopback port that passes connections of one user on to the private socket of ssh.

The keeper writes a line to standard output when the tunnel is open: address and port of the relay, or `- 0`
without a relay. It ends when ssh ends, with the exit code of ssh, or when standard input ends. If no
connection is in use, the front (pgmcp's main process) writes one byte to it before the end. Then the keeper
only passes on the last messages of connections. If there is no such byte, the front was killed, and workers
still need a moment to cancel their statements.
"""

import asyncio
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from pgmcp.child_process import end_with_parent

_CHUNK_BYTES: Final = 64 << 10
_CONNECTIONS: Final = Path("/proc/net/tcp")
_ESTABLISHED: Final = "01"
_FALLBACK: Final = "127.0.0.1"

GRACE_S: Final = 2.0
"""How long connections may last after the front has ended, and after their client has."""

CLOSE_GRACE_S: Final = 1.0
"""How long connections may last after the front has said that it uses none; the front waits longer."""


class Relay:
    """Accepts connections on a loopback port, and makes one connection to the socket for each."""

    def __init__(self, target: Path) -> None:
        self._target = target
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def listen(self, port: int) -> tuple[str, int]:
        """Start to accept connections, and return the address.

        Args:
            port: the database's own. It is used if it is free, so that the lines of ~/.pgpass apply.
        """
        try:
            self._server = await asyncio.start_server(self._accept, _loopback_address(), port)
        except OSError:
            self._server = await asyncio.start_server(self._accept, _FALLBACK, 0)
        host, number = self._server.sockets[0].getsockname()[:2]
        return host, number

    async def drain(self, timeout_s: float) -> None:
        """Accept no more connections, and wait until all have ended or the time is over."""
        if self._server is not None:
            self._server.close()
        if self._connections:
            await asyncio.wait(self._connections, timeout=timeout_s)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._connections.add(task)
        try:
            if _is_own(writer):
                await self._join(reader, writer)
        except OSError:
            pass  # one side broke its connection; the other one is closed below
        finally:
            writer.close()
            self._connections.discard(task)

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target_reader, target_writer = await asyncio.open_unix_connection(self._target)
        to_server = asyncio.create_task(_pass_on(reader, target_writer))
        to_client = asyncio.create_task(_pass_on(target_reader, writer))
        try:
            await asyncio.wait((to_server, to_client), return_when=asyncio.FIRST_COMPLETED)
            if not to_client.done():
                # The client's last message, Terminate, is still on its way. When PostgreSQL has read it and
                # closed its end, ssh closes the socket.
                with suppress(OSError):
                    target_writer.write_eof()
                await asyncio.wait((to_client,), timeout=GRACE_S)
        finally:
            to_server.cancel()
            to_client.cancel()
            await asyncio.gather(to_server, to_client, return_exceptions=True)
            target_writer.close()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()


def _loopback_address() -> str:
    """Return a loopback address, on Linux a random one of 127.0.0.0/8, which is probably unused."""
    if sys.platform != "linux":
        return _FALLBACK
    return "127." + ".".join(str(1 + secrets.randbelow(254)) for _ in range(3))


def _is_own(writer: asyncio.StreamWriter) -> bool:
    """Return whether the client is a process of this user; always True on systems other than Linux."""
    if sys.platform != "linux":
        return True
    client, server = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
    return find_owner(_CONNECTIONS.read_text("ascii"), client, server) in (0, os.geteuid())


def find_owner(connections: str, client: tuple[str, int], server: tuple[str, int]) -> int | None:
    """Return the user id of the client's end of a connection; None if the connection is not listed.

    Args:
        connections: content of /proc/net/tcp, see proc(5).
        client: address and port.
        server: address and port.
    """
    ends = [_as_in_proc(client), _as_in_proc(server), _ESTABLISHED]
    for line in connections.splitlines():
        fields = line.split()
        if fields[1:4] == ends:
            return int(fields[7])
    return None


def _as_in_proc(end: tuple[str, int]) -> str:
    address = int.from_bytes(socket.inet_aton(end[0]), sys.byteorder)
    return f"{address:08X}:{end[1]:04X}"


_POLL_S: Final = 0.02


async def run(target: Path, port: int, ssh: Sequence[str]) -> int:
    """Run ssh until it or the front ends; return its exit code.

    Args:
        target: the socket that ssh will create.
        port: the database's port, for the relay; 0 uses no relay.
        ssh: ssh's command line, with `--` before the bastion.
    """
    end = ssh.index("--")
    command = [*ssh[:end], *_stay_in_foreground(ssh[0]), *ssh[end:]]
    end_with_this = partial(end_with_parent, os.getpid(), signal.SIGTERM)
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=DEVNULL,
        stdout=DEVNULL,
        preexec_fn=end_with_this if sys.platform == "linux" else None,
    )
    # From here on, only ssh writes to standard error, so the front sees its end as the end of ssh.
    with open(os.devnull, "wb") as null:  # noqa: PTH123
        os.dup2(null.fileno(), 2)
    front = asyncio.create_task(_wait_for_front())
    relay = Relay(target)
    try:
        ended = asyncio.create_task(process.wait())
        if await _is_open(target, {front, ended}):
            address, number = await relay.listen(port) if port else ("-", 0)
            print(address, number, flush=True)  # noqa: T201 # standard output is the channel to the front
            await asyncio.wait({front, ended}, return_when=asyncio.FIRST_COMPLETED)
        if front.done() and not ended.done():
            if front.result():
                await relay.drain(CLOSE_GRACE_S)
            else:
                await _drain(relay, ended, has_relay=port > 0)
        return process.returncode or 0
    finally:
        await _end(process)
        target.unlink(missing_ok=True)
        with suppress(OSError):
            target.parent.rmdir()


def _stay_in_foreground(program: str) -> list[str]:
    """Return the option that keeps ssh in the foreground, whatever its configuration says.

    In the background, ssh would outlive this process. OpenSSH has the setting, and the option, since 8.7.
    """
    shown = subprocess.run([program, "-V"], stdin=DEVNULL, capture_output=True, check=False).stderr
    version = re.match(rb"OpenSSH_\D*(\d+)\.(\d+)", shown)
    knows_setting = version is not None and (int(version[1]), int(version[2])) >= (8, 7)
    return ["-oForkAfterAuthentication=no"] if knows_setting else []


async def _wait_for_front() -> bool:
    """Wait until standard input ends; return whether the front said that no connection is in use."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return bool(await reader.read())


async def _is_open(target: Path, ends: set["asyncio.Task[bool] | asyncio.Task[int]"]) -> bool:
    """Wait until ssh has logged in and listens; return False if ssh or standard input ends before."""
    while not target.is_socket():
        done, _ = await asyncio.wait(ends, timeout=_POLL_S, return_when=asyncio.FIRST_COMPLETED)
        if done:
            return False
    return True


async def _drain(relay: Relay, ended: "asyncio.Task[int]", *, has_relay: bool) -> None:
    if has_relay:
        await relay.drain(GRACE_S)
    else:
        await asyncio.wait({ended}, timeout=GRACE_S)


async def _end(process: Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
    await process.wait()


def main() -> None:
    """Read the command line and keep the tunnel."""
    target, port, *ssh = sys.argv[1:]
    sys.exit(asyncio.run(run(Path(target), int(port), ssh)) & 0xFF)


if __name__ == "__main__":
    main()
