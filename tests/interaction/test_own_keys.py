"""Decisions and orders signed by people's own keys, judged by a real agent."""

from __future__ import annotations

import base64
import itertools
from dataclasses import dataclass
from typing import Any

from controlplane.people.own_keys import CONTEXT
from protocol.envelope import parse_document
from protocol.keys import SigningKey
from tests.interaction.fixtures import Fleet
from tests.interaction.people import invite_person
from tests.interaction.rest import Answer, Rest
from tests.interaction.system import System

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Person:
    """Somebody signed in, with a key of their own."""

    rest: Rest
    key: SigningKey
    made: dict[str, Any]

    @property
    def did(self) -> str:
        return self.key.public_key.did


def invite(system: System, role: str) -> Rest:
    """Return the session of somebody new in the realm `default`."""
    return invite_person(system, f"{role}-{next(_numbers)}", role, "correct horse battery")


def enrol(rest: Rest) -> Person:
    """Make a key for whoever is signed in."""
    key = SigningKey.from_seed(next(_numbers).to_bytes(32, "big"))
    subject = f"user:{rest.get('/me')['id']}"
    begun = rest.post("/me/keys/begin", {})
    message = CONTEXT + base64.b64decode(begun["challenge"]) + key.public_key.raw
    body = {
        "ceremony": begun["ceremony"],
        "publicKey": key.public_key.multikey,
        "proof": base64.b64encode(key.sign(message + subject.encode())).decode(),
        "name": "laptop",
    }
    return Person(rest, key, rest.post("/me/keys", body))


def sign(system: System, person: Person, asked: dict[str, Any], *, approved: bool) -> Answer:
    payload = {
        "requestId": asked["requestId"],
        "callDigest": asked["callDigest"],
        "approved": approved,
        "approver": person.did,
        "proof": person.made["lent"][0]["proof"],
    }
    document = system.seal(
        "tool_approval_response", asked["agent"], payload, key="own", signer=person.key
    )
    body = {"document": document.wire.decode()}
    return person.rest.send("POST", f"/approvals/{asked['id']}/signed", body)


def test_an_agent_counts_what_a_person_signed_themself(fleet: Fleet) -> None:
    system = fleet.system
    person = enrol(invite(system, "approver"))
    intent = system.order(fleet.worker, "shell.exec", argv=["uname", "-n"])
    asked = system.pending_approval(intent)
    decided = sign(system, person, asked, approved=True)
    assert decided.status == 200, decided.value
    assert decided.value["decisions"][0]["by"] == "own key"
    ended = system.end(intent)
    assert ended["state"] == "succeeded", ended["result"]
    [decision] = [parse_document(one) for one in ended["documents"]["approvals"]]
    assert decision.sender_did == person.did
    assert parse_document(ended["documents"]["result"]).payload["approvals"] == [decision.id]


def test_a_key_that_was_ended_decides_nothing(fleet: Fleet) -> None:
    system = fleet.system
    person = enrol(invite(system, "approver"))
    intent = system.order(fleet.worker, "shell.exec", argv=["uname", "-m"])
    asked = system.pending_approval(intent)
    person.rest.send("DELETE", f"/me/keys/{person.made['id']}")
    assert sign(system, person, asked, approved=True).status == 403
    system.rest.post(f"/intents/{intent}/cancel", {})
    assert system.end(intent)["state"] == "cancelled"


def test_who_ordered_through_the_hub_does_not_decide_with_a_key_of_their_own(
    fleet: Fleet,
) -> None:
    system = fleet.system
    person = enrol(invite(system, "operator"))
    body = {
        "target": {"agent": fleet.worker.did},
        "action": "shell.exec",
        "params": {"argv": ["uname", "-v"]},
    }
    intent = person.rest.post("/intents", body)["intents"][0]["id"]
    asked = system.pending_approval(intent)
    assert sign(system, person, asked, approved=True).status == 403
    person.rest.post(f"/intents/{intent}/cancel", {})
    assert system.end(intent)["state"] == "cancelled"


def test_an_order_signed_by_its_person_is_obeyed_and_their_own_alone(fleet: Fleet) -> None:
    system = fleet.system
    person = enrol(invite(system, "operator"))
    payload = {
        "action": "echo",
        "params": {"text": "signed here"},
        "realm": "default",
        "timeoutSeconds": 60,
        "proof": person.made["lent"][0]["proof"],
    }
    order = system.seal("intent", fleet.worker.did, payload, key="own", signer=person.key)
    answer = person.rest.post("/intents/signed", {"document": order.wire.decode()})
    ended = system.end(answer["intents"][0]["id"])
    assert ended["state"] == "succeeded", ended["result"]
    assert ended["signer"] == person.did


def test_where_an_operator_must_sign_a_key_lent_by_the_hub_does_not_count(fleet: Fleet) -> None:
    system = fleet.system
    rule = {
        "id": "ask",
        "effect": "allow",
        "actions": ["echo"],
        "approval": {"people": 1, "from": ["*"], "withinSeconds": 3, "operatorSigned": True},
    }
    person = enrol(invite(system, "approver"))
    with system.agent("asks-operators", policy={"rules": [rule], "limits": {}}) as agent:
        intent = system.order(agent, "echo", text="asks-operators")
        asked = system.pending_approval(intent)
        assert asked["signed"]
        assert sign(system, person, asked, approved=True).status == 403
        ended = system.end(intent)
        assert (ended["state"], ended["result"]["error"]["code"]) == (
            "refused",
            "approval_expired",
        )
