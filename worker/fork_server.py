"""A small process that has imported everything and forks workers on request.

A fork is ready about fifteen times sooner than a new interpreter and shares
its memory. Linux only: it needs pidfds, and fork is safe there while one
thread runs.

    front                                     here
      one byte + the worker's channel (fd) ─▶  fork
      ◀─ pid (uint32) + pidfd, over that       the child serves the channel
      end of the control channel ───────────▶  children that stay are killed
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
from worker.process import be_quiet_worker, die_with_parent, protect_stdio
from worker.service import Service

PID: Final = struct.Struct("!I")

GRACE_S: Final = 3.0
"""How long workers may take to cancel their statement and leave when the front is gone."""


def main() -> None:
    """Fork a worker per request on standard input, a socket, until its other end is closed."""
    control = socket.socket(fileno=os.dup(0))
    protect_stdio()
    # Nobody here asks how a child ended; the kernel reaps it, and its pidfd tells the front.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # so that a collection in a child does not copy the pages we share
    pidfds: list[int] = []
    while True:
        channel = _receive_channel(control)
        if channel is None:
            break
        pidfds = _running(pidfds)
        pidfds.append(_fork(channel, (control.fileno(), *pidfds)))
    _end(pidfds)


def _receive_channel(control: socket.socket) -> int | None:
    """Return the next worker's channel, or None when the front is gone."""
    try:
        _, fds, _, _ = socket.recv_fds(control, 1, 1)
    except ConnectionError:
        return None
    return fds[0] if fds else None


def _fork(channel: int, ours: tuple[int, ...]) -> int:
    """Fork a worker for the channel, tell the front, and return the child's pidfd.

    Args:
        channel: becomes the child's.
        ours: descriptors that the child must not have.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        for descriptor in ours:
            os.close(descriptor)
        _serve(channel, parent)
    pidfd = os.pidfd_open(pid)
    # Over the worker's own channel: a front that gave one up cannot take it for the next.
    with socket.socket(fileno=channel) as answer, suppress(OSError):
        socket.send_fds(answer, [PID.pack(pid)], [pidfd])
    return pidfd


def _serve(channel: int, parent: int) -> NoReturn:
    die_with_parent(parent)
    be_quiet_worker()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    Service(Channel(FileIO(channel), os.fdopen(os.dup(channel), "wb"))).run()


def _running(pidfds: list[int]) -> list[int]:
    """Return those whose process lives; close the others."""
    ended, _, _ = select.select(pidfds, [], [], 0)
    for pidfd in ended:
        os.close(pidfd)
    return [pidfd for pidfd in pidfds if pidfd not in ended]


def _end(pidfds: list[int]) -> None:
    """Give the workers a moment to leave by themselves: their channel has ended too."""
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
