"""Reserves standard input and output for the protocol; other output goes to stderr.

The descriptors 0 and 1 are replaced before other imports, so that a library that prints, or a child process
that reads, cannot disturb the protocol.
"""

import os
import sys
from dataclasses import dataclass
from typing import Final

_STDIN: Final = 0
_STDOUT: Final = 1
_STDERR: Final = 2


@dataclass(frozen=True, slots=True)
class HostDescriptors:
    """Private descriptors of the channel to the host; children do not inherit them."""

    reading: int
    writing: int


def claim_standard_streams() -> HostDescriptors:
    """Return the host's descriptors; afterwards stdin is empty, and stdout goes to stderr."""
    _open_closed_streams()
    claimed = HostDescriptors(os.dup(_STDIN), os.dup(_STDOUT))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _STDIN)
    os.close(nothing)
    os.dup2(_STDERR, _STDOUT)
    sys.stdout.flush()  # earlier output, which is not for the host either, goes to stderr
    return claimed


def _open_closed_streams() -> None:
    """Open the null device in place of standard streams that the host has closed.

    Otherwise the next file that is opened would get the number of a standard stream.
    """
    for descriptor in (_STDIN, _STDOUT, _STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    sys.stdout = sys.stdout or os.fdopen(_STDOUT, "w", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(_STDERR, "w", closefd=False)
