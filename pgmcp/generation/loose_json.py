"""Reads an object that is almost JSON, as models write it.

Beyond JSON, it may have trailing commas, comments (`//` and `/* */`), strings in single quotes, names without
quotes, and Python's True, False and None. A text that could be read in two ways is refused: unescaped quotes
inside a string, two strings without a comma, a name that occurs twice.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

_TOKEN: Final = re.compile(
    r"""\s*(?:
        (?P<comment>//[^\n]*|/\*.*?\*/)
        |(?P<string>"[^"\\]*(?:\\.[^"\\]*)*"|'[^'\\]*(?:\\.[^'\\]*)*')
        |(?P<mark>[{}\[\]:,])
        |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
        |(?P<number>-?[0-9][0-9.eE+-]*)
    )""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPE_OR_QUOTE: Final = re.compile(r"""\\.|["']""", re.DOTALL)
_JSON_OF_WORD: Final = {"True": "true", "False": "false", "None": "null"}
_MAX_TOKENS: Final = 1_000
"""A real reply has far fewer tokens. Without a limit, a text of many braces takes quadratic time."""


def read_object(text: str, position: int) -> tuple[Any, int]:
    """Return the object that begins at `position`, and the position after it.

    Raises:
        ValueError: it is not almost JSON, or can be read in two ways.
    """
    tokens: list[str] = []
    depth = 0
    for kind, written, end in _tokens(text, position):
        if written in ("}", "]") and tokens[-1:] == [","]:
            tokens.pop()
        if written == ":" and tokens and tokens[-1].isidentifier():
            tokens.append(json.dumps(tokens.pop()))
        tokens.append(_as_json(kind, written))
        depth += (written in ("{", "[")) - (written in ("}", "]"))
        if depth == 0:
            return json.loads(" ".join(tokens), strict=False, object_pairs_hook=_distinct_members), end
    raise ValueError("the object does not end")


def _tokens(text: str, position: int) -> Iterator[tuple[str, str, int]]:
    """Yield kind, text and end of each token except comments, up to the first text that is not a token."""
    for _ in range(_MAX_TOKENS):
        found = _TOKEN.match(text, position)
        if found is None:
            return
        position = found.end()
        kind = str(found.lastgroup)
        if kind != "comment":
            yield kind, found[kind], position


def _as_json(kind: str, token: str) -> str:
    if kind == "string":
        return '"' + _ESCAPE_OR_QUOTE.sub(_escape_quote, token[1:-1]) + '"'
    return _JSON_OF_WORD.get(token, token)


def _escape_quote(found: re.Match[str]) -> str:
    return {"\\'": "'", '"': '\\"'}.get(found[0], found[0])


def _distinct_members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    by_name = dict(members)
    if len(by_name) < len(members):
        raise ValueError("a name occurs twice")
    return by_name
