"""Rows 1 to 10 of SPEC section 3 on a registered connection, and what follows each of them."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from protocol.envelope import seal_control
from protocol.errors import BadDigestError, FrameTooLargeError, SessionStateError
from protocol.messages import ErrorMessage, Heartbeat, PeerIntent, dump_payload
from protocol.session import (
    ControlReceived,
    DocumentReceived,
    FrameRefused,
    PeerFailed,
    SessionState,
)
from tests.protocol.session_pair import (
    AGENT,
    HUB,
    STRANGER,
    Pair,
    hub_delegation,
    register_ack,
)

HEARTBEAT = Heartbeat(uptime_seconds=1, load=0.5, memory_bytes=1, running=(), token_usage={})


def beat(pair: Pair, **changes: Any) -> str:
    """A heartbeat sealed by hand: the second frame of the agent unless told otherwise."""
    fields: dict[str, Any] = {
        "type": "heartbeat",
        "id": pair.next_id(),
        "timestamp": pair.now,
        "audience": HUB.public_key.did,
        "session": pair.session_id,
        "sequence": 2,
        "payload": dump_payload(HEARTBEAT),
        "signer": AGENT,
    }
    return seal_control(**(fields | changes)).wire.decode()


def error_codes(frames: list[bytes]) -> list[str]:
    return [json.loads(frame)["payload"]["code"] for frame in frames]


@pytest.mark.parametrize(
    ("data", "close_code"),
    [(b"{}", 1003), ("\ud800", 1007), (" " * 1_048_577, 1009), ("é" * 600_000, 1009)],
)
def test_row_1_closes_without_an_error_frame(data: str | bytes, close_code: int) -> None:
    pair = Pair().go_online()
    [event] = pair.to_hub(data)
    assert isinstance(event, PeerFailed)
    assert pair.hub.close_code == close_code
    assert pair.hub.data_to_send() == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda text: text + "x", "bad_json"),
        (lambda text: text.replace('"sequence":2', '"sequence":2.5'), "bad_envelope"),
        (lambda text: text.replace('"sequence":2', '"sequence":0'), "bad_envelope"),
        (lambda text: text.replace('"sequence":2', '"sequence":true'), "bad_envelope"),
        (lambda text: text.replace('"sequence"', '"expires"'), "bad_envelope"),
        (lambda text: text.replace('"heartbeat"', '"result"'), "bad_envelope"),
        (lambda text: text.replace('"uptimeSeconds":1', '"uptimeSeconds":2'), "bad_signature"),
    ],
)
def test_rows_2_3_and_5_close_4400(change: Any, code: str) -> None:
    pair = Pair().go_online()
    text = beat(pair)
    [event] = pair.to_hub(change(text))
    assert isinstance(event, PeerFailed)
    assert (event.code, event.close_code) == (code, 4400)
    [answer] = pair.hub.data_to_send()
    payload = json.loads(answer)["payload"]
    assert payload["code"] == code
    assert ("inReplyTo" in payload) == (code != "bad_json")
    assert json.loads(answer)["audience"] == AGENT.public_key.did


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"signer": STRANGER}, "wrong_key"),
        ({"audience": STRANGER.public_key.did}, "wrong_audience"),
        ({"audience": "*"}, "wrong_audience"),
        ({"type": "error", "audience": "*"}, "wrong_audience"),
        ({"seconds": -61}, "stale"),
        ({"seconds": 61}, "future"),
        ({"session": hub_delegation().id}, "wrong_session"),
        ({"sequence": 1}, "replay"),
        ({"sequence": 3}, "bad_sequence"),
    ],
)
def test_rows_4_to_8_close_4400(changes: dict[str, Any], code: str) -> None:
    pair = Pair().go_online()
    if "seconds" in changes:
        changes = {"timestamp": pair.now + timedelta(seconds=changes["seconds"])}
    pair.to_hub(beat(pair, **changes))
    assert pair.hub.close_code == 4400
    assert error_codes(pair.hub.data_to_send()) == [code]


def test_the_first_failing_row_wins() -> None:
    pair = Pair().go_online()
    pair.to_hub(beat(pair, signer=STRANGER, audience="*", sequence=9, type="nonsense", payload={}))
    assert error_codes(pair.hub.data_to_send()) == ["wrong_key"]


@pytest.mark.parametrize("seconds", [-60, 60])
def test_the_clock_skew_is_inclusive(seconds: int) -> None:
    pair = Pair().go_online()
    [event] = pair.to_hub(beat(pair, timestamp=pair.now + timedelta(seconds=seconds)))
    assert isinstance(event, ControlReceived)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": "nonsense"}, "unknown_type"),
        ({"type": "pong"}, "forbidden_type"),
        ({"type": "register_ack"}, "forbidden_type"),
        ({"type": "hello"}, "forbidden_type"),
        ({"payload": {}}, "bad_payload"),
    ],
)
def test_rows_9_and_10_answer_and_the_connection_lives(changes: dict[str, Any], code: str) -> None:
    pair = Pair().go_online()
    [event] = pair.to_hub(beat(pair, **changes))
    assert isinstance(event, FrameRefused)
    assert event.code == code
    assert error_codes(pair.hub.data_to_send()) == [code]
    assert pair.hub.state is SessionState.ONLINE
    # Row 8 had passed, so the number is used: the same one again is a replay, the next one fits.
    [event] = pair.to_hub(beat(pair, sequence=3))
    assert isinstance(event, ControlReceived)


def test_unknown_fields_of_a_control_frame_are_ignored() -> None:
    pair = Pair().go_online()
    payload = {**dump_payload(HEARTBEAT), "mood": "fine"}
    [event] = pair.to_hub(beat(pair, payload=payload))
    assert isinstance(event, ControlReceived)


def test_a_bad_error_is_not_answered_by_an_error() -> None:
    pair = Pair().go_online()
    [event] = pair.to_hub(beat(pair, type="error", payload={}))
    assert isinstance(event, FrameRefused)
    assert pair.hub.data_to_send() == []


def test_documents_come_out_unproved_and_use_no_sequence_number() -> None:
    pair = Pair().go_online()
    [event] = pair.to_hub(hub_delegation(signer=STRANGER).wire.decode())
    assert isinstance(event, DocumentReceived)
    [event] = pair.to_hub(beat(pair))
    assert isinstance(event, ControlReceived)


def test_a_document_leaves_with_its_exact_bytes_and_in_order() -> None:
    pair = Pair().go_online()
    wire = hub_delegation().wire
    pair.hub.send_error(
        BadDigestError("other bytes"), in_reply_to=wire_id(wire), now=pair.now, id=pair.next_id()
    )
    pair.hub.send_document(wire)
    first, second = pair.hub.data_to_send()
    assert second == wire
    assert error_codes([first]) == ["bad_digest"]
    assert pair.hub.data_to_send() == []


def wire_id(wire: bytes) -> str:
    found = json.loads(wire)["id"]
    assert isinstance(found, str)
    return found


def test_a_frame_too_large_to_send_uses_no_sequence_number() -> None:
    pair = Pair().go_online()
    wish = PeerIntent(intent={"pad": "x" * 1_100_000}, delegations=())
    with pytest.raises(FrameTooLargeError):
        pair.agent.send(wish, now=pair.now, id=pair.next_id())
    with pytest.raises(FrameTooLargeError):
        pair.agent.send_document(b"x" * 1_048_577)
    pair.agent.send(HEARTBEAT, now=pair.now, id=pair.next_id())
    assert isinstance(pair.deliver_to_hub()[0], ControlReceived)


def test_each_side_sends_only_what_is_its_own() -> None:
    pair = Pair().go_online()
    with pytest.raises(SessionStateError):
        pair.hub.send(HEARTBEAT, now=pair.now, id=pair.next_id())
    with pytest.raises(SessionStateError):
        pair.hub.send(register_ack(), now=pair.now, id=pair.next_id())
    message = ErrorMessage(code="bad_payload", message="no")
    assert pair.agent.send(message, now=pair.now, id=pair.next_id())
    [event] = pair.deliver_to_hub()
    assert isinstance(event, ControlReceived)
    assert event.payload == message


def test_after_the_end_nothing_is_read() -> None:
    pair = Pair().go_online()
    pair.to_hub(b"")
    assert pair.to_hub(beat(pair)) == []
    assert pair.hub.state is SessionState.CLOSED


def test_a_second_hello_closes() -> None:
    pair = Pair().go_online()
    frame = beat(
        pair, type="hello", sequence=3, audience=AGENT.public_key.did, signer=HUB, payload={}
    )
    [event] = pair.to_agent(frame)
    assert isinstance(event, PeerFailed)
    assert (event.code, event.close_code) == ("forbidden_type", 4400)
