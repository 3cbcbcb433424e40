"""Owns Ed25519 keys: their Multikey and DID spelling, signing, verifying, the fingerprint.

Verification is libsodium's alone (PyNaCl): it refuses small-order keys and every second spelling
of a signature, which other libraries let pass. Knows no files and draws no random seed.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NoReturn, Protocol

from nacl import bindings
from nacl.exceptions import CryptoError

from protocol.errors import BadEnvelopeError, BadSignatureError, WeakKeyError

PUBLIC_KEY_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
SEED_BYTES: Final = 32
DID_PREFIX: Final = "did:key:"

_MULTICODEC_ED25519 = b"\xed\x01"
_MULTIKEY_CHARS = 48
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BASE58_VALUE = {char: value for value, char in enumerate(_BASE58)}
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_FINGERPRINT_CONTEXT = b"writ.v1/fingerprint\0"
_FINGERPRINT_BITS = 80


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key as 32 bytes; not yet known to be a valid point."""

    raw: bytes

    def __post_init__(self) -> None:
        if len(self.raw) != PUBLIC_KEY_BYTES:
            raise ValueError("an Ed25519 public key has 32 bytes")

    @property
    def multikey(self) -> str:
        """The W3C Multikey: `z` and base58btc of 0xed 0x01 and the key; begins with `z6Mk`."""
        return _encode_multikey(self.raw)

    @property
    def did(self) -> str:
        """`did:key:` and the Multikey."""
        return DID_PREFIX + _encode_multikey(self.raw)

    @classmethod
    def parse_multikey(cls, text: object) -> PublicKey:
        """Return the key that a Multikey names.

        Raises:
            BadEnvelopeError: no Ed25519 Multikey in its one spelling.
        """
        # The length is fixed, so a long text costs nothing and never enters the cache.
        if not isinstance(text, str) or len(text) != _MULTIKEY_CHARS:
            raise BadEnvelopeError("not an Ed25519 Multikey")
        return _decode_multikey(text)

    @classmethod
    def parse_did(cls, text: object) -> PublicKey:
        """Return the key that a `did:key` DID names.

        Raises:
            BadEnvelopeError: no `did:key` of an Ed25519 Multikey.
        """
        if not isinstance(text, str) or not text.startswith(DID_PREFIX):
            raise BadEnvelopeError("not a did:key")
        return cls.parse_multikey(text[len(DID_PREFIX) :])

    def verify(self, signature: bytes, message: bytes) -> None:
        """Return when `signature` holds over `message` under this key.

        Raises:
            BadSignatureError: it does not, or the key is of small order.
        """
        if len(signature) != SIGNATURE_BYTES:
            raise BadSignatureError("the signature does not hold")
        try:
            bindings.crypto_sign_open(signature + message, self.raw)
        except CryptoError as exc:
            raise BadSignatureError("the signature does not hold") from exc

    def check_point(self) -> None:
        """Return when the key is a canonical point of the prime-order group; for enrolment.

        Raises:
            WeakKeyError: no point, another spelling of one, or not in the main subgroup.
        """
        if not bindings.crypto_core_ed25519_is_valid_point(self.raw):
            raise WeakKeyError("the public key is not a point of the prime-order group")


class Signer(Protocol):
    """Something that signs as `public_key`: a key in memory, or one held elsewhere."""

    @property
    def public_key(self) -> PublicKey:
        """The key that its signatures verify under."""
        ...

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature over `message`."""
        ...


class SigningKey:
    """An Ed25519 private key in memory. Printing or pickling it never shows the seed."""

    __slots__ = ("_secret", "public_key", "seed")

    def __init__(self, seed: bytes) -> None:
        if len(seed) != SEED_BYTES:
            raise ValueError("an Ed25519 seed has 32 bytes")
        raw, self._secret = bindings.crypto_sign_seed_keypair(seed)
        self.public_key: PublicKey = PublicKey(raw)
        self.seed: bytes = seed

    @classmethod
    def from_seed(cls, seed: bytes) -> SigningKey:
        """Return the key of a 32-byte seed.

        Raises:
            ValueError: another length.
        """
        return cls(seed)

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte signature over `message`."""
        return bindings.crypto_sign(message, self._secret)[:SIGNATURE_BYTES]

    def __repr__(self) -> str:
        return f"SigningKey(public_key={self.public_key.multikey!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled or copied")


def fingerprint(root: PublicKey, agent: PublicKey) -> str:
    """Return what two people compare before an agent is approved, as `XXXX-XXXX-XXXX-XXXX`.

    Crockford base32 of the first 80 bits of SHA-256 over a context string and both keys (SPEC
    section 2), so it names this agent under this root and nothing else.
    """
    digest = hashlib.sha256(_FINGERPRINT_CONTEXT + root.raw + agent.raw).digest()
    number = int.from_bytes(digest[: _FINGERPRINT_BITS // 8], "big")
    chars = "".join(
        _CROCKFORD[number >> shift & 31] for shift in range(_FINGERPRINT_BITS - 5, -1, -5)
    )
    return "-".join(chars[start : start + 4] for start in range(0, len(chars), 4))


@lru_cache(maxsize=16_384)
def _encode_multikey(raw: bytes) -> str:
    # The prefix is no zero byte, so base58btc is the plain number in base 58.
    number = int.from_bytes(_MULTICODEC_ED25519 + raw, "big")
    chars = []
    while number:
        number, digit = divmod(number, 58)
        chars.append(_BASE58[digit])
    return "z" + "".join(reversed(chars))


@lru_cache(maxsize=16_384)
def _decode_multikey(text: str) -> PublicKey:
    number = 0
    try:
        for char in text[1:]:
            number = number * 58 + _BASE58_VALUE[char]
        data = number.to_bytes(len(_MULTICODEC_ED25519) + PUBLIC_KEY_BYTES, "big")
    except (KeyError, OverflowError) as exc:
        raise BadEnvelopeError("not an Ed25519 Multikey") from exc
    # The right prefix has exactly one spelling of exactly this length.
    if text[0] != "z" or not data.startswith(_MULTICODEC_ED25519):
        raise BadEnvelopeError("not an Ed25519 Multikey")
    return PublicKey(data[len(_MULTICODEC_ED25519) :])
