"""Bounded waits for conditions of processes and servers, which do not block the event loop."""

import os
from collections.abc import Callable
from pathlib import Path

import anyio

TIMEOUT_S = 10.0
_POLL_S = 0.01


async def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds; fail with its name if it does not hold in time."""
    with anyio.move_on_after(TIMEOUT_S) as bound:
        while not is_so():
            await anyio.sleep(_POLL_S)
    assert not bound.cancelled_caught, f"not within {TIMEOUT_S:g} s: {what}"


async def until_gone(pid: int) -> None:
    """Wait until a process has ended and is reaped, and its channel is closed."""
    await until(lambda: not is_there(pid), f"process {pid} is gone")
    await anyio.sleep(_POLL_S)  # so that the event loop notices it too


def is_there(pid: int) -> bool:
    """Return whether a process with this pid exists; zombies count."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def parent_of(pid: int) -> int:
    """Return the pid of a process's parent (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:"))


def children_of(pid: int) -> set[int]:
    """Return the pids of a process's children (Linux)."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return {int(child) for task in tasks for child in task.read_text().split()}
