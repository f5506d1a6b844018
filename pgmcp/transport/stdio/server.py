"""Serves a surface over two descriptors, from the host's first line to its last."""

import asyncio
import logging
from typing import Any, Final

import msgspec

from pgmcp.surface import Surface
from pgmcp.transport.messages import BadMessageError, decode, decode_plain
from pgmcp.transport.stdio.descriptors import HostDescriptors
from pgmcp.transport.stdio.host_log import HostLog
from pgmcp.transport.stdio.session import Session
from pgmcp.transport.stdio.wire import MAX_UNREAD_BYTES, LineSplitter, Oversized, Reader, Writer

logger = logging.getLogger(__name__)

LAST_OUTPUT_TIMEOUT_S: Final = 1.0
"""Time for the host to read the remaining output when the server ends."""

_encoder = msgspec.json.Encoder()
_BRACE: Final = ord("{")


class StdioServer:
    """Reads the host's messages and writes the answers. Create and use it on one event loop.

    Attributes:
        opened: set when the first line was processed, or the host has closed its end.
        ended: set when the host has closed its end.
    """

    def __init__(self, surface: Surface, descriptors: HostDescriptors) -> None:
        self.opened = asyncio.Event()
        self.ended = asyncio.Event()
        self._lines = LineSplitter()
        self._writer = Writer(descriptors.writing, self._pause_or_resume)
        self._reader = Reader(descriptors.reading, self._take)
        self._host_log = HostLog(self._send)
        self._session = Session(surface, self._send, self._host_log)

    def start(self) -> None:
        """Begin to serve."""
        self._host_log.attach()
        self._reader.start()

    async def close(self) -> None:
        """Cancel and answer the requests in flight, and give the host 1 s to read the answers."""
        self._reader.stop()
        await self._session.end()
        self._host_log.detach()
        await self._writer.drain(LAST_OUTPUT_TIMEOUT_S)
        self._writer.close()

    def _take(self, chunk: bytes) -> None:
        if self._lines.is_at_start and 1 < chunk.find(b"\n") + 1 == len(chunk) and chunk[0] == _BRACE:
            self._take_text(chunk)  # the usual case: one complete line
            return
        for line in self._lines.feed(chunk) if chunk else self._lines.end():
            self._take_line(line)
        if not chunk:
            self._leave()

    def _take_line(self, line: bytes | Oversized) -> None:
        if isinstance(line, Oversized):
            self._refuse(BadMessageError(f"{line.value} is not accepted"))
        elif line.strip():
            self._take_text(line)

    def _refuse(self, error: BadMessageError) -> None:
        logger.warning("a line from the host was refused: %s", error)
        self._session.refuse(error)
        self.opened.set()

    def _take_text(self, line: bytes) -> None:
        request = decode_plain(line)
        if request is not None:
            self._session.receive_request(request)
            self.opened.set()
            return
        try:
            value, was_repaired = decode(line)
        except BadMessageError as error:
            self._refuse(error)
            return
        if was_repaired:
            logger.warning(
                "a line from the host was not valid: U+FFFD replaces invalid UTF-8 and halves of surrogate "
                "pairs, null replaces NaN and infinite numbers"
            )
        self._session.receive(value)
        self.opened.set()

    def _send(self, message: Any) -> None:
        line = _encode(message)
        if self._session.has_several_in_flight:
            self._writer.write_soon(line)
        else:
            self._writer.write(line)
        if self._writer.waiting_bytes or self._writer.is_broken:
            self._pause_or_resume()

    def _pause_or_resume(self) -> None:
        if self._writer.is_broken:
            self._leave()
        elif self._writer.waiting_bytes > MAX_UNREAD_BYTES:
            self._reader.pause()
        elif self._writer.waiting_bytes < MAX_UNREAD_BYTES // 2:
            self._reader.resume()

    def _leave(self) -> None:
        self.opened.set()
        self.ended.set()


def _encode(message: Any) -> bytes:
    """Return a message as a line; text that UTF-8 cannot encode is replaced."""
    try:
        return _encoder.encode(message) + b"\n"
    except UnicodeEncodeError:
        return _encoder.encode(_without_surrogates(message)) + b"\n"


def _without_surrogates(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-8", errors="replace").decode()
        case dict():
            return {_without_surrogates(key): _without_surrogates(each) for key, each in value.items()}
        case list() | tuple():
            return [_without_surrogates(each) for each in value]
        case _:
            return value
