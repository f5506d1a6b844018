"""Measures processes by /proc (Linux), and sends them signals; `testing.processes` finds them."""

import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from testing.processes import is_running

IS_LINUX: Final = sys.platform == "linux"

_PROC: Final = Path("/proc")
_RESET_PEAK: Final = "5"
"""proc(5), clear_refs: resets VmHWM to the current resident size."""


def any_running(pids: Iterable[int]) -> bool:
    """Return whether any of the processes runs."""
    return any(is_running(pid) for pid in pids)


def send_signal(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process that may have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def descriptor_count(pid: int) -> int:
    """Return the number of a process's open descriptors."""
    return len(list((_PROC / str(pid) / "fd").iterdir()))


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process, in MB."""
    return _field_mb(pid, "status", "VmRSS")


def peak_mb(pid: int) -> float:
    """Return the peak of a process's resident memory since `reset_peak`, in MB."""
    return _field_mb(pid, "status", "VmHWM")


def reset_peak(pid: int) -> None:
    """Reset `peak_mb`."""
    (_PROC / str(pid) / "clear_refs").write_text(_RESET_PEAK)


def proportional_mb(pid: int) -> float:
    """Return the proportional set size of a process, in MB."""
    return _field_mb(pid, "smaps_rollup", "Pss")


def cpu_ms(pid: int) -> float:
    """Return the processor time of all threads of a process."""
    # The id of the process's CPU clock, computed as in clock_getcpuclockid(3).
    return time.clock_gettime_ns((~pid << 3) | 2) / 1e6


def _field_mb(pid: int, file: str, name: str) -> float:
    lines = (_PROC / str(pid) / file).read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024
