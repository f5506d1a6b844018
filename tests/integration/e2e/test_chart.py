"""`chart=true` over stdio adds a picture after the text, or the reason why there is no picture."""

import base64
import importlib.util
from typing import Any

import pytest

from testing.raw_jsonrpc import RawServer

REVENUE_BY_MONTH = """
    select date_trunc('month', placed_at)::date as month, sum(total) as revenue
    from order_totals group by 1 order by 1
"""
needs_library = pytest.mark.skipif(
    importlib.util.find_spec("vl_convert") is None,
    reason="vl-convert-python is not installed (extra charts)",
)


def call(server: RawServer, tool: str, **arguments: Any) -> dict[str, Any]:
    result: dict[str, Any] = server.request("tools/call", name=tool, arguments=arguments)["result"]
    assert result["isError"] is False, result
    return result


def texts_of(result: dict[str, Any]) -> str:
    return "\n".join(block["text"] for block in result["content"] if block["type"] == "text")


@needs_library
def test_a_result_that_a_chart_fits_has_a_picture_and_its_description(
    shop_server: RawServer,
) -> None:
    result = call(shop_server, "execute_sql", sql=REVENUE_BY_MONTH, chart=True)

    *texts, image = result["content"]
    assert {block["type"] for block in texts} == {"text"}
    assert (image["type"], image["mimeType"]) == ("image", "image/png")
    assert base64.b64decode(image["data"], validate=True).startswith(b"\x89PNG")
    assert "Line chart of revenue by month: " in texts_of(result)


@needs_library
def test_a_chart_has_the_question_as_its_title(shop_server: RawServer) -> None:
    result = call(shop_server, "query", question="What is the average order value by month?", chart=True)

    assert result["content"][-1]["type"] == "image"
    assert "Line chart of " in texts_of(result)


def test_rows_that_no_chart_fits_get_a_note(shop_server: RawServer) -> None:
    result = call(shop_server, "execute_sql", sql="select * from customers limit 50", chart=True)

    assert {block["type"] for block in result["content"]} == {"text"}
    assert "No chart fits these rows." in texts_of(result)


def test_a_result_without_a_requested_chart_does_not_mention_charts(shop_server: RawServer) -> None:
    result = call(shop_server, "execute_sql", sql=REVENUE_BY_MONTH)

    assert len(result["content"]) == 1
    assert "chart" not in texts_of(result)
