"""Runs the fork server: a process that imports all modules of a worker, and forks workers on request.

A forked worker is ready about fifteen times sooner than a new interpreter, and shares the memory of this
process. The program needs pidfds, so it runs on Linux only. Forking is safe, because this process has only
one thread. The front in this diagram is pgmcp's main process:

    front                                     fork server
      one byte + the worker's channel (fd) ─▶  fork; the child serves the channel
      ◀─ pid (uint32) + pidfd, over that channel
      end of the control channel ───────────▶  remaining workers are killed
"""

import gc
import os
import select
import signal
import socket
import struct
from contextlib import suppress
from io import FileIO
from typing import Final, NoReturn

from worker.channel import Channel
from worker.process import die_with_parent, protect_stdio, set_up_logging_and_signals
from worker.service import Service

PID: Final = struct.Struct("!I")

GRACE_S: Final = 3.0
"""After the front has ended, the remaining workers are killed when none has exited for this long."""


def main() -> None:
    """Fork one worker for each request on standard input, a socket, until the front closes its end.

    Then workers can cancel their statements and exit; those that do not are killed.
    """
    control = socket.socket(fileno=os.dup(0))
    protect_stdio()
    # This process needs no exit codes: the kernel reaps the children, and the front watches their pidfds.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # so that garbage collection in a child does not copy the shared pages
    pidfds: list[int] = []
    while True:
        channel = _receive_channel(control)
        if channel is None:
            break
        pidfds = _running(pidfds)
        pidfds.append(_fork(channel, (control.fileno(), *pidfds)))
    _end(pidfds)


def _receive_channel(control: socket.socket) -> int | None:
    """Return the next worker's channel, or None when the front has ended."""
    try:
        _, fds, _, _ = socket.recv_fds(control, 1, 1)
    except ConnectionError:
        return None
    return fds[0] if fds else None


def _fork(channel: int, ours: tuple[int, ...]) -> int:
    """Fork a worker for the channel, send its pid and pidfd to the front, and return the pidfd.

    Args:
        channel: the descriptor of the child's channel.
        ours: descriptors of this process that the child closes.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        for descriptor in ours:
            os.close(descriptor)
        _serve(channel, parent)
    pidfd = os.pidfd_open(pid)
    # The pid is sent over the worker's own channel. So a front that has given up waiting for this worker
    # cannot take this worker for the next one.
    with socket.socket(fileno=channel) as answer, suppress(OSError):
        socket.send_fds(answer, [PID.pack(pid)], [pidfd])
    return pidfd


def _serve(channel: int, parent: int) -> NoReturn:
    die_with_parent(parent)
    set_up_logging_and_signals()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    Service(Channel(FileIO(channel), os.fdopen(os.dup(channel), "wb"))).run()


def _running(pidfds: list[int]) -> list[int]:
    """Return the pidfds of running processes; close the others."""
    ended, _, _ = select.select(pidfds, [], [], 0)
    for pidfd in ended:
        os.close(pidfd)
    return [pidfd for pidfd in pidfds if pidfd not in ended]


def _end(pidfds: list[int]) -> None:
    """Wait briefly for the workers to exit, because their channels have ended too; kill the rest."""
    left = _running(pidfds)
    poll = select.poll()
    for pidfd in left:
        poll.register(pidfd, select.POLLIN)
    remaining = len(left)
    while remaining and (ended := poll.poll(GRACE_S * 1000)):
        for pidfd, _ in ended:
            poll.unregister(pidfd)
        remaining -= len(ended)
    for pidfd in _running(left):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


if __name__ == "__main__":
    main()
