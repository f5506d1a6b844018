"""Refuses plain strings with backslashes if standard_conforming_strings is off for the role.

Other clients of that role read escapes in such strings (PostgreSQL manual, "String Constants with C-Style
Escapes"). In pgmcp's transactions the setting is on, because the checks read strings that way, so the string
would have another meaning than the database's owner expects.
"""

from typing import Final

from pgmcp.errors import StatementFailedError
from pgmcp.validation.lexer import TokenKind, tokenize

_NONSTANDARD_USE_OF_ESCAPE: Final = "22P06"


def refuse_backslashes(sql: str) -> None:
    """Raise if a validated statement contains a plain string with a backslash.

    Raises:
        StatementFailedError: names the position, and says how to write the string.
    """
    for token in tokenize(sql):
        if token.kind is TokenKind.STRING and token.text[0] in "'nN" and "\\" in token.text:
            raise StatementFailedError(
                "a backslash in a plain string has two meanings here: standard_conforming_strings is off for "
                "this role, so other clients read an escape",
                sqlstate=_NONSTANDARD_USE_OF_ESCAPE,
                hint=r"write E'...', with \\ for a backslash, or with the intended escape",
                position=token.start,
            )
