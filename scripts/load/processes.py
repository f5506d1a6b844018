"""What Linux tells in /proc of a server and its workers."""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

IS_LINUX: Final = sys.platform == "linux"

_PROC: Final = Path("/proc")
_RESET_PEAK: Final = "5"
"""proc(5), clear_refs: set VmHWM back to what is resident now."""


def workers_of(front: int) -> list[int]:
    """Return a front's workers: what its fork server has forked, or without one its own children."""
    fork_servers = [child for child in children_of(front) if _runs_fork_server(child)]
    if not fork_servers:
        return children_of(front)
    return [worker for fork_server in fork_servers for worker in children_of(fork_server)]


def descendants_of(pid: int) -> list[int]:
    """Return the children of a process, their children and so on."""
    return [each for child in children_of(pid) for each in (child, *descendants_of(child))]


def children_of(pid: int) -> list[int]:
    """Return the children of a process that run; none if it has ended."""
    with suppress(FileNotFoundError, ProcessLookupError):
        tasks = (_PROC / str(pid) / "task").glob("*/children")
        children = {int(child) for task in tasks for child in task.read_text().split()}
        return sorted(child for child in children if is_running(child))
    return []


def is_running(pid: int) -> bool:
    """Whether a process lives; one that waits to be reaped does not."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def any_running(pids: Iterable[int]) -> bool:
    """Whether one of the processes lives."""
    return any(is_running(pid) for pid in pids)


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def descriptor_count(pid: int) -> int:
    """Return how many descriptors a process has open."""
    return len(list((_PROC / str(pid) / "fd").iterdir()))


def resident_mb(pid: int) -> float:
    """Return what a process has in memory now, in MB."""
    return _field_mb(pid, "status", "VmRSS")


def peak_mb(pid: int) -> float:
    """Return the most a process had in memory since `reset_peak`, in MB."""
    return _field_mb(pid, "status", "VmHWM")


def reset_peak(pid: int) -> None:
    """Reset `peak_mb`."""
    (_PROC / str(pid) / "clear_refs").write_text(_RESET_PEAK)


def proportional_mb(pid: int) -> float:
    """Return a process's memory with each shared page divided among its sharers, in MB."""
    return _field_mb(pid, "smaps_rollup", "Pss")


def cpu_ms(pid: int) -> float:
    """Return the processor time that all threads of a process have used."""
    # The clock of another process, as clock_getcpuclockid(3) makes it.
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e6


def _runs_fork_server(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        return b"worker.fork_server" in (_PROC / str(pid) / "cmdline").read_bytes()
    return False


def _field_mb(pid: int, file: str, name: str) -> float:
    lines = (_PROC / str(pid) / file).read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024
