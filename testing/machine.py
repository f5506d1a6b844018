"""The machine of the tests: free ports of loopback, a folder in memory, a full disk."""

import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

HOST = "127.0.0.1"


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 # Linux; each test process makes a folder of its own in it
_NEEDED_BYTES: Final = 4 * 1024**3


def memory_folder() -> str | None:
    """Return a folder in memory with enough space, or None, `tempfile`'s default folder."""
    has_room = _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free >= _NEEDED_BYTES
    return str(_IN_MEMORY) if has_room else None


@contextmanager
def full_disk(free_bytes: int) -> Iterator[None]:
    """Limit the size of each file that this process writes: a longer write fails as on a full disk."""
    resource = pytest.importorskip("resource")
    unbound = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free_bytes, unbound[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unbound)
