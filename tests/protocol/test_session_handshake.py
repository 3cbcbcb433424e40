"""The handshake of SPEC section 4: who is believed, and how little a stranger is told."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from protocol.envelope import parse_envelope, seal_control
from protocol.errors import RateLimitedError, SessionStateError
from protocol.messages import (
    Capability,
    ChannelMessageSend,
    Drain,
    Heartbeat,
    Pong,
    RegistrationPending,
    RegistrationRejected,
    dump_payload,
)
from protocol.session import (
    ControlReceived,
    FrameRefused,
    HelloAccepted,
    HubSession,
    PeerFailed,
    RegisterReceived,
    SessionState,
)
from tests.protocol.session_pair import (
    AGENT,
    HUB,
    ROOT,
    START,
    STRANGER,
    Pair,
    hub_delegation,
    register_ack,
    register_payload,
)

HEARTBEAT = Heartbeat(uptime_seconds=1, load=0.5, memory_bytes=1, running=(), token_usage={})


def last_error(frames: list[bytes]) -> dict[str, Any]:
    value = json.loads(frames[-1])
    assert value["type"] == "error"
    return value


def assert_turned_away(pair: Pair, events: list[Any], cause: str) -> None:
    """The agent refused: 4401, one generic error, and the cause only for its own log."""
    [event] = events
    assert isinstance(event, PeerFailed)
    assert (event.code, event.close_code) == (cause, 4401)
    assert pair.agent.close_code == 4401
    assert pair.agent.state is SessionState.CLOSED
    error = last_error(pair.agent.data_to_send())
    assert error["payload"]["code"] == "auth_failed"
    assert error["audience"] == "*"


def test_hello_register_ack_brings_both_ends_online() -> None:
    pair = Pair()
    [accepted] = pair.start()
    assert isinstance(accepted, HelloAccepted)
    assert (accepted.root, accepted.hub) == (ROOT.public_key, HUB.public_key)
    assert pair.agent.session_id == pair.session_id
    pair.agent.send(register_payload(accepted.payload.challenge), now=pair.now, id=pair.next_id())
    [received] = pair.deliver_to_hub()
    assert isinstance(received, RegisterReceived)
    assert pair.hub.peer == AGENT.public_key
    assert pair.hub.state is SessionState.REGISTERING
    pair.hub.send(register_ack(), now=pair.now, id=pair.next_id())
    [online] = pair.deliver_to_agent()
    assert isinstance(online, ControlReceived)
    assert pair.agent.state is pair.hub.state is SessionState.ONLINE


def test_hello_and_register_are_number_one_and_hello_speaks_to_all() -> None:
    pair = Pair()
    pair.hub.start(now=pair.now, id=pair.next_id())
    [hello] = pair.hub.data_to_send()
    assert parse_envelope(hello).audience == "*"
    assert parse_envelope(hello).sequence == 1
    [accepted] = pair.to_agent(hello.decode())
    assert isinstance(accepted, HelloAccepted)
    pair.agent.send(register_payload(accepted.payload.challenge), now=pair.now, id=pair.next_id())
    [register] = pair.agent.data_to_send()
    assert parse_envelope(register).audience == HUB.public_key.did
    assert parse_envelope(register).sequence == 1


def test_a_pending_agent_sends_heartbeats_until_it_is_let_in_on_the_same_socket() -> None:
    pair = Pair()
    pair.register()
    pending = RegistrationPending(registration_id=pair.next_id(), fingerprint="0123-4567-89AB-CDEF")
    pair.hub.send(pending, now=pair.now, id=pair.next_id())
    pair.deliver_to_agent()
    assert pair.agent.state is pair.hub.state is SessionState.PENDING
    pair.agent.send(HEARTBEAT, now=pair.now, id=pair.next_id())
    [beat] = pair.deliver_to_hub()
    assert isinstance(beat, ControlReceived)
    pair.hub.send(
        Pong(time=pair.now, checkpoint=None, revocation_epoch=0), now=pair.now, id=pair.next_id()
    )
    assert isinstance(pair.deliver_to_agent()[0], ControlReceived)
    pair.hub.send(register_ack(), now=pair.now, id=pair.next_id())
    pair.deliver_to_agent()
    assert pair.agent.state is SessionState.ONLINE


def test_a_rejected_agent_is_told_why_and_closed_4403() -> None:
    pair = Pair()
    pair.register()
    pair.hub.send(RegistrationRejected(reason="unknown"), now=pair.now, id=pair.next_id())
    assert pair.hub.close_code == 4403
    [event] = pair.deliver_to_agent()
    assert isinstance(event, ControlReceived)


def test_trust_on_first_use_only_when_it_was_asked_for() -> None:
    pair = Pair(root=None)
    assert_turned_away(pair, pair.start(), "auth_failed")
    pair = Pair(root=None, allow_unknown_root=True)
    [accepted] = pair.start()
    assert isinstance(accepted, HelloAccepted)
    assert accepted.root == ROOT.public_key


@pytest.mark.parametrize(
    ("delegation", "cause"),
    [
        (hub_delegation(signer=STRANGER), "auth_failed"),
        (hub_delegation(subject=STRANGER.public_key.did), "auth_failed"),
        (hub_delegation(capabilities=(Capability(action="*"),)), "auth_failed"),
        (hub_delegation(capabilities=(Capability(action="writ.*"),)), "auth_failed"),
        (hub_delegation(capabilities=(Capability(action="writ.route", agents=()),)), "auth_failed"),
        (hub_delegation(conditions=("true",)), "auth_failed"),
        (hub_delegation(parent="A" * 43 + "="), "auth_failed"),
        (hub_delegation(expires=START + timedelta(hours=1)), "expired"),
        (hub_delegation(not_before=START + timedelta(hours=2)), "future"),
        (hub_delegation(timestamp=START + timedelta(hours=2)), "future"),
        (hub_delegation(audience=STRANGER.public_key.did), "wrong_audience"),
    ],
)
def test_a_hub_without_a_good_delegation_is_refused(delegation: Any, cause: str) -> None:
    pair = Pair(delegation=delegation)
    assert_turned_away(pair, pair.start(), cause)


def test_a_delegation_with_one_flipped_signature_is_refused() -> None:
    good = hub_delegation().as_value()
    other = hub_delegation(max_depth=2).as_value()
    pair = Pair()
    pair.hub.start(now=pair.now, id=pair.next_id())
    hello = parse_envelope(pair.hub.data_to_send()[0])
    forged = {**hello.payload, "delegation": {**good, "signature": other["signature"]}}
    frame = seal_control(
        type="hello",
        id=pair.next_id(),
        timestamp=pair.now,
        audience="*",
        session=pair.session_id,
        sequence=1,
        payload=forged,
        signer=HUB,
    )
    assert_turned_away(pair, pair.to_agent(frame.wire.decode()), "bad_signature")


def test_another_root_a_seen_session_and_a_revoked_hub_are_refused() -> None:
    pair = Pair(root=STRANGER.public_key)
    assert_turned_away(pair, pair.start(), "auth_failed")
    pair = Pair(revoked=True)
    assert_turned_away(pair, pair.start(), "auth_failed")
    seen = Pair().session_id
    pair = Pair(seen=frozenset({seen}))
    assert_turned_away(pair, pair.start(), "replay")


def test_the_agent_says_nothing_before_hello_and_only_register_after_it() -> None:
    pair = Pair()
    payload = register_payload("A" * 43 + "=")
    with pytest.raises(SessionStateError):
        pair.agent.send(payload, now=pair.now, id=pair.next_id())
    pair.start()
    with pytest.raises(SessionStateError):
        pair.agent.send(HEARTBEAT, now=pair.now, id=pair.next_id())
    with pytest.raises(SessionStateError):
        pair.agent.send_document(b"{}")
    pair.agent.send(payload, now=pair.now, id=pair.next_id())
    with pytest.raises(SessionStateError):
        pair.agent.send(payload, now=pair.now, id=pair.next_id())


def forged_register(pair: Pair, **changes: Any) -> str:
    """A register sealed by hand, with any envelope field or the whole payload replaced."""
    fields: dict[str, Any] = {
        "type": "register",
        "id": pair.next_id(),
        "timestamp": pair.now,
        "audience": HUB.public_key.did,
        "session": pair.session_id,
        "sequence": 1,
        "payload": dump_payload(register_payload("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")),
        "signer": AGENT,
    }
    return seal_control(**(fields | changes)).wire.decode()


def test_a_register_made_by_hand_is_taken() -> None:
    pair = Pair()
    pair.start()
    [event] = pair.to_hub(forged_register(pair))
    assert isinstance(event, RegisterReceived)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"audience": STRANGER.public_key.did}, "wrong_audience"),
        ({"audience": "*"}, "wrong_audience"),
        ({"timestamp": START}, "stale"),
        ({"timestamp": START + timedelta(hours=2)}, "future"),
        ({"session": hub_delegation().id}, "wrong_session"),
        ({"sequence": 2}, "bad_sequence"),
        ({"type": "heartbeat"}, "auth_failed"),
        ({"type": "nonsense"}, "auth_failed"),
        ({"payload": {}}, "bad_payload"),
        ({"payload": dump_payload(register_payload("A" * 43 + "="))}, "auth_failed"),
    ],
)
def test_every_bad_register_gets_the_same_answer(changes: dict[str, Any], cause: str) -> None:
    pair = Pair()
    pair.start()
    frame = forged_register(pair, **changes)
    [event] = pair.to_hub(frame)
    assert isinstance(event, PeerFailed)
    assert (event.code, event.close_code) == (cause, 4401)
    assert pair.hub.peer is None
    error = last_error(pair.hub.data_to_send())
    assert error["payload"] == {
        "code": "auth_failed",
        "message": "authentication failed",
        "inReplyTo": json.loads(frame)["id"],
    }
    assert error["audience"] == "*"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"type":"register"}', '{"a":1,"a":2}'])
def test_junk_before_registration_gets_the_generic_answer(text: str) -> None:
    pair = Pair()
    pair.start()
    pair.to_hub(text)
    assert pair.hub.close_code == 4401
    assert last_error(pair.hub.data_to_send())["payload"]["code"] == "auth_failed"


def test_a_document_before_registration_ends_it() -> None:
    pair = Pair()
    pair.start()
    pair.to_hub(hub_delegation().wire.decode())
    assert pair.hub.close_code == 4401


def test_the_owner_can_turn_a_proved_key_away_with_the_same_answer() -> None:
    pair = Pair()
    [event] = pair.register()
    assert isinstance(event, RegisterReceived)
    pair.hub.fail_authentication(in_reply_to=event.envelope.id, now=pair.now, id=pair.next_id())
    assert pair.hub.close_code == 4401
    [told] = pair.deliver_to_agent()
    assert isinstance(told, ControlReceived)
    assert dump_payload(told.payload)["code"] == "auth_failed"


def test_over_a_bound_the_hub_may_say_rate_limited_before_it_closes() -> None:
    pair = Pair()
    pair.register()
    pair.hub.send_error(
        RateLimitedError("too many wait"), in_reply_to=None, now=pair.now, id=pair.next_id()
    )
    pair.hub.close(4429)
    [told] = pair.deliver_to_agent()
    assert isinstance(told, ControlReceived)
    assert pair.hub.close_code == 4429


def test_an_agent_that_refused_the_hub_is_not_answered() -> None:
    pair = Pair(root=STRANGER.public_key)
    pair.start()
    [event] = pair.deliver_to_hub()
    assert isinstance(event, PeerFailed)
    assert pair.hub.close_code == 4401
    assert pair.hub.data_to_send() == []


def test_a_second_register_closes() -> None:
    pair = Pair().go_online()
    [event] = pair.to_hub(forged_register(pair, sequence=2))
    assert isinstance(event, PeerFailed)
    assert (event.code, event.close_code) == ("forbidden_type", 4400)
    assert last_error(pair.hub.data_to_send())["payload"]["code"] == "forbidden_type"


def test_before_registration_frames_are_small_but_register_ack_may_be_large() -> None:
    pair = Pair()
    pair.start()
    pair.to_hub(" " * 65_537)
    assert pair.hub.close_code == 1009
    assert pair.hub.data_to_send() == []

    pair = Pair()
    pair.register()
    large = register_ack(delegations=({"x": "y" * 500_000},))
    pair.hub.send(large, now=pair.now, id=pair.next_id())
    pair.deliver_to_agent()
    assert pair.agent.state is SessionState.ONLINE

    pair = Pair()
    pair.register()
    pair.hub.send(Drain(retry_after_seconds=1), now=pair.now, id=pair.next_id())
    [frame] = pair.hub.data_to_send()
    pair.to_agent(frame.decode() + " " * 65_536)
    assert pair.agent.close_code == 1009


def test_a_register_ack_for_another_agent_is_not_believed() -> None:
    pair = Pair()
    pair.register()
    pair.hub.send(register_ack(agent_id=STRANGER.public_key.did), now=pair.now, id=pair.next_id())
    [event] = pair.deliver_to_agent()
    assert isinstance(event, PeerFailed)
    assert pair.agent.state is SessionState.CLOSED


def test_work_before_register_ack_is_refused_by_a_pending_hub() -> None:
    pair = Pair()
    pair.register()
    pair.hub.send(
        RegistrationPending(registration_id=pair.next_id(), fingerprint="0123-4567-89AB-CDEF"),
        now=pair.now,
        id=pair.next_id(),
    )
    message = ChannelMessageSend(
        channel_id=pair.next_id(),
        client_id=pair.next_id(),
        author="me",
        content="hello",
        attachments=(),
    )
    frame = seal_control(
        type="channel_message_send",
        id=pair.next_id(),
        timestamp=pair.now,
        audience=HUB.public_key.did,
        session=pair.session_id,
        sequence=2,
        payload=dump_payload(message),
        signer=AGENT,
    )
    [event] = pair.to_hub(frame.wire.decode())
    assert isinstance(event, FrameRefused)
    assert event.code == "forbidden_type"
    assert pair.hub.state is SessionState.PENDING


def test_an_end_that_was_not_started_or_is_closed_does_nothing() -> None:
    pair = Pair()
    with pytest.raises(SessionStateError):
        pair.to_hub("{}")
    pair.start()
    with pytest.raises(SessionStateError):
        pair.hub.start(now=pair.now, id=pair.next_id())
    pair.hub.close(4408, "deadline")
    pair.hub.close(4400)
    assert (pair.hub.close_code, pair.hub.close_reason) == (4408, "deadline")
    assert pair.to_hub(b"\x00") == []
    with pytest.raises(SessionStateError):
        pair.hub.send_error(RateLimitedError(), in_reply_to=None, now=pair.now, id=pair.next_id())


def test_a_challenge_has_32_bytes() -> None:
    with pytest.raises(ValueError, match="32"):
        HubSession(
            session_id=Pair().session_id,
            challenge=b"short",
            hub_key=HUB,
            root_did=ROOT.public_key.did,
            hub_delegation=hub_delegation(),
            hello_limits=Pair().hub._limits,
        )
