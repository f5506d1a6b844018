"""The relay of a tunnel: whose connections it forwards, and how the connections end."""

import asyncio
import sys
from pathlib import Path

import pytest

from pgmcp.tunnel.keeper import Relay, find_owner

_TABLE = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: CB07517F:1538 00000000:0000 0A 00000000:00000000 00:00000000 0  1000        0 11 1 0 100 0 0 10 0
   1: 0100007F:9C40 CB07517F:1538 01 00000000:00000000 00:00000000 0  1001        0 12 1 0 20 4 30 10 -1
   2: CB07517F:1538 0100007F:9C40 01 00000000:00000000 00:00000000 0  1000        0 13 1 0 20 4 30 10 -1
   3: 0100007F:9C41 CB07517F:1538 06 00000000:00000000 03:00000000 0     0        0 0 3 0
"""


@pytest.mark.skipif(sys.byteorder == "big", reason="the table is that of a little-endian machine")
@pytest.mark.parametrize(("port", "owner"), [(40_000, 1001), (40_001, None), (40_002, None)])
def test_the_clients_end_of_an_established_connection_names_the_owner(port: int, owner: int | None) -> None:
    assert find_owner(_TABLE, ("127.0.0.1", port), ("127.81.7.203", 5432)) == owner


@pytest.mark.anyio
async def test_a_connection_lasts_until_the_server_has_read_the_end_and_closed_it(tmp_path: Path) -> None:
    received: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
    may_close = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.set_result(await reader.read())
        await may_close.wait()
        writer.close()

    server = await asyncio.start_unix_server(serve, tmp_path / "ssh")
    relay = Relay(tmp_path / "ssh")
    _, client = await asyncio.open_connection(*await relay.listen(0))
    client.write(b"Terminate")
    client.close()
    assert await received == b"Terminate"

    draining = asyncio.create_task(relay.drain(60))
    assert await asyncio.wait((draining,), timeout=0) == (set(), {draining})
    may_close.set()
    await draining
    server.close()
