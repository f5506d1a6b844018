"""A full disk, as this process sees it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest


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
