"""Encryption of secrets at rest: AES-256-GCM, key derived from the installation's secret."""

from __future__ import annotations

import os

_VERSION = b"\x01"
_NONCE = 12


class AesGcmSealing:
    """Implements ports_storage.Sealing; without the secret the database reveals nothing."""

    def __init__(self, secret: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        key = HKDF(SHA256(), 32, salt=None, info=b"ocelli sealed credentials").derive(secret)
        self._cipher = AESGCM(key)

    def seal(self, plain: bytes, *, context: str) -> bytes:
        """See ports_storage.Sealing."""
        nonce = os.urandom(_NONCE)
        return _VERSION + nonce + self._cipher.encrypt(nonce, plain, context.encode())

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """See ports_storage.Sealing."""
        from cryptography.exceptions import InvalidTag

        nonce, ciphertext = sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :]
        if sealed[:1] != _VERSION or len(nonce) != _NONCE:
            raise ValueError("not sealed by this version")
        try:
            return self._cipher.decrypt(nonce, ciphertext, context.encode())
        except InvalidTag:
            raise ValueError("sealed with another secret, or for another purpose") from None
