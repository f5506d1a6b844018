"""Starts workers by forking a process that has already imported all modules (Linux).

`worker.fork_server` is the program of that process.
"""

import asyncio
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
from contextlib import suppress
from typing import Final

from pgmcp.child_process import away_from_terminal
from pgmcp.execution.spawn import Child, Inbox, worker_command, worker_environment

logger = logging.getLogger(__name__)

FORK_TIMEOUT_S: Final = 10.0
"""Timeout of one fork. The first one waits for the fork server's imports; later ones take milliseconds."""

_READ_BYTES: Final = 64 << 10

_PID: Final = struct.Struct("!I")


def can_fork() -> bool:
    """Return whether this system supports the fork server."""
    return sys.platform == "linux" and hasattr(os, "pidfd_open")


class ForkedChild:
    """A worker forked by the fork server. It is not a child of this process, so a pidfd identifies it.

    The socket is read and written without an asyncio transport, which would take 10 µs for each call.
    """

    def __init__(self, pid: int, pidfd: int, channel: socket.socket) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._channel = channel
        self._inbox = Inbox()
        self._unsent = bytearray()
        self._is_closed = False
        self._has_ended = False
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.listen = self._inbox.listen
        self._loop.add_reader(pidfd, self._note_end)
        self._loop.add_reader(channel, self._read)

    def _read(self) -> None:
        try:
            chunk = self._channel.recv(_READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            chunk = b""
        if chunk:
            self._inbox.put(chunk)
        else:
            self.close()

    def send(self, data: bytes) -> None:
        """Send bytes to the worker; bytes that it does not accept yet are buffered here."""
        if self._is_closed:
            return
        if self._unsent:
            self._unsent += data
            return
        sent = self._send_now(data)
        if sent < len(data) and not self._is_closed:
            self._unsent += data[sent:]
            self._loop.add_writer(self._channel, self._send_unsent)

    def _send_now(self, data: bytes | bytearray) -> int:
        try:
            return self._channel.send(data)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            self.close()  # the worker has ended
            return 0

    def _send_unsent(self) -> None:
        del self._unsent[: self._send_now(self._unsent)]
        if not self._unsent and not self._is_closed:
            self._loop.remove_writer(self._channel)

    def close(self) -> None:
        """Close the channel; a worker that runs no statement then exits."""
        if self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._channel)
        if self._unsent:
            self._loop.remove_writer(self._channel)
            self._unsent.clear()
        self._channel.close()
        self._loop.call_soon(self._inbox.put_end)

    @property
    def has_ended(self) -> bool:
        """Whether the process is known to have ended."""
        return self._has_ended

    def kill(self) -> None:
        """End the process at once; do nothing if it has already ended."""
        if not self.has_ended:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)

    async def wait(self) -> None:
        """Return when the process has ended and is reaped."""
        await self._ended.wait()

    def _note_end(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._has_ended = True
        self._ended.set()


class ForkServer:
    """Starts the fork server and asks it for workers; restarts it if it dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._one_at_a_time = asyncio.Lock()

    def start(self) -> None:
        """Start the fork server, which then imports its modules while this process imports others.

        Needs no event loop.

        Raises:
            OSError: the process could not be started.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                worker_command("worker.fork_server"),
                stdin=theirs.fileno(),
                env=worker_environment(os.environ),
                **away_from_terminal(),
            )
        ours.setblocking(False)
        self._control = ours

    async def spawn(self) -> Child:
        """Return a new worker.

        Raises:
            OSError: the worker could not be forked, even by a new fork server.
        """
        async with self._one_at_a_time:
            try:
                return await self._spawn()
            except (OSError, TimeoutError):
                logger.warning("the fork server started no worker; starting another fork server")
                self.close()
                return await self._spawn()

    def close(self) -> None:
        """End the fork server and all its workers; blocks for up to a second, in which workers can exit."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout=1)
            self._process.kill()
            self._process.wait()
            self._process = None

    async def _spawn(self) -> Child:
        if self._control is None:
            self.start()
        control = self._control
        if control is None:
            raise OSError("the fork server could not be started")
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            with theirs:
                socket.send_fds(control, [b"w"], [theirs.fileno()])
            async with asyncio.timeout(FORK_TIMEOUT_S):
                pid, pidfd = await _receive_child(ours)
        except BaseException:
            ours.close()
            raise
        return ForkedChild(pid, pidfd, ours)


async def _receive_child(channel: socket.socket) -> tuple[int, int]:
    readable = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(channel, readable.set)
    try:
        await readable.wait()
    finally:
        loop.remove_reader(channel)
    message, fds, _, _ = socket.recv_fds(channel, _PID.size, 1)
    if len(message) < _PID.size:
        raise ConnectionResetError("the fork server has ended")
    return _PID.unpack(message)[0], fds[0]
