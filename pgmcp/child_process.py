"""Keeps child processes away from terminals and secrets, and ends them."""

import os
import subprocess
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

_INHERITED_NAMES: Final = (
    "HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "SYSTEMROOT", "TEMP", "TMP",
    "TMPDIR", "VIRTUAL_ENV",
)  # fmt: skip

_PR_SET_PDEATHSIG: Final = 1
"""prctl(2), linux/prctl.h."""


def bare_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for charts and exports, without secrets."""
    return {name: environ[name] for name in _INHERITED_NAMES if name in environ}


def environment_without_secrets(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment for ssh and for password commands: without settings and secrets of pgmcp."""
    return {
        name: text
        for name, text in environ.items()
        if not name.upper().startswith("PG_MCP_") and name.upper() != "PGPASSWORD"
    }


def away_from_terminal() -> dict[str, Any]:
    r"""Return the arguments of `subprocess.Popen` that keep a terminal's signals from a child.

    A terminal sends Ctrl-C, Ctrl-\ and its hang-up to the whole foreground process group. A child in that
    group might die while pgmcp's main process still needs it: before a worker's statement is cancelled, or
    while a worker imports modules and does not ignore signals yet. A child outside the group ends when its
    channel is closed.
    """
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def end_with_parent(parent: int, number: int) -> None:
    """Have the kernel send this process a signal when its parent ends, even if that is killed (Linux).

    Exits at once if the parent has already ended.

    Args:
        parent: the expected pid of the parent.
        number: the number of the signal.
    """
    import ctypes  # later than at the start, where it would take time

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)


async def end(process: Process) -> None:
    """Kill the process if it is still running, and reap it."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.communicate()  # drain the pipe, so that it is closed
