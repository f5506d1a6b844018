"""Reads and writes frames at the worker's end of the channel to the front."""

import socket
import threading
from collections import deque
from contextlib import suppress
from io import RawIOBase
from typing import BinaryIO, Final

from worker.protocol import HEAD, FromWorker, ToWorker, decode_head, decode_to_worker, encode_frame

_READ_BYTES: Final = 16 << 10


class Channel:
    """Sends and receives frames over two files; the first must work with `select`.

    Attributes:
        frames: messages that have arrived, each with its body; taken out by the caller.
        is_ended: whether the front has closed its end.
    """

    def __init__(self, reader: RawIOBase, writer: BinaryIO) -> None:
        self.frames: deque[tuple[ToWorker, bytes]] = deque()
        self.is_ended = False
        self._reader = reader
        self._writer = writer
        self._unread = b""

    def fileno(self) -> int:
        """Return the descriptor to wait for before `read`."""
        return self._reader.fileno()

    def read(self) -> None:
        """Read the bytes that have arrived, and add complete messages to `frames`; blocks until bytes arrive.

        Raises:
            ProtocolError: the bytes are not a frame.
            OSError: the channel is broken.
        """
        chunk = self._reader.read(_READ_BYTES)
        if not chunk:
            self.is_ended = True
            return
        self._unread = self._unread + chunk if self._unread else chunk
        while self._unread and (frame := self._take_frame()) is not None:
            self.frames.append(frame)

    def send(self, message: FromWorker, body: bytes = b"") -> None:
        """Write one complete frame; blocks until the front has taken it.

        Raises:
            OSError: the front has closed its end.
        """
        head, body = encode_frame(message, body)
        self._writer.write(head)
        if body:
            self._writer.write(body)
        self._writer.flush()

    def _take_frame(self) -> tuple[ToWorker, bytes] | None:
        unread = self._unread
        if len(unread) < HEAD.size:
            return None
        header_bytes, body_bytes = decode_head(unread[: HEAD.size])
        header_end = HEAD.size + header_bytes
        end = header_end + body_bytes
        if len(unread) < end:
            return None
        self._unread = unread[end:]
        return decode_to_worker(unread[HEAD.size : header_end]), unread[header_end:end]


def read_through_socket(pipe: RawIOBase) -> RawIOBase:
    """Return a file that gives the bytes of a pipe and, unlike the pipe, works with `select` on Windows.

    A thread copies the bytes and ends when the pipe ends.
    """
    ours, theirs = socket.socketpair()

    def forward() -> None:
        with theirs, suppress(OSError):
            while chunk := pipe.read(_READ_BYTES):
                theirs.sendall(chunk)

    threading.Thread(target=forward, name="forward", daemon=True).start()
    with ours:  # the returned file keeps the socket open
        return ours.makefile("rb", buffering=0)
