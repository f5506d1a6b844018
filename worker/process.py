"""What a worker does to itself before it serves: its bounds, its end, and whose output is whose."""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import Final

MAX_STATEMENTS: Final = 10_000
MAX_RESIDENT_MB: Final = 128
"""A worker at rest has about 25 MB, most of it shared with the fork server."""

_SMALL_RESULT_BYTES: Final = 64 << 10
_MEASURED_EVERY: Final = 16
"""Statements; a measurement takes 3 % of the worker's time for a `select 1`."""

_PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096

_PR_SET_PDEATHSIG: Final = 1
"""prctl(2), linux/prctl.h."""


def protect_stdio() -> None:
    """Empty standard input and send standard output to stderr.

    Nothing that prints can then break a frame; code that needs the two
    has duplicated them before.
    """
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)


def be_quiet_worker() -> None:
    """Log warnings to stderr, and leave Ctrl-C to the front: it reaches the whole process group."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format=f"%(asctime)s %(levelname)s worker {os.getpid()}: %(message)s",
    )
    # The reason of a failed connection goes to the front in a frame; the pool need not say it again.
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)


def limit_memory(limit_mb: int) -> None:
    """Bound the address space and forbid core files, where the system has such limits.

    A value that does not fit is then a clean "out of memory" of libpq's; rows
    and passwords stay out of core files.

    Args:
        limit_mb: mebibytes; 0 sets no bound.
    """
    if sys.platform == "win32":
        return
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if limit_mb > 0:
        limit_bytes = limit_mb << 20
        resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))


class RecyclePolicy:
    """Tells when a worker should be replaced by a fresh one.

    After many statements whatever leaks has leaked; after a large result the
    memory it took is seldom all given back.
    """

    def __init__(self) -> None:
        self._statements = 0

    def should_recycle(self, result_bytes: int) -> bool:
        """Count a statement, and return whether it should be the last.

        Args:
            result_bytes: its rows. After a small result the memory is measured now and then only.
        """
        self._statements += 1
        if result_bytes < _SMALL_RESULT_BYTES and self._statements % _MEASURED_EVERY:
            return self._statements >= MAX_STATEMENTS
        return self._statements >= MAX_STATEMENTS or _is_large()


def _is_large() -> bool:
    """Return whether our resident memory is above its bound; False where the system does not tell."""
    if sys.platform != "linux":
        return False
    import resource

    # The peak costs one system call; few workers ever reach the bound.
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return peak_mb > MAX_RESIDENT_MB and resident_mb() > MAX_RESIDENT_MB


def resident_mb() -> float:
    """Return our resident memory in mebibytes, as Linux tells it."""
    resident_pages = int(Path("/proc/self/statm").read_bytes().split()[1])
    return resident_pages * _PAGE_BYTES / (1 << 20)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill us when our parent ends, however it ends (Linux).

    Args:
        parent: its pid as we knew it: it may have ended before we asked.
    """
    import ctypes

    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)
