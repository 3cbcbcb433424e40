"""Owns row 8 of SPEC section 3: what was seen before, and in which order frames come.

Remembers nothing itself: the durable memory of documents comes in as a `ReplayView`, the next
sequence number as an integer. So a failed check changes no state.
"""

from __future__ import annotations

from typing import Protocol

from protocol.envelope import Envelope
from protocol.errors import (
    BadSequenceError,
    DuplicateDocumentError,
    IdReuseError,
    ReplayError,
    WrongSessionError,
)


class ReplayView(Protocol):
    """What the receiver remembers of documents, at least until each `expires`."""

    def seen_digest(self, public_key: str, id: str) -> str | None:
        """Return the digest first seen under this signer (Multikey) and id, or None."""
        ...


def check_document_replay(envelope: Envelope, view: ReplayView) -> None:
    """Return when the document is new to its receiver.

    Two signatures over the same signed bytes are the same document: the digest covers all that
    is signed, and the signer alone could have made either.

    Raises:
        DuplicateDocumentError: the same signed bytes were seen; the first answer is due again.
        IdReuseError: other bytes under an id that the signer has used.
    """
    seen = view.seen_digest(envelope.public_key.multikey, envelope.id)
    if seen is None:
        return
    if seen == envelope.digest:
        raise DuplicateDocumentError(envelope.id, seen)
    raise IdReuseError("other bytes under an id that was used before")


def check_sequence(envelope: Envelope, *, session: str, next_sequence: int) -> None:
    """Return when the control frame is the next one of its connection and direction.

    Args:
        envelope: a control frame.
        session: id of the connection, from `hello`.
        next_sequence: one more than the last number used in this direction.

    Raises:
        WrongSessionError: it belongs to another connection.
        ReplayError: its number was used.
        BadSequenceError: it leaves a gap.
    """
    if envelope.session != session or envelope.sequence is None:
        raise WrongSessionError("a frame of another connection")
    if envelope.sequence < next_sequence:
        raise ReplayError(f"sequence {envelope.sequence} was used")
    if envelope.sequence > next_sequence:
        raise BadSequenceError(f"sequence {envelope.sequence} instead of {next_sequence}")
