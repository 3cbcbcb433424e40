"""Orders the hub routes but did not sign, and agents that obey no others."""

from __future__ import annotations

import json

from protocol.envelope import parse_document
from tests.interaction.fixtures import Fleet


def hand_in(fleet: Fleet, document: str) -> str:
    batch = fleet.system.rest.post("/intents/signed", {"document": document})
    return str(batch["intents"][0]["id"])


def test_a_signed_order_is_forwarded_byte_for_byte_and_done(fleet: Fleet) -> None:
    system = fleet.system
    order = system.signed_order(fleet.worker, "echo", {"signed": True})
    intent = hand_in(fleet, order.wire.decode())
    assert intent == order.id
    ended = system.end(intent)
    assert ended["state"] == "succeeded"
    assert ended["documents"]["intent"] == order.wire.decode()
    assert (
        parse_document(ended["documents"]["intent"]).sender_did == (system.hub.made["operatorDid"])
    )
    # The same document again gets its first answer, and nothing is done twice.
    assert hand_in(fleet, order.wire.decode()) == intent


def test_the_command_line_signs_with_the_operators_key_file(fleet: Fleet) -> None:
    system = fleet.system
    key = system.hub.made["operatorKeyFile"]
    done = system.writ("run", "worker", "echo", "-p", "n=1", "--sign", key)
    assert done["state"] == "succeeded"
    shown = system.intent(done["id"])
    assert shown["signer"] == system.hub.made["operatorDid"]


def test_an_order_changed_after_it_was_signed_is_not_taken(fleet: Fleet) -> None:
    system = fleet.system
    tampered = system.signed_order(fleet.worker, "echo", {"n": 1}).as_value()
    payload = tampered["payload"]
    assert isinstance(payload, dict)
    payload["params"] = {"n": 2}
    answer = system.rest.send("POST", "/intents/signed", {"document": json.dumps(tampered)})
    assert (answer.status, answer.code) == (422, "bad_signature")


def test_an_agent_that_demands_an_operator_obeys_no_order_of_the_hub(fleet: Fleet) -> None:
    system = fleet.system
    with system.agent("strict", "--require-operator-signature", allow=["echo"]) as agent:
        ended = system.run(agent, "echo", by="hub")
        assert ended["state"] == "refused"
        assert ended["result"]["error"]["code"] == "operator_required"
        # The hub's own policy counts for nothing either: an operator's order meets no policy.
        order = system.signed_order(agent, "echo", {"by": "operator"})
        ended = system.end(hand_in(fleet, order.wire.decode()))
        assert ended["state"] == "refused"
        assert ended["result"]["error"]["code"] in ("no_policy", "wrong_realm")
