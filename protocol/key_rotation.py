"""One key makes way for the next: the old one names it, the new one agrees (SPEC section 5).

Agents' keys and roots alike. Pure; keeping both keys until the hub has acked, and pinning the new
root before the old one is forgotten, are the agent's business.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, cast

from protocol.base64_text import decode_base64, encode_base64
from protocol.envelope import EVERYONE, Envelope
from protocol.errors import (
    BadChainError,
    BadEnvelopeError,
    BadPayloadError,
    WeakKeyError,
    WrongAudienceError,
)
from protocol.keys import SIGNATURE_BYTES, PublicKey, Signer
from protocol.messages import KeyRotation
from protocol.verification import Verified, check_document_freshness, verify_document_offline

MAX_ROOT_ROTATIONS: Final = 8
"""In one `hello`, which must fit the frame before registration."""
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


def verify_root_rotations(
    pinned: PublicKey, rotations: Sequence[Envelope], *, now: datetime | None = None
) -> PublicKey:
    """Return the root that a chain of `key_rotation` documents leads to from the pinned one.

    Documents before the first that the pinned root signed are its past, and passed over; none by
    it leaves the pin as it is. From there each is signed by the root before it, for everybody.

    Args:
        pinned: the root believed so far.
        rotations: oldest first.
        now: aware; each must be valid then. None: at any time, for the hub's own files.

    Raises:
        BadChainError: too many, or one is not signed by the root that the one before it named.
        BadSignatureError, BadPayloadError, WrongAudienceError: one of them does not hold.
        FutureError, ExpiredError: not valid now.
    """
    if len(rotations) > MAX_ROOT_ROTATIONS:
        raise BadChainError(f"more than {MAX_ROOT_ROTATIONS} root rotations")
    root, passed = pinned, {pinned}
    for envelope in rotations:
        if root == pinned and envelope.public_key != pinned:
            continue
        if envelope.public_key != root:
            raise BadChainError("a root rotation is not signed by the root before it")
        if envelope.type != "key_rotation":
            raise BadPayloadError("not a key_rotation")
        if envelope.audience != EVERYONE:
            raise WrongAudienceError("a root rotation is for everybody")
        verified = verify_document_offline(envelope, at=None)
        if now is not None:
            check_document_freshness(envelope, now)
        root = verify_key_rotation(cast(Verified[KeyRotation], verified))
        if root in passed:
            raise BadChainError("a root rotation leads back")
        passed.add(root)
    return root
