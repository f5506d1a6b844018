"""Encryption of callers' data in a storage that others may read.

    sealed = nonce (12 bytes) | AES-256-GCM(key, data, what it is bound to)

The configured keys are a list: the first one seals, all of them open. To rotate, put a new key first on every
server, and remove the old key when no data is sealed with it any more.
"""

import secrets
from collections.abc import Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_BYTES: Final = 12  # NIST SP 800-38D, 5.2.1.1
_PURPOSE: Final = b"pgmcp: kept results"


class NotSealedHereError(Exception):
    """The data was sealed with an unknown key or for another purpose, or it was changed."""


class Sealer:
    """Seals and opens data with the configured keys.

    Args:
        purpose: data that was sealed for another one cannot be opened.
    """

    def __init__(self, keys: Sequence[str], *, purpose: bytes = _PURPOSE) -> None:
        self._ciphers = [AESGCM(_derive(key, purpose)) for key in keys]

    def seal(self, data: bytes, *, bound_to: bytes) -> bytes:
        """Return the data, readable only with a key and the same `bound_to`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, data, bound_to)

    def open(self, sealed: bytes, *, bound_to: bytes) -> bytes:
        """Return the data that was sealed.

        Raises:
            NotSealedHereError: no key opens it.
        """
        nonce, encrypted = sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:]
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, encrypted, bound_to)
            except (InvalidTag, ValueError):  # ValueError: shorter than a nonce
                continue
        raise NotSealedHereError


def _derive(key: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(key.encode())
