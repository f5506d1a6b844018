"""Frames are assembled from chunks of any size."""

import os
import select
from collections.abc import Iterator
from io import BytesIO, FileIO

import pytest

from worker.channel import Channel, read_through_socket
from worker.protocol import HEAD, Cancel, Execute, ProtocolError, StatementMode, StatementOrigin, encode_frame

REQUEST = Execute(7, StatementOrigin.CALLER, StatementMode.AS_IS, 1_000, 10, 1_000, 100, True)
SENT = b"".join([*encode_frame(Cancel(1)), *encode_frame(REQUEST, b"select 1"), *encode_frame(Cancel(7))])
FRAMES = [(Cancel(1), b""), (REQUEST, b"select 1"), (Cancel(7), b"")]


@pytest.fixture
def pipe() -> Iterator[tuple[FileIO, FileIO]]:
    reading, writing = os.pipe()
    with FileIO(reading) as reader, FileIO(writing, "w") as writer:
        yield reader, writer


@pytest.mark.parametrize("piece_bytes", [1, 7, 60, 1_000])
def test_frames_arrive_whole_and_in_order(pipe: tuple[FileIO, FileIO], piece_bytes: int) -> None:
    reader, writer = pipe
    channel = Channel(reader, BytesIO())

    for start in range(0, len(SENT), piece_bytes):
        writer.write(SENT[start : start + piece_bytes])
        channel.read()

    assert list(channel.frames) == FRAMES
    assert not channel.is_ended


def test_the_end_of_the_front_is_seen_after_its_last_frame(pipe: tuple[FileIO, FileIO]) -> None:
    reader, writer = pipe
    channel = Channel(reader, BytesIO())
    writer.write(SENT)
    writer.close()

    channel.read()
    channel.read()

    assert (list(channel.frames), channel.is_ended) == (FRAMES, True)


def test_bytes_that_are_not_a_frame_are_refused(pipe: tuple[FileIO, FileIO]) -> None:
    reader, writer = pipe
    writer.write(HEAD.pack(1, 0) + b"\xc1")

    with pytest.raises(ProtocolError):
        Channel(reader, BytesIO()).read()


def test_a_pipe_can_be_read_through_a_socket(pipe: tuple[FileIO, FileIO]) -> None:
    reader, writer = pipe
    channel = Channel(read_through_socket(reader), BytesIO())
    writer.write(SENT)
    writer.close()

    while not channel.is_ended:
        assert select.select([channel], [], [], 5)[0]
        channel.read()

    assert list(channel.frames) == FRAMES
