"""Sets up a worker process: memory limit, signals, end with its parent, standard streams."""

import logging
import os
import select
import signal
import sys
from pathlib import Path
from typing import Final, TextIO

MAX_STATEMENTS: Final = 10_000
MAX_RESIDENT_MB: Final = 128
"""A worker that has run this many statements, or has more resident memory than this, is replaced.

An idle worker has about 25 MB, most of it shared with the fork server.
"""

_SMALL_RESULT_BYTES: Final = 64 << 10
_MEASURED_EVERY: Final = 16
"""Statements between two measurements; a measurement takes 3 % of the worker's time for a `select 1`."""

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

_PR_SET_PDEATHSIG: Final = 1
"""prctl(2), linux/prctl.h."""


def protect_stdio() -> None:
    """Make standard input empty, and send standard output to stderr.

    Then code that prints cannot break a frame. The channel duplicates both descriptors before this call.
    """
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)


def set_up_logging_and_signals() -> None:
    """Log only warnings and errors, to stderr, and ignore SIGINT.

    Ctrl-C sends SIGINT to the whole process group; the front handles it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(
        handlers=[_StderrHandler(sys.stderr)],
        level=logging.WARNING,
        format=f"%(asctime)s %(levelname)s worker {os.getpid()}: %(message)s",
    )
    # The front gets the reason of a failed connection in a frame, so psycopg's pool need not log it, too.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Drops a line that stderr does not accept at once: a host may never read it, so a write would block."""

    def emit(self, record: logging.LogRecord) -> None:
        if _accepts_output(self.stream.fileno()):
            super().emit(record)


def _accepts_output(descriptor: int) -> bool:
    if not hasattr(select, "poll"):  # Windows
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return bool(poll.poll(0))


def limit_memory(limit_mb: int) -> None:
    """Limit the address space and forbid core files, if the system supports such limits.

    If a value does not fit, libpq then reports "out of memory". Core files would contain rows and passwords.

    Args:
        limit_mb: mebibytes; 0 sets no limit.
    """
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limit_mb > 0:
        limit_bytes = limit_mb << 20
        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))


class RecyclePolicy:
    """Decides when a worker should be replaced by a new one.

    Memory leaks grow with the number of statements, and Python seldom returns all memory of a large result.
    """

    def __init__(self) -> None:
        self._statements = 0

    def should_recycle(self, result_bytes: int) -> bool:
        """Count a statement, and return whether it should be the worker's last one.

        Args:
            result_bytes: size of its rows. After small results, memory is measured only now and then.
        """
        self._statements += 1
        if result_bytes < _SMALL_RESULT_BYTES and self._statements % _MEASURED_EVERY:
            return self._statements >= MAX_STATEMENTS
        return self._statements >= MAX_STATEMENTS or _is_large()


def _is_large() -> bool:
    """Return whether this process has more resident memory than MAX_RESIDENT_MB; False if it is not known."""
    if sys.platform != "linux":
        return False
    import resource

    # Reading the peak costs one system call, and few workers ever reach the limit.
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return peak_mb > MAX_RESIDENT_MB and resident_mb() > MAX_RESIDENT_MB


def resident_mb() -> float:
    """Return this process's resident memory in mebibytes, as Linux reports it."""
    resident_pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    return resident_pages * _PAGE_BYTES / (1 << 20)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends for any reason (Linux only).

    Exits the process at once if the parent has already ended.

    Args:
        parent: the expected pid of the parent.
    """
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
