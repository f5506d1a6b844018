"""Encryption of callers' data in a storage that others may read.

    encrypted = nonce (12 bytes) | AES-256-GCM(key, data, additional data: the binding)

The configured keys are a list: the first one encrypts, all of them decrypt. To rotate the keys, do each step
on every server before the next: add the new key at the end; move it to the front; remove the old key when no
data is encrypted with it any more.
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
    """The data was changed, or encrypted with an unknown key, for another purpose or with another binding."""


class Encryptor:
    """Encrypts and decrypts data with the configured keys.

    Args:
        keys: the first one encrypts, all of them decrypt.
        purpose: what the data is for; data that was encrypted for another purpose cannot be decrypted.
    """

    def __init__(self, keys: Sequence[str], *, purpose: bytes = _PURPOSE) -> None:
        self._ciphers = [AESGCM(_derive(key, purpose)) for key in keys]

    def encrypt(self, data: bytes, *, bound_to: bytes) -> bytes:
        """Return the data, readable only with a key and the same `bound_to`."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._ciphers[0].encrypt(nonce, data, bound_to)

    def decrypt(self, data: bytes, *, bound_to: bytes) -> bytes:
        """Return the decrypted data.

        Raises:
            NotDecryptedError: no key decrypts it with this `bound_to`.
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
