"""Finds clauses in the text of a query, and cuts them out as they are written."""

from collections.abc import Mapping, Sequence
from typing import Final

from pgmcp.validation import grammar
from pgmcp.validation.lexer import Token, TokenKind

# Words that end FROM and WHERE. All are reserved: as a name, such a word can only follow a dot.
_AFTER_ROWS: Final = frozenset(
    {"group", "having", "window", "order", "limit", "offset", "fetch", "for", "union", "intersect", "except"}
)


class WrittenQuery:
    """A query as written. Its methods take byte offsets, as in the parse tree, and return character offsets.

    Attributes:
        text: the query.
        with_end: where its WITH clause ends; 0 if it has none.
    """

    def __init__(self, text: str, tokens: Sequence[Token], *, has_with: bool) -> None:
        self.text = text
        self._tokens = tokens
        self.with_end = self._find_end_of_with() if has_with else 0

    def rows_after(self, byte_offset: int) -> tuple[int, int] | None:
        """Return where the "FROM … WHERE …" after the select list at this place begins and ends.

        None if the SELECT has no FROM.
        """
        depth = 0
        for number in range(self._number_at(byte_offset), len(self._tokens)):
            token = self._tokens[number]
            depth += _depth_change(token)
            if depth < 0:
                return None
            if depth == 0 and _word(token) == "from" and not self._is_part_of_expression(number):
                return token.start, self._end_of_rows(number)
        return None

    def filter_of(self, byte_offset: int) -> str:
        """Return the condition in FILTER (WHERE …) of the call at this place; "" if it is not found."""
        depth, opened = 0, 0
        for number in range(self._number_at(byte_offset), len(self._tokens)):
            token = self._tokens[number]
            depth += _depth_change(token)
            before = [_word(each) for each in self._tokens[max(0, number - 2) : number]]
            if depth == 1 and _word(token) == "where" and before[:1] == ["filter"]:
                opened = token.start + len(token.text)
            elif depth == 0 and opened:
                return self.text[opened : token.start].strip()
        return ""

    def _number_at(self, byte_offset: int) -> int:
        start = grammar.character_offset(self.text, byte_offset)
        return next((number for number, token in enumerate(self._tokens) if token.start >= start), 0)

    def _find_end_of_with(self) -> int:
        depth = 0
        for token in self._tokens:
            depth += _depth_change(token)
            if depth == 0 and _word(token) == "select":
                return token.start
        return 0

    def _is_part_of_expression(self, number: int) -> bool:
        """Return whether a FROM belongs to IS DISTINCT FROM, or is a name after a dot."""
        before = [_word(token) for token in self._tokens[max(0, number - 2) : number]]
        is_comparison = before[-1:] == ["distinct"] and before[:1] in (["is"], ["not"])
        return is_comparison or self._tokens[number - 1].text == "."

    def _end_of_rows(self, begin: int) -> int:
        depth = 0
        for number in range(begin + 1, len(self._tokens)):
            token = self._tokens[number]
            depth += _depth_change(token)
            is_name = self._tokens[number - 1].text == "."
            if depth < 0 or (depth == 0 and _word(token) in _AFTER_ROWS and not is_name):
                return token.start
        return len(self.text)


def _word(token: Token) -> str:
    return token.text.lower() if token.kind is TokenKind.WORD else ""


def _depth_change(token: Token) -> int:
    if token.kind is not TokenKind.PUNCTUATION:
        return 0
    return (token.text == "(") - (token.text == ")")


def slice_with_insertions(text: str, begin: int, end: int, inserted: Mapping[int, str]) -> str:
    """Return a part of a text, with texts inserted at offsets of the whole text."""
    for offset in sorted(inserted, reverse=True):
        if begin < offset < end:
            text = text[:offset] + inserted[offset] + text[offset:]
            end += len(inserted[offset])
    return text[begin:end]
