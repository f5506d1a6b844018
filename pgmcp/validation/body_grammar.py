"""PostgreSQL's grammar for the text of a function, with the bounds that any text must keep to."""

from pgmcp.errors import SqlRejectedError
from pgmcp.validation import bounds, grammar
from pgmcp.validation.grammar import Node
from pgmcp.validation.lexer import TokenKind, tokenize


def parse_body(sql: str) -> list[Node] | None:
    """Return the trees of the statements in a function's text; None if it is not SQL."""
    try:
        text, _ = bounds.trim_and_bound(_without_parameters(sql))
        return [statement.fields for statement in grammar.parse(text)]
    except SqlRejectedError:
        return None


def _without_parameters(sql: str) -> str:
    """Return a function's body with NULL for its parameters, which a statement by itself may not have."""
    tokens = [token for token in tokenize(sql) if token.kind is TokenKind.PARAMETER]
    starts = [0, *(token.start + len(token.text) for token in tokens)]
    ends = [*(token.start for token in tokens), len(sql)]
    return " NULL ".join(sql[start:end] for start, end in zip(starts, ends, strict=True))
