import os
import select
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO, FileIO

import pytest

from worker.channel import Channel, read_through_socket
from worker.protocol import (
    HEAD,
    MAX_BODY_BYTES,
    MAX_HEADER_BYTES,
    Backend,
    Cancel,
    Connected,
    Execute,
    Failure,
    FailureCode,
    FromWorker,
    Open,
    Opened,
    ProtocolError,
    Result,
    StatementMode,
    StatementOrigin,
    Terminate,
    Terminated,
    ToWorker,
    decode_from_worker,
    decode_head,
    decode_to_worker,
    encode_frame,
)

OPEN = Open(1, "host=db password=secret", {"password": "secret", "dbname": "ü"}, 5, 512)
BACKEND = Backend(4711, "2026-11-22 10:00:00.123456+00")

TO_WORKER: list[ToWorker] = [
    OPEN,
    Execute(2, StatementOrigin.CALLER, StatementMode.WRAPPABLE, 30_000, 500, 1 << 20, 65_536, True),
    Cancel(3),
    Terminate(4, BACKEND),
]
FROM_WORKER: list[FromWorker] = [
    Opened(1),
    Connected(BACKEND, 180_006),
    Connected(None, 130_000),
    Result(2, [("a", "integer"), ("", "text")], None, 0, 0.25),
    Result(2, [], "bytes", 7, 1.0),
    Terminated(4),
    Failure(5, FailureCode.STATEMENT, "syntax error", "42601", "hint", 3),
]


def split(frame: tuple[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return header and body as a reader gets them from the channel."""
    wire = b"".join(frame)
    header_bytes, body_bytes = decode_head(wire[: HEAD.size])
    assert len(wire) == HEAD.size + header_bytes + body_bytes
    return wire[HEAD.size : HEAD.size + header_bytes], wire[HEAD.size + header_bytes :]


@pytest.mark.parametrize("message", TO_WORKER, ids=lambda message: type(message).__name__)
def test_a_message_to_the_worker_arrives_as_it_was(message: ToWorker) -> None:
    header, body = split(encode_frame(message, b"SELECT 1"))

    assert (decode_to_worker(header), body) == (message, b"SELECT 1")


@pytest.mark.parametrize("message", FROM_WORKER, ids=lambda message: type(message).__name__)
def test_a_message_from_the_worker_arrives_as_it_was(message: FromWorker) -> None:
    header, body = split(encode_frame(message, b"\x00\xff"))

    assert (decode_from_worker(header), body) == (message, b"\x00\xff")


def test_a_body_is_not_copied_on_its_way_into_a_frame() -> None:
    body = b"x" * 1_000

    assert encode_frame(Opened(1), body)[1] is body


@pytest.mark.parametrize("lengths", [(0, 0), (MAX_HEADER_BYTES, MAX_BODY_BYTES)])
def test_lengths_up_to_their_bound_are_read(lengths: tuple[int, int]) -> None:
    assert decode_head(HEAD.pack(*lengths)) == lengths


@pytest.mark.parametrize("lengths", [(MAX_HEADER_BYTES + 1, 0), (0, MAX_BODY_BYTES + 1), (2**32 - 1,) * 2])
def test_a_length_beyond_its_bound_is_refused_before_anything_is_read(lengths: tuple[int, int]) -> None:
    with pytest.raises(ProtocolError, match=str(lengths[0])):
        decode_head(HEAD.pack(*lengths))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"\xc1",
        b"\x00",
        b"GET / HTTP/1.1",
        b"\x81\xa4type\xa5Other",
        b"\x81\xa4type\xa6Opened",
        b"\x82\xa4type\xa6Opened\xa2id\xa11",
        b"\xdf\xff\xff\xff\xff",
        b"\x91" * 20_000,
    ],
    ids=["empty", "reserved", "number", "http", "unknown", "no id", "text id", "huge map", "deep"],
)
def test_a_header_that_is_not_a_message_is_refused(header: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_from_worker(header)
    with pytest.raises(ProtocolError):
        decode_to_worker(header)


def test_a_message_in_the_wrong_direction_is_refused() -> None:
    (to_worker, _), (from_worker, _) = split(encode_frame(OPEN)), split(encode_frame(Opened(1)))

    with pytest.raises(ProtocolError):
        decode_from_worker(to_worker)
    with pytest.raises(ProtocolError):
        decode_to_worker(from_worker)


def test_an_unknown_kind_of_truncation_is_refused() -> None:
    header, _ = split(encode_frame(Result(1, [], "moon", 0, 0.0)))  # type: ignore[arg-type]

    with pytest.raises(ProtocolError):
        decode_from_worker(header)


def test_the_frame_that_carries_the_credentials_does_not_show_them() -> None:
    assert "secret" not in repr(OPEN) + str(OPEN) + f"{OPEN!r:>5} {[OPEN]}"


def test_a_refusal_of_a_broken_open_frame_does_not_quote_it() -> None:
    header, _ = split(encode_frame(OPEN))

    with pytest.raises(ProtocolError) as raised:
        decode_to_worker(header.replace(b"memory_limit_mb", b"memory_limit_xx"))

    assert "secret" not in str(raised.value)


def test_importing_the_protocol_loads_no_psycopg() -> None:
    program = "import worker.protocol, sys; sys.exit(any(m.startswith('psycopg') for m in sys.modules))"

    assert subprocess.run([sys.executable, "-P", "-c", program], check=False, timeout=30).returncode == 0


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


def test_the_end_of_the_channel_is_noticed_after_the_last_frame(pipe: tuple[FileIO, FileIO]) -> None:
    reader, writer = pipe
    channel = Channel(reader, BytesIO())
    writer.write(SENT)
    writer.close()

    channel.read()
    channel.read()

    assert (list(channel.frames), channel.is_ended) == (FRAMES, True)


def test_bytes_that_form_no_frame_are_refused(pipe: tuple[FileIO, FileIO]) -> None:
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
