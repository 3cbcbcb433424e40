"""Owns checkpoints: the size and root of the record at one moment, as C2SP `tlog-checkpoint`.

The log's name (origin) is the name of its key in the signed note. Whether two checkpoints of one
log can both be true is `audit_tree`'s to prove.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from protocol.audit_tree import EMPTY_ROOT, HASH_BYTES, MAX_TREE_SIZE
from protocol.base64_text import decode_base64, encode_base64
from protocol.errors import BadEnvelopeError, ProofError
from protocol.keys import PublicKey, Signer
from protocol.signed_note import parse_note, seal_note, verify_note

_SIZE = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log.

    Attributes:
        origin: name of the log, unique to it.
        size: leaves.
        root_hash: 32 bytes.
    """

    origin: str
    size: int
    root_hash: bytes


def seal_checkpoint(origin: str, size: int, root_hash: bytes, signer: Signer) -> str:
    """Return the signed note that says: this log has this size and this root.

    Raises:
        ValueError: an origin with white space or a plus sign, an impossible size or root.
    """
    if not 0 <= size <= MAX_TREE_SIZE or len(root_hash) != HASH_BYTES:
        raise ValueError("no such tree")
    text = f"{origin}\n{size}\n{encode_base64(root_hash)}\n"
    return seal_note(text, name=origin, signer=signer)


def parse_checkpoint(text: str) -> Checkpoint:
    """Return what a checkpoint says, with its signatures unverified.

    Raises:
        ProofError: not a checkpoint.
    """
    return _parse_body(parse_note(text).text)


def verify_checkpoint(text: str, log_key: PublicKey) -> Checkpoint:
    """Return what a checkpoint says, signed by `log_key` under the log's own name.

    Raises:
        ProofError: not a checkpoint, or not that key's.
    """
    checkpoint = parse_checkpoint(text)
    verify_note(text, name=checkpoint.origin, key=log_key)
    return checkpoint


def _parse_body(body: str) -> Checkpoint:
    lines = body.split("\n")  # the last one is what follows the final newline: nothing
    if len(lines) < 4 or "" in lines[:-1]:
        raise ProofError("not a checkpoint")
    origin, size_text, root_text = lines[:3]  # extension lines may follow
    if _SIZE.fullmatch(size_text) is None:
        raise ProofError("not a checkpoint")
    size = int(size_text)
    try:
        root = decode_base64(root_text, size_bytes=HASH_BYTES)
    except BadEnvelopeError as exc:
        raise ProofError("not a checkpoint") from exc
    if size > MAX_TREE_SIZE or (size == 0 and root != EMPTY_ROOT):
        raise ProofError("not a checkpoint")
    return Checkpoint(origin, size, root)
