import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import anyio
import pytest

from pgmcp.transport.stdio.wire import LineSplitter, Oversized, Reader, Writer

pytestmark = pytest.mark.anyio

MEGABYTE = 1 << 20


@dataclass
class Pipe:
    reading: int
    writing: int


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe(*os.pipe())
    yield pipe
    for descriptor in (pipe.reading, pipe.writing):
        with suppress(OSError):  # a test may have closed it
            os.close(descriptor)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_lines_are_the_same_however_they_arrive(size: int) -> None:
    splitter, stream = LineSplitter(), b"one\n\ntwo\r\nthree"
    chunks = [stream[start : start + size] for start in range(0, len(stream), size)]

    lines = [line for chunk in chunks for line in splitter.feed(chunk)]

    assert [*lines, *splitter.end()] == [b"one", b"", b"two\r", b"three"]


def test_a_line_beyond_the_bound_is_not_kept_and_the_next_one_is() -> None:
    splitter = LineSplitter(max_bytes=5)

    assert list(splitter.feed(b"123456789")) == []
    assert list(splitter.feed(b"0\n12345\n123456\n")) == [Oversized.LINE, b"12345", Oversized.LINE]
    assert list(splitter.end()) == []


async def test_a_host_that_does_not_read_blocks_nothing_and_gets_everything_later(pipe: Pipe) -> None:
    writer = Writer(pipe.writing, lambda: None)
    lines = [bytes([65 + number]) * MEGABYTE + b"\n" for number in range(3)]
    for line in lines:
        writer.write(line)
    assert writer.waiting_bytes > 2 * MEGABYTE

    with anyio.fail_after(10):
        taken = asyncio.create_task(asyncio.to_thread(read_all, pipe.reading, len(b"".join(lines))))
        await writer.drain(10)

        assert await taken == b"".join(lines)
    assert writer.waiting_bytes == 0


def read_all(descriptor: int, size: int) -> bytes:
    found = b""
    while len(found) < size:
        chunk = os.read(descriptor, MEGABYTE)
        assert chunk, "the writer closed the pipe"
        found += chunk
    return found


async def test_lines_of_one_turn_are_written_together_and_in_order(pipe: Pipe) -> None:
    writer = Writer(pipe.writing, lambda: None)
    writer.write_soon(b"one\n")
    writer.write_soon(b"two\n")
    writer.write(b"three\n")
    os.set_blocking(pipe.reading, False)
    with pytest.raises(BlockingIOError):
        os.read(pipe.reading, MEGABYTE)

    await writer.drain(5)

    assert os.read(pipe.reading, MEGABYTE) == b"one\ntwo\nthree\n"
    writer.write(b"four\n")
    assert os.read(pipe.reading, MEGABYTE) == b"four\n"


async def test_lines_for_the_next_turn_wait_for_a_host_that_does_not_read(pipe: Pipe) -> None:
    writer = Writer(pipe.writing, lambda: None)
    lines = [bytes([65 + number]) * MEGABYTE + b"\n" for number in range(3)]
    for line in lines:
        writer.write_soon(line)

    with anyio.fail_after(10):
        taken = asyncio.create_task(asyncio.to_thread(read_all, pipe.reading, len(b"".join(lines))))
        await writer.drain(10)

        assert await taken == b"".join(lines)


async def test_a_host_that_has_closed_its_end_is_noticed(pipe: Pipe) -> None:
    noticed = asyncio.Event()
    writer = Writer(pipe.writing, noticed.set)
    os.close(pipe.reading)

    writer.write(b"line\n")

    with anyio.fail_after(5):
        await noticed.wait()
    assert writer.is_broken


async def test_standard_input_and_output_can_be_files(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    chunks: list[bytes] = []
    ended = asyncio.Event()

    def take(chunk: bytes) -> None:
        chunks.append(chunk)
        if not chunk:
            ended.set()

    with anyio.fail_after(5):
        with file.open("wb") as out:
            writer = Writer(out.fileno(), lambda: None)
            writer.write(b"one\n")
            writer.write(b"two\n")
            await writer.drain(5)
        with file.open("rb") as source:
            Reader(source.fileno(), take).start()
            await ended.wait()

    assert b"".join(chunks) == b"one\ntwo\n"


async def test_a_paused_reader_takes_nothing_until_it_resumes(pipe: Pipe) -> None:
    chunks: list[bytes] = []
    arrived = asyncio.Event()

    def take(chunk: bytes) -> None:
        chunks.append(chunk)
        arrived.set()

    reader = Reader(pipe.reading, take)
    reader.start()
    reader.pause()
    os.write(pipe.writing, b"line\n")
    await asyncio.sleep(0)
    assert chunks == []

    reader.resume()

    with anyio.fail_after(5):
        await arrived.wait()
    reader.stop()
    assert chunks == [b"line\n"]
