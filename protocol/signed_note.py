"""Owns C2SP signed notes: text that anyone can read, and signature lines below it.

Ed25519 signatures (type 0x01) are made and verified here, a witness's (0x04) by `cosignature`;
lines of other keys are carried and ignored. What the text says is the caller's business.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from protocol.base64_text import decode_base64, encode_base64
from protocol.errors import BadEnvelopeError, BadSignatureError, ProofError
from protocol.keys import PublicKey, Signer

MAX_NOTE_CHARS: Final = 64 * 1024
MAX_NOTE_SIGNATURES: Final = 64
"""At least 16 must be taken (C2SP signed-note)."""

ED25519: Final = b"\x01"
COSIGNATURE: Final = b"\x04"
"""Kinds of key: of who says the text, and of a witness who saw it at a time."""
_KEY_ID_BYTES = 4
_CONTROL = re.compile("[\0-\x09\x0b-\x1f\ud800-\udfff]")
_LINE = re.compile("\u2014 ([^\\s+]+) ([A-Za-z0-9+/]+={0,2})")
_NAME = re.compile(r"[^\s+]{1,200}")


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: the key's name, the first four bytes of its hash, and the rest."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A note whose signatures nobody has verified yet; `text` ends in a newline."""

    text: str
    signatures: tuple[NoteSignature, ...]


def note_key_id(name: str, key: PublicKey, *, kind: bytes = ED25519) -> bytes:
    """Return the four bytes that, with `name`, tell which key made a signature line."""
    return hashlib.sha256(name.encode() + b"\n" + kind + key.raw).digest()[:_KEY_ID_BYTES]


def check_note_name(name: str) -> None:
    """Return when `name` can be a key's in a note; `ValueError` otherwise."""
    if _NAME.fullmatch(name) is None or _CONTROL.search(name) is not None:
        raise ValueError("no name for a key: white space or a plus sign")


def seal_note(text: str, *, name: str, signer: Signer) -> str:
    """Return `text` as a note with one Ed25519 signature.

    Raises:
        ValueError: text without a final newline or with control characters, or a name with
            white space or a plus sign.
    """
    if not text.endswith("\n") or _CONTROL.search(text) or _NAME.fullmatch(name) is None:
        raise ValueError("no text or name for a signed note")
    blob = note_key_id(name, signer.public_key) + signer.sign(text.encode())
    return f"{text}\n\u2014 {name} {encode_base64(blob)}\n"


def parse_note(note: str) -> SignedNote:
    """Return the text and signature lines of `note`, unverified.

    Raises:
        ProofError: not a signed note.
    """
    if len(note) > MAX_NOTE_CHARS or _CONTROL.search(note) is not None:
        raise ProofError("not a signed note")
    text, blank, below = note.rpartition("\n\n")
    lines = below.removesuffix("\n").split("\n")
    if not blank or not text or not below.endswith("\n") or len(lines) > MAX_NOTE_SIGNATURES:
        raise ProofError("not a signed note")
    return SignedNote(text + "\n", tuple(_parse_line(line) for line in lines))


def verify_note(note: str, *, name: str, key: PublicKey) -> str:
    """Return the text of `note`, signed by the key of this name.

    Raises:
        ProofError: not a note, not signed by that key, or one of its signatures does not hold.
    """
    parsed = parse_note(note)
    key_id = note_key_id(name, key)
    own = [line for line in parsed.signatures if (line.name, line.key_id) == (name, key_id)]
    if not own:
        raise ProofError("the note is not signed by the key it should be")
    for line in own:
        try:
            key.verify(line.signature, parsed.text.encode())
        except BadSignatureError as exc:
            raise ProofError("the signature of the note does not hold") from exc
    return parsed.text


def _parse_line(line: str) -> NoteSignature:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ProofError("not a signed note")
    try:
        blob = decode_base64(match[2])
    except BadEnvelopeError as exc:
        raise ProofError("not a signed note") from exc
    if len(blob) <= _KEY_ID_BYTES:
        raise ProofError("not a signed note")
    return NoteSignature(match[1], blob[:_KEY_ID_BYTES], blob[_KEY_ID_BYTES:])
