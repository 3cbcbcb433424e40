"""One agent key makes way for the next: the old one names it, the new one agrees (SPEC section 5).

Pure; keeping both keys until the hub has acked is the agent's business.
"""

from __future__ import annotations

from typing import Final

from protocol.base64_text import decode_base64, encode_base64
from protocol.errors import BadEnvelopeError, BadPayloadError, WeakKeyError
from protocol.keys import SIGNATURE_BYTES, PublicKey, Signer
from protocol.messages import KeyRotation
from protocol.verification import Verified

_CONTEXT: Final = b"writ.v1/rotate\0"


def rotation_message(old: PublicKey, new: PublicKey) -> bytes:
    """Return the bytes that the new key signs: the context and both keys, 79 bytes."""
    return _CONTEXT + old.raw + new.raw


def rotation_payload(old: PublicKey, new: Signer) -> KeyRotation:
    """Return the payload for a `key_rotation` that the old key will sign."""
    proof = encode_base64(new.sign(rotation_message(old, new.public_key)))
    return KeyRotation(new_key=new.public_key.multikey, proof=proof)


def verify_key_rotation(verified: Verified[KeyRotation]) -> PublicKey:
    """Return the new key: it differs from the old one, is a valid point, and has agreed.

    Raises:
        BadPayloadError: it is the old key, no key, or no valid point.
        BadSignatureError: the proof does not hold.
    """
    old = verified.envelope.public_key
    try:
        new = PublicKey.parse_multikey(verified.payload.new_key)
        new.check_point()
        proof = decode_base64(verified.payload.proof, size_bytes=SIGNATURE_BYTES)
    except (BadEnvelopeError, WeakKeyError) as exc:
        raise BadPayloadError(f"newKey: {exc}") from exc
    if new == old:
        raise BadPayloadError("newKey: the key that it would replace")
    new.verify(proof, rotation_message(old, new))
    return new
