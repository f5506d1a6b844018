"""Verifies opaque tokens by asking the authorization server (RFC 7662)."""

import hashlib
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from pgmcp.identity import Principal
from pgmcp.transport.http.authentication.fetching import Fetcher
from pgmcp.transport.http.authentication.jwt_tokens import LEEWAY_S, refuse_bound
from pgmcp.transport.http.authentication.principal import TokenRefusedError, principal_of

logger = logging.getLogger(__name__)

CACHED_S: Final = 30.0
"""How long an answer is cached; a revoked token is accepted for at most this long."""

MAX_CACHED: Final = 10_000


class Introspection:
    """Asks the authorization server about tokens, and caches accepted ones for at most `CACHED_S`.

    Args:
        fetcher: sends the requests.
        url: the introspection endpoint.
        client: id and secret with which this server authenticates itself there.
        issuer: required issuer, if the answer names one; None accepts any.
        audiences: accepted audiences.
        name_claim: claim with the principal's name.
        clock: returns the current time in seconds since 1970.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        *,
        url: str,
        client: tuple[str, str],
        issuer: str | None,
        audiences: Sequence[str],
        name_claim: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._fetcher = fetcher
        self._url = url
        self._client = client
        self._issuer = issuer
        self._audiences = frozenset(audiences)
        self._name_claim = name_claim
        self._clock = clock
        self._cached: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()

    async def verify(self, token: str) -> Principal:
        """Return the principal of a token.

        Raises:
            TokenRefusedError: the token is invalid or not for this server, or has no usable name.
            IssuerUnavailableError: the authorization server cannot be reached, or gave no usable answer.
        """
        key = hashlib.sha256(token.encode()).digest()
        now_s = self._clock()
        kept = self._cached.get(key)
        if kept is not None and now_s < kept[1]:
            return kept[0]
        claims = await self._fetcher.post(
            self._url, {"token": token, "token_type_hint": "access_token"}, self._client
        )
        expires_at_s = self._check(claims, now_s)
        principal = principal_of(claims, self._name_claim, issuer=self._issuer or self._url)
        self._cache(key, principal, min(now_s + CACHED_S, expires_at_s))
        return principal

    def _check(self, claims: Mapping[str, Any], now_s: float) -> float:
        """Check the claims, and return when the token expires, in seconds since 1970.

        The returned time includes the leeway. A token without a claim `exp` expires `CACHED_S` after `now_s`.

        Raises:
            TokenRefusedError: the token is invalid or not for this server.
        """
        if claims.get("active") is not True:
            raise TokenRefusedError("the token is not active")
        expires_at_s, begins_at_s = claims.get("exp", now_s + CACHED_S), claims.get("nbf", 0)
        if not isinstance(expires_at_s, int | float) or not isinstance(begins_at_s, int | float):
            raise TokenRefusedError("the token is not valid")
        if expires_at_s + LEEWAY_S <= now_s or begins_at_s - LEEWAY_S > now_s:
            raise TokenRefusedError("the token has expired, or is not valid yet")
        if self._issuer is not None and claims.get("iss", self._issuer) != self._issuer:
            raise TokenRefusedError("the token is of another issuer")
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if not any(isinstance(each, str) and each in self._audiences for each in named):
            raise TokenRefusedError("the token is for another audience")
        refuse_bound(claims)
        return expires_at_s + LEEWAY_S

    def _cache(self, key: bytes, principal: Principal, until_s: float) -> None:
        self._cached[key] = principal, until_s
        self._cached.move_to_end(key)
        while len(self._cached) > MAX_CACHED:
            self._cached.popitem(last=False)
