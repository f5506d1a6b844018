"""A minimal MCP server without an SDK; `loadtest.py` compares pgmcp with it.

Like `echo_server.py`, it receives a reply once and repeats it for every call. So a call costs only what the
pipes, JSON and the client cost.
"""

import asyncio
import os
import sys
from typing import Any, Final

import msgspec

_MAX_LINE_BYTES: Final = 64 << 20


class _Parameters(msgspec.Struct, frozen=True):
    name: str = ""
    arguments: dict[str, Any] = {}


class _Request(msgspec.Struct, frozen=True):
    method: str
    id: msgspec.Raw = msgspec.Raw()
    params: _Parameters = _Parameters()


_INITIALIZED: Final = {
    "protocolVersion": "2025-11-25",
    "capabilities": {"tools": {}},
    "serverInfo": {"name": "msgspec-echo", "version": "1"},
}
_decode = msgspec.json.Decoder(_Request).decode
_encode = msgspec.json.encode


async def main() -> None:
    """Answer each line until standard input ends."""
    reader = asyncio.StreamReader(limit=_MAX_LINE_BYTES)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    reply = _encode({"content": []})
    async for line in reader:
        request = _decode(line)
        if not request.id:
            continue
        result = b"{}"
        if request.method == "initialize":
            result = _encode(_INITIALIZED)
        elif request.params.name == "remember":
            given = request.params.arguments
            content = [{"type": "text", "text": given["text"]}]
            reply = _encode({"content": content, "structuredContent": given["structured"]})
        elif request.method == "tools/call":
            result = reply
        _write_all(b'{"jsonrpc":"2.0","id":%b,"result":%b}\n' % (bytes(request.id), result))


def _write_all(data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    asyncio.run(main())
