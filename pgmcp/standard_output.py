"""Standard output belongs to the protocol; whatever else is printed goes to stderr.

While it serves, the SDK keeps stray output away by itself. This covers the rest:
what libraries print while they are imported, and what Python still holds in its
buffer, or is printed, when the server has ended.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_STDOUT: Final = 1
_STDERR: Final = 2


def divert_stdout() -> int:
    """Send what is printed from now on to stderr; return a descriptor of the real standard output."""
    wire = os.dup(_STDOUT)
    os.dup2(_STDERR, _STDOUT)
    return wire


@contextmanager
def stdout_for_protocol(wire: int) -> Iterator[None]:
    """Give the real standard output to the SDK, and take it back afterwards.

    Args:
        wire: what `divert_stdout` returned.
    """
    sys.stdout.flush()
    os.dup2(wire, _STDOUT)
    try:
        yield
    finally:
        os.dup2(_STDERR, _STDOUT)
