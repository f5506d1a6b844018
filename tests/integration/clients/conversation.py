"""One conversation that every client must complete with the server: the demo shop and its verified questions.

A client is a `Host`. `converse` makes its calls, and `check_transcript` checks the answers. This file uses
only the standard library, because the drivers in this folder run it in separate environments.
"""

import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

QUESTION = "How many active users do we have?"
TABLE_TEMPLATE = "schema://{database}/{table}"

OnProgress = Callable[[str], None]
"""Called with the message of each progress notification."""

Transcript = dict[str, Any]
"""The answer to each step; steps that the client does not support are left out."""


class NotOfferedError(Exception):
    """The client has no such feature."""


class Host(Protocol):
    """The interface of a client for the conversation."""

    async def tools(self) -> list[str]: ...

    async def call(
        self, tool: str, arguments: Mapping[str, Any], on_progress: OnProgress | None = None
    ) -> dict[str, Any]:
        """Return `text`, `structured` and `is_error`."""
        ...

    async def resources(self) -> list[str]: ...

    async def read(self, uri: str) -> str: ...

    async def complete(
        self, template: str, argument: str, typed: str, chosen: Mapping[str, str]
    ) -> list[str]: ...

    async def prompts(self) -> list[str]: ...

    async def prompt(self, name: str, arguments: Mapping[str, str]) -> str: ...


async def converse(host: Host) -> Transcript:
    """Take every step of the conversation that the client supports."""
    transcript: Transcript = {}
    stages: list[str] = []

    async def take(step: str, answer: Awaitable[Any]) -> None:
        try:
            transcript[step] = await answer
        except NotOfferedError:
            return

    await take("tools", host.tools())
    await take("rows", host.call("execute_sql", {"sql": "select count(*) from categories"}))
    await take("verified", host.call("query", {"question": QUESTION, "return_type": "both"}))
    await take("error", host.call("execute_sql", {"sql": "select nam from products"}))
    await take("refused", host.call("execute_sql", {"sql": "delete from products"}))
    await take("search", host.call("search_schema", {"text": "payments", "detail": "names"}))
    await take("resources", host.resources())
    await take("table", host.read("schema://shop/payments"))
    await take("completion", host.complete(TABLE_TEMPLATE, "table", "order_i", {"database": "shop"}))
    await take("prompts", host.prompts())
    await take("prompt", host.prompt("explore_database", {"database": "shop"}))
    await take("watched", host.call("execute_sql", {"sql": "select 1"}, stages.append))
    if "watched" in transcript:
        transcript["progress"] = stages
    return transcript


def check_transcript(transcript: Transcript) -> None:
    """Fail if the answers in the transcript are not the expected ones."""
    assert transcript["tools"] == ["query", "execute_sql", "search_schema", "refresh_schema"]
    assert transcript["rows"]["structured"]["rows"] == [[27]]
    assert transcript["rows"]["is_error"] is False
    assert "direct SQL" in transcript["rows"]["text"]
    assert transcript["verified"]["structured"]["source"] == "verified"
    assert transcript["verified"]["structured"]["row_count"] == 1
    assert transcript["error"]["is_error"] is True
    assert transcript["error"]["text"].startswith('statement_failed: column "nam" does not exist')
    assert "near: products.name" in transcript["error"]["text"]
    assert transcript["refused"]["text"].startswith("rejected: ")
    assert "table payments" in transcript["search"]["text"]
    assert {"databases://list", "schema://shop"} <= set(transcript["resources"])
    assert "gift_card" in transcript["table"]
    assert transcript["prompts"] == ["explore_database", "ask_question", "explain_slow_query"]
    assert "the database shop" in transcript["prompt"]
    _check_what_not_every_client_has(transcript)


def _check_what_not_every_client_has(transcript: Transcript) -> None:
    if "completion" in transcript:
        assert transcript["completion"] == ["order_items", "public.order_items"]
    if "progress" in transcript:
        assert transcript["progress"] == ["checking the SQL", "running the statement"]


def print_transcript(transcript: Transcript) -> None:
    """Write the transcript for the process that started this driver."""
    json.dump(transcript, sys.stdout)


def text_of(blocks: list[Any]) -> str:
    """Return the text of content blocks."""
    return "\n".join(block.text for block in blocks)
