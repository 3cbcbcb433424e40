"""Owns rows 4 to 10 of SPEC section 3, in their order: whom an envelope may be believed.

The first failing row wins and nothing here changes state. What passes is a `Verified`, which no
other module makes, so a function that takes one cannot be handed an unproved envelope. Whether
the signer may order what it says is authority's question (section 7).
"""

from __future__ import annotations

import enum
from dataclasses import InitVar, dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Generic, TypeVar

from protocol import limits
from protocol.envelope import EVERYONE, Envelope
from protocol.errors import (
    BadEnvelopeError,
    ExpiredError,
    ForbiddenTypeError,
    FutureError,
    StaleError,
    UnknownTypeError,
    WrongAudienceError,
    WrongKeyError,
)
from protocol.keys import PublicKey
from protocol.messages.intents import Intent
from protocol.messages.registry import MESSAGES, parse_payload
from protocol.replay import ReplayView, check_document_replay, check_sequence

T_co = TypeVar("T_co", covariant=True)

_TYPES_FOR_EVERYONE = frozenset({"hello", "delegation", "revocations", "error"})
_MAKER: Final = object()


class Side(enum.Enum):
    """Which end of a connection sent an envelope."""

    HUB = "hub"
    AGENT = "agent"


@dataclass(frozen=True, slots=True)
class Verified(Generic[T_co]):
    """An envelope that passed its rows, with its payload as a model.

    Attributes:
        envelope: the proved envelope.
        payload: the model of its type.
    """

    envelope: Envelope
    payload: T_co
    maker: InitVar[object] = None

    def __post_init__(self, maker: object) -> None:
        if maker is not _MAKER:
            raise TypeError("only the verification functions make a Verified")


def verify_document(
    envelope: Envelope,
    *,
    audience: str,
    now: datetime,
    replay: ReplayView | None,
    sender: Side,
) -> Verified[Any]:
    """Return the document as verified: rows 5 to 10.

    Args:
        envelope: a document.
        audience: the receiver's own DID.
        now: the receiver's clock, never behind the highest it has seen.
        replay: what the receiver remembers; None where the caller asks that itself.
        sender: the side it came from.

    Raises:
        BadEnvelopeError: a control frame.
        BadSignatureError: row 5.
        WrongAudienceError: row 6.
        FutureError, ExpiredError: row 7.
        DuplicateDocumentError: row 8, the same bytes again: to be answered as the first time.
        IdReuseError: row 8, other bytes under a used id.
        UnknownTypeError, ForbiddenTypeError: row 9.
        BadPayloadError: row 10.
    """
    if not envelope.is_document:
        raise BadEnvelopeError("a control frame where a document belongs")
    verify_signature(envelope)
    check_audience(envelope, audience)
    check_document_freshness(envelope, now)
    if replay is not None:
        check_document_replay(envelope, replay)
    check_type(envelope, sender)
    return _verified(envelope)


def verify_document_offline(envelope: Envelope, *, at: datetime | None) -> Verified[Any]:
    """Return a stored document as verified for a reader who is not its receiver.

    Signature, type and payload hold, and the lifetime at the given moment when there is one.

    Raises:
        BadEnvelopeError: a control frame.
        BadSignatureError, UnknownTypeError, BadPayloadError: as in `verify_document`.
        FutureError, ExpiredError: not valid at `at`.
    """
    if not envelope.is_document:
        raise BadEnvelopeError("a control frame where a document belongs")
    verify_signature(envelope)
    if at is not None:
        check_document_freshness(envelope, at)
    check_type(envelope, None)
    return _verified(envelope)


def with_params(intent: Verified[Intent], params: dict[str, Any]) -> Verified[Intent]:
    """Return a verified intent with the params that its `sealed` held; the envelope stays.

    For `protocol.sealing` alone, which has proved that they were sealed for this very intent.
    """
    payload = intent.payload.model_copy(update={"params": params, "sealed": None})
    return Verified(intent.envelope, payload, _MAKER)


def verify_control(
    envelope: Envelope,
    *,
    peer: PublicKey | None,
    audience: str,
    now: datetime,
    clock_skew_seconds: float,
    session: str,
    next_sequence: int,
    sender: Side,
) -> Verified[Any]:
    """Return the control frame as verified: rows 4 to 10.

    A session machine that must act between the rows (a sequence number is used once row 8 has
    passed) calls the functions below itself.

    Args:
        envelope: a control frame.
        peer: the key that proved itself on this socket; None before the first frame.
        audience: the receiver's own DID.
        now: the receiver's clock.
        clock_skew_seconds: how far the timestamp may be off, either way.
        session: the connection's id from `hello`.
        next_sequence: the only sequence number that fits.
        sender: the side it came from.

    Raises:
        VerificationError: the class of the first row that fails.
    """
    check_peer_key(envelope, peer)
    verify_signature(envelope)
    check_audience(envelope, audience)
    check_control_freshness(envelope, now, clock_skew_seconds=clock_skew_seconds)
    check_sequence(envelope, session=session, next_sequence=next_sequence)
    return verify_control_payload(envelope, sender)


def verify_control_payload(envelope: Envelope, sender: Side) -> Verified[Any]:
    """Return a control frame as verified whose rows 4 to 8 have passed: rows 9 and 10.

    Raises:
        UnknownTypeError, ForbiddenTypeError: row 9.
        BadPayloadError: row 10.
    """
    check_type(envelope, sender)
    return _verified(envelope)


def check_peer_key(envelope: Envelope, peer: PublicKey | None) -> None:
    """Row 4: the signer is the key that proved itself on this socket, if one has.

    Raises:
        WrongKeyError: another key.
    """
    if peer is not None and envelope.public_key != peer:
        raise WrongKeyError("signed by another key than this connection's")


def verify_signature(envelope: Envelope) -> None:
    """Row 5: the signature holds over the signed bytes, under the key the envelope names.

    Raises:
        BadSignatureError: it does not.
    """
    envelope.public_key.verify(envelope.signature, envelope.signed_bytes)


def check_audience(envelope: Envelope, audience: str) -> None:
    """Row 6: it is addressed to this receiver, or to all by a type that may do so.

    Raises:
        WrongAudienceError: neither.
    """
    if envelope.audience == audience:
        return
    if envelope.audience == EVERYONE and envelope.type in _TYPES_FOR_EVERYONE:
        return
    raise WrongAudienceError("addressed to somebody else")


def check_control_freshness(
    envelope: Envelope, now: datetime, *, clock_skew_seconds: float
) -> None:
    """Row 7 for control frames: signed within the skew around `now`, both ends included.

    Raises:
        StaleError: too old.
        FutureError: too far ahead.
    """
    skew = timedelta(seconds=clock_skew_seconds)
    if envelope.timestamp < now - skew:
        raise StaleError("signed too long ago")
    if envelope.timestamp > now + skew:
        raise FutureError("signed in the future")


def check_document_freshness(envelope: Envelope, now: datetime) -> None:
    """Row 7 for documents: `timestamp` - 60 s <= `now` < `expires`.

    Raises:
        FutureError: not valid yet.
        ExpiredError: no longer valid.
        BadEnvelopeError: not a document at all.
    """
    if envelope.expires is None:
        raise BadEnvelopeError("a control frame where a document belongs")
    # Compared as a difference: a timestamp in year 1 has no moment a minute before it.
    if envelope.timestamp - now > limits.DOCUMENT_SKEW:
        raise FutureError("signed in the future")
    if now >= envelope.expires:
        raise ExpiredError("its time has gone")


def check_type(envelope: Envelope, sender: Side | None) -> None:
    """Row 9: the type is known and may come from `sender`.

    Args:
        envelope: any envelope.
        sender: None where it is not known or does not matter.

    Raises:
        UnknownTypeError: no such type.
        ForbiddenTypeError: a known type from the wrong side.
    """
    kind = MESSAGES.get(envelope.type)
    if kind is None:
        raise UnknownTypeError("no such message type")
    if (sender is Side.HUB and not kind.from_hub) or (sender is Side.AGENT and not kind.from_agent):
        raise ForbiddenTypeError(f"{envelope.type} does not come from this side")


def _verified(envelope: Envelope) -> Verified[Any]:
    payload = parse_payload(envelope.type, envelope.payload)
    return Verified(envelope, payload, _MAKER)
