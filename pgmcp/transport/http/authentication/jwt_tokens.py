"""Verifies access tokens that are JWTs (RFC 9068), signed by a key of an OAuth 2.1 issuer."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import jwt
from jwt.exceptions import ExpiredSignatureError, InvalidAudienceError, InvalidIssuerError

from pgmcp.identity import Principal
from pgmcp.transport.http.authentication.fetching import Fetcher
from pgmcp.transport.http.authentication.jwks import KEY_BY_ALGORITHM, KeySet
from pgmcp.transport.http.authentication.principal import (
    IssuerUnavailableError,
    TokenRefusedError,
    principal_of,
)

logger = logging.getLogger(__name__)

LEEWAY_S: Final = 30
"""Allowed difference between the issuer's clock and this machine's, in seconds."""

_REQUIRED: Final = ["exp", "iss", "aud"]
_OF_ID_TOKENS: Final = ("at_hash", "c_hash")
"""Claims of OpenID Connect's ID tokens, which are not access tokens."""

_METADATA_PATHS: Final = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")


def looks_like_jwt(token: str) -> bool:
    """Return whether a token has the three parts of a signed JWT."""
    return token.count(".") == 2


class JwtTokens:
    """Verifies JWTs.

    Args:
        keys: the issuer's public keys.
        issuer: required issuer.
        audiences: accepted audiences.
        types: accepted values of the header `typ`, in lower case; a token without it counts as "jwt".
        name_claim: claim with the principal's name.
    """

    def __init__(
        self, keys: KeySet, *, issuer: str, audiences: Sequence[str], types: Sequence[str], name_claim: str
    ) -> None:
        self._keys = keys
        self._issuer = issuer
        self._audiences = list(audiences)
        self._types = frozenset(types)
        self._name_claim = name_claim

    async def verify(self, token: str) -> Principal:
        """Return the principal of a token.

        Raises:
            TokenRefusedError: the token is invalid or not for this server, or has no usable name.
            IssuerUnavailableError: the issuer's keys are not available.
        """
        algorithm, key_id = self._read_header(token)
        claims = self._decode_with(await self._keys.find(key_id, algorithm), token, algorithm)
        if claims is None:
            claims = self._decode_with(await self._keys.find_newer(key_id, algorithm), token, algorithm)
        if claims is None:
            raise TokenRefusedError("the token is not signed by a key of the issuer")
        self._check_kind(claims)
        return principal_of(claims, self._name_claim, issuer=self._issuer)

    def _read_header(self, token: str) -> tuple[str, str | None]:
        """Return algorithm and key id, which are not trusted and only select the keys to try."""
        try:
            header = jwt.get_unverified_header(token)
        except Exception:
            raise TokenRefusedError("the token is not a JWT") from None
        algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ", "jwt")
        if not isinstance(algorithm, str) or algorithm not in KEY_BY_ALGORITHM:
            raise TokenRefusedError("the token is signed with an algorithm that is not accepted")
        if not isinstance(key_id, str | None):
            raise TokenRefusedError("the token's key id is not a text")
        if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in self._types:
            raise TokenRefusedError("the token's type is not accepted")
        return algorithm, key_id

    def _decode_with(self, keys: Iterable[jwt.PyJWK], token: str, algorithm: str) -> Mapping[str, Any] | None:
        """Return the claims; None if none of the keys made the signature."""
        tried = (self._decode(token, key, algorithm) for key in keys)
        return next((claims for claims in tried if claims is not None), None)

    def _decode(self, token: str, key: jwt.PyJWK, algorithm: str) -> Mapping[str, Any] | None:
        """Return the claims; None if another key made the signature."""
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                audience=self._audiences,
                issuer=self._issuer,
                leeway=LEEWAY_S,
                options={"require": _REQUIRED, "enforce_minimum_key_length": True},
            )
        except jwt.InvalidSignatureError:
            return None
        except ExpiredSignatureError:
            raise TokenRefusedError("the token has expired") from None
        except InvalidAudienceError:
            raise TokenRefusedError("the token is for another audience") from None
        except InvalidIssuerError:
            raise TokenRefusedError("the token is of another issuer") from None
        except Exception:  # PyJWT also raises TypeError and ValueError for unusual claims
            raise TokenRefusedError("the token is not valid") from None

    def _check_kind(self, claims: Mapping[str, Any]) -> None:
        if any(claim in claims for claim in _OF_ID_TOKENS):
            raise TokenRefusedError("the token is an ID token; an access token is needed")
        refuse_bound(claims)


def refuse_bound(claims: Mapping[str, Any]) -> None:
    """Refuse a token that is bound to a key of its client (RFC 7800), because the proof is not checked here.

    Raises:
        TokenRefusedError: the token is bound to a key.
    """
    if claims.get("cnf") is not None:
        raise TokenRefusedError("the token is bound to a key, and only bearer tokens are accepted")


class IssuerKeys:
    """Fetches the issuer's keys from a URL.

    Args:
        fetcher: sends the requests.
        issuer: the issuer's URL.
        jwks_url: the URL of the keys; None takes it from the metadata (RFC 8414, OpenID Discovery).
    """

    def __init__(self, fetcher: Fetcher, issuer: str, jwks_url: str | None) -> None:
        self._fetcher = fetcher
        self._issuer = issuer
        self._jwks_url = jwks_url

    async def fetch(self) -> Mapping[str, Any]:
        """Return the JSON Web Key Set.

        Raises:
            IssuerUnavailableError: the keys cannot be fetched.
        """
        return await self._fetcher.get(self._jwks_url or await self._discover())

    async def _discover(self) -> str:
        failure = IssuerUnavailableError("the issuer has no metadata")
        for url in self._metadata_urls():
            try:
                metadata = await self._fetcher.get(url)
            except IssuerUnavailableError as error:
                failure = error
                continue
            jwks_url = metadata.get("jwks_uri")
            if metadata.get("issuer") != self._issuer or not isinstance(jwks_url, str):
                raise IssuerUnavailableError(f"{url} is not the metadata of {self._issuer}")
            if jwks_url.startswith("http://") and not self._issuer.startswith("http://"):
                raise IssuerUnavailableError(f"{url} names keys at an address without TLS")
            return jwks_url
        raise failure

    def _metadata_urls(self) -> list[str]:
        """Return the possible URLs of metadata: before the issuer's path (RFC 8414), or after it (OpenID)."""
        scheme, _, rest = self._issuer.partition("://")
        host, slash, path = rest.partition("/")
        below = f"{slash}{path}".rstrip("/")
        before = [f"{scheme}://{host}{known}{below}" for known in _METADATA_PATHS]
        after = f"{scheme}://{host}{below}{_METADATA_PATHS[1]}"
        return list(dict.fromkeys([*before, after]))
