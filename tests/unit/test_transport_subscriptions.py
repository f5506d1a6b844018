"""Bounds of subscriptions; e2e tests cover their notifications with real servers."""

import asyncio
from typing import Any

import anyio
import pytest

from pgmcp.surface.changes import ResourceUpdated
from pgmcp.surface.reply import RequestError
from pgmcp.transport.progress import Progress
from pgmcp.transport.stdio.subscriptions import MAX_SUBSCRIPTIONS, Subscriptions

URI = "schema://shop"


@pytest.fixture
def sent() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def subscriptions(sent: list[dict[str, Any]]) -> Subscriptions:
    return Subscriptions(sent.append)


def wanted(*uris: str) -> dict[str, Any]:
    return {"resourceSubscriptions": list(uris)}


def test_a_second_stream_with_the_id_of_an_open_one_is_refused(
    subscriptions: Subscriptions, sent: list[dict[str, Any]]
) -> None:
    subscriptions.open_stream(7, wanted(URI))
    with pytest.raises(RequestError, match="is open"):
        subscriptions.open_stream(7, wanted("schema://stock"))
    sent.clear()

    subscriptions.notify([ResourceUpdated(URI)])

    assert [message["params"]["uri"] for message in sent] == [URI]


def test_the_number_of_subscriptions_of_all_streams_is_bounded(subscriptions: Subscriptions) -> None:
    half = [f"{URI}/table_{number}" for number in range(MAX_SUBSCRIPTIONS // 2)]
    subscriptions.open_stream(1, wanted(*half))
    subscriptions.open_stream(2, wanted(*half))

    with pytest.raises(RequestError, match="more than 1000 subscriptions"):
        subscriptions.open_stream(3, {})

    subscriptions.close_stream(2)
    subscriptions.open_stream(3, {})


def test_a_uri_of_a_megabyte_is_not_kept(subscriptions: Subscriptions) -> None:
    with pytest.raises(RequestError, match="more than 1000 characters"):
        subscriptions.open_stream(1, wanted("x" * 1_000_000))


pytestmark = pytest.mark.anyio


async def test_a_long_stage_is_reported_again_with_a_growing_number_until_the_call_ends() -> None:
    sent: asyncio.Queue[tuple[int, str]] = asyncio.Queue()
    progress = Progress(lambda *notification: sent.put_nowait(notification), interval_s=0.01)
    with anyio.fail_after(5):
        starting = await sent.get()
        progress.report("running the statement")
        messages = [await sent.get() for _ in range(3)]
        progress.stop()

    assert starting[1] == "starting, 0 s so far"
    assert [message for _, message in messages] == [
        "running the statement",
        "running the statement, 0 s so far",
        "running the statement, 0 s so far",
    ]
    numbers = [number for number, _ in messages]
    assert numbers == [numbers[0], numbers[0] + 1, numbers[0] + 2]


async def test_a_stage_that_ends_in_time_is_reported_once() -> None:
    sent: list[tuple[int, str]] = []
    progress = Progress(lambda *notification: sent.append(notification))

    progress.report("checking the SQL")
    progress.report("running the statement")
    progress.stop()

    assert sent == [(1, "checking the SQL"), (2, "running the statement")]
