"""Writes log lines to standard error without waiting for its reader.

A host may never read the server's standard error. A pipe then accepts some hundred lines, and further writes
would block the event loop for ever. Lines that are not accepted wait here up to a bound; more are dropped.
"""

import errno
import logging
import os
import select
import sys
from collections.abc import Callable
from typing import Final

MAX_WAITING_BYTES: Final = 256 << 10
"""Maximum bytes of waiting lines; further lines are dropped until the reader continues."""

_STDERR: Final = 2
_PIECE_BYTES: Final = 4096
"""A pipe or socket that is ready for writing accepts this much at once (pipe(7), `PIPE_BUF`)."""


def log_handler(level: int = logging.NOTSET) -> logging.Handler:
    """Return a handler that writes to standard error."""
    if not hasattr(select, "poll"):  # Windows, where a program cannot find out whether a pipe is full
        handler: logging.Handler = logging.StreamHandler(sys.stderr)
        handler.setLevel(level)
        return handler
    return NonBlockingHandler(_STDERR, level)


class NonBlockingHandler(logging.Handler):
    """Writes log lines to a descriptor as it accepts them; never waits.

    Attributes:
        dropped: number of lines that were dropped since the last note about them.
    """

    def __init__(self, descriptor: int, level: int = logging.NOTSET) -> None:
        super().__init__(level)
        self._descriptor = descriptor
        self._accepts_output = _output_check(descriptor)
        self._waiting = bytearray()
        self.dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, after those that wait."""
        try:
            line = self._encode(record)
        except Exception:  # a wrong argument of a log call must not end the call
            self.handleError(record)
            return
        self._write_waiting()
        if self.dropped and not self._waiting:
            self._waiting += self._encode(_note_of(self.dropped))
            self.dropped = 0
        if self._waiting and len(self._waiting) + len(line) > MAX_WAITING_BYTES:
            self.dropped += 1
            return
        self._waiting += line
        self._write_waiting()

    def flush(self) -> None:
        """Write the waiting lines that are accepted now; called when the process ends, too."""
        self.acquire()
        try:
            self._write_waiting()
        finally:
            self.release()

    def _encode(self, record: logging.LogRecord) -> bytes:
        return f"{self.format(record)}\n".encode("utf-8", errors="backslashreplace")

    def _write_waiting(self) -> None:
        while self._waiting and self._accepts_output():
            try:
                written = os.write(self._descriptor, self._waiting[:_PIECE_BYTES])
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EINTR):  # the reader has gone
                    self._waiting.clear()
                return
            del self._waiting[:written]


def _output_check(descriptor: int) -> Callable[[], bool]:
    """Return a function that returns whether a write to the descriptor would not wait."""
    poll = select.poll()
    poll.register(descriptor, select.POLLOUT)
    return lambda: bool(poll.poll(0))


def _note_of(count: int) -> logging.LogRecord:
    message = "%d log lines were dropped, because nothing has read standard error"
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, (count,), None)
