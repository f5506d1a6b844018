"""Reads a server's processes from /proc (Linux): its fork server and its workers."""

from contextlib import suppress
from pathlib import Path

from testing.facts import children_of

_PROC = Path("/proc")


def descendants(pid: int) -> list[int]:
    """Return all descendants of a process."""
    found: list[int] = []
    for child in sorted(_children(pid)):
        found += [child, *descendants(child)]
    return found


def workers_of(front: int) -> list[int]:
    """Return a front's workers, which its fork server has forked."""
    return [worker for fork_server in _children(front) for worker in descendants(fork_server)]


def command_line(pid: int) -> str:
    """Return the output of `ps` for a process."""
    return (_PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode()


def environment(pid: int) -> str:
    """Return the environment a process was started with, a variable per line."""
    return (_PROC / str(pid) / "environ").read_bytes().replace(b"\0", b"\n").decode()


def is_running(pid: int) -> bool:
    """Return whether a process runs: a zombie does not, unless some of its threads still run."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return False
    return any(_is_task_running(task) for task in tasks)


def _is_task_running(task: Path) -> bool:
    try:
        state = (task / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def _children(pid: int) -> set[int]:
    with suppress(FileNotFoundError, ProcessLookupError):
        return children_of(pid)
    return set()
