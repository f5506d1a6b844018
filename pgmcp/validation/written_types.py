"""Finds the types to which the body of a function casts, by its tokens; for bodies that cannot be parsed."""

from collections.abc import Iterator, Sequence
from typing import Final

from pgmcp.validation.explicit_casts import BUILT_IN_TYPES
from pgmcp.validation.lexer import Token, TokenKind

_TYPES_BY_WORD: Final[dict[str, frozenset[str]]] = {
    **{name: frozenset({name}) for name in BUILT_IN_TYPES},
    "bigint": frozenset({"int8"}),
    "bit": frozenset({"bit", "varbit"}),
    "boolean": frozenset({"bool"}),
    "char": frozenset({"bpchar", "varchar", "char"}),
    "character": frozenset({"bpchar", "varchar"}),
    "dec": frozenset({"numeric"}),
    "decimal": frozenset({"numeric"}),
    "double": frozenset({"float8"}),
    "float": frozenset({"float4", "float8"}),
    "int": frozenset({"int4"}),
    "integer": frozenset({"int4"}),
    "real": frozenset({"float4"}),
    "smallint": frozenset({"int2"}),
    "time": frozenset({"time", "timetz"}),
    "timestamp": frozenset({"timestamp", "timestamptz"}),
}
"""The built-in types that a type's first word may mean."""


_BEFORE_LITERALS: Final = frozenset(
    """
    and between by case default else having if in is like limit not on or return select then values when where
    """.split()  # noqa: SIM905 - as a list it is a page long
)
"""Words that can be before a string without being its type: `return 'sad'::mood`, not `text 'sad'::mood`."""


def cast_targets(tokens: Sequence[Token]) -> frozenset[str] | None:
    """Return the built-in types to which a text casts, as pg_type names them; None if there may be others.

    `::` after an untyped literal does not count, because it calls no cast function.
    """
    found: set[str] = set()
    for at in _starts_of_types(tokens):
        types = _types_at(tokens, at)
        if types is None:
            return None
        found |= types
    return frozenset(found)


def _starts_of_types(tokens: Sequence[Token]) -> Iterator[int]:
    """Yield the places after `::`, and after AS in CAST(... AS ...)."""
    depths_of_casts: list[int] = []
    depth = 0
    for at, token in enumerate(tokens):
        word = token.text.lower() if token.kind is TokenKind.WORD else token.text
        if word == "(":
            depth += 1
            if at and tokens[at - 1].text.lower() in ("cast", "treat"):
                depths_of_casts.append(depth)
        elif word == ")":
            depths_of_casts = [each for each in depths_of_casts if each < depth]
            depth -= 1
        elif (word == "::" and not _is_literal(tokens[:at])) or (word == "as" and depth in depths_of_casts):
            yield at + 1


def _is_literal(tokens: Sequence[Token]) -> bool:
    """Return whether tokens end in a string or NULL without a type."""
    if not tokens:
        return False
    if tokens[-1].text.lower() == "null" and tokens[-1].kind is TokenKind.WORD:
        return True
    if tokens[-1].kind is not TokenKind.STRING or len(tokens) < 2:
        return False
    before = tokens[-2]
    return before.text in ("(", "[", ",") or (
        before.kind is TokenKind.OPERATOR or before.text.lower() in _BEFORE_LITERALS
    )


def _types_at(tokens: Sequence[Token], at: int) -> frozenset[str] | None:
    written = tokens[at : at + 4]
    if [each.text.lower() for each in written[:2]] == ["pg_catalog", "."]:
        written = written[2:]
    is_word = bool(written) and written[0].kind is TokenKind.WORD
    is_qualified = len(written) > 1 and written[1].text in (".", "%")
    return _TYPES_BY_WORD.get(written[0].text.lower()) if is_word and not is_qualified else None
