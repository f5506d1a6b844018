"""`pgmcp token`: makes a bearer token for the server over HTTP."""

import re
from typing import Final

from pgmcp.errors import InvalidArgumentError

_NAME: Final = re.compile(r"[\w.@-]{1,200}")


def make_token(name: str) -> tuple[str, str]:
    """Return a new token, and the setting that lets its owner in.

    Raises:
        InvalidArgumentError: the name cannot be one.
    """
    from pgmcp.transport.http.authentication.static_tokens import digest_of, new_token

    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(
            f"{name[:200]!r} cannot be the name of a token", hint="a name has letters, digits, _ . @ and -"
        )
    token = new_token()
    return token, f"PG_MCP_HTTP_TOKENS={name}={digest_of(token)}"
