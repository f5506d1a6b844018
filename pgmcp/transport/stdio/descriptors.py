"""Standard input and output belong to the protocol; whatever else is printed goes to stderr.

The descriptors 0 and 1 are moved away before anything is imported: a library that
prints, or a child that reads, never touches what the host sends and gets.
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
    """Private descriptors of what the host writes and reads; children do not inherit them."""

    reading: int
    writing: int


def claim_standard_streams() -> HostDescriptors:
    """Return the host's descriptors; from now on input is empty and output goes to stderr."""
    claimed = HostDescriptors(os.dup(_STDIN), os.dup(_STDOUT))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, _STDIN)
    os.close(nothing)
    sys.stdout.flush()
    os.dup2(_STDERR, _STDOUT)
    return claimed
