"""Questions with several readings, from hosts that can show a choice and from hosts that cannot."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from mcp import Client
from mcp.client.session import ClientRequestContext
from mcp_types import ElicitRequestParams, ElicitResult, TextContent

from testing.http_server import HttpServerProcess
from testing.mcp_server import connect, server_environment
from testing.openai_endpoint import TOKENS_IN, ScriptedEndpoint, readings, sql
from testing.raw_jsonrpc import STATELESS_META, RawServer

pytestmark = pytest.mark.anyio

QUESTION = "How many customers are active?"
USUAL, OTHER = "ordered at all", "ordered this year"
DRAFTS = readings((USUAL, "SELECT 1 AS n"), (OTHER, "SELECT 2 AS n"))
NONE_OF_THESE = "None of these"


@pytest.fixture(scope="module")
def environment(shop_url: str, shared_endpoint: ScriptedEndpoint) -> dict[str, str]:
    return server_environment(
        shop_url,
        openai_base_url=shared_endpoint.base_url,
        openai_max_retries="0",
        database_max_pool_size="1",
        server_request_timeout="30",
    )


@pytest.fixture(scope="module")
def asked_server(
    environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RawServer]:
    with RawServer(environment, tmp_path_factory.mktemp("asked")) as server:
        server.initialize({"elicitation": {"form": {}}})
        yield server


class Person:
    """Answers each form with the next answer, and records the titles that the form offers."""

    def __init__(self, *answers: ElicitResult) -> None:
        self._answers = list(answers)
        self.offered: list[list[str]] = []

    async def __call__(self, context: ClientRequestContext, params: ElicitRequestParams) -> ElicitResult:
        schema = params.model_dump(by_alias=True)["requestedSchema"]
        self.offered.append(schema["properties"]["reading"]["enum"])
        assert schema["required"] == ["reading"]
        return self._answers.pop(0)


def chosen(title: str) -> ElicitResult:
    return ElicitResult(action="accept", content={"reading": title})


async def ask(client: Client, **arguments: Any) -> tuple[dict[str, Any], str]:
    result = await client.call_tool("query", {"question": QUESTION, "return_type": "both", **arguments})
    return dict(result.structured_content or {}), "".join(
        block.text for block in result.content if isinstance(block, TextContent)
    )


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_person_chooses_and_a_host_without_one_gets_the_usual_reading(
    mode: str, environment: dict[str, str], endpoint: ScriptedEndpoint, folder: Path
) -> None:
    endpoint.script(lambda _: DRAFTS)
    person = Person(chosen(OTHER), chosen(NONE_OF_THESE), chosen("no such reading"))

    async with connect(environment, folder, mode, elicitation_callback=person) as client:
        answer, _ = await ask(client)
        _, refused = await ask(client)
        usual, text = await ask(client)
        again, _ = await ask(client)

    assert person.offered == [[USUAL, OTHER, NONE_OF_THESE]] * 3
    assert (answer["rows"], answer["sql"]) == ([[2]], "SELECT 2 AS n")
    assert answer["assumptions"] == [f"you chose: {OTHER}"]
    assert answer["tokens"]["in"] == TOKENS_IN  # the model was asked once
    assert "unanswerable: none of the offered readings is meant" in refused
    for each in (usual, again):  # the host is not asked again after it answered at once without a choice
        assert (each["rows"], each["assumptions"], each["follow_up"]) == ([[1]], [USUAL], [OTHER])
    assert f"ask again with reading=\n- {OTHER}" in text
    assert len(endpoint.requests) == 4


async def test_over_http_a_person_chooses_a_reading_in_both_protocol_versions(
    environment: dict[str, str], endpoint: ScriptedEndpoint, folder: Path
) -> None:
    endpoint.script(lambda request: sql("SELECT 2 AS n") if OTHER in request.prompt else DRAFTS)

    with HttpServerProcess(environment, folder) as server:
        person = Person(chosen(OTHER), chosen(OTHER))
        for mode in ("auto", "legacy"):
            async with Client(server.url, mode=mode, elicitation_callback=person) as client:
                answer, _ = await ask(client)
            assert answer["rows"] == [[2]]
        async with Client(server.url, mode="legacy") as client:
            usual, _ = await ask(client)
            read, _ = await ask(client, reading=usual["follow_up"][0])

    assert person.offered == [[USUAL, OTHER, NONE_OF_THESE]] * 2
    assert (usual["rows"], usual["follow_up"]) == ([[1]], [OTHER])
    assert read["rows"] == [[2]]
    assert f"Read the question as: {OTHER}" in endpoint.requests[-1].prompt
    assert "follow_up" not in read


def test_a_chosen_draft_that_is_refused_or_fails_is_repaired_in_its_reading(
    asked_server: RawServer, endpoint: ScriptedEndpoint
) -> None:
    drafts = readings(
        (USUAL, "SELECT 1"), (OTHER, "DELETE FROM orders"), ("third", "SELECT nothing FROM orders")
    )
    endpoint.reply(drafts, sql("SELECT 3 AS n"), drafts, sql("SELECT 4 AS n"))

    for title, value in ((OTHER, 3), ("third", 4)):
        call = asked_server.start_call("query", question=QUESTION)
        asked_server.respond(
            asked_server.next_question(), result={"action": "accept", "content": {"reading": title}}
        )

        assert asked_server.result_of(call).rows == [[value]]
        assert f"Read the question as: {title}" in endpoint.requests[-1].prompt


def test_a_question_to_a_person_keeps_no_connection_busy(
    asked_server: RawServer, endpoint: ScriptedEndpoint
) -> None:
    endpoint.reply(DRAFTS)

    call = asked_server.send(
        "tools/call", name="query", arguments={"question": QUESTION}, _meta={"progressToken": "p"}
    )
    question = asked_server.next_question()
    # An open form does not occupy the only connection.
    meanwhile = asked_server.call("execute_sql", sql="SELECT 5 AS n")
    asked_server.respond(question, result={"action": "accept", "content": {"reading": OTHER}})

    assert meanwhile.rows == [[5]]
    assert question["method"] == "elicitation/create"
    assert asked_server.result_of(call).rows == [[2]]
    assert "waiting for your choice" in [
        each["message"] for each in asked_server.notifications("notifications/progress")
    ]


def test_a_cancelled_call_withdraws_its_question(asked_server: RawServer, endpoint: ScriptedEndpoint) -> None:
    endpoint.reply(DRAFTS)

    call = asked_server.start_call("query", question=QUESTION)
    question = asked_server.next_question()
    asked_server.notify("notifications/cancelled", requestId=call)

    (withdrawn,) = asked_server.wait_for_notifications("notifications/cancelled")
    assert withdrawn["requestId"] == question["id"]
    asked_server.respond(question, result={"action": "accept", "content": {"reading": OTHER}})  # too late
    assert asked_server.call("execute_sql", sql="SELECT 1 AS n").rows == [[1]]
    assert not asked_server.has_reply(call)


def test_a_host_that_fails_or_does_not_answer_gets_the_usual_reading(
    environment: dict[str, str], endpoint: ScriptedEndpoint, tmp_path: Path
) -> None:
    endpoint.script(lambda _: DRAFTS)
    for is_silent in (False, True):
        timeout = {"PG_MCP_SERVER_ASK_TIMEOUT": "0.2" if is_silent else "60"}
        with RawServer({**environment, **timeout}, tmp_path) as server:
            server.initialize({"elicitation": {}})
            call = server.start_call("query", question=QUESTION)
            question = server.next_question()
            if not is_silent:
                server.respond(question, error={"code": -32601, "message": "no forms here"})

            assert server.result_of(call).structured["follow_up"] == [OTHER]


@pytest.mark.parametrize(
    ("capabilities", "timeout"),
    [({}, "60"), ({"elicitation": {"url": {}}}, "60"), ({"elicitation": {}}, "0")],
)
def test_without_forms_or_permission_to_ask_the_usual_reading_is_given(
    capabilities: dict[str, Any],
    timeout: str,
    environment: dict[str, str],
    endpoint: ScriptedEndpoint,
    tmp_path: Path,
) -> None:
    endpoint.reply(DRAFTS)
    with RawServer({**environment, "PG_MCP_SERVER_ASK_TIMEOUT": timeout}, tmp_path) as server:
        server.initialize(capabilities)

        answer = server.call("query", question=QUESTION)

    assert (answer.rows, answer.structured["follow_up"]) == ([[1]], [OTHER])


@pytest.fixture(scope="module")
def stateless(environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[RawServer]:
    with RawServer(environment, tmp_path_factory.mktemp("stateless")) as server:
        server.discover()
        yield server


def repeat(server: RawServer, arguments: dict[str, Any], **params: Any) -> dict[str, Any]:
    """Call `query` as a host that shows forms, under a name that no other test has."""
    meta = {
        **STATELESS_META,
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {"form": {}}},
        "io.modelcontextprotocol/clientInfo": {"name": str(uuid.uuid4()), "version": "1"},
    }
    reply = server.request("tools/call", name="query", arguments=arguments, _meta=meta, **params)
    result: dict[str, Any] = reply["result"]
    return result


@pytest.mark.parametrize(
    ("answer", "changed", "value"),
    [
        ({"action": "accept", "content": {"reading": OTHER}}, {}, 2),
        ({"action": "accept", "content": {}}, {}, 1),
        ({"action": "decline"}, {}, 1),
        ({"action": "cancel"}, {}, 1),
        ({"code": -32601, "message": "no forms here"}, {}, 1),  # an error in place of an answer
        ("nonsense", {}, 1),
        ({"action": "accept", "content": {"reading": OTHER}}, {"limit": 7}, 1),  # changed arguments
        ({"action": "accept", "content": {"reading": OTHER}}, {"state": "00"}, 1),  # another server's state
    ],
)
def test_a_repeated_call_asks_no_question(
    answer: object, changed: dict[str, Any], value: int, stateless: RawServer, endpoint: ScriptedEndpoint
) -> None:
    endpoint.script(lambda _: DRAFTS)
    required = repeat(stateless, {"question": QUESTION})
    state = changed.pop("state", required["requestState"])

    result = repeat(
        stateless,
        {"question": QUESTION, **changed},
        requestState=state,
        inputResponses=dict.fromkeys(required["inputRequests"], answer),
    )

    assert required["resultType"] == "input_required"
    assert "SELECT" not in str(required)
    assert result["resultType"] == "complete"
    assert result["structuredContent"]["rows"] == [[value]]
    is_noted = "PG_MCP_HTTP_STATE_KEYS" in str(result["structuredContent"].get("notes"))
    assert is_noted == (state != required["requestState"] or bool(changed))
