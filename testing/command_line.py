"""Runs the command line as a person does: in a pipe, and in a terminal of a given width."""

import contextlib
import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from testing.mcp_server import COMMAND

TIMEOUT_S = 60
TERMINAL_ROWS = 50


def run(
    environment: dict[str, str], folder: Path, *arguments: str, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a command with pipes for its streams."""
    return subprocess.run(
        [*COMMAND, *arguments],
        env=environment,
        cwd=folder,
        input=stdin,
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def run_in_terminal(
    environment: dict[str, str],
    folder: Path,
    *arguments: str,
    columns: int = 80,
    typed: bytes = b"",
    see: Callable[[str], None] = lambda shown: None,
) -> tuple[int, str]:
    """Run a command in a pseudo-terminal, and return its exit code and its output.

    Args:
        typed: input that is there at the start.
        see: called with the output so far, each time there is more.
    """
    pytest.importorskip("termios", reason="pseudo-terminals exist only on POSIX systems")
    import fcntl
    import termios

    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", TERMINAL_ROWS, columns, 0, 0))
    process = subprocess.Popen(
        [*COMMAND, *arguments],
        env={**environment, "TERM": "xterm-256color"},
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        os.write(ours, typed)
        shown = _read_all(ours, see)
        return process.wait(TIMEOUT_S), shown
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _read_all(terminal: int, see: Callable[[str], None]) -> str:
    shown = b""
    with contextlib.suppress(OSError):  # Linux: EIO when the other end is closed
        while piece := os.read(terminal, 65536):
            shown += piece
            see(shown.decode("utf8", "replace"))
    return shown.decode("utf8").replace("\r\n", "\n")
