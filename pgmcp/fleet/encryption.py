"""Encryption of callers' data in a storage that others may read.

    encrypted = nonce (12 bytes) | AES-256-GCM(key, data, additional data: the binding)

The configured keys are a list: the first one encrypts, all of them decrypt. To rotate, put a new key first on
every server, and remove the old key when no data is encrypted with it any more.
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


class NotDecryptedError(Exception):
    """The data was encrypted with an unknown key or for another purpose, or it was changed."""


class Encryptor:
    """Encrypts and decrypts data with the configured keys.

    Args:
        purpose: data that was encrypted for another one cannot be decrypted.
    """

    def __init__(self, keys: Sequence[str], *, purpose: bytes = _PURPOSE) -> None:
        self._ciphers = [AESGCM(_derive(key, purpose)) for key in keys]

    def encrypt(self, data: bytes, *, bound_to: bytes) -> bytes:
        """Return the data, readable only with a key and the same `bound_to`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, data, bound_to)

    def decrypt(self, data: bytes, *, bound_to: bytes) -> bytes:
        """Return the data that was encrypted.

        Raises:
            NotDecryptedError: no key decrypts it.
        """
        nonce, encrypted = data[:_NONCE_BYTES], data[_NONCE_BYTES:]
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(nonce, encrypted, bound_to)
            except (InvalidTag, ValueError):  # ValueError: shorter than a nonce
                continue
        raise NotDecryptedError


def _derive(key: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(key.encode())
