"""One key and what it seals, bound to the place it is kept in.

XChaCha20-Poly1305 of libsodium with a random 24-byte nonce. The associated data names table, row
and column, so that a sealed value copied to another place no longer opens. Which key seals what is
`controlplane.secret_keeper`'s.
"""

from __future__ import annotations

import os
from typing import Final

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt,
    crypto_aead_xchacha20poly1305_ietf_encrypt,
    crypto_aead_xchacha20poly1305_ietf_NPUBBYTES,
)
from nacl.exceptions import CryptoError

from controlplane.errors import SecretError

_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
_TAG_BYTES: Final = 16


class SecretBox:
    """Seals and opens secrets with one key of 32 bytes; `repr` does not show it."""

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) != 32:
            raise ValueError("a key has 32 bytes")
        self._key = key

    def seal(self, secret: bytes, *, place: str) -> bytes:
        """Return version byte, nonce, ciphertext and tag of `secret`, bound to `place`.

        Args:
            secret: any bytes.
            place: where it is kept, such as `join_tokens/<id>/key`.
        """
        nonce = os.urandom(_NONCE_BYTES)
        sealed = crypto_aead_xchacha20poly1305_ietf_encrypt(
            secret, _VERSION + place.encode(), nonce, self._key
        )
        return _VERSION + nonce + sealed

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """Return the secret that was sealed for `place`.

        Raises:
            SecretError: another key, another place, or changed bytes.
        """
        if len(sealed) < 1 + _NONCE_BYTES + _TAG_BYTES or sealed[:1] != _VERSION:
            raise SecretError("not a sealed secret")
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return crypto_aead_xchacha20poly1305_ietf_decrypt(
                body, _VERSION + place.encode(), nonce, self._key
            )
        except CryptoError as exc:
            raise SecretError("a secret that this key does not open") from exc
