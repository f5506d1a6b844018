"""The README's example calls: what they are said to answer is what the server answers."""

import json
import re
from pathlib import Path

import pytest

from tests.raw_jsonrpc import RawServer

_README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")
_EXAMPLES = re.findall(r"```text\n> (.+)\n((?:.*\n)*?)```", _README)


def test_every_tool_and_the_schema_have_an_example() -> None:
    asked = [asked.partition(" ")[0] for asked, _ in _EXAMPLES]

    assert {"query", "execute_sql", "search_schema", "refresh_schema"} < set(asked)
    assert any(name.startswith("schema://") for name in asked)


@pytest.mark.parametrize(("asked", "said"), _EXAMPLES, ids=[asked for asked, _ in _EXAMPLES])
def test_an_example_is_answered_as_the_readme_says(asked: str, said: str, shop_server: RawServer) -> None:
    answered = _ask(shop_server, asked)

    assert _without_what_varies(answered) == _without_what_varies(said)


def _ask(server: RawServer, asked: str) -> str:
    server.call("search_schema")  # a refresh compares with what was read before
    name, _, arguments = asked.partition(" ")
    if arguments:
        return server.call(name, **json.loads(arguments)).text
    contents = server.request("resources/read", uri=name)["result"]["contents"]
    return str(contents[0]["text"])


def _without_what_varies(text: str) -> str:
    """Return the text without the random mark of its fence, its milliseconds and what ANALYZE estimates."""
    return re.sub(r"(?<=data-)[0-9a-f]{8}|\b\d+ ms\b|~\d+ rows|\[[^]]*\.\.[^]]*\]", "…", text).strip()
