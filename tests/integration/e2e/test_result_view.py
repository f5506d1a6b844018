"""The result view in the protocol: which hosts get it, and the additional data for it."""

import re
from pathlib import Path
from typing import Any

import pytest
from mcp.client.extension import advertise

from pgmcp.view.feature import RESULT_VIEW_URI, read_result_view
from pgmcp.view.reply_data import VIEW_META_KEY
from testing.mcp_server import connect
from testing.raw_jsonrpc import RawServer

pytestmark = pytest.mark.anyio

APPS = advertise("io.modelcontextprotocol/ui", {"mimeTypes": ["text/html;profile=mcp-app"]})
SQL = "select g as number, 'name ' || g as name from generate_series(1, 900) as g"


async def call(environment: dict[str, str], folder: Path, mode: str, **options: Any) -> Any:
    async with connect(environment, folder, mode, **options) as client:
        return await client.call_tool("execute_sql", {"sql": SQL})


def test_the_tools_that_answer_are_linked_to_the_view(shop_server: RawServer) -> None:
    tools = shop_server.request("tools/list")["result"]["tools"]

    linked = {tool["name"]: tool["_meta"]["ui"]["resourceUri"] for tool in tools if "_meta" in tool}
    assert linked == {"query": RESULT_VIEW_URI, "execute_sql": RESULT_VIEW_URI}


def test_the_view_is_a_page_that_asks_for_the_clipboard_and_for_no_network(shop_server: RawServer) -> None:
    (content,) = shop_server.request("resources/read", uri=RESULT_VIEW_URI)["result"]["contents"]

    assert content["mimeType"] == "text/html;profile=mcp-app"
    assert content["text"] == read_result_view()
    assert content["_meta"] == {"ui": {"permissions": {"clipboardWrite": {}}, "prefersBorder": True}}


async def test_the_server_declares_apps(shop_environment: dict[str, str], folder: Path) -> None:
    async with connect(shop_environment, folder) as client:
        capabilities = client.server_capabilities

    assert capabilities is not None
    assert capabilities.extensions is not None
    assert "io.modelcontextprotocol/ui" in capabilities.extensions


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_host_with_apps_is_sent_every_row(
    mode: str, shop_environment: dict[str, str], folder: Path
) -> None:
    result = await call(shop_environment, folder, mode, extensions=[APPS])

    assert len(result.structured_content["rows"]) < 900
    assert len(result.meta[VIEW_META_KEY]["table"]["rows"]) == 900


@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_host_without_apps_gets_no_additional_rows(
    mode: str, shop_environment: dict[str, str], folder: Path
) -> None:
    result = await call(shop_environment, folder, mode)

    assert VIEW_META_KEY not in (result.meta or {})


async def test_the_text_is_the_same_with_apps_and_without(
    shop_environment: dict[str, str], folder: Path
) -> None:
    texts = [
        (await call(shop_environment, folder, "auto", **options)).content[0].text
        for options in ({}, {"extensions": [APPS]})
    ]

    # The duration, the fence and the name of the stored rows differ from call to call.
    first, second = (re.sub(r"\d+ ms|data-\w+|result://[\w-]+", "…", text) for text in texts)
    assert first == second
