"""Bounds of subscriptions; e2e tests cover their notifications with real servers."""

from typing import Any

import pytest

from pgmcp.surface.changes import ResourceUpdated
from pgmcp.surface.reply import RequestError
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


def test_all_streams_together_are_bounded(subscriptions: Subscriptions) -> None:
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
