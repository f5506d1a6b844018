"""Reads a file that contains one secret, such as those that container engines and secret managers mount."""

from pathlib import Path
from typing import Final

MAX_SECRET_BYTES: Final = 64 << 10


def read_secret_file(path: Path) -> str:
    """Return the secret in a file, without line breaks at its end.

    Raises:
        ValueError: the file cannot be read, has no secret, or has 64 KiB or more. The message never contains
            its content.
    """
    try:
        with path.expanduser().open("rb") as file:
            text = file.read(MAX_SECRET_BYTES + 1).decode("utf-8-sig").rstrip("\r\n")
    except (OSError, ValueError, RuntimeError) as error:  # pathlib's RuntimeError for "~nobody"
        reason = str(getattr(error, "strerror", "")).lower()
        raise ValueError(reason or "the file is not UTF-8, or cannot have this name") from None
    if not text.strip() or len(text) >= MAX_SECRET_BYTES or "\0" in text:
        raise ValueError("expected a file that holds the secret and nothing else")
    return text
