"""What the short-lived processes that draw and write have in common: what they see, and how they end."""

from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

_INHERITED_NAMES: Final = (
    "HOME", "LANG", "LD_LIBRARY_PATH", "PATH", "PYTHONHOME", "PYTHONPATH", "SYSTEMROOT", "TEMP", "TMP",
    "TMPDIR", "VIRTUAL_ENV",
)  # fmt: skip


def bare_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what of an environment such a process may see: what it takes to start, and no secret."""
    return {name: environ[name] for name in _INHERITED_NAMES if name in environ}


async def end(process: Process) -> None:
    """Kill the process if it still runs, and reap it."""
    with suppress(ProcessLookupError):
        process.kill()
    await process.communicate()  # what it still said, so that the pipe is closed
