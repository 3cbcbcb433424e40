"""Owns what a leaf of the record says: its fields, their exact bytes, personal data beside it.

A leaf is the canonical JSON of its fields, so it can never change. What a person may want forgotten
(names, addresses, reasons in free text) stands in it only as a salted hash; the value lies beside
the leaf and can be erased, and while it is there the hash proves it. Every leaf has a random salt
of its own too: whoever sees hashes of leaves that are not theirs cannot guess what they say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, NamedTuple

from protocol.base64_text import decode_base64, encode_base64
from protocol.canonical import canonical_json, canonical_plain
from protocol.errors import Error, ProofError
from protocol.strict_json import JsonValue, parse_strict_json
from protocol.timestamps import format_timestamp

SALT_BYTES: Final = 16
MAX_LEAF_BYTES: Final = 65_535
"""What one entry of a C2SP entry bundle may have."""

_time_text = lru_cache(maxsize=64)(format_timestamp)
"""One transaction, one time."""
_INDEX: Final = b',"index":0,'
_UNNUMBERED: Final = _INDEX + b'"kind":'
_STRINGS: Final = {str}
_PERSONAL = b"\x02"
"""Apart from leaves (0) and nodes (1) of the tree."""


class Assurance(StrEnum):
    """How far an entry's word about who acted reaches.

    `ENFORCED`: the hub checked the right of an identity that had proved itself, or a signature
    proves it. `ATTRIBUTED`: it was done in somebody's name on the word of somebody else.
    `UNKNOWN`: nobody proved anything; leaves from before this was noted say nothing and count so.
    """

    ENFORCED = "enforced"
    ATTRIBUTED = "attributed"
    UNKNOWN = "unknown"


_PROVED = ("user:", "key:", "did:key:")


def assurance_of(actor: str) -> Assurance:
    """Return what an entry by `actor` is worth when nothing else is said about it."""
    if actor == "hub" or actor.startswith(_PROVED):
        return Assurance.ENFORCED
    return Assurance.ATTRIBUTED if actor.startswith("oidc:") else Assurance.UNKNOWN


@dataclass(frozen=True, slots=True)
class LeafContent:
    """What a leaf says, read back. Leaves from before a field was there have its empty value."""

    index: int
    at: str
    kind: str
    actor: str
    subject: str
    data: dict[str, Any]
    assurance: Assurance
    realms: tuple[str, ...]
    personal: Mapping[str, str]


class LeafDraft(NamedTuple):
    """All of a leaf but its index, which is given last: what stands before it, and after."""

    head: bytes
    tail: bytes


def draft_leaf(
    *,
    at: datetime,
    kind: str,
    actor: str,
    subject: str,
    data: dict[str, Any],
    assurance: Assurance,
    realms: Sequence[str],
    personal: Mapping[str, bytes],
    salt: bytes,
) -> LeafDraft:
    """Return a leaf that lacks its index alone.

    Args:
        at: when.
        kind: what happened.
        actor: who did it.
        subject: what it was done to.
        data: facts; never secrets, never what a person may want forgotten.
        assurance: how `actor` is known.
        realms: whose readers may read it; none for what concerns the hub as a whole.
        personal: hashes by `personal_hash`, by the name of the field.
        salt: 16 random bytes.

    Raises:
        BadJsonError: no JSON.
        ValueError: longer than a leaf may be.
    """
    said: dict[str, Any] = {
        "actor": actor,
        "assurance": str(assurance),
        "at": _time_text(at),
        "data": data,
        "index": 0,
        "kind": kind,
        "realms": list(realms),
        "salt": encode_base64(salt),
        "subject": subject,
    }
    if personal:
        said["personal"] = {name: encode_base64(hash) for name, hash in personal.items()}
    # Most leaves are of strings alone, and every order makes four: the walk is worth saving.
    plain = {*map(type, data.values())} <= _STRINGS and "".join(data).isascii()
    encode = canonical_plain if plain else canonical_json
    leaf = encode(said)
    _check_length(len(leaf))  # too long is told to who wrote it, not to who numbers it
    # The last of these is the leaf's own: after it come strings alone, with their quotes escaped.
    found = leaf.rindex(_UNNUMBERED)
    return LeafDraft(leaf[:found], leaf[found + len(_INDEX) :])


def number_leaf(draft: LeafDraft, index: int) -> bytes:
    """Return the exact bytes of the leaf at this position in the record, from 0.

    Raises:
        ValueError: longer than a leaf may be.
    """
    leaf = b'%b,"index":%d,%b' % (draft.head, index, draft.tail)
    _check_length(len(leaf))
    return leaf


def _check_length(size_bytes: int) -> None:
    if size_bytes > MAX_LEAF_BYTES:
        raise ValueError("a leaf has at most 65,535 bytes")


def parse_leaf(leaf: bytes) -> LeafContent:
    """Return what `leaf` says.

    Raises:
        ProofError: it is no leaf.
    """
    try:
        value = parse_strict_json(leaf)
        if not isinstance(value, dict):
            raise ProofError("not a leaf of a record")
        personal = value.get("personal", {})
        content = LeafContent(
            index=value["index"],  # type: ignore[arg-type]
            at=value["at"],  # type: ignore[arg-type]
            kind=value["kind"],  # type: ignore[arg-type]
            actor=value["actor"],  # type: ignore[arg-type]
            subject=value["subject"],  # type: ignore[arg-type]
            data=value["data"],  # type: ignore[arg-type]
            assurance=Assurance(str(value.get("assurance", "unknown"))),
            realms=tuple(value.get("realms", ())),  # type: ignore[arg-type]
            personal=personal,  # type: ignore[arg-type]
        )
    except (Error, KeyError, ValueError, TypeError) as exc:
        raise ProofError("not a leaf of a record") from exc
    if not isinstance(content.personal, dict) or not isinstance(content.data, dict):
        raise ProofError("not a leaf of a record")
    return content


def personal_hash(salt: bytes, value: JsonValue) -> bytes:
    """Return what a leaf keeps of a personal value: nothing, without the salt."""
    if len(salt) != SALT_BYTES:
        raise ValueError("a salt has 16 bytes")
    return hashlib.sha256(_PERSONAL + salt + canonical_json(value)).digest()


def verify_personal(content: LeafContent, field: str, *, salt: bytes, value: JsonValue) -> None:
    """Return when `value` is what the leaf said of `field`.

    Raises:
        ProofError: it is not, or the leaf has no such field.
    """
    try:
        expected = decode_base64(content.personal[field], size_bytes=32)
        found = personal_hash(salt, value)
    except (Error, KeyError, ValueError, TypeError, AttributeError) as exc:
        raise ProofError("the leaf says nothing of this field") from exc
    if found != expected:
        raise ProofError("not the value that the leaf was made with")
