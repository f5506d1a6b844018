"""Calls of every kind over HTTP, each with a check whether a reply belongs to it."""

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from scripts.load.nonce import Question, ask_something, new_nonce

CONTEXT: Final = """\
databases:
  main:
    verified:
    - question: Which word is {word}?
      tool: repeat_word
      parameters: {word: text}
      sql: select {word} as word
"""
"""The context file that the calls of verified questions need."""

_PAGE: Final = re.compile(r"result://[\w-]+/\d+")
_NONCE: Final = re.compile(r"n[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of a server.

    Attributes:
        code: the code of an error; "" without an error.
        rows: the rows of a statement's answer.
    """

    code: str
    text: str
    rows: list[list[Any]]

    @classmethod
    def of(cls, message: dict[str, Any]) -> "Reply":
        """Read a JSON-RPC response."""
        if "error" in message:
            text = str(message["error"]["message"])
            return cls(text.partition(":")[0], text, [])
        result = message["result"]
        if result.get("isError"):
            text = result["content"][0]["text"]
            return cls(text.partition(":")[0], text, [])
        rows = (result.get("structuredContent") or {}).get("rows") or []
        return cls("", json.dumps(result), rows)

    @property
    def next_page(self) -> str:
        """The address of the rows that the answer does not show; "" without one."""
        found = _PAGE.search(self.text)
        return found[0] if found else ""


@dataclass(frozen=True, slots=True)
class Call:
    """A call.

    Attributes:
        is_own: returns whether a reply belongs to this call.
    """

    method: str
    params: dict[str, Any]
    is_own: Callable[[Reply], bool]

    @classmethod
    def of_tool(cls, name: str, arguments: dict[str, Any], is_own: Callable[[Reply], bool]) -> "Call":
        """Return a call of a tool."""
        return cls("tools/call", {"name": name, "arguments": arguments}, is_own)


def call_with(question: Question) -> Call:
    """Return a call that runs the question's statement."""

    def is_own(reply: Reply) -> bool:
        if question.code:
            return reply.code == question.code and question.nonce in reply.text
        return not reply.code and question.answers(reply.rows)

    return Call.of_tool("execute_sql", {"sql": question.sql}, is_own)


def call_for_principal(principal: str) -> Call:
    """Return a call whose answer names the principal that PostgreSQL sees."""
    nonce = new_nonce()
    sql = f"select '{nonce}' as nonce, current_setting('application_name') as name"

    def is_own(reply: Reply) -> bool:
        return len(reply.rows) == 1 and reply.rows[0][0] == nonce and principal in str(reply.rows[0][1])

    return Call.of_tool("execute_sql", {"sql": sql}, is_own)


def call_for_pages() -> Call:
    """Return a call whose answer is so long that the server stores the other rows."""
    nonce = new_nonce()
    sql = f"select '{nonce}-' || n as nonce, repeat('x', 50) as filler from generate_series(1, 900) as n"  # noqa: S608 # as above
    return Call.of_tool(
        "execute_sql", {"sql": sql}, lambda reply: _names_only(nonce, reply) and bool(reply.next_page)
    )


def call_for_page(uri: str, nonce: str) -> Call:
    """Return a read of stored rows, which all contain the nonce."""
    return Call("resources/read", {"uri": uri}, lambda reply: _names_only(nonce, reply))


def call_for_page_of_another(uri: str) -> Call:
    """Return a read of rows that are stored for another principal."""
    return Call("resources/read", {"uri": uri}, lambda reply: reply.code == "result_gone")


def call_for_search() -> Call:
    """Return a search for a table that does not exist."""
    return Call.of_tool("search_schema", {"text": new_nonce()}, lambda it: "no table matches" in it.text)


def call_for_verified_question() -> Call:
    """Return a question that the context file has."""
    nonce = new_nonce()
    question = {"question": f"Which word is '{nonce}'?"}
    return Call.of_tool("query", question, lambda reply: reply.rows == [[nonce]])


def call_for_verified_tool() -> Call:
    """Return a call of the tool that the context file defines."""
    nonce = new_nonce()
    return Call.of_tool("repeat_word", {"word": nonce}, lambda reply: reply.rows == [[nonce]])


def call_something(chance: random.Random, principal: str) -> Call:
    """Return a random short call."""
    kinds: tuple[Callable[[], Call], ...] = (
        call_for_search,
        call_for_verified_question,
        call_for_verified_tool,
        call_for_pages,
        lambda: call_for_principal(principal),
        lambda: call_with(ask_something(chance)),
    )
    return chance.choices(kinds, weights=(1, 1, 1, 1, 1, 5))[0]()


def nonce_of(reply: Reply) -> str:
    """Return the first nonce of a reply."""
    found = _NONCE.search(reply.text)
    return found[0] if found else ""


def _names_only(nonce: str, reply: Reply) -> bool:
    return not reply.code and set(_NONCE.findall(reply.text)) == {nonce}
