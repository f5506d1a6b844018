"""How a session tracks running requests; the rest is tested over real pipes."""

import asyncio
from typing import Any

import anyio
import pytest

from pgmcp.surface import Backend, Surface, SurfaceSettings
from pgmcp.transport.messages import Request
from pgmcp.transport.stdio.host_log import HostLog
from pgmcp.transport.stdio.session import Session

pytestmark = pytest.mark.anyio

CALL = Request("tools/call", {"name": "execute_sql", "arguments": {"sql": "select 1"}}, 7)
CANCEL = Request("notifications/cancelled", {"requestId": "7"})
INITIALIZE = Request(
    "initialize",
    {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
    1,
)


@pytest.mark.parametrize("begins", [False, True], ids=["before it begins", "while it waits"])
async def test_a_cancelled_request_is_forgotten_and_not_answered(begins: bool) -> None:
    loop = asyncio.get_running_loop()
    surface_settings: asyncio.Future[SurfaceSettings] = loop.create_future()
    backend: asyncio.Future[Backend] = loop.create_future()
    answers: list[Any] = []
    session = Session(Surface(surface_settings, backend), answers.append, HostLog(answers.append))
    session.receive_request(INITIALIZE)

    session.receive_request(CALL)
    ((_, task),) = session._in_flight.values()
    if begins:
        await asyncio.sleep(0)
    session.receive_request(CANCEL)
    with anyio.fail_after(5):
        await asyncio.wait([task])
        await asyncio.sleep(0)

    assert task.cancelled()
    assert session._in_flight == {}
    assert [answer["id"] for answer in answers] == [1]
