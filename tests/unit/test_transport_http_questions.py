"""Sessions that hosts keep themselves, and questions on the stream of a call."""

import asyncio
import json
from typing import Any

import pytest

from pgmcp.identity import Principal
from pgmcp.transport.http.callers import Sessions
from pgmcp.transport.http.questions import Questions, ask_of

pytestmark = pytest.mark.anyio

OLD_KEY, NEW_KEY = "o" * 32, "n" * 32
ALICE = Principal("alice")
FORMS: dict[str, Any] = {"elicitation": {}}
APPS = {"extensions": {"io.modelcontextprotocol/ui": {"mimeTypes": ["text/html;profile=mcp-app"]}}}


def opened(
    capabilities: dict[str, Any], version: str = "2025-11-25", sessions: Sessions | None = None
) -> str | None:
    params = {
        "protocolVersion": version,
        "capabilities": capabilities,
        "clientInfo": {"name": "host", "version": "1"},
    }
    return (sessions or Sessions([OLD_KEY])).open(params, ALICE)


@pytest.mark.parametrize(
    ("version", "capabilities", "forms", "apps"),
    [
        ("2025-06-18", FORMS, True, False),
        ("2025-11-25", FORMS | APPS, True, True),
        ("2025-03-26", FORMS | APPS, False, True),
        ("2099-01-01", FORMS, True, False),  # the SDK answers with 2025-11-25
    ],
)
def test_a_session_id_contains_the_capabilities_of_the_host(
    version: str, capabilities: dict[str, Any], forms: bool, apps: bool
) -> None:
    host = Sessions([NEW_KEY, OLD_KEY]).read(opened(capabilities, version), ALICE)

    assert host is not None
    assert (host.name, host.shows_forms, host.shows_apps) == ("host 1", forms, apps)


@pytest.mark.parametrize(("version", "capabilities"), [("2025-11-25", {}), ("2025-03-26", FORMS)])
def test_a_host_that_needs_no_session_gets_none(version: str, capabilities: dict[str, Any]) -> None:
    assert opened(capabilities, version) is None


def test_a_session_id_that_this_server_did_not_make_is_ignored() -> None:
    session_id = opened(FORMS) or ""

    assert session_id.isalnum()
    assert "host" not in bytes.fromhex(session_id).decode("latin-1")
    for principal in (Principal("bob"), None):
        assert Sessions([OLD_KEY]).read(session_id, principal) is None
    assert Sessions([NEW_KEY]).read(session_id, ALICE) is None
    assert Sessions().read(session_id, ALICE) is None
    for other in (None, "", "no hex", session_id[:-2], session_id * 100):
        assert Sessions([OLD_KEY]).read(other, ALICE) is None


@pytest.mark.parametrize("has_ended", [False, True])
async def test_the_question_of_a_cancelled_call_is_withdrawn_unless_its_stream_has_ended(
    has_ended: bool,
) -> None:
    sent: list[dict[str, Any]] = []
    is_asked = asyncio.Event()

    async def send(message: Any) -> None:
        sent.append(message)
        if message["type"] == "http.response.body":
            is_asked.set()

    questions, scope = Questions(), {"pgmcp.principal": ALICE}
    with questions.allow(scope, send) as stream:
        ask = ask_of(scope)
        assert ask is not None
        call = asyncio.ensure_future(ask("elicitation/create", {}))
        await asyncio.sleep(0)
        assert sent == []  # the response has not begun
        await stream.send({"type": "http.response.start", "status": 200, "headers": []})
        await is_asked.wait()
        if has_ended:
            stream.close()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    events = [json.loads(each["body"].partition(b"data: ")[2]) for each in sent[1:]]
    assert [each["method"] for each in events] == [
        "elicitation/create",
        *([] if has_ended else ["notifications/cancelled"]),
    ]
    assert not await questions.take({"id": events[0]["id"], "result": {}}, ALICE)
