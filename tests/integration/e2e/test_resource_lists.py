"""Long lists and long schemas are sent in pages. The tests send raw messages."""

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from testing.mcp_server import server_environment
from testing.raw_jsonrpc import RawServer
from tests.integration.e2e.conftest import StartServer

INVALID_PARAMS = -32602
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


def listed(server: RawServer) -> list[list[str]]:
    """Return the URIs of every page of the list."""
    pages, cursor = [], None
    while True:
        result = server.request("resources/list", **({"cursor": cursor} if cursor else {}))["result"]
        pages.append([resource["uri"] for resource in result["resources"]])
        assert pages[-1], "an empty page"
        cursor = result.get("nextCursor")
        if cursor is None:
            return pages


def test_a_long_list_is_complete_over_its_pages(folder: Path) -> None:
    names = [f"db{number:03}" for number in range(230)]
    urls = {f"databases__{name}__url": NOWHERE for name in names}
    with RawServer(server_environment(**urls), folder) as server:
        server.initialize()
        pages = listed(server)

    uris = [uri for page in pages for uri in page]
    assert [len(page) for page in pages[:-1]] == [100, 100]
    assert [uri for uri in uris if uri.startswith("schema:")] == [f"schema://{name}" for name in names]
    assert len(set(uris)) == len(uris)


@pytest.mark.parametrize("cursor", ["-1", "1000000", "next", "²", "9" * 100])
def test_an_unknown_cursor_is_a_protocol_error(cursor: str, shop_server: RawServer) -> None:
    reply = shop_server.request("resources/list", cursor=cursor)

    assert reply["error"]["code"] == INVALID_PARAMS


def test_tables_are_listed_once_their_database_was_read(
    shop_environment: dict[str, str], start_server: StartServer
) -> None:
    server = start_server(shop_environment)
    before = [uri for page in listed(server) for uri in page]
    server.call("search_schema", detail="names")
    after = [uri for page in listed(server) for uri in page]

    assert not any(uri.startswith("schema://shop/") for uri in before)
    assert "schema://shop/order_items" in after


def test_a_listed_table_can_be_read_by_its_address_whatever_its_name(
    new_database: Callable[[], str], start_server: StartServer
) -> None:
    url = new_database()
    names = ["Order Items", "a/b", "100% sure", "ünïcode", "what?", "under_score", 'say "so"']
    with psycopg.connect(url, autocommit=True) as connection:
        for name in names:
            quoted = '"' + name.replace('"', '""') + '"'
            connection.execute(f"CREATE TABLE {quoted.replace('%', '%%')} (only_column_of_it int)".encode())
    server = start_server(server_environment(url, database_name="odd"))
    server.call("search_schema", detail="names")

    tables = [uri for page in listed(server) for uri in page if uri.startswith("schema://odd/")]
    texts = [server.request("resources/read", uri=uri)["result"]["contents"][0]["text"] for uri in tables]

    assert len(tables) == len(names)
    assert all(text.count("only_column_of_it") == 1 for text in texts)


def test_a_page_of_a_schema_can_be_read(shop_server: RawServer) -> None:
    page = shop_server.request("resources/read", uri="schema://shop?page=1")["result"]["contents"][0]["text"]
    missing = shop_server.request("resources/read", uri="schema://shop?page=2")

    assert page.startswith("Page 1 of 1\n<data-")
    assert "table payments" in page
    assert missing["error"]["code"] == INVALID_PARAMS
    assert "there are pages 1 to 1" in missing["error"]["message"]
