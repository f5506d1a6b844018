"""Positions of values in a JSON text, so that it can be edited without losing comments and layout.

Parses RFC 8259 and, for hosts that allow them, comments and trailing commas as in VS Code's files. The
standard library's `json` reports no positions.
"""

import json
import re
from dataclasses import dataclass
from typing import Any, Final, Never

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_SPACE_OR_COMMENT: Final = re.compile(r"(?:[ \t\r\n]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
# No possessive repetition of a group: CPython before 3.11.5 matches that wrongly.
_STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"')
_WORD_OR_NUMBER: Final = re.compile(r"true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_BYTE_ORDER_MARK: Final = "\ufeff"


@dataclass(frozen=True, slots=True)
class Member:
    """A key and a value of an object.

    Attributes:
        start: offset of the key's quotation mark.
        comma: offset of the comma after the value, if there is one.
    """

    key: str
    start: int
    value: "Node"
    comma: int | None


@dataclass(frozen=True, slots=True)
class Node:
    """A value, from `start` up to `end`.

    Attributes:
        value: as returned by `json.loads`.
        members: the members of an object, in order; None for other values.
        items: the items of an array, in order.
    """

    start: int
    end: int
    value: Any
    members: tuple[Member, ...] | None = None
    items: tuple["Node", ...] = ()

    def member(self, key: str) -> Member | None:
        """Return the member with this key; of several, the last one, as JSON parsers do."""
        return next((member for member in reversed(self.members or ()) if member.key == key), None)


def parse(text: str, *, takes_comments: bool) -> Node:
    """Return the parsed text with positions.

    Raises:
        ValueError: the text is not JSON. The message begins with line and column, and quotes no part of it.
    """
    try:
        return _Reader(text, takes_comments).read()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def describe_place(text: str, offset: int) -> str:
    """Return the line and column of an offset, counted from 1."""
    return f"line {text.count(chr(10), 0, offset) + 1}, column {offset - text.rfind(chr(10), 0, offset)}"


class _Reader:
    """Recursive-descent parser."""

    def __init__(self, text: str, takes_comments: bool) -> None:
        self._text = text
        self._space = _SPACE_OR_COMMENT if takes_comments else _SPACE
        self._takes_trailing_commas = takes_comments
        self._at = 1 if text.startswith(_BYTE_ORDER_MARK) else 0

    def read(self) -> Node:
        node = self._read_value()
        self._skip_space()
        if self._at < len(self._text):
            self._fail("the end of the file")
        return node

    def _read_value(self) -> Node:
        self._skip_space()
        match self._text[self._at : self._at + 1]:
            case "{":
                return self._read_object()
            case "[":
                return self._read_array()
            case '"':
                return self._read_token(_STRING, "a text that ends in a quotation mark")
            case _:
                return self._read_token(_WORD_OR_NUMBER, "a value")

    def _read_object(self) -> Node:
        start = self._at
        members: list[Member] = []
        self._at += 1
        while not self._ends("}", members[-1].comma if members else None):
            key = self._read_token(_STRING, "a key in quotation marks")
            self._take(":")
            value = self._read_value()
            members.append(Member(key.value, key.start, value, self._take_comma("}")))
        values = {member.key: member.value.value for member in members}
        return Node(start, self._at, values, tuple(members))

    def _read_array(self) -> Node:
        start = self._at
        items: list[Node] = []
        comma: int | None = None
        self._at += 1
        while not self._ends("]", comma):
            items.append(self._read_value())
            comma = self._take_comma("]")
        return Node(start, self._at, [item.value for item in items], items=tuple(items))

    def _ends(self, bracket: str, comma: int | None) -> bool:
        """Consume the closing bracket if it is next."""
        self._skip_space()
        if not self._text.startswith(bracket, self._at):
            return False
        if comma is not None and not self._takes_trailing_commas:
            self._at = comma
            self._fail(f"no comma before '{bracket}'")
        self._at += 1
        return True

    def _take_comma(self, bracket: str) -> int | None:
        self._skip_space()
        if self._text.startswith(bracket, self._at):
            return None
        self._take(",", f"',' or '{bracket}'")
        return self._at - 1

    def _take(self, character: str, expected: str = "") -> None:
        self._skip_space()
        if not self._text.startswith(character, self._at):
            self._fail(expected or f"'{character}'")
        self._at += 1

    def _read_token(self, pattern: re.Pattern[str], expected: str) -> Node:
        found = pattern.match(self._text, self._at)
        if found is None:
            self._fail(expected)
        self._at = found.end()
        return Node(found.start(), found.end(), json.loads(found[0]))

    def _skip_space(self) -> None:
        found = self._space.match(self._text, self._at)
        self._at = found.end() if found else self._at

    def _fail(self, expected: str) -> Never:
        if self._at == len(self._text):
            expected += ", but the file ends"
        elif self._text.startswith(("//", "/*"), self._at) and self._space is _SPACE:
            expected += ", but this host does not allow comments"
        raise ValueError(f"{describe_place(self._text, self._at)}: expected {expected}")
