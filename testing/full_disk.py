"""A disk that is full, for the code of this process."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def full_disk(free_bytes: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes: a write fails as on a full disk."""
    resource = pytest.importorskip("resource")
    unbound = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (free_bytes, unbound[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unbound)
