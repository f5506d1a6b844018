"""Makes a principal of a token's claims; defines the errors of tokens."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from pgmcp.identity import Principal

MAX_TOKEN_CHARACTERS: Final = 16_384
"""Longer tokens are refused unread; a JWT with many groups has several thousand characters."""

MAX_NAME_CHARACTERS: Final = 200

PRINCIPAL_KEY: Final = "pgmcp.principal"
"""Key of the principal in the ASGI scope."""

_NAME: Final = re.compile(rf"[^\x00-\x1f\x7f-\x9f]{{1,{MAX_NAME_CHARACTERS}}}")


class TokenRefusedError(Exception):
    """The token is not accepted; `str()` says why, and may be shown to the client."""


class IssuerUnavailableError(Exception):
    """The token cannot be verified now."""


def principal_of(claims: Mapping[str, Any], name_claim: str, *, issuer: str) -> Principal:
    """Return the principal described by claims. Without a claim `sub`, its subject is its name.

    Args:
        issuer: recorded if the claims name none (`iss`).

    Raises:
        TokenRefusedError: the claims have no usable name, or an unusable subject.
    """
    name, subject, named_issuer = claims.get(name_claim), claims.get("sub"), claims.get("iss")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise TokenRefusedError(f"the token has no usable claim {name_claim!r}")
    if subject is not None and (not isinstance(subject, str) or not _NAME.fullmatch(subject)):
        raise TokenRefusedError("the token has no usable claim 'sub'")
    return Principal(
        name,
        _scopes_of(claims),
        MappingProxyType(dict(claims)),
        issuer=named_issuer if isinstance(named_issuer, str) else issuer,
        subject=subject or name,
    )


def _scopes_of(claims: Mapping[str, Any]) -> frozenset[str]:
    """Return the scopes: `scope` of RFC 9068 and RFC 7662, or `scp` of Microsoft and Okta."""
    given = claims.get("scope", claims.get("scp", ""))
    if isinstance(given, str):
        return frozenset(given.split())
    if isinstance(given, list):
        return frozenset(each for each in given if isinstance(each, str))
    return frozenset()
