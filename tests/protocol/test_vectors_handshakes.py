"""The published transcripts, played to the real session machines.

The judge's own frames are made anew by the machine and must be the published bytes.
"""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from protocol.envelope import Envelope, envelope_from_value, parse_envelope
from protocol.keys import PublicKey
from protocol.messages import Hello
from protocol.messages.registry import parse_payload
from protocol.session import AgentSession, Event, FrameRefused, HubSession, PeerFailed
from protocol.timestamps import parse_timestamp
from tests.protocol.material import AGENT, HUB, an_id
from tests.protocol.write_vectors import FOLDER

HANDSHAKES = json.loads((FOLDER / "handshakes.json").read_text("utf-8"))
NOW = parse_timestamp(HANDSHAKES["now"])


def machine(case: dict[str, Any]) -> AgentSession | HubSession:
    believes = case["agent"]
    if case["judge"] == "agent":

        def revoked(delegation: Envelope) -> bool:
            return (
                delegation.id in believes["revokedDelegations"]
                or delegation.payload["subject"] in believes["revokedKeys"]
            )

        return AgentSession(
            agent_key=AGENT,
            root=PublicKey.parse_did(believes["root"]) if believes["root"] else None,
            allow_unknown_root=believes["trustFirstHub"],
            seen_sessions=set(believes["seenSessions"]).__contains__,
            revoked=revoked,
        )
    hello = parse_envelope(case["frames"][0]["text"])
    payload = parse_payload("hello", hello.payload)
    assert isinstance(payload, Hello)
    assert hello.session is not None
    return HubSession(
        session_id=hello.session,
        challenge=base64.b64decode(payload.challenge),
        hub_key=HUB,
        root_did=payload.root,
        hub_delegation=envelope_from_value(payload.delegation),
        hello_limits=payload.limits,
    )


def say(end: AgentSession | HubSession, text: str) -> None:
    """Let the machine say what the transcript has it say."""
    said = parse_envelope(text)
    if said.type == "hello":
        end.start(now=said.timestamp, id=said.id)
    else:
        payload = parse_payload(said.type, said.payload)
        end.send(payload, now=said.timestamp, id=said.id)
    assert end.data_to_send() == [text.encode()]


def hear(end: AgentSession | HubSession, frame: dict[str, Any]) -> list[Event]:
    text = frame["text"]
    text += " " * (frame.get("padToBytes", 0) - len(text.encode()))
    data = text.encode() if frame.get("binary") else text
    return end.receive(data, now=NOW, id=an_id(0xFFF))


@pytest.mark.parametrize("case", HANDSHAKES["cases"], ids=lambda case: case["name"])
def test_handshakes(case: dict[str, Any]) -> None:
    end, events, expect = machine(case), [], case["expect"]
    for frame in case["frames"]:
        # Only the last frame may fail.
        assert not any(isinstance(event, (FrameRefused, PeerFailed)) for event in events)
        if frame["from"] == case["judge"]:
            say(end, frame["text"])
        else:
            events = hear(end, frame)
    told = [json.loads(data)["payload"]["code"] for data in end.data_to_send()]
    assert told == ([] if expect["told"] is None else [expect["told"]])
    assert (end.state.value, end.close_code) == (expect["state"], expect["close"])
    failed = [event for event in events if isinstance(event, (FrameRefused, PeerFailed))]
    if expect["code"] is None:
        # Row 1 has no code on the wire.
        assert not failed or expect["close"] in (1003, 1007, 1009)
    elif expect["code"] != "auth_failed":
        assert [event.code for event in failed] == [expect["code"]]
    else:
        assert failed


def test_both_sides_are_there_in_strength() -> None:
    for judge in ("agent", "hub"):
        cases = [case for case in HANDSHAKES["cases"] if case["judge"] == judge]
        bad = [case for case in cases if case["expect"]["code"] or case["expect"]["close"]]
        assert len(bad) >= 20
        assert len(cases) - len(bad) >= 10
