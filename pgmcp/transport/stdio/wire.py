"""Reads and writes whole lines of the host without blocking the event loop.

A pipe or a terminal is read when it is readable. A pipe or a socket is written until it accepts no more; the
rest is buffered here. A descriptor that the event loop cannot wait for (a file, or any descriptor on Windows)
has its own thread, which ends with the process.
"""

import asyncio
import os
import queue
import stat
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from enum import Enum
from typing import Final

MAX_LINE_BYTES: Final = 64 << 20
MAX_UNREAD_BYTES: Final = 64 << 20
"""Maximum bytes of unread replies; above it, no requests are read until less than half of it is unread."""

_READ_BYTES: Final = 256 << 10
_STDERR: Final = 2


class Oversized(Enum):
    """Takes the place of a line that was too long to be kept."""

    LINE = "a line of more than 64 MiB"


class LineSplitter:
    """Splits a stream of bytes into lines.

    Args:
        max_bytes: longer lines are dropped, and `Oversized.LINE` takes their place.
    """

    def __init__(self, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._parts: list[bytes] = []
        self._held_bytes = 0
        self._is_skipping = False

    @property
    def is_at_start(self) -> bool:
        """Whether the next chunk begins with a new line."""
        return not self._parts and not self._is_skipping

    def feed(self, chunk: bytes) -> Iterator[bytes | Oversized]:
        """Yield the lines that end in this chunk, without their line feed."""
        *ended, rest = chunk.split(b"\n")
        for line in ended:
            yield self._end(line)
        self._append(rest)

    def end(self) -> Iterator[bytes | Oversized]:
        """Yield the rest after the last line feed."""
        if self._parts or self._is_skipping:
            yield self._end(b"")

    def _end(self, last: bytes) -> bytes | Oversized:
        self._append(last)
        line = b"".join(self._parts)
        is_whole = not self._is_skipping
        self._parts, self._held_bytes, self._is_skipping = [], 0, False
        return line if is_whole else Oversized.LINE

    def _append(self, part: bytes) -> None:
        if not part:
            return
        self._held_bytes += len(part)
        if self._held_bytes > self._max_bytes:
            self._is_skipping = True
            self._parts.clear()
        if not self._is_skipping:
            self._parts.append(part)


class Reader:
    """Calls `take` with every chunk the host writes, and with b"" at the end.

    Args:
        descriptor: open for reading; the caller closes it.
        take: called on the event loop.
    """

    def __init__(self, descriptor: int, take: Callable[[bytes], None]) -> None:
        self._descriptor = descriptor
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._may_read = threading.Event()
        self._is_watched = False
        self._is_at_end = False

    def start(self) -> None:
        """Start reading."""
        self._may_read.set()
        try:
            self._loop.add_reader(self._descriptor, self._read)
            self._is_watched = True
        except (NotImplementedError, OSError):  # Windows, or a file, which is always readable
            threading.Thread(target=self._read_in_thread, daemon=True).start()

    def pause(self) -> None:
        """Stop reading until `resume`."""
        self._may_read.clear()
        if self._is_watched:
            self._loop.remove_reader(self._descriptor)

    def resume(self) -> None:
        """Continue after `pause`."""
        if not self._may_read.is_set() and not self._is_at_end:
            self._may_read.set()
            if self._is_watched:
                self._loop.add_reader(self._descriptor, self._read)

    def stop(self) -> None:
        """Stop reading for good."""
        self._is_at_end = True
        self.pause()

    def _read(self) -> None:
        try:
            chunk = os.read(self._descriptor, _READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            chunk = b""
        self._receive(chunk)

    def _receive(self, chunk: bytes) -> None:
        if self._is_at_end:
            return
        if not chunk:
            self.stop()
        self._take(chunk)

    def _read_in_thread(self) -> None:
        chunk = b" "
        while chunk:
            self._may_read.wait()
            try:
                chunk = os.read(self._descriptor, _READ_BYTES)
            except OSError:
                chunk = b""
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._receive, chunk)


class Writer:
    """Writes lines to the host; buffers lines that the host does not read yet.

    Args:
        descriptor: open for writing; the caller closes it.
        on_change: called after buffered lines were written, even in part, and when the host has closed its
            end.

    Attributes:
        waiting_bytes: buffered bytes, which are not written yet.
        is_broken: whether the host has closed its end.
    """

    def __init__(self, descriptor: int, on_change: Callable[[], None]) -> None:
        self._descriptor = descriptor
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._lines: deque[memoryview] = deque()
        self._gathered: list[bytes] = []
        self._emptied = asyncio.Event()
        self._emptied.set()
        self._thread: _WriterThread | None = None
        self._was_blocking = os.get_blocking(descriptor) if hasattr(os, "get_blocking") else True
        self.waiting_bytes = 0
        self.is_broken = False
        if _can_be_written_piecewise(descriptor):
            os.set_blocking(descriptor, False)
        else:
            self._thread = _WriterThread(descriptor, self._after_thread_wrote)

    def write(self, line: bytes) -> None:
        """Write a line, with its line feed, after the buffered ones."""
        if self._gathered:
            self._gathered.append(line)
        else:
            self._write(line)

    def write_soon(self, line: bytes) -> None:
        """Write a line together with the other lines of this turn of the event loop, in the next turn."""
        if self.is_broken:
            return
        if not self._gathered:
            self._emptied.clear()
            self._loop.call_soon(self._write_gathered)
        self._gathered.append(line)

    def _write_gathered(self) -> None:
        lines = b"".join(self._gathered)
        self._gathered = []
        self._write(lines)
        if not self.waiting_bytes:
            self._emptied.set()
        self._on_change()

    def _write(self, line: bytes) -> None:
        if self.is_broken:
            return
        if self._thread is not None:
            self._wait_with(line)
            self._thread.put(line)
            return
        rest = memoryview(line) if self._lines else self._write_now(memoryview(line))
        if rest and not self.is_broken:
            if not self._lines:
                self._loop.add_writer(self._descriptor, self._write_waiting)
            self._lines.append(rest)
            self._wait_with(rest)

    async def drain(self, timeout_s: float) -> None:
        """Wait until everything is written, or the timeout has passed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._emptied.wait()

    def close(self) -> None:
        """Stop writing."""
        self._break()
        if self._thread is None and self._was_blocking:
            with suppress(OSError):
                os.set_blocking(self._descriptor, True)

    def _wait_with(self, line: bytes | memoryview) -> None:
        self.waiting_bytes += len(line)
        self._emptied.clear()

    def _write_now(self, line: memoryview) -> memoryview:
        """Write as much as the host accepts, and return the rest."""
        try:
            return line[os.write(self._descriptor, line) :]
        except (BlockingIOError, InterruptedError):
            return line
        except OSError:
            self._break()
            return line[:0]

    def _write_waiting(self) -> None:
        before = self.waiting_bytes
        while self._lines and not self.is_broken:
            line = self._lines.popleft()
            rest = self._write_now(line)
            self.waiting_bytes -= len(line) - len(rest)
            if rest:
                self._lines.appendleft(rest)
                break
        if not self._lines and not self.is_broken:
            self._loop.remove_writer(self._descriptor)
            self._emptied.set()
        if self.waiting_bytes != before:
            self._on_change()

    def _after_thread_wrote(self, size: int, is_broken: bool) -> None:
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._note_written, size, is_broken)

    def _note_written(self, size: int, is_broken: bool) -> None:
        self.waiting_bytes -= size
        if is_broken:
            self._break()
        elif not self.waiting_bytes:
            self._emptied.set()
        self._on_change()

    def _break(self) -> None:
        if self.is_broken:
            return
        self.is_broken = True
        if self._lines:
            self._loop.remove_writer(self._descriptor)
        self._lines.clear()
        self.waiting_bytes = 0
        self._emptied.set()
        self._loop.call_soon(self._on_change)


class _WriterThread:
    """Writes lines one after another to a descriptor that may block.

    Args:
        descriptor: open for writing; the caller closes it.
        note_written: called in this thread after each line, with its bytes and whether writing has failed.
    """

    def __init__(self, descriptor: int, note_written: Callable[[int, bool], None]) -> None:
        self._descriptor = descriptor
        self._note_written = note_written
        self._lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def put(self, line: bytes) -> None:
        self._lines.put(line)

    def _run(self) -> None:
        is_broken = False
        while not is_broken:
            line = self._lines.get()
            try:
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(self._descriptor, rest) :]
            except OSError:
                is_broken = True
            self._note_written(len(line), is_broken)


def _can_be_written_piecewise(descriptor: int) -> bool:
    """Return whether the descriptor may be non-blocking: a pipe or socket with no other writer."""
    if os.name != "posix":
        return False
    ours = os.fstat(descriptor)
    if not (stat.S_ISFIFO(ours.st_mode) or stat.S_ISSOCK(ours.st_mode)):
        return False
    # Log lines go to standard error with blocking writes; after `2>&1` both are the same pipe.
    with suppress(OSError):
        log = os.fstat(_STDERR)
        return (ours.st_dev, ours.st_ino) != (log.st_dev, log.st_ino)
    return True
