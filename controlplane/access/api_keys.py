"""The text of an API key: recognisable, checked before any look-up, kept only as a hash."""

from __future__ import annotations

import hashlib
import secrets
import zlib
from typing import Final

PREFIX: Final = "writ_"
_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_BYTES: Final = 32
_SECRET_CHARS: Final = 43
_CHECK_CHARS: Final = 6
KEY_CHARS: Final = len(PREFIX) + _SECRET_CHARS + _CHECK_CHARS
SHOWN_CHARS: Final = 10
"""How much of a key is kept readable, so that people can tell keys apart."""


def new_api_key() -> str:
    """Return a fresh key: `writ_`, 256 random bits in base62, and a CRC32 in base62."""
    secret = _base62(int.from_bytes(secrets.token_bytes(_SECRET_BYTES), "big"), _SECRET_CHARS)
    return PREFIX + secret + _checksum(secret)


def is_api_key(text: str) -> bool:
    """Whether `text` has the form and the checksum of a key; says nothing about who owns it."""
    if len(text) != KEY_CHARS or not text.startswith(PREFIX) or not text.isascii():
        return False
    secret = text[len(PREFIX) : -_CHECK_CHARS]
    return text[-_CHECK_CHARS:] == _checksum(secret)


def api_key_hash(key: str) -> str:
    """Return the hex SHA-256 that stands for the key in the database.

    A key carries 256 random bits, so a fast hash is enough: there is nothing to guess.
    """
    return hashlib.sha256(key.encode()).hexdigest()


def _checksum(secret: str) -> str:
    return _base62(zlib.crc32(secret.encode()), _CHECK_CHARS)


def _base62(number: int, length: int) -> str:
    digits = []
    while number:
        number, digit = divmod(number, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits)).rjust(length, "0")
