"""A host reads rows that do not fit an answer in pages; the statement does not run again."""

import re

import pytest

from testing.raw_jsonrpc import RawServer
from tests.integration.e2e.conftest import StartServer

FENCED = re.compile(r"<data-(\w+)>\n(.*)\n</data-\1>", re.DOTALL)


@pytest.fixture
def server(start_server: StartServer, shop_environment: dict[str, str]) -> RawServer:
    return start_server(shop_environment | {"PG_MCP_SERVER_MAX_RESULT_TOKENS": "500"})


def read(server: RawServer, uri: str) -> str:
    text: str = server.request("resources/read", uri=uri)["result"]["contents"][0]["text"]
    return text


def ids_in(text: str) -> list[str]:
    fenced = FENCED.search(text)
    assert fenced
    return [line.partition("\t")[0] for line in fenced[2].splitlines()[1:]]


def test_the_rest_of_a_result_is_read_page_by_page_without_running_it_again(server: RawServer) -> None:
    # clock_timestamp() differs from run to run, so it shows whether the statement ran again.
    answer = server.call("execute_sql", sql="select n, clock_timestamp() from generate_series(1, 300) n")
    text = answer.text
    seen, pages = ids_in(text), [text]

    uri = answer.structured["truncated"]["rest"]
    assert uri in text
    while uri:
        assert len(pages) < 300, "more pages than rows"
        pages.append(read(server, uri))
        seen += ids_in(pages[-1])
        found = re.search(r"The next rows: (\S+)$", pages[-1])
        uri = found[1] if found else ""

    assert seen == [str(number) for number in range(1, 301)]
    assert len(pages) > 3
    first = read(server, answer.structured["truncated"]["rest"])
    assert ids_in(first) == ids_in(pages[1])
    assert FENCED.sub("", first) == FENCED.sub("", pages[1])


def test_a_result_that_was_shown_completely_is_not_stored(server: RawServer) -> None:
    answer = server.call("execute_sql", sql="select 1")

    assert answer.structured["truncated"] is None
    assert "result://" not in answer.text


@pytest.mark.parametrize("uri", ["result://nothing/1", "result://nothing/x", "result://nothing/0"])
def test_an_unknown_result_is_an_error(server: RawServer, uri: str) -> None:
    reply = server.request("resources/read", uri=uri)

    assert (
        "run the statement again" in reply["error"]["message"]
        or "counted from 1" in reply["error"]["message"]
    )
    assert "load balancer" not in reply["error"]["message"]


def test_the_settings_can_turn_stored_results_off(
    start_server: StartServer, shop_environment: dict[str, str]
) -> None:
    off = {"PG_MCP_SERVER_MAX_RESULT_TOKENS": "500", "PG_MCP_SERVER_KEPT_RESULTS_BYTES": "0"}
    server = start_server(shop_environment | off)

    answer = server.call("execute_sql", sql="select n from generate_series(1, 900) n")

    assert "rest" not in answer.structured["truncated"]
    assert "result://" not in answer.text
