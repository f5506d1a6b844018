"""Runs the command line as a person does: in a pipe, and in a terminal of a given width."""

import contextlib
import os
import select
import struct
import subprocess
from collections.abc import Callable, Sequence
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
    dialogue: Sequence[tuple[str, bytes]] = (),
    see: Callable[[str], None] = lambda shown: None,
) -> tuple[int, str]:
    """Run a command in a pseudo-terminal, and return its exit code and its output.

    Args:
        typed: input that is there at the start.
        dialogue: what to type once a text has been shown behind the earlier ones.
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
        start_new_session=True,
        # The terminal becomes the one that sends signals: Ctrl-C, and SIGHUP when it is closed.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        os.write(ours, typed)
        shown = _read_all(ours, see, list(dialogue))
        return process.wait(TIMEOUT_S), shown
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def _read_within(terminal: int, timeout_s: float, shown: bytes) -> bytes:
    if not select.select([terminal], [], [], timeout_s)[0]:
        raise AssertionError(f"nothing was shown for {timeout_s:g} s, after: {shown[-2000:].decode()}")
    return os.read(terminal, 65536)


def _read_all(terminal: int, see: Callable[[str], None], dialogue: list[tuple[str, bytes]]) -> str:
    shown, answered = b"", 0
    with contextlib.suppress(OSError):  # Linux: EIO when the other end is closed
        while piece := _read_within(terminal, TIMEOUT_S, shown):
            shown += piece
            see(shown.decode("utf8", "replace"))
            while dialogue and (place := shown.find(dialogue[0][0].encode(), answered)) >= 0:
                text, typed = dialogue.pop(0)
                answered = place + len(text.encode())
                if typed:
                    os.write(terminal, typed)
    return shown.decode("utf8").replace("\r\n", "\n")
