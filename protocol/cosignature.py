"""Owns C2SP `tlog-cosignature` v1: a witness's signed word that it saw a checkpoint, and when.

A witness signs only what follows from everything it signed before, so two logs under one name
cannot both be cosigned by it. Whether one checkpoint follows from another is `audit_tree`'s to
prove; where a witness keeps what it saw is its own business.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from protocol.base64_text import decode_base64, encode_base64
from protocol.errors import BadEnvelopeError, BadSignatureError, ProofError
from protocol.keys import SIGNATURE_BYTES, PublicKey, Signer
from protocol.signed_note import (
    COSIGNATURE,
    NoteSignature,
    check_note_name,
    note_key_id,
    parse_note,
)

_TIME_BYTES: Final = 8
_MAX_TIME: Final = 2**53 - 1
_VERIFIER = re.compile(r"([^\s+]{1,200})\+([0-9a-f]{8})\+([A-Za-z0-9+/]+={0,2})")


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """A witness's key; without a name it is any witness that holds the key."""

    key: PublicKey
    name: str | None = None


def parse_witness_key(text: str) -> WitnessKey:
    """Return the key that a C2SP verifier key (`name+hash+key`) or a `did:key` spells.

    Raises:
        BadEnvelopeError: neither.
    """
    match = _VERIFIER.fullmatch(text)
    if match is None:
        return WitnessKey(PublicKey.parse_did(text))
    name, key_id, blob = match[1], match[2], decode_base64(match[3])
    if len(blob) != 33 or blob[:1] != COSIGNATURE:
        raise BadEnvelopeError("not the key of an Ed25519 witness")
    key = PublicKey(blob[1:])
    if note_key_id(name, key, kind=COSIGNATURE).hex() != key_id:
        raise BadEnvelopeError("the hash in the key is another key's")
    return WitnessKey(key, name)


def format_witness_key(name: str, key: PublicKey) -> str:
    """Return the C2SP verifier key of a witness.

    Raises:
        ValueError: a name with white space or a plus sign.
    """
    check_note_name(name)
    key_id = note_key_id(name, key, kind=COSIGNATURE).hex()
    return f"{name}+{key_id}+{encode_base64(COSIGNATURE + key.raw)}"


def cosign(note: str, *, name: str, signer: Signer, unix_seconds: int) -> str:
    """Return the signature line that says: `name` saw this checkpoint at that time.

    Raises:
        ProofError: not a signed note.
        ValueError: a name with white space or a plus sign, or a time before 1970.
    """
    check_note_name(name)
    if not 0 < unix_seconds <= _MAX_TIME:
        raise ValueError("no time for a cosignature")
    signature = signer.sign(_message(parse_note(note).text, unix_seconds))
    blob = (
        note_key_id(name, signer.public_key, kind=COSIGNATURE)
        + unix_seconds.to_bytes(_TIME_BYTES, "big")
        + signature
    )
    return f"\u2014 {name} {encode_base64(blob)}\n"


def verify_cosignature(note: str, witness: WitnessKey) -> int:
    """Return when `witness` saw this checkpoint, in seconds since 1970.

    Raises:
        ProofError: not a signed note, not cosigned by this witness, or it does not hold.
    """
    parsed = parse_note(note)
    own = [line for line in parsed.signatures if _is_of(line, witness)]
    if not own:
        raise ProofError("not cosigned by this witness")
    newest = 0
    for line in own:
        if len(line.signature) != _TIME_BYTES + SIGNATURE_BYTES:
            raise ProofError("not a cosignature")
        seconds = int.from_bytes(line.signature[:_TIME_BYTES], "big")
        try:
            witness.key.verify(line.signature[_TIME_BYTES:], _message(parsed.text, seconds))
        except BadSignatureError as exc:
            raise ProofError("the cosignature does not hold") from exc
        newest = max(newest, seconds)
    return newest


def _is_of(line: NoteSignature, witness: WitnessKey) -> bool:
    if witness.name not in (None, line.name):
        return False
    return line.key_id == note_key_id(line.name, witness.key, kind=COSIGNATURE)


def _message(text: str, unix_seconds: int) -> bytes:
    return f"cosignature/v1\ntime {unix_seconds}\n{text}".encode()
