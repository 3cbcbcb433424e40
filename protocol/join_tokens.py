"""Join tokens and the proof of having one: the secret itself never travels (SPEC section 5).

Pure: single use, lifetime and the encrypted keeping of k are the hub's store's business.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from protocol.base64_text import encode_base64
from protocol.canonical import canonical_json
from protocol.errors import AuthFailedError, BadEnvelopeError, Error, JoinTokenError
from protocol.ids import parse_id
from protocol.keys import PublicKey
from protocol.limits import JOIN_SECRET_BYTES
from protocol.strict_json import parse_strict_json

JOIN_TOKEN_PREFIX: Final = "writ-join:"  # noqa: S105  # a prefix, no secret
_MAX_TOKEN_CHARS: Final = 4_096


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What an admin hands to a machine: where the hub is, whom to believe, and a secret.

    Attributes:
        hub: WebSocket URL, `ws://` or `wss://`.
        root: the root key to pin.
        id: the token's id at the hub.
        secret: 32 bytes; never printed.
    """

    hub: str
    root: PublicKey
    id: str
    secret: bytes = field(repr=False)


def encode_join_token(token: JoinToken) -> str:
    """Return the one line of text that `parse_join_token` reads.

    Raises:
        JoinTokenError: a field of another form.
    """
    value = {
        "hub": token.hub,
        "root": token.root.did,
        "id": token.id,
        "secret": _encode_base64url(token.secret),
    }
    text = JOIN_TOKEN_PREFIX + _encode_base64url(canonical_json(dict(value)))
    parse_join_token(text)
    return text


def parse_join_token(text: str) -> JoinToken:
    """Return the token that `text` spells; white space around it is ignored.

    Raises:
        JoinTokenError: not a join token; the message never repeats any of it.
    """
    text = text.strip()
    if not text.startswith(JOIN_TOKEN_PREFIX) or len(text) > _MAX_TOKEN_CHARS:
        raise JoinTokenError("a join token begins with writ-join:")
    try:
        value = parse_strict_json(_decode_base64url(text[len(JOIN_TOKEN_PREFIX) :]))
        if not isinstance(value, dict) or value.keys() != {"hub", "root", "id", "secret"}:
            raise JoinTokenError("a join token holds hub, root, id and secret")
        secret = _decode_base64url(value["secret"])
        if len(secret) != JOIN_SECRET_BYTES:
            raise JoinTokenError("the secret of a join token has 32 bytes")
        root = PublicKey.parse_did(value["root"])
        return JoinToken(_parse_hub_url(value["hub"]), root, parse_id(value["id"]), secret)
    except JoinTokenError:
        raise
    except Error as exc:
        raise JoinTokenError("not a join token") from exc


def join_key(secret: bytes) -> bytes:
    """Return k, the SHA-256 of a token's secret: all that the hub keeps of it."""
    return hashlib.sha256(secret).digest()


def join_proof(k: bytes, payload: dict[str, Any]) -> str:
    """Return the proof for a `register` payload: base64 HMAC-SHA256 over its canonical form.

    Args:
        k: the 32 bytes of `join_key`.
        payload: the wire object, with its `join.tokenId`; a `join.proof` in it is left out.
    """
    join = payload.get("join")
    if isinstance(join, dict):
        payload = {**payload, "join": {k_: v for k_, v in join.items() if k_ != "proof"}}
    return encode_base64(hmac.digest(k, canonical_json(payload), "sha256"))


def verify_join_proof(k: bytes, payload: dict[str, Any]) -> None:
    """Return when the payload, as it came off the wire, proves possession of k's secret.

    Raises:
        AuthFailedError: it does not.
    """
    join = payload.get("join")
    proof = join.get("proof") if isinstance(join, dict) else None
    if not isinstance(proof, str) or not hmac.compare_digest(
        proof.encode("utf-8", "replace"), join_proof(k, payload).encode()
    ):
        raise AuthFailedError("the join proof does not hold")


def _parse_hub_url(url: object) -> str:
    if not isinstance(url, str) or not url.isascii():
        raise JoinTokenError("the hub of a join token is a WebSocket URL")
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("ws", "wss") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise JoinTokenError("the hub of a join token is a WebSocket URL")
    return url


def _encode_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _decode_base64url(text: object) -> bytes:
    if not isinstance(text, str) or not text.isascii():
        raise BadEnvelopeError("base64url is a string")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise BadEnvelopeError("not base64url") from exc
    # One spelling: no padding, unused bits zero, and none of the other alphabet.
    if _encode_base64url(data) != text:
        raise BadEnvelopeError("base64url in another than its one spelling")
    return data
