"""Where tests put PostgreSQL's data: in memory if there is room, as a new database writes 300 files."""

import shutil
from pathlib import Path
from typing import Final

_IN_MEMORY: Final = Path("/dev/shm")  # noqa: S108 # Linux; each test process makes a folder of its own in it
_NEEDED_BYTES: Final = 4 * 1024**3


def memory_folder() -> str | None:
    """Return the folder, for `tempfile.TemporaryDirectory`; None means the usual one."""
    has_room = _IN_MEMORY.is_dir() and shutil.disk_usage(_IN_MEMORY).free >= _NEEDED_BYTES
    return str(_IN_MEMORY) if has_room else None
