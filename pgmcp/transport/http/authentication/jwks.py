"""Caches the issuer's public keys, fetches them again in the background, and uses them during an outage.

    age of the keys     0 ───── 300 s ─────────────── outage_s ─────▶
                         used    used, and fetched     fetched first; if that
                                 in the background     fails, tokens are refused

A token that names an unknown key, or that no known key has signed, causes a fetch at once. There is at most
one fetch every 5 s.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from jwt import PyJWK
from jwt.exceptions import PyJWTError

from pgmcp.transport.http.authentication.principal import IssuerUnavailableError

logger = logging.getLogger(__name__)

REFRESH_AFTER_S: Final = 300.0
COOLDOWN_S: Final = 5.0
"""Minimum time between fetches, so that tokens with invented keys do not cause many requests."""

MAX_KEYS: Final = 100
MAX_CANDIDATES: Final = 8
"""Maximum number of keys tried for a token. Several are tried only if it names no key or an ambiguous one."""

# RFC 7518, section 3.1, and RFC 8037. Symmetric algorithms are not supported, because anyone who knows the
# public key could sign with it.
KEY_BY_ALGORITHM: Final[Mapping[str, tuple[str, str | None]]] = {
    "RS256": ("RSA", None),
    "RS384": ("RSA", None),
    "RS512": ("RSA", None),
    "PS256": ("RSA", None),
    "PS384": ("RSA", None),
    "PS512": ("RSA", None),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "ES512": ("EC", "P-521"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""The key type and curve that an algorithm needs."""

FetchKeys = Callable[[], Awaitable[Mapping[str, Any]]]
"""Returns the issuer's JSON Web Key Set."""


class KeySet:
    """The keys of one issuer.

    Args:
        fetch: returns the issuer's JSON Web Key Set.
        outage_s: maximum age of cached keys while the issuer cannot be reached; at least 300 s.
        clock: returns the current time in seconds.
    """

    def __init__(
        self, fetch: FetchKeys, *, outage_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch = fetch
        self._outage_s = max(outage_s, REFRESH_AFTER_S)
        self._clock = clock
        self._keys: Sequence[Mapping[str, Any]] = ()
        self._fetched_at_s: float | None = None
        self._tried_at_s = -COOLDOWN_S
        self._fetching: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Cancel a running fetch."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])

    async def find(self, key_id: str | None, algorithm: str) -> list[PyJWK]:
        """Return the keys that may have signed a token, usually one.

        Raises:
            IssuerUnavailableError: no keys are known or they are too old, and fetching them failed.
        """
        age_s = self._age_s()
        if age_s is None or age_s > self._outage_s:
            await self._refresh()
            if self._fetched_at_s is None or self._clock() - self._fetched_at_s > self._outage_s:
                raise IssuerUnavailableError("the issuer's keys cannot be fetched")
        elif age_s > REFRESH_AFTER_S:
            self._begin_refresh()
        found = self._candidates(key_id, algorithm)
        if not found:
            await self._refresh()
            found = self._candidates(key_id, algorithm)
        return found

    async def find_newer(self, key_id: str | None, algorithm: str) -> list[PyJWK]:
        """Fetch the keys, and return those that may have signed a token that no known key has signed.

        A token may name no key, and an issuer may give a new key the id of an old one. The list is empty if
        the keys have not changed, or if the last fetch was too recent.
        """
        known = self._keys
        await self._refresh()
        return [] if self._keys == known else self._candidates(key_id, algorithm)

    def _age_s(self) -> float | None:
        return None if self._fetched_at_s is None else self._clock() - self._fetched_at_s

    def _candidates(self, key_id: str | None, algorithm: str) -> list[PyJWK]:
        fitting = [
            key
            for key in self._keys
            if (key_id is None or key.get("kid") == key_id) and can_verify(key, algorithm)
        ]
        candidates = []
        for key in fitting[:MAX_CANDIDATES]:
            try:
                candidates.append(PyJWK(dict(key), algorithm=algorithm))
            except (PyJWTError, TypeError, ValueError):
                logger.warning("a key of the issuer cannot be used")
        return candidates

    async def _refresh(self) -> None:
        """Wait for the running fetch, or for one that is started now if the last one was not too recent."""
        self._begin_refresh()
        if self._fetching is not None:
            await asyncio.wait([self._fetching])

    def _begin_refresh(self) -> None:
        is_fetching = self._fetching is not None and not self._fetching.done()
        if is_fetching or self._clock() - self._tried_at_s < COOLDOWN_S:
            return
        self._tried_at_s = self._clock()
        self._fetching = asyncio.get_running_loop().create_task(self._fetch_keys())

    async def _fetch_keys(self) -> None:
        try:
            keys = (await self._fetch()).get("keys")
        except IssuerUnavailableError as error:
            logger.warning("the issuer's keys cannot be fetched, so known ones stay in use: %s", error)
            return
        if not isinstance(keys, list) or not keys:
            logger.warning("the issuer published no keys, so known ones stay in use")
            return
        self._keys = [key for key in keys[:MAX_KEYS] if isinstance(key, dict)]
        self._fetched_at_s = self._clock()


def can_verify(key: Mapping[str, Any], algorithm: str) -> bool:
    """Return whether a key is for signatures with this algorithm (RFC 7517, section 4)."""
    key_type, curve = KEY_BY_ALGORITHM[algorithm]
    operations = key.get("key_ops")
    return (
        key.get("kty") == key_type
        and (curve is None or key.get("crv") == curve)
        and key.get("use", "sig") == "sig"
        and key.get("alg", algorithm) == algorithm
        and (not isinstance(operations, list) or "verify" in operations)
    )
