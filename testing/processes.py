"""Finds facts about processes, and waits for them with a time limit, without blocking the event loop.

A server's fork server and workers are found in /proc (Linux).
"""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio

TIMEOUT_S = 30.0
_POLL_S = 0.01
_PROC = Path("/proc")


async def until(is_so: Callable[[], bool], what: str) -> None:
    """Wait until a condition holds; fail with the description `what` if it does not hold in time."""
    with anyio.move_on_after(TIMEOUT_S) as bound:
        while not is_so():
            await anyio.sleep(_POLL_S)
    assert not bound.cancelled_caught, f"not within {TIMEOUT_S:g} s: {what}"


async def until_gone(pid: int) -> None:
    """Wait until a process is gone (ended and reaped), and the event loop has noticed its end."""
    await until(lambda: not is_there(pid), f"process {pid} is gone")
    await anyio.sleep(_POLL_S)  # lets the event loop read the end of the channel


def is_there(pid: int) -> bool:
    """Return whether a process with this pid exists; zombies count."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def parent_of(pid: int) -> int:
    """Return the pid of a process's parent (Linux)."""
    status = (_PROC / str(pid) / "status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:"))


def children_of(pid: int) -> set[int]:
    """Return the pids of a process's children (Linux)."""
    tasks = (_PROC / str(pid) / "task").glob("*/children")
    return {int(child) for task in tasks for child in task.read_text().split()}


def descendants(pid: int) -> list[int]:
    """Return all running descendants of a process (Linux)."""
    return [each for child in _running_children(pid) for each in (child, *descendants(child))]


def workers_of(front: int) -> list[int]:
    """Return the running workers that a server's fork server has forked (Linux)."""
    fork_servers = [child for child in _running_children(front) if _is_fork_server(child)]
    return [worker for fork_server in fork_servers for worker in _running_children(fork_server)]


def command_line(pid: int) -> str:
    """Return the command line of a process, as `ps` shows it."""
    return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()


def environment(pid: int) -> str:
    """Return the environment that a process was started with, one variable per line."""
    return (_PROC / str(pid) / "environ").read_bytes().replace(b"\0", b"\n").decode()


def is_running(pid: int) -> bool:
    """Return whether a process runs; a zombie counts only while some of its threads still run."""
    try:
        tasks = list((_PROC / str(pid) / "task").iterdir())
    except OSError:
        return False
    return any(_is_task_running(task) for task in tasks)


def _is_task_running(task: Path) -> bool:
    try:
        state = (task / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _running_children(pid: int) -> list[int]:
    """Return the running children of a process; none if it has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return sorted(child for child in children_of(pid) if is_running(child))
    return []


def _is_fork_server(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return "worker.fork_server" in command_line(pid)
    return False
