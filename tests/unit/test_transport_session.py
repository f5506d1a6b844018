"""How a session tracks running requests; e2e tests cover its other behaviour over real pipes."""

import asyncio
from typing import Any

import anyio
import pytest

from pgmcp.surface import Backend, RequestError, Surface, SurfaceSettings
from pgmcp.transport.messages import Request
from pgmcp.transport.stdio.era import Handshake
from pgmcp.transport.stdio.host_log import HostLog
from pgmcp.transport.stdio.session import MAX_IN_FLIGHT, Session
from testing.raw_jsonrpc import STATELESS_META

pytestmark = pytest.mark.anyio

CALL = Request("tools/call", {"name": "execute_sql", "arguments": {"sql": "select 1"}}, 7)
CANCEL = Request("notifications/cancelled", {"requestId": "7"})
INITIALIZE = Request(
    "initialize",
    {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}},
    1,
)
PING = {"jsonrpc": "2.0", "id": 8, "method": "ping"}


def open_session(answers: list[Any], version: str = "2025-11-25") -> Session:
    """Return a session whose calls wait for ever, because the settings are never read."""
    loop = asyncio.get_running_loop()
    surface_settings: asyncio.Future[SurfaceSettings] = loop.create_future()
    backend: asyncio.Future[Backend] = loop.create_future()
    session = Session(Surface(surface_settings, backend), answers.append, HostLog(answers.append))
    session.receive_request(Request("initialize", INITIALIZE.params | {"protocolVersion": version}, 1))
    answers.clear()
    return session


def as_message(request: Request) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": request.id, "method": request.method, "params": request.params}


@pytest.mark.parametrize("begins", [False, True], ids=["before it begins", "while it waits"])
async def test_a_cancelled_request_is_forgotten_and_not_answered(begins: bool) -> None:
    answers: list[Any] = []
    session = open_session(answers)

    session.receive_request(CALL)
    (task,) = session._in_flight
    if begins:
        await asyncio.sleep(0)
    session.receive_request(CANCEL)
    with anyio.fail_after(5):
        await asyncio.wait([task])
        await asyncio.sleep(0)

    assert task.cancelled()
    assert session._in_flight == {}
    assert session._task_by_id == {}
    assert answers == []


@pytest.mark.parametrize("begins", [False, True], ids=["before it begins", "while it waits"])
async def test_a_batch_does_not_wait_for_a_cancelled_request(begins: bool) -> None:
    answers: list[Any] = []
    session = open_session(answers, "2025-03-26")

    session.receive([as_message(CALL), PING])
    tasks = list(session._in_flight)
    if begins:
        await asyncio.sleep(0)
    session.receive_request(CANCEL)
    with anyio.fail_after(5):
        await asyncio.wait([tasks[0]])
        while not answers:
            await asyncio.sleep(0)

    ((one, other),) = answers
    assert {one["id"], other["id"]} == {7, 8}
    assert [answer["error"]["message"] for answer in (one, other) if "error" in answer] == [
        "Request cancelled"
    ]
    await session.end()


async def test_a_host_of_a_later_version_can_fall_back_to_initialize() -> None:
    handshake = Handshake(elicit=lambda params: asyncio.sleep(0))
    later = STATELESS_META | {"io.modelcontextprotocol/protocolVersion": "2027-07-28"}

    with pytest.raises(RequestError, match="Unsupported protocol version"):
        handshake.caller_of(Request("server/discover", {"_meta": later}, 1))

    assert handshake.initialize(INITIALIZE)["protocolVersion"] == "2025-11-25"


async def test_a_stateless_request_decides_the_protocol_version() -> None:
    handshake = Handshake(elicit=lambda params: asyncio.sleep(0))
    handshake.caller_of(Request("server/discover", {"_meta": STATELESS_META}, 1))

    with pytest.raises(RequestError, match="which has no initialize"):
        handshake.initialize(INITIALIZE)


async def test_each_of_several_requests_with_one_id_is_answered_when_the_session_ends() -> None:
    answers: list[Any] = []
    session = open_session(answers)

    for request_id in (7, 7, "7"):
        session.receive_request(Request(CALL.method, CALL.params, request_id))
    await asyncio.sleep(0)
    with anyio.fail_after(5):
        await session.end()

    assert [answer["id"] for answer in answers] == [7, 7, "7"]
    assert {answer["error"]["message"] for answer in answers} == {"Connection closed: the server is stopping"}


async def test_requests_beyond_the_bound_are_refused_until_others_are_answered() -> None:
    answers: list[Any] = []
    session = open_session(answers)

    for request_id in range(MAX_IN_FLIGHT + 1):
        session.receive_request(Request(CALL.method, CALL.params, request_id))
    (refused,) = answers
    session.receive_request(Request(CANCEL.method, {"requestId": 0}))
    with anyio.fail_after(5):
        await asyncio.wait([next(iter(session._in_flight))])
    session.receive_request(Request("ping", {}, "ping"))
    await asyncio.sleep(0)

    assert refused["id"] == MAX_IN_FLIGHT
    assert "10000 requests are not answered yet" in refused["error"]["message"]
    assert answers[1:] == [{"jsonrpc": "2.0", "id": "ping", "result": {}}]
    await session.end()
