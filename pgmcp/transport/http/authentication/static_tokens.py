"""Creates and verifies static bearer tokens, whose hashes are in the settings; `pgmcp token` creates one.

A token has 256 random bits, so a plain hash of it cannot be reversed; slow hashes are for passwords.
"""

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pgmcp.errors import InvalidArgumentError
from pgmcp.identity import Principal

PREFIX: Final = "pgmcp_"
"""Prefix by which people and secret scanners recognise a token."""

_RANDOM_BYTES: Final = 32
_NAME: Final = re.compile(r"[\w.@-]{1,200}")


def new_token() -> str:
    """Return a new token."""
    return PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def digest_of(token: str) -> str:
    """Return the hash of a token, for the settings."""
    return hashlib.sha256(token.encode()).hexdigest()


class StaticTokens:
    """Verifies the static tokens in the settings.

    Args:
        digests: hash of each token by its principal's name.
    """

    def __init__(self, digests: Mapping[str, str]) -> None:
        self._digests = dict(digests)

    def find(self, token: str) -> Principal | None:
        """Return the principal of a token, whose name is also its claim `sub`; None for an unknown token.

        The time that this takes does not reveal how much of a token is right.
        """
        digest = digest_of(token)
        found = [name for name, kept in self._digests.items() if hmac.compare_digest(kept, digest)]
        return Principal(found[0], claims=MappingProxyType({"sub": found[0]})) if found else None


def make_token(name: str) -> tuple[str, str]:
    """Return a new token, and the setting that lets its owner in.

    Raises:
        InvalidArgumentError: the name is too long or has characters that are not allowed.
    """
    if not _NAME.fullmatch(name):
        raise InvalidArgumentError(
            f"{name[:200]!r} cannot be the name of a token",
            hint="a name has 1 to 200 letters, digits, _ . @ and -",
        )
    token = new_token()
    return token, f"PG_MCP_HTTP_TOKENS={name}={digest_of(token)}"
