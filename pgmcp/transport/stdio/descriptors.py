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
    claimed = HostDescriptors(os.dup(_STDIN), os.dup(_STDOUT))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _STDIN)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(_STDERR, _STDOUT)
    return claimed
