"""A real worker that holds the GIL in C code after SIGUSR1, so that none of its threads runs.

Run as a program, this file is the worker. As a module it provides the spawn function.
"""

import ctypes
import os
import signal
import sys
from pathlib import Path

from pgmcp.execution.spawn import Child, start_child, worker_environment
from worker.__main__ import main

_FOR_EVER_S = 3_600


async def spawn_that_can_be_stuck() -> Child:
    return await start_child(sys.executable, "-P", str(Path(__file__)), env=worker_environment(os.environ))


if __name__ == "__main__":
    # PyDLL, unlike CDLL, keeps the GIL during the call.
    signal.signal(signal.SIGUSR1, lambda number, frame: ctypes.PyDLL(None).sleep(_FOR_EVER_S))
    main()
