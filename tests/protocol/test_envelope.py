"""Rows 2 and 3: bytes are an envelope of one kind, or an error with a code."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import limits
from protocol.canonical import canonical_json
from protocol.envelope import (
    SIGNED_PREFIX,
    Envelope,
    envelope_from_value,
    parse_document,
    parse_envelope,
    seal_document,
)
from protocol.errors import BadEnvelopeError, BadJsonError, Error, FrameTooLargeError
from protocol.verification import verify_signature
from tests.protocol.material import HUB, INTENT, NOW, a_control_frame, a_document, an_id
from tests.protocol.test_strict_json import values_in_profile

DOCUMENT = a_document()
CONTROL = a_control_frame()
payloads = st.dictionaries(st.text('abc:,"\\{timestamp', max_size=5), values_in_profile, max_size=4)


@pytest.mark.parametrize("envelope", [DOCUMENT, CONTROL])
def test_what_was_sealed_is_parsed_back_and_holds(envelope: Envelope) -> None:
    parsed = parse_envelope(envelope.wire)
    assert parsed == envelope
    assert parse_envelope(envelope.wire.decode()) == envelope
    verify_signature(parsed)


@given(payloads)
def test_sealed_wire_bytes_are_the_canonical_form(payload: dict[str, Any]) -> None:
    envelope = a_document(payload, type="unheard_of")
    assert canonical_json(json.loads(envelope.wire)) == envelope.wire
    assert parse_document(envelope.wire) == envelope
    assert envelope_from_value(envelope.as_value()) == envelope
    verify_signature(envelope)


@given(payloads, st.booleans())
def test_canonical_wire_bytes_are_read_as_any_other_spelling_of_them(
    payload: dict[str, Any], control: bool
) -> None:
    sealed = (
        a_control_frame(payload, type="unheard_of")
        if control
        else a_document(payload, type="unheard_of")
    )
    spaced = json.dumps(json.loads(sealed.wire), indent=1).encode()
    short, long = parse_envelope(sealed.wire), parse_envelope(spaced)
    assert short.signed_bytes == long.signed_bytes
    assert replace(long, wire=short.wire) == short


def test_signed_bytes_are_prefix_and_canonical_form_without_signature() -> None:
    value = json.loads(CONTROL.wire)
    del value["signature"]
    assert CONTROL.signed_bytes == b"writ.v1\x00" + canonical_json(value)
    digest = base64.b64encode(hashlib.sha256(CONTROL.signed_bytes).digest()).decode()
    assert CONTROL.digest == digest
    assert SIGNED_PREFIX == b"writ.v1\x00"


def test_bytes_on_the_wire_need_not_be_canonical() -> None:
    spelled = json.dumps(json.loads(DOCUMENT.wire), indent=3).encode()
    parsed = parse_document(spelled)
    assert parsed.wire == spelled
    assert parsed.signed_bytes == DOCUMENT.signed_bytes
    assert parsed.digest == DOCUMENT.digest
    verify_signature(parsed)


def test_a_document_says_its_kind_and_sender() -> None:
    assert DOCUMENT.is_document
    assert not CONTROL.is_document
    assert DOCUMENT.sender_did == HUB.public_key.did
    with pytest.raises(BadEnvelopeError):
        parse_document(CONTROL.wire)
    with pytest.raises(BadEnvelopeError):
        envelope_from_value(CONTROL.as_value())


def changed(envelope: Envelope, **fields: Any) -> bytes:
    value = json.loads(envelope.wire)
    for name, field in fields.items():
        if field is ...:
            del value[name]
        else:
            value[name] = field
    return json.dumps(value).encode()


NAMES = sorted(json.loads(DOCUMENT.wire))
CONTROL_NAMES = sorted(json.loads(CONTROL.wire))
SIGNATURE = json.loads(DOCUMENT.wire)["signature"]


@pytest.mark.parametrize(
    "data",
    [
        *(changed(DOCUMENT, **{name: ...}) for name in NAMES),
        *(changed(CONTROL, **{name: ...}) for name in CONTROL_NAMES),
        *(changed(DOCUMENT, **{name: None}) for name in NAMES),
        *(changed(CONTROL, **{name: None}) for name in CONTROL_NAMES),
        *(changed(DOCUMENT, **{name: 7}) for name in NAMES),
        changed(DOCUMENT, extra=1),
        changed(CONTROL, extra=1),
        changed(DOCUMENT, session=CONTROL.session),
        changed(DOCUMENT, session=CONTROL.session, sequence=1),
        changed(DOCUMENT, expires=..., session=CONTROL.session, sequence=1),
        changed(CONTROL, expires="2026-03-01T12:00:00.000Z"),
        changed(CONTROL, expires="2026-03-01T12:00:00.000Z", session=..., sequence=...),
        changed(CONTROL, sequence=0),
        changed(CONTROL, sequence=-1),
        changed(CONTROL, sequence=1.0),
        changed(CONTROL, sequence=True),
        changed(CONTROL, sequence="1"),
        changed(CONTROL, session="x"),
        changed(DOCUMENT, type=""),
        changed(DOCUMENT, type="Intent"),
        changed(DOCUMENT, type="intent\n"),
        changed(DOCUMENT, type="a" * 65),
        changed(DOCUMENT, id=an_id().upper()),
        changed(DOCUMENT, id="0195534c-7000-4000-8000-000000000001"),
        changed(DOCUMENT, id="0195534c700070008000000000000001"),
        changed(DOCUMENT, timestamp="2026-03-01T12:00:00Z"),
        changed(DOCUMENT, timestamp="2026-03-01T12:00:00.000+00:00"),
        changed(DOCUMENT, timestamp="2026-03-01 12:00:00.000Z"),
        changed(DOCUMENT, timestamp="2026-02-30T12:00:00.000Z"),
        changed(DOCUMENT, timestamp="2026-03-01T12:00:60.000Z"),
        changed(DOCUMENT, expires="2026-03-01T12:00:00.000z"),
        changed(DOCUMENT, audience=""),
        changed(DOCUMENT, audience="everyone"),
        changed(DOCUMENT, audience="**"),
        changed(DOCUMENT, audience="user:x"),
        changed(DOCUMENT, audience="did:key:" + "z" * 300),
        changed(DOCUMENT, payload=[]),
        changed(DOCUMENT, publicKey=HUB.public_key.did),
        changed(DOCUMENT, publicKey="z" + "1" * 47),
        changed(DOCUMENT, signature=SIGNATURE[:-2]),
        changed(DOCUMENT, signature=SIGNATURE + "AAAA"),
        changed(DOCUMENT, signature=SIGNATURE.replace("=", "")),
        changed(DOCUMENT, signature="-" + SIGNATURE[1:]),
        changed(DOCUMENT, signature=base64.b64encode(bytes(63)).decode()),
        b"[]",
        b'"envelope"',
        b"null",
        b"{}",
    ],
)
def test_another_shape_is_bad_envelope(data: bytes) -> None:
    with pytest.raises(BadEnvelopeError):
        parse_envelope(data)


def test_a_signature_in_another_spelling_is_bad_envelope() -> None:
    # The last character before the padding carries four bits that must be zero.
    at = len(SIGNATURE) - 3
    twin = chr(ord(SIGNATURE[at]) + 1)
    assert base64.b64decode(SIGNATURE[:at] + twin + "==") == base64.b64decode(SIGNATURE)
    with pytest.raises(BadEnvelopeError):
        parse_envelope(changed(DOCUMENT, signature=SIGNATURE[:at] + twin + "=="))


def test_an_unknown_type_is_still_an_envelope_of_either_kind() -> None:
    assert parse_envelope(changed(DOCUMENT, type="no_such_type")).is_document
    assert not parse_envelope(changed(CONTROL, type="no_such_type")).is_document


def test_a_duplicate_field_is_bad_json_before_it_is_anything_else() -> None:
    with pytest.raises(BadJsonError):
        parse_envelope(DOCUMENT.wire.replace(b'{"audience"', b'{"id":1,"audience"', 1))


def test_more_bytes_than_the_limit_are_refused_unread() -> None:
    assert parse_envelope(DOCUMENT.wire, max_bytes=len(DOCUMENT.wire)) == DOCUMENT
    for data in (DOCUMENT.wire, DOCUMENT.wire.decode()):
        with pytest.raises(FrameTooLargeError):
            parse_envelope(data, max_bytes=len(DOCUMENT.wire) - 1)
    with pytest.raises(FrameTooLargeError):
        parse_envelope("[" * 100, max_bytes=10)


def test_sealing_refuses_what_could_not_be_read_back() -> None:
    deep: Any = 0
    for _ in range(limits.MAX_JSON_DEPTH):
        deep = [deep]
    for payload in ({"x": 2**60}, {"x": float("nan")}, {"x": deep}, {"x": "\0"}, {"x": (1,)}):
        with pytest.raises(BadJsonError):
            a_document(payload)
    with pytest.raises(FrameTooLargeError):
        a_document({"x": "y" * limits.MAX_FRAME_BYTES})
    for fields in ({"type": 'no"type'}, {"audience": "somebody"}):
        with pytest.raises(BadEnvelopeError):
            a_document(INTENT, **fields)  # type: ignore[arg-type]
    with pytest.raises(BadEnvelopeError):
        a_control_frame(sequence=0)
    with pytest.raises(BadEnvelopeError):
        a_control_frame(type="intent")


def test_sealed_times_are_cut_to_milliseconds() -> None:
    odd = datetime(2026, 3, 1, 12, 0, 0, 123999, UTC)
    sealed = a_document(timestamp=odd)
    assert sealed.timestamp == NOW
    assert parse_document(sealed.wire).timestamp == NOW
    with pytest.raises(ValueError, match="aware"):
        seal_document(
            type="intent",
            id=an_id(),
            timestamp=NOW.replace(tzinfo=None),
            expires=NOW,
            audience="*",
            payload={},
            signer=HUB,
        )


@pytest.mark.parametrize("value", [None, [], {}, {"type": object()}, {"a": 2**60}, "text"])
def test_an_embedded_value_of_another_shape_is_refused(value: Any) -> None:
    with pytest.raises((BadEnvelopeError, BadJsonError)):
        envelope_from_value(value)


@given(st.integers(0, len(DOCUMENT.wire) - 1), st.integers(1, 255))
def test_any_changed_byte_of_a_sealed_document_is_refused(at: int, mask: int) -> None:
    refuse_changed_byte(DOCUMENT.wire, at, mask)


@given(st.integers(0, len(CONTROL.wire) - 1), st.integers(1, 255))
def test_any_changed_byte_of_a_sealed_control_frame_is_refused(at: int, mask: int) -> None:
    refuse_changed_byte(CONTROL.wire, at, mask)


@pytest.mark.parametrize("wire", [DOCUMENT.wire, CONTROL.wire])
def test_every_flipped_bit_of_a_sealed_envelope_is_refused(wire: bytes) -> None:
    for at in range(len(wire)):
        for bit in range(8):
            refuse_changed_byte(wire, at, 1 << bit)


def refuse_changed_byte(wire: bytes, at: int, mask: int) -> None:
    broken = bytearray(wire)
    broken[at] ^= mask
    with pytest.raises(Error):
        verify_signature(parse_envelope(bytes(broken)))


@given(st.binary(max_size=300) | payloads.map(lambda value: json.dumps(value).encode()))
def test_parsing_raises_nothing_but_a_coded_error(data: bytes) -> None:
    with pytest.raises(Error):
        parse_envelope(data)
