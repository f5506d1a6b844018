"""When and how a person is asked, all kinds of answers of a host, and the state that the host returns."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from pgmcp.generation.reply import Reading
from pgmcp.identity import Principal
from pgmcp.pipeline.choice import NONE_OF_THESE, Choice
from pgmcp.surface.asking import Asker
from pgmcp.surface.caller import Caller, Channel, channel_of_request, shows_forms
from pgmcp.surface.tools import Query

pytestmark = pytest.mark.anyio

CHOICE = Choice(
    question="Sales?", readings=(Reading("by order", "SELECT 1"), Reading("by payment", "SELECT 2"))
)
GIVEN = Query(question="Sales?")
OTHER = Query(question="Sales?", limit=5)
HOST = Caller(name="host 1", principal=Principal("ada"))
KEYS = ("k" * 32,)


class Clock:
    """A clock that a test advances."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def answering(answer: Any, clock: Clock, after_s: float) -> Caller:
    async def elicit(params: dict[str, Any]) -> Any:
        assert params["requestedSchema"]["properties"]["reading"]["enum"] == [
            "by order",
            "by payment",
            NONE_OF_THESE,
        ]
        clock.now_s += after_s
        return answer

    return replace(HOST, channel=Channel(elicit=elicit))


def accepted(content: Any) -> dict[str, Any]:
    return {"action": "accept", "content": content}


WITHOUT_A_CHOICE = [
    accepted({}),
    accepted({"reading": "by delivery"}),
    accepted({"reading": ["by order"]}),
    accepted(None),
    {"action": "decline"},
    {"action": "cancel"},
    {"action": "decline", "content": {"reading": "by payment"}},
    None,
    "by payment",
]


async def test_a_listed_title_is_an_answer() -> None:
    clock = Clock()
    asker = Asker(timeout_s=5, clock=clock)
    caller = answering(accepted({"reading": "by payment"}), clock, after_s=0.1)

    assert await asker.elicit(CHOICE, caller) == "by payment"
    assert asker.may_ask(caller)


@pytest.mark.parametrize("answer", WITHOUT_A_CHOICE)
async def test_other_results_are_not_answers_and_such_a_host_is_not_asked_again_for_a_while(
    answer: object,
) -> None:
    clock = Clock()
    asker = Asker(timeout_s=5, clock=clock)
    quick, slow = answering(answer, clock, after_s=0.5), answering(answer, clock, after_s=3)

    assert await asker.elicit(CHOICE, slow) is None
    assert asker.may_ask(slow)
    assert await asker.elicit(CHOICE, quick) is None
    assert not asker.may_ask(quick)
    assert asker.may_ask(replace(quick, name="another"))
    clock.now_s += 601
    assert asker.may_ask(quick)


async def test_the_question_to_a_host_that_never_answers_is_withdrawn_and_not_repeated() -> None:
    withdrawn = asyncio.Event()

    async def elicit(_: dict[str, Any]) -> Any:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            withdrawn.set()
            raise

    caller = replace(HOST, channel=Channel(elicit=elicit))
    asker = Asker(timeout_s=0.01)

    assert await asker.elicit(CHOICE, caller) is None
    assert withdrawn.is_set()
    assert not asker.may_ask(caller)


def test_a_host_that_cannot_ask_is_not_asked() -> None:
    asker = Asker(timeout_s=5)

    assert not asker.may_ask(HOST)
    assert not asker.may_ask(replace(HOST, channel=Channel(shows_forms=False)))
    assert not asker.may_ask(replace(HOST, channel=Channel(state="x")))
    assert not Asker(timeout_s=0).may_ask(replace(HOST, channel=Channel()))


@pytest.mark.parametrize(
    ("capabilities", "shows"),
    [
        ({"elicitation": {}}, True),
        ({"elicitation": {"form": {}, "url": {}}}, True),
        ({"elicitation": {"url": {}}}, False),
        ({"elicitation": None}, False),
        ({}, False),
        (None, False),
    ],
)
def test_a_host_shows_forms_only_if_it_declares_them(capabilities: object, shows: bool) -> None:
    assert shows_forms(capabilities) is shows


Resume = Callable[..., Awaitable["tuple[Choice, str | None] | None"]]


async def resumed(
    answer: Any = None,
    *,
    given: Query = GIVEN,
    caller: Caller = HOST,
    asker: Asker | None = None,
    state: str | None = None,
    after_s: float = 5,
) -> "tuple[Choice, str | None] | None":
    clock = Clock()
    first = Asker(timeout_s=5, keys=KEYS, clock=clock, now=clock)
    reply = (await first.request_input(CHOICE, GIVEN, HOST)).as_result()
    assert reply["resultType"] == "input_required"
    assert "SELECT" not in str(reply)
    clock.now_s += after_s
    params = {
        "requestState": reply["requestState"] if state is None else state,
        "inputResponses": dict.fromkeys(reply["inputRequests"], answer),
    }
    repeated = replace(caller, channel=channel_of_request({}, params))
    assert not (asker or first).may_ask(repeated)
    return await (asker or first).resume(given, repeated)


async def test_the_request_state_returns_the_readings_with_the_answer() -> None:
    assert await resumed(accepted({"reading": "by payment"})) == (CHOICE, "by payment")


@pytest.mark.parametrize("answer", WITHOUT_A_CHOICE)
async def test_without_a_choice_the_usual_reading_is_taken_from_the_request_state(answer: object) -> None:
    assert await resumed(answer) == (CHOICE, None)


async def test_a_late_answer_is_ignored() -> None:
    assert await resumed(accepted({"reading": "by payment"}), after_s=601) == (CHOICE, None)


async def test_another_server_with_the_same_keys_accepts_the_request_state() -> None:
    clock = Clock()
    other = Asker(timeout_s=5, keys=("n" * 32, *KEYS), clock=clock, now=lambda: 1_005.0)

    assert await resumed(accepted({"reading": "by payment"}), asker=other) == (CHOICE, "by payment")


async def test_request_state_of_another_call_or_key_is_ignored() -> None:
    answer = accepted({"reading": "by payment"})

    assert await resumed(answer, given=OTHER) is None
    assert await resumed(answer, caller=replace(HOST, principal=Principal("eve"))) is None
    assert await resumed(answer, asker=Asker(timeout_s=5)) is None
    assert await resumed(answer, state="00ff") is None
    assert await resumed(answer, state="no hex") is None


async def test_a_host_that_repeats_a_call_too_fast_is_not_asked_again() -> None:
    clock = Clock()
    asker = Asker(timeout_s=5, keys=KEYS, clock=clock, now=lambda: 1_000.2)

    assert await resumed({"action": "decline"}, asker=asker) == (CHOICE, None)
    assert not asker.may_ask(replace(HOST, channel=Channel()))
