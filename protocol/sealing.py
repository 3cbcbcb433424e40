"""Owns sealed parameters and outputs: what the hub carries and cannot read (SPEC section 6).

libsodium sealed boxes to X25519 keys that exist for nothing else; they are never derived from
Ed25519 keys, which sign. A key counts only with the identity key's signature over it. What is
sealed names the order it belongs to, its signer and where the answer goes, so a box that is taken
out of one order opens in no other. Pure: seeds of the ephemeral keys come in as arguments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, cast

from nacl import bindings
from nacl.exceptions import CryptoError
from pydantic import JsonValue

from protocol import limits
from protocol.base64_text import decode_base64, encode_base64
from protocol.canonical import canonical_json
from protocol.envelope import Envelope
from protocol.errors import BadParamsError, Error, KeyFileError
from protocol.keys import PublicKey, Signer
from protocol.messages.intents import Intent
from protocol.strict_json import check_json_profile, parse_strict_json
from protocol.verification import Verified, with_params

KEY_BYTES: Final = 32
SEED_BYTES: Final = 32
_CONTEXT: Final = b"writ.v1/encryption\0"
_NONCE_BYTES: Final = 24
# PKCS#8 of an X25519 key (RFC 8410): always these bytes, then the 32 of the key.
_PKCS8_PREFIX: Final = bytes.fromhex("302e020100300506032b656e04220420")
_PEM_BEGIN: Final = "-----BEGIN PRIVATE KEY-----"
_PEM_END: Final = "-----END PRIVATE KEY-----"


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """An X25519 key pair; `private` is 32 random bytes and never shown."""

    private: bytes = field(repr=False)
    public: bytes = field(init=False)

    def __post_init__(self) -> None:
        if len(self.private) != KEY_BYTES:
            raise KeyFileError("an X25519 key has 32 bytes")
        object.__setattr__(self, "public", bindings.crypto_scalarmult_base(self.private))


def encode_encryption_key(key: EncryptionKey) -> bytes:
    """Return the key as PKCS#8 PEM, which openssl reads."""
    body = encode_base64(_PKCS8_PREFIX + key.private)
    return f"{_PEM_BEGIN}\n{body}\n{_PEM_END}\n".encode("ascii")


def parse_encryption_key(pem: bytes) -> EncryptionKey:
    """Return the key in a PKCS#8 PEM text.

    Raises:
        KeyFileError: no unprotected X25519 key; an Ed25519 key is none.
    """
    try:
        lines = pem.decode("ascii").split()
        text = "".join(lines).replace("".join(_PEM_BEGIN.split()), "", 1)
        text, end, rest = text.partition("".join(_PEM_END.split()))
        data = decode_base64(text)
    except (ValueError, Error) as exc:
        raise KeyFileError("not a PEM text") from exc
    if not end or rest or not data.startswith(_PKCS8_PREFIX):
        raise KeyFileError("not an X25519 private key")
    return EncryptionKey(data[len(_PKCS8_PREFIX) :])


def certify_encryption_key(public: bytes, identity: Signer) -> dict[str, str]:
    """Return what an agent announces as `host.encryption` of its `register`."""
    proof = identity.sign(_CONTEXT + identity.public_key.raw + public)
    return {"key": encode_base64(public), "proof": encode_base64(proof)}


def verify_encryption_key(announced: object, identity: PublicKey) -> bytes:
    """Return the X25519 key that `identity` certifies.

    Raises:
        BadSignatureError: somebody else's.
        BadParamsError: nothing that can be read, or a key that encrypts nothing.
    """
    values = announced if isinstance(announced, dict) else {}
    public = _read_bytes(values.get("key"), KEY_BYTES)
    proof = _read_bytes(values.get("proof"), 64)
    identity.verify(proof, _CONTEXT + identity.raw + public)
    return public


def seal_params(
    params: dict[str, Any],
    *,
    intent_id: str,
    action: str,
    audience: str,
    signer: str,
    agent_key: bytes,
    reply_key: bytes,
    ephemeral_seed: bytes,
) -> dict[str, Any]:
    """Return an intent's `sealed`; its `params` are then empty.

    Args:
        params: for the agent's eyes.
        intent_id: of the intent that will carry this, and so are
        action: what it orders,
        audience: the DID of its agent,
        signer: the DID of who signs it.
        agent_key: the agent's certified X25519 key.
        reply_key: X25519 key that the output is to be sealed to.
        ephemeral_seed: 32 random bytes, used once.
    """
    reply = encode_base64(reply_key)
    content: dict[str, Any] = {
        "intentId": intent_id,
        "action": action,
        "audience": audience,
        "signer": signer,
        "reply": reply,
        "params": params,
    }
    box = _seal(canonical_json(cast(JsonValue, content)), agent_key, ephemeral_seed)
    return {"key": encode_base64(agent_key), "reply": reply, "box": encode_base64(box)}


def open_params(intent: Verified[Intent], key: EncryptionKey) -> Verified[Intent]:
    """Return the intent with its parameters opened and no longer `sealed`.

    Raises:
        BadParamsError: not sealed to this key, or not made for exactly this intent.
    """
    order, envelope = intent.payload, intent.envelope
    sealed = order.sealed or {}
    if set(sealed) != {"key", "reply", "box"} or order.params:
        raise BadParamsError("sealed: key, reply and box, and params empty")
    if _read_bytes(sealed["key"], KEY_BYTES) != key.public:
        raise BadParamsError("sealed to another key than this agent's")
    _read_bytes(sealed["reply"], KEY_BYTES)
    content = _open(_read_bytes(sealed["box"]), key)
    expected = {
        "intentId": envelope.id,
        "action": order.action,
        "audience": envelope.audience,
        "signer": envelope.sender_did,
        "reply": sealed["reply"],
    }
    params = content.pop("params", None)
    if content != expected or not isinstance(params, dict):
        raise BadParamsError("sealed for another order")
    try:
        check_json_profile(params, max_depth=limits.MAX_PARAMS_DEPTH)
    except Error as exc:
        raise BadParamsError("sealed params outside the JSON profile") from exc
    return with_params(intent, params)


def reply_key_of(intent: Envelope) -> bytes | None:
    """Return the key that outputs of this intent are sealed to; None when it is not sealed.

    Raises:
        BadParamsError: sealed, with a key that cannot be read.
    """
    sealed = intent.payload.get("sealed")
    if sealed is None:
        return None
    return _read_bytes(sealed.get("reply") if isinstance(sealed, dict) else None, KEY_BYTES)


def seal_output(
    content: dict[str, JsonValue], *, intent_id: str, reply_key: bytes, ephemeral_seed: bytes
) -> JsonValue:
    """Return the `output` of a result whose content only the holder of `reply_key` reads.

    Args:
        content: `output`, or `message` where it did not succeed.
        intent_id: of the order.
        reply_key: from the order.
        ephemeral_seed: 32 random bytes, used once.
    """
    box = _seal(canonical_json({**content, "intentId": intent_id}), reply_key, ephemeral_seed)
    return {"sealed": {"key": encode_base64(reply_key), "box": encode_base64(box)}}


def open_output(output: JsonValue, *, intent_id: str, key: EncryptionKey) -> dict[str, JsonValue]:
    """Return `output` or `message` of a sealed output.

    Raises:
        BadParamsError: not sealed to this key, or for another order.
    """
    sealed = output.get("sealed") if isinstance(output, dict) else None
    if not isinstance(sealed, dict) or set(sealed) != {"key", "box"}:
        raise BadParamsError("not a sealed output")
    if _read_bytes(sealed["key"], KEY_BYTES) != key.public:
        raise BadParamsError("sealed to another key")
    content = _open(_read_bytes(sealed["box"]), key)
    if content.pop("intentId", None) != intent_id:
        raise BadParamsError("the output of another order")
    return content


def _seal(message: bytes, public: bytes, ephemeral_seed: bytes) -> bytes:
    """The bytes of `crypto_box_seal`, with the ephemeral key made from a given seed."""
    if len(ephemeral_seed) != SEED_BYTES:
        raise ValueError("the seed of an ephemeral key has 32 bytes")
    ephemeral, private = bindings.crypto_box_seed_keypair(ephemeral_seed)
    nonce = bindings.crypto_generichash_blake2b_salt_personal(
        ephemeral + public, digest_size=_NONCE_BYTES
    )
    try:
        return bytes(ephemeral + bindings.crypto_box(message, nonce, public, private))
    except CryptoError as exc:
        raise BadParamsError("a key that encrypts nothing") from exc


def _open(box: bytes, key: EncryptionKey) -> dict[str, Any]:
    try:
        text = bindings.crypto_box_seal_open(box, key.public, key.private)
    except (CryptoError, TypeError, ValueError) as exc:
        raise BadParamsError("the box does not open") from exc
    try:
        content = parse_strict_json(text)
    except Error as exc:
        raise BadParamsError("the box holds no JSON") from exc
    if not isinstance(content, dict):
        raise BadParamsError("the box holds no object")
    return dict(content)


def _read_bytes(value: object, length: int | None = None) -> bytes:
    try:
        data = decode_base64(value if isinstance(value, str) else "-")
    except (ValueError, Error) as exc:
        raise BadParamsError("not base64") from exc
    if length is not None and len(data) != length:
        raise BadParamsError(f"not {length} bytes")
    return data
