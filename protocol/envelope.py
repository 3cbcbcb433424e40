"""Owns the one shape of every signed thing: rows 2 and 3 of SPEC section 3, and sealing.

Parsing says only that the bytes are an envelope; `verification` says whom to believe. A known
type has one kind, so a document in the shape of a control frame is no envelope at all; whether
the type exists, and who may send it, is row 9.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from protocol import limits
from protocol.base64_text import decode_base64, encode_base64
from protocol.canonical import canonical_json, canonical_profile_json, read_canonical
from protocol.errors import BadEnvelopeError, BadJsonError, FrameTooLargeError
from protocol.ids import parse_id
from protocol.keys import SIGNATURE_BYTES, PublicKey, Signer
from protocol.messages.registry import MESSAGES
from protocol.strict_json import JsonValue, check_json_profile, parse_strict_json
from protocol.timestamps import format_timestamp, parse_timestamp

SIGNED_PREFIX: Final = b"writ.v1\0"
EVERYONE: Final = "*"
"""The audience of the few types that may speak to all (SPEC section 3)."""

_SHARED_FIELDS = frozenset(
    {"type", "id", "timestamp", "audience", "payload", "publicKey", "signature"}
)
_DOCUMENT_FIELDS = _SHARED_FIELDS | {"expires"}
_CONTROL_FIELDS = _SHARED_FIELDS | {"session", "sequence"}
_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_AUDIENCE = re.compile(r"\*|did:[a-z0-9]{1,32}:[A-Za-z0-9._:%-]{1,200}")


@dataclass(frozen=True, slots=True)
class Envelope:
    """A well-formed envelope. Nothing in it is believed before `verification` has run.

    Attributes:
        type: message type in snake_case; may be unknown.
        id: lowercase UUIDv7.
        timestamp: aware UTC time at which it was signed, in milliseconds.
        audience: DID of the one receiver, or `*`.
        payload: the object as parsed; treat it as frozen.
        public_key: the signer it names.
        signature: 64 bytes.
        wire: the exact bytes received or sealed; what is stored and forwarded.
        signed_bytes: `writ.v1`, a zero byte and the canonical form without `signature`.
        expires: only in documents.
        session: only in control frames; the connection's UUIDv7.
        sequence: only in control frames; 1 or more.
    """

    type: str
    id: str
    timestamp: datetime
    audience: str
    payload: dict[str, JsonValue]
    public_key: PublicKey
    signature: bytes
    wire: bytes
    signed_bytes: bytes
    expires: datetime | None = None
    session: str | None = None
    sequence: int | None = None

    @property
    def is_document(self) -> bool:
        """Whether it stands on its own, rather than belonging to one connection."""
        return self.expires is not None

    @property
    def digest(self) -> str:
        """Base64 SHA-256 of the signed bytes: the name other documents use for this one."""
        return encode_base64(hashlib.sha256(self.signed_bytes).digest())

    @property
    def sender_did(self) -> str:
        """DID of the key that it names as its signer."""
        return self.public_key.did

    def as_value(self) -> dict[str, JsonValue]:
        """Return the JSON object to embed in another payload. Its payload is shared, not copied."""
        value = _unsigned_value(
            type=self.type,
            id=self.id,
            timestamp=self.timestamp,
            audience=self.audience,
            payload=self.payload,
            public_key=self.public_key,
            expires=self.expires,
            session=self.session,
            sequence=self.sequence,
        )
        value["signature"] = encode_base64(self.signature)
        return value


def parse_envelope(data: bytes | str, *, max_bytes: int = limits.MAX_FRAME_BYTES) -> Envelope:
    """Return the envelope that `data` spells; control frame or document.

    Raises:
        FrameTooLargeError: more than `max_bytes`.
        BadJsonError: row 2, outside the JSON profile.
        BadEnvelopeError: row 3, another shape.
    """
    # One character is at least one byte, so huge text is refused before it is copied.
    if len(data) > max_bytes:
        raise FrameTooLargeError(f"more than {max_bytes} bytes")
    try:
        wire = data.encode() if isinstance(data, str) else bytes(data)
    except UnicodeEncodeError as exc:
        raise BadJsonError("not UTF-8") from exc
    if len(wire) > max_bytes:
        raise FrameTooLargeError(f"more than {max_bytes} bytes")
    value = read_canonical(wire)
    if isinstance(value, dict):
        _check_fields(value)
        text = _without_signature(value, wire)
        if text is not None:
            return _read_fields(value, wire, SIGNED_PREFIX + text)
    return _build_envelope(parse_strict_json(data), wire)


def parse_document(data: bytes | str) -> Envelope:
    """Return the document that `data` spells.

    Raises:
        FrameTooLargeError: more than a frame may hold.
        BadJsonError: outside the JSON profile.
        BadEnvelopeError: another shape, or a control frame.
    """
    return _require_document(parse_envelope(data))


def envelope_from_value(value: JsonValue) -> Envelope:
    """Return the document that was embedded as an object in another payload.

    Its `wire` is the canonical form of the object: the same signed bytes, whatever the spelling
    of the frame that carried it.

    Raises:
        BadJsonError: outside the JSON profile.
        BadEnvelopeError: another shape, or a control frame.
    """
    check_json_profile(value)
    return _require_document(_build_envelope(value, canonical_json(value)))


def seal_document(
    *,
    type: str,
    id: str,
    timestamp: datetime,
    expires: datetime,
    audience: str,
    payload: dict[str, JsonValue],
    signer: Signer,
) -> Envelope:
    """Return a signed document whose wire bytes are its canonical form.

    Raises:
        BadJsonError: the payload lies outside the JSON profile.
        BadEnvelopeError: a field of another form.
        FrameTooLargeError: more bytes than a frame may hold.
    """
    return _seal(
        signer,
        _unsigned_value(
            type=type,
            id=id,
            timestamp=timestamp,
            audience=audience,
            payload=payload,
            public_key=signer.public_key,
            expires=expires,
        ),
    )


def seal_control(
    *,
    type: str,
    id: str,
    timestamp: datetime,
    audience: str,
    session: str,
    sequence: int,
    payload: dict[str, JsonValue],
    signer: Signer,
) -> Envelope:
    """Return a signed control frame of one connection; wire bytes in canonical form.

    Raises:
        BadJsonError: the payload lies outside the JSON profile.
        BadEnvelopeError: a field of another form.
        FrameTooLargeError: more bytes than a frame may hold.
    """
    return _seal(
        signer,
        _unsigned_value(
            type=type,
            id=id,
            timestamp=timestamp,
            audience=audience,
            payload=payload,
            public_key=signer.public_key,
            session=session,
            sequence=sequence,
        ),
    )


def _unsigned_value(
    *,
    type: str,
    id: str,
    timestamp: datetime,
    audience: str,
    payload: dict[str, JsonValue],
    public_key: PublicKey,
    expires: datetime | None = None,
    session: str | None = None,
    sequence: int | None = None,
) -> dict[str, JsonValue]:
    value: dict[str, JsonValue] = {
        "type": type,
        "id": id,
        "timestamp": format_timestamp(timestamp),
        "audience": audience,
        "payload": payload,
        "publicKey": public_key.multikey,
    }
    if expires is not None:
        value["expires"] = format_timestamp(expires)
    else:
        value["session"] = session
        value["sequence"] = sequence
    return value


def _seal(signer: Signer, value: dict[str, JsonValue]) -> Envelope:
    text = canonical_profile_json(value)
    signed_bytes = SIGNED_PREFIX + text
    signature = signer.sign(signed_bytes)
    value["signature"] = encode_base64(signature)
    tail = _after_signature(value)
    head = text[: -len(tail)]
    wire = b'%b,"signature":"%b"%b' % (head, encode_base64(signature).encode(), tail)
    if len(wire) > limits.MAX_FRAME_BYTES:
        raise FrameTooLargeError(f"more than {limits.MAX_FRAME_BYTES} bytes")
    return _read_fields(value, wire, signed_bytes)


def _after_signature(value: dict[str, JsonValue]) -> bytes:
    """Return the end of an envelope's canonical form: what sorts behind `signature`.

    Only `timestamp` and `type` do, so a signature is put in, or taken out, by position instead of
    encoding everything a second time.
    """
    return f',"timestamp":"{value["timestamp"]}","type":"{value["type"]}"}}'.encode()


def _without_signature(value: dict[str, JsonValue], wire: bytes) -> bytes | None:
    """Return the canonical form without `signature` of a `wire` that is canonical itself.

    None where it does not end as it should: some of the three holds what JSON escapes.
    """
    tail = _after_signature(value)
    end = f',"signature":"{value["signature"]}"'.encode() + tail
    return wire[: -len(end)] + tail if wire.endswith(end) else None


def _build_envelope(value: JsonValue, wire: bytes) -> Envelope:
    if not isinstance(value, dict):
        raise BadEnvelopeError("an envelope is an object")
    unsigned = {name: field for name, field in value.items() if name != "signature"}
    _check_fields(value)
    return _read_fields(value, wire, SIGNED_PREFIX + canonical_json(unsigned))


def _check_fields(value: dict[str, JsonValue]) -> None:
    names = value.keys()
    if names not in (_DOCUMENT_FIELDS, _CONTROL_FIELDS):
        raise BadEnvelopeError("a field too many or too few")


def _read_fields(value: dict[str, JsonValue], wire: bytes, signed_bytes: bytes) -> Envelope:
    """Return the envelope of a value that has the fields of one kind, each now checked."""
    kind, audience, payload = value["type"], value["audience"], value["payload"]
    if not isinstance(kind, str) or _TYPE.fullmatch(kind) is None:
        raise BadEnvelopeError("a type is snake_case")
    known = MESSAGES.get(kind)
    if known is not None and (known.kind == "document") is not ("expires" in value):
        raise BadEnvelopeError(f"{kind} is a {known.kind} type")
    if not isinstance(audience, str) or _AUDIENCE.fullmatch(audience) is None:
        raise BadEnvelopeError("an audience is a DID or *")
    if not isinstance(payload, dict):
        raise BadEnvelopeError("a payload is an object")
    expires = session = sequence = None
    if "expires" in value:
        expires = parse_timestamp(value["expires"])
    else:
        session = parse_id(value["session"])
        sequence = value["sequence"]
        # `true` is an int to Python, and 1.0 has the canonical form of 1; neither is an integer.
        if type(sequence) is not int or sequence < 1:
            raise BadEnvelopeError("a sequence is an integer from 1")
    return Envelope(
        type=kind,
        id=parse_id(value["id"]),
        timestamp=parse_timestamp(value["timestamp"]),
        audience=audience,
        payload=payload,
        public_key=PublicKey.parse_multikey(value["publicKey"]),
        signature=decode_base64(value["signature"], size_bytes=SIGNATURE_BYTES),
        wire=wire,
        signed_bytes=signed_bytes,
        expires=expires,
        session=session,
        sequence=cast("int | None", sequence),
    )


def _require_document(envelope: Envelope) -> Envelope:
    if not envelope.is_document:
        raise BadEnvelopeError("a control frame where a document belongs")
    return envelope
