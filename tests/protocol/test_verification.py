"""Rows 4 to 10: each refuses with its own code, in the order of the table, changing nothing."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from protocol.envelope import Envelope
from protocol.errors import (
    BadEnvelopeError,
    BadPayloadError,
    BadSequenceError,
    BadSignatureError,
    DuplicateDocumentError,
    Error,
    ExpiredError,
    ForbiddenTypeError,
    FutureError,
    IdReuseError,
    ReplayError,
    StaleError,
    UnknownTypeError,
    WrongAudienceError,
    WrongKeyError,
    WrongSessionError,
)
from protocol.messages import Heartbeat, Intent
from protocol.verification import (
    Side,
    Verified,
    check_document_freshness,
    verify_control,
    verify_document,
    verify_document_offline,
)
from tests.protocol.material import (
    AGENT,
    CANCEL,
    HEARTBEAT,
    HUB,
    INTENT,
    NOW,
    OTHER,
    SESSION,
    a_control_frame,
    a_document,
    an_id,
)

MINUTE = timedelta(seconds=60)
MILLISECOND = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)


class Seen:
    """A replay memory that is a dict."""

    def __init__(self, *envelopes: Envelope) -> None:
        self.digests = {(e.public_key.multikey, e.id): e.digest for e in envelopes}

    def seen_digest(self, public_key: str, id: str) -> str | None:
        return self.digests.get((public_key, id))


def verify(envelope: Envelope, **changes: Any) -> Verified[Any]:
    arguments: dict[str, Any] = {
        "audience": AGENT.public_key.did,
        "now": NOW,
        "replay": Seen(),
        "sender": Side.HUB,
    }
    return verify_document(envelope, **{**arguments, **changes})


def verify_frame(envelope: Envelope, **changes: Any) -> Verified[Any]:
    arguments: dict[str, Any] = {
        "peer": AGENT.public_key,
        "audience": HUB.public_key.did,
        "now": NOW,
        "clock_skew_seconds": 60,
        "session": SESSION,
        "next_sequence": 2,
        "sender": Side.AGENT,
    }
    return verify_control(envelope, **{**arguments, **changes})


def broken(envelope: Envelope) -> Envelope:
    return dataclasses.replace(envelope, signature=bytes(64))


def test_a_good_document_becomes_a_verified_model() -> None:
    envelope = a_document()
    verified = verify(envelope)
    assert verified.envelope is envelope
    assert isinstance(verified.payload, Intent)
    assert verified.payload.action == "files.read"
    assert verify(envelope, replay=None) == verified


def test_a_good_control_frame_becomes_a_verified_model() -> None:
    verified = verify_frame(a_control_frame())
    assert isinstance(verified.payload, Heartbeat)
    assert verify_frame(a_control_frame(), peer=None) == verified


def test_nobody_else_makes_a_verified() -> None:
    envelope = a_document()
    for attempt in (
        lambda: Verified(envelope, INTENT),
        lambda: Verified(envelope, INTENT, object()),
        lambda: dataclasses.replace(verify(envelope), payload=INTENT),
    ):
        with pytest.raises((TypeError, ValueError)):
            attempt()


BAD_PAYLOAD = {**INTENT, "timeoutSeconds": -1}


# Each document fails at its own row and at every later one that it can, so the row shows.
@pytest.mark.parametrize(
    ("envelope", "changes", "error"),
    [
        (
            broken(a_document(BAD_PAYLOAD, audience=OTHER.public_key.did)),
            {"now": NOW + HOUR, "sender": Side.AGENT},
            BadSignatureError,
        ),
        (
            a_document(BAD_PAYLOAD, audience=OTHER.public_key.did),
            {"now": NOW + HOUR, "sender": Side.AGENT},
            WrongAudienceError,
        ),
        (a_document(audience="*"), {}, WrongAudienceError),
        (a_document(BAD_PAYLOAD), {"now": NOW + HOUR, "sender": Side.AGENT}, ExpiredError),
        (a_document(BAD_PAYLOAD), {"now": NOW - HOUR, "sender": Side.AGENT}, FutureError),
        (
            a_document(BAD_PAYLOAD),
            {"replay": Seen(a_document(CANCEL, type="intent_cancel")), "sender": Side.AGENT},
            IdReuseError,
        ),
        (
            a_document(BAD_PAYLOAD),
            {"replay": Seen(a_document(BAD_PAYLOAD)), "sender": Side.AGENT},
            DuplicateDocumentError,
        ),
        (a_document(BAD_PAYLOAD, type="no_such_type"), {}, UnknownTypeError),
        (a_document(BAD_PAYLOAD), {"sender": Side.AGENT}, ForbiddenTypeError),
        (a_document({}, type="result"), {"sender": Side.HUB}, ForbiddenTypeError),
        (a_document(BAD_PAYLOAD), {}, BadPayloadError),
        (a_document({**INTENT, "extra": 1}), {}, BadPayloadError),
    ],
)
def test_the_first_failing_row_of_a_document_wins(
    envelope: Envelope, changes: dict[str, Any], error: type[Error]
) -> None:
    with pytest.raises(Error) as caught:
        verify(envelope, **changes)
    assert type(caught.value) is error


BAD_HEARTBEAT = {**HEARTBEAT, "uptimeSeconds": "x"}


@pytest.mark.parametrize(
    ("make", "changes", "error"),
    [
        (lambda: broken(a_control_frame(signer=OTHER)), {"session": an_id()}, WrongKeyError),
        (lambda: broken(a_control_frame(audience=OTHER.public_key.did)), {}, BadSignatureError),
        (
            lambda: a_control_frame(audience=OTHER.public_key.did),
            {"now": NOW + HOUR},
            WrongAudienceError,
        ),
        (lambda: a_control_frame(audience="*"), {}, WrongAudienceError),
        (lambda: a_control_frame(), {"now": NOW + HOUR, "session": an_id()}, StaleError),
        (lambda: a_control_frame(), {"now": NOW - HOUR, "session": an_id()}, FutureError),
        (lambda: a_control_frame(sequence=1), {"session": an_id()}, WrongSessionError),
        (lambda: a_control_frame(BAD_HEARTBEAT, sequence=1), {}, ReplayError),
        (lambda: a_control_frame(BAD_HEARTBEAT, sequence=3), {}, BadSequenceError),
        (lambda: a_control_frame(BAD_HEARTBEAT, type="no_such_type"), {}, UnknownTypeError),
        (lambda: a_control_frame(BAD_HEARTBEAT), {"sender": Side.HUB}, ForbiddenTypeError),
        (lambda: a_control_frame(BAD_HEARTBEAT), {}, BadPayloadError),
    ],
)
def test_the_first_failing_row_of_a_control_frame_wins(
    make: Callable[[], Envelope], changes: dict[str, Any], error: type[Error]
) -> None:
    with pytest.raises(Error) as caught:
        verify_frame(make(), **changes)
    assert type(caught.value) is error


def test_unknown_payload_fields_of_a_control_frame_are_ignored() -> None:
    verified = verify_frame(a_control_frame({**HEARTBEAT, "extra": 1}))
    assert verified.payload == verify_frame(a_control_frame()).payload


def test_a_control_frame_is_no_document_and_a_document_no_control_frame() -> None:
    with pytest.raises(BadEnvelopeError):
        verify(a_control_frame(audience=AGENT.public_key.did))
    with pytest.raises(BadEnvelopeError):
        check_document_freshness(a_control_frame(), NOW)
    with pytest.raises(WrongSessionError):
        verify_frame(a_document(signer=AGENT, audience=HUB.public_key.did))


REVOCATIONS = {"epoch": 1, "keys": [], "delegations": []}


def test_only_the_types_for_everyone_may_be_addressed_to_everyone() -> None:
    assert verify(a_document(REVOCATIONS, type="revocations", audience="*")).payload.epoch == 1
    error = {"code": "auth_failed", "message": "no"}
    frame = a_control_frame(error, type="error", audience="*")
    assert verify_frame(frame).payload.code == "auth_failed"


@pytest.mark.parametrize("now", [NOW - MINUTE, NOW, NOW + HOUR - MILLISECOND])
def test_a_document_is_valid_from_a_minute_before_its_timestamp_until_it_expires(
    now: datetime,
) -> None:
    assert verify(a_document(), now=now)


@pytest.mark.parametrize(
    ("now", "error"),
    [(NOW - MINUTE - MILLISECOND, FutureError), (NOW + HOUR, ExpiredError)],
)
def test_a_document_is_not_valid_a_millisecond_outside(now: datetime, error: type[Error]) -> None:
    with pytest.raises(error):
        verify(a_document(), now=now)


def test_times_at_the_ends_of_the_calendar_are_judged_like_others() -> None:
    first, last = datetime.min.replace(tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
    check_document_freshness(a_document(timestamp=first, expires=last), NOW)
    with pytest.raises(FutureError):
        check_document_freshness(a_document(timestamp=last, expires=last), NOW)
    for moment, error in ((first, StaleError), (last, FutureError)):
        with pytest.raises(error):
            verify_frame(a_control_frame(timestamp=moment))


@pytest.mark.parametrize("skew", [5, 60, 300])
def test_a_control_frame_is_fresh_within_the_skew_and_not_a_millisecond_beyond(skew: int) -> None:
    edge = timedelta(seconds=skew)
    for now in (NOW - edge, NOW + edge):
        assert verify_frame(a_control_frame(), now=now, clock_skew_seconds=skew)
    with pytest.raises(StaleError):
        verify_frame(a_control_frame(), now=NOW + edge + MILLISECOND, clock_skew_seconds=skew)
    with pytest.raises(FutureError):
        verify_frame(a_control_frame(), now=NOW - edge - MILLISECOND, clock_skew_seconds=skew)


def test_the_same_bytes_again_name_the_first_digest() -> None:
    envelope = a_document()
    with pytest.raises(DuplicateDocumentError) as caught:
        verify(envelope, replay=Seen(envelope))
    assert caught.value.digest == envelope.digest
    assert caught.value.document_id == envelope.id


def test_an_id_belongs_to_its_signer() -> None:
    assert verify(a_document(), replay=Seen(a_document(signer=OTHER)))


def test_a_stored_document_holds_offline_for_whoever_reads_it() -> None:
    envelope = a_document()
    assert verify_document_offline(envelope, at=None).payload == verify(envelope).payload
    assert verify_document_offline(envelope, at=NOW)
    with pytest.raises(ExpiredError):
        verify_document_offline(envelope, at=NOW + HOUR)
    with pytest.raises(BadSignatureError):
        verify_document_offline(broken(envelope), at=None)
    with pytest.raises(UnknownTypeError):
        verify_document_offline(a_document(type="no_such_type"), at=None)
    with pytest.raises(BadPayloadError):
        verify_document_offline(a_document(BAD_PAYLOAD), at=None)
    with pytest.raises(BadEnvelopeError):
        verify_document_offline(a_control_frame(), at=None)
