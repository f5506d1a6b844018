"""Who calls, and the ways in which a token fails."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from pgmcp.identity import Principal

MAX_TOKEN_CHARACTERS: Final = 16_384
"""Longer ones are refused before they are looked at; with many groups in it a JWT has some thousand."""

MAX_NAME_CHARACTERS: Final = 200

PRINCIPAL_KEY: Final = "pgmcp.principal"
"""Of the ASGI scope, for the principal of a request."""

_NAME: Final = re.compile(rf"[^\x00-\x1f\x7f-\x9f]{{1,{MAX_NAME_CHARACTERS}}}")


class TokenRefusedError(Exception):
    """The token is not valid here; `str()` says why and may be shown to the client."""


class IssuerUnavailableError(Exception):
    """Whether the token is valid cannot be found out now."""


def principal_of(claims: Mapping[str, Any], name_claim: str) -> Principal:
    """Return the principal that claims describe.

    Raises:
        TokenRefusedError: they name nobody.
    """
    name = claims.get(name_claim)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise TokenRefusedError(f"the token has no usable claim {name_claim!r}")
    return Principal(name, _scopes_of(claims), MappingProxyType(dict(claims)))


def _scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the scopes: `scope` of RFC 9068 and RFC 7662, or `scp` of Microsoft and Okta."""
    given = claims.get("scope", claims.get("scp", ""))
    if isinstance(given, str):
        return frozenset(given.split())
    if isinstance(given, list):
        return frozenset(each for each in given if isinstance(each, str))
    return frozenset()
