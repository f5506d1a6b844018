"""Runs the command line as a script does, with pipes, and as a person does, in a terminal."""

import contextlib
import os
import select
import struct
import subprocess
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from testing.prestarted import Files, start

TIMEOUT_S = 60
TERMINAL_ROWS = 50


def run(
    environment: Mapping[str, str], folder: Path, *arguments: str, stdin: bytes = b""
) -> subprocess.CompletedProcess[bytes]:
    """Run a command with pipes for its streams.

    Args:
        stdin: the input; at most 64 KB, because a pipe holds no more.
    """
    (given, ours), (out, theirs), (errors, their_errors) = os.pipe(), os.pipe(), os.pipe()
    files = Files(given, theirs, their_errors)
    process = start(arguments, environment, folder, files)
    for file in files:
        os.close(file)
    with ThreadPoolExecutor(2) as readers, os.fdopen(out, "rb") as stdout, os.fdopen(errors, "rb") as stderr:
        output, error_output = readers.submit(stdout.read), readers.submit(stderr.read)
        with contextlib.suppress(BrokenPipeError), os.fdopen(ours, "wb") as typed:
            typed.write(stdin)
        try:
            exit_code = process.wait(TIMEOUT_S)
        finally:
            process.kill()
        return subprocess.CompletedProcess(arguments, exit_code, output.result(), error_output.result())


def run_text(
    environment: Mapping[str, str], folder: Path, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with pipes for its streams, and decode them."""
    done = run(environment, folder, *arguments)
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def run_in_terminal(
    environment: dict[str, str],
    folder: Path,
    *arguments: str,
    columns: int = 80,
    typed: bytes = b"",
    dialogue: Sequence[tuple[str, bytes]] = (),
    closes_at: str = "",
    see: Callable[[str], None] = lambda shown: None,
) -> tuple[int, str]:
    """Run a command in a pseudo-terminal, and return its exit code and its output.

    Args:
        typed: input that is sent at the start.
        dialogue: pairs of a text to wait for and the input to send then. The search for a text begins after
            the previous text.
        closes_at: a text at which the terminal is closed.
        see: called with the output so far, whenever more has arrived.
    """
    pytest.importorskip("termios", reason="pseudo-terminals exist only on POSIX systems")
    import fcntl
    import termios

    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", TERMINAL_ROWS, columns, 0, 0))
    environment = {**environment, "TERM": "xterm-256color"}
    process = start(arguments, environment, folder, Files(theirs, theirs, theirs), controls=True)
    os.close(theirs)
    try:
        os.write(ours, typed)
        shown = _read_all(ours, see, list(dialogue), closes_at)
        if closes_at:
            os.close(ours)
            ours = -1
        return process.wait(TIMEOUT_S), shown
    finally:
        process.kill()
        process.wait()
        if ours >= 0:
            os.close(ours)


def _read_within(terminal: int, timeout_s: float, shown: bytes) -> bytes:
    if not select.select([terminal], [], [], timeout_s)[0]:
        raise AssertionError(f"nothing was shown for {timeout_s:g} s, after: {shown[-2000:].decode()}")
    return os.read(terminal, 65536)


def _read_all(
    terminal: int, see: Callable[[str], None], dialogue: list[tuple[str, bytes]], closes_at: str
) -> str:
    shown, answered = b"", 0
    with contextlib.suppress(OSError):  # Linux: EIO when the other end is closed
        while piece := _read_within(terminal, TIMEOUT_S, shown):
            shown += piece
            see(shown.decode("utf8", "replace"))
            if closes_at and closes_at.encode() in shown:
                break
            while dialogue and (place := shown.find(dialogue[0][0].encode(), answered)) >= 0:
                text, typed = dialogue.pop(0)
                answered = place + len(text.encode())
                if typed:
                    os.write(terminal, typed)
    return shown.decode("utf8", "replace").replace("\r\n", "\n")
