"""Draws one chart: reads Vega-Lite from standard input, and writes a PNG to standard output.

This file is run as a program, and never imported.

vl-convert contains a JavaScript engine and much native code. So it runs in a separate process. The process
has no secrets in its environment, may load no URL, cannot write files, and ends after some seconds. On
Windows, it has neither of the last two limits, and its parent ends it. This file imports no module of pgmcp,
so that the process loads no other code of pgmcp.
"""

import contextlib
import signal
import struct
import sys
import zlib
from collections.abc import Iterator

with contextlib.suppress(ImportError):  # not available on Windows
    import resource


def main() -> None:
    """Draw a chart; exit codes other than 0 mean failure. Arguments: seconds, megabytes, scale."""
    lifetime_s, memory_mb, scale = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    limit(lifetime_s, memory_mb)
    import vl_convert

    specification = sys.stdin.buffer.read().decode()
    picture = vl_convert.vegalite_to_png(specification, scale=scale, allowed_base_urls=[])
    sys.stdout.buffer.write(compress(picture))
    sys.stdout.buffer.flush()


def compress(picture: bytes) -> bytes:
    """Return the same PNG in about a third of the bytes; the library prefers speed to a small size."""
    chunks = list(read_chunks(picture))
    pixels = zlib.compress(zlib.decompress(b"".join(data for name, data in chunks if name == b"IDAT")))
    head = [chunk for chunk in chunks if chunk[0] not in (b"IDAT", b"IEND")]
    return picture[:8] + b"".join(map(write_chunk, [*head, (b"IDAT", pixels), (b"IEND", b"")]))


def read_chunks(picture: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the name and the data of each chunk (PNG specification, section 5.3)."""
    start = 8
    while start < len(picture):
        length, name = struct.unpack_from(">I4s", picture, start)
        yield name, picture[start + 8 : start + 8 + length]
        start += length + 12


def write_chunk(chunk: tuple[bytes, bytes]) -> bytes:
    """Return a chunk with its length and checksum."""
    name, data = chunk
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def limit(lifetime_s: int, memory_mb: int) -> None:
    """Limit the resources of this process, and end it after `lifetime_s`."""
    if hasattr(signal, "alarm"):
        signal.alarm(lifetime_s)
    if "resource" not in globals():
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform == "linux":
        # Not RLIMIT_AS: V8 reserves 64 GB of address space. RLIMIT_DATA counts only writable memory.
        memory_bytes = memory_mb << 20
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))


if __name__ == "__main__":
    main()
