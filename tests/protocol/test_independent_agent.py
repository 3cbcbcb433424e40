"""An agent written from SPEC.md alone, with nothing of `protocol`, gets along with a real hub end.

It knows JSON, SHA-256 and Ed25519, and no module of ours: what it needs and SPEC does not say
would show here.
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

from nacl.signing import SigningKey as Ed25519Key
from nacl.signing import VerifyKey

from protocol.session import ControlReceived, DocumentReceived, RegisterReceived, SessionState
from tests.protocol.session_pair import ROOT, START, Pair, register_ack

ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
NOW = "2026-01-01T01:00:00.000Z"


def multikey(key: bytes) -> str:
    number, text = int.from_bytes(b"\xed\x01" + key, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = ALPHABET[digit] + text
    return "z" + text


def raw_key(text: str) -> bytes:
    number = 0
    for char in text[1:]:
        number = number * 58 + ALPHABET.index(char)
    return number.to_bytes(34, "big")[2:]


def signed_bytes(envelope: dict[str, Any]) -> bytes:
    """JCS, as far as ASCII keys and no fractions need it."""
    bare = {name: value for name, value in envelope.items() if name != "signature"}
    text = json.dumps(bare, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return b"writ.v1\0" + text.encode()


def is_signed(envelope: dict[str, Any]) -> bool:
    signature = base64.b64decode(envelope["signature"])
    VerifyKey(raw_key(envelope["publicKey"])).verify(signed_bytes(envelope), signature)
    return True


class ForeignAgent:
    """Pins a root, believes a hello, registers, and reports one result."""

    def __init__(self, root_did: str) -> None:
        self.key = Ed25519Key(b"\x07" * 32)
        self.multikey = multikey(bytes(self.key.verify_key))
        self.root_did = root_did
        self.sent = 0

    def seal(self, kind: str, payload: dict[str, Any], number: int, **fields: Any) -> str:
        envelope: dict[str, Any] = {
            "type": kind,
            "id": f"019b76da-a800-7000-8000-0000000001{number:02x}",
            "timestamp": NOW,
            "audience": self.hub_did,
            "payload": payload,
            "publicKey": self.multikey,
            **fields,
        }
        signature = self.key.sign(signed_bytes(envelope)).signature
        envelope["signature"] = base64.b64encode(signature).decode()
        # Indented and unsorted on purpose: wire bytes need not be canonical.
        return json.dumps(envelope, indent=1)

    def control(self, kind: str, payload: dict[str, Any]) -> str:
        self.sent += 1
        return self.seal(kind, payload, self.sent, session=self.session, sequence=self.sent)

    def answer_hello(self, text: str) -> str:
        hello = json.loads(text)
        delegation = hello["payload"]["delegation"]
        assert (hello["type"], hello["sequence"], hello["audience"]) == ("hello", 1, "*")
        assert is_signed(hello)
        assert is_signed(delegation)
        assert hello["payload"]["root"] == self.root_did
        assert "did:key:" + delegation["publicKey"] == self.root_did
        assert delegation["payload"]["subject"] == "did:key:" + hello["publicKey"]
        assert {"action": "writ.route"} in delegation["payload"]["capabilities"]
        self.session = hello["session"]
        self.hub_did = "did:key:" + hello["publicKey"]
        holds = {
            "policyVersion": 0,
            "revocationEpoch": 0,
            "delegations": [],
            "checkpoint": None,
            "intents": [],
        }
        return self.control(
            "register",
            {
                "challenge": hello["payload"]["challenge"],
                "name": "foreign",
                "version": "1",
                "capabilities": [],
                "actions": [],
                "labels": {},
                "host": {},
                "holds": holds,
            },
        )

    def refuse(self, intent_id: str, intent_digest: str) -> str:
        payload = {
            "intentId": intent_id,
            "intentDigest": intent_digest,
            "status": "refused",
            "error": {"code": "no_policy", "message": "none yet"},
            "finishedAt": NOW,
            "usage": {},
            "decision": {"policyVersion": None, "rule": None},
            "sandbox": {},
            "approvals": [],
            "progressCount": 0,
        }
        return self.seal("result", payload, 0xFF, expires="2026-04-01T00:00:00.000Z")


def test_an_agent_written_from_the_spec_registers_and_reports() -> None:
    pair = Pair()
    pair.hub.start(now=pair.now, id=pair.next_id())
    agent = ForeignAgent(ROOT.public_key.did)
    [hello] = pair.hub.data_to_send()
    [event] = pair.to_hub(agent.answer_hello(hello.decode()))
    assert isinstance(event, RegisterReceived)
    assert event.payload.name == "foreign"
    own_did = "did:key:" + agent.multikey
    assert pair.hub.peer is not None
    assert pair.hub.peer.did == own_did

    pair.hub.send(register_ack(agent_id=own_did), now=pair.now, id=pair.next_id())
    [frame] = pair.hub.data_to_send()
    ack = json.loads(frame)
    assert is_signed(ack)
    assert (ack["type"], ack["sequence"], ack["audience"]) == ("register_ack", 2, own_did)

    beat = {"uptimeSeconds": 1, "load": 1, "memoryBytes": 1, "running": [], "tokenUsage": {}}
    [event] = pair.to_hub(agent.control("heartbeat", beat))
    assert isinstance(event, ControlReceived)

    intent_digest = base64.b64encode(hashlib.sha256(b"an intent").digest()).decode()
    [event] = pair.to_hub(agent.refuse(pair.session_id, intent_digest))
    assert isinstance(event, DocumentReceived)
    event.envelope.public_key.verify(event.envelope.signature, event.envelope.signed_bytes)
    assert event.envelope.timestamp > START
    assert pair.hub.state is SessionState.ONLINE
