"""What the dashboard calls verified: real orders under its proof library, and ways to cheat it."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.interaction.fixtures import Fleet
from tests.interaction.people import new_approver
from tests.node.conftest import ask_script


def prove(*questions: dict[str, Any]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in ask_script("prove_order.mjs", *questions)]


def failing(proof: dict[str, Any]) -> list[tuple[str, str]]:
    return [(one["name"], one["code"]) for one in proof["checks"] if one["state"] == "fails"]


def question_of(fleet: Fleet, order: dict[str, Any]) -> dict[str, Any]:
    rest = fleet.system.rest
    return {
        "shown": rest.get(f"/intents/{order['id']}"),
        "inclusion": rest.get(f"/intents/{order['id']}/inclusion"),
        "root": fleet.system.hub.root,
    }


@pytest.fixture(scope="module")
def honest(fleet: Fleet) -> dict[str, Any]:
    """A finished order as an honest hub shows it."""
    return question_of(fleet, fleet.system.run(fleet.worker, "echo", text="€ 1.5", number=1.5))


def test_an_honest_order_is_verified(honest: dict[str, Any]) -> None:
    (proof,) = prove(honest)
    assert proof["verified"], proof["checks"]
    assert not proof["failed"]
    assert [one["name"] for one in proof["checks"]] == ["order", "authority", "result", "record"]
    assert proof["result"]["status"] == "succeeded"


def test_without_a_proof_from_the_record_nothing_is_verified(honest: dict[str, Any]) -> None:
    (proof,) = prove(honest | {"inclusion": None})
    assert (proof["verified"], proof["failed"]) == (False, False)
    assert [one["state"] for one in proof["checks"]] == ["holds", "holds", "holds", "open"]


def test_whatever_is_bent_is_named(fleet: Fleet, honest: dict[str, Any]) -> None:
    other = question_of(fleet, fleet.system.run(fleet.worker, "echo", text="another"))

    def bent(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> dict[str, Any]:
        question = copy.deepcopy(honest)
        change(question["shown"], question["inclusion"])
        return question

    def in_document(name: str, old: str, new: str) -> dict[str, Any]:
        def change(shown: dict[str, Any], _: dict[str, Any]) -> None:
            assert old in shown["documents"][name]
            shown["documents"][name] = shown["documents"][name].replace(old, new)

        return bent(change)

    def flipped(text: str) -> str:
        return base64.b64encode(bytes([*base64.b64decode(text)[:-1], 7])).decode()

    cases: list[tuple[str, str, dict[str, Any]]] = [
        ("result", "bad_signature", in_document("result", "€", "$")),
        ("result", "shown_otherwise", bent(lambda shown, _: shown.update(state="failed"))),
        ("result", "no_result", bent(lambda shown, _: shown["documents"].update(result=None))),
        ("record", "no_result", bent(lambda shown, _: shown["documents"].update(result=None))),
        ("result", "bad_json", in_document("result", '"intentId"', '"intentId":1,"intentId"')),
        ("order", "bad_signature", in_document("intent", "€", "$")),
        ("order", "shown_otherwise", bent(lambda shown, _: shown["params"].update(text="x"))),
        ("order", "shown_otherwise", bent(lambda shown, _: shown.update(agent="did:key:x"))),
        ("order", "shown_otherwise", bent(lambda shown, _: shown.update(action="files.read"))),
        ("order", "no_intent", bent(lambda shown, _: shown["documents"].update(intent=None))),
        ("authority", "no_chain", bent(lambda shown, _: shown["documents"].update(delegations=[]))),
        ("record", "bad_inclusion", bent(lambda _, leaf: leaf.update(index=leaf["index"] - 1))),
        ("record", "bad_inclusion", bent(lambda _, leaf: leaf["proof"].pop())),
        (
            "record",
            "bad_inclusion",
            bent(lambda _, leaf: leaf["proof"].insert(0, flipped(leaf["proof"].pop(0)))),
        ),
        (
            "record",
            "bad_inclusion",
            bent(lambda _, leaf: leaf.update(leaf=leaf["leaf"].replace("succeeded", "failed"))),
        ),
        (
            "record",
            "bad_checkpoint",
            bent(
                lambda _, leaf: leaf.update(checkpoint=leaf["checkpoint"].replace("\n", "\n9", 1))
            ),
        ),
        ("record", "other_leaf", honest | {"inclusion": other["inclusion"]}),
        (
            "result",
            "bad_digest",
            bent(
                lambda shown, _: shown["documents"].update(
                    result=other["shown"]["documents"]["result"]
                )
            ),
        ),
    ]
    proofs = prove(*(question for _, _, question in cases))
    for (name, code, _), proof in zip(cases, proofs, strict=True):
        assert not proof["verified"], (name, code)
        assert (name, code) in failing(proof), (name, code, proof["checks"])
    assert [proof["result"] for proof in proofs[:4]] == [None] * 4


def test_an_order_that_the_hub_ended_is_never_called_verified(fleet: Fleet) -> None:
    system = fleet.system
    with system.agent("away") as agent:
        agent.stop()
        intent = system.order(agent, "echo", text="nobody hears it")
        system.rest.post(f"/intents/{intent}/cancel", {})
        question = question_of(fleet, system.end(intent))
    lied = copy.deepcopy(question)
    lied["shown"]["state"] = "expired"
    good, bad = prove(question, lied)
    states = {one["name"]: one["state"] for one in good["checks"]}
    assert states == {"order": "holds", "authority": "holds", "result": "open", "record": "holds"}
    assert not good["verified"]
    assert failing(bad) == [("record", "shown_otherwise")]


def test_under_another_root_nothing_holds(fleet: Fleet, honest: dict[str, Any]) -> None:
    (proof,) = prove(honest | {"root": fleet.system.hub.made["operatorDid"]})
    assert not proof["verified"]
    assert {name for name, _ in failing(proof)} == {"authority", "record"}


def test_who_approved_is_part_of_the_proof(fleet: Fleet) -> None:
    system = fleet.system
    intent = system.order(fleet.worker, "shell.exec", argv=["uname"])
    asked = system.pending_approval(intent)
    bea = new_approver(system, "bea")
    payload = {
        "requestId": asked["requestId"],
        "callDigest": asked["callDigest"],
        "approved": True,
        "approver": bea.did,
        "proof": bea.proof,
    }
    sealed = system.seal("tool_approval_response", asked["agent"], payload, key="", signer=bea.key)
    document = sealed.wire.decode()
    system.rest.post(f"/approvals/{asked['id']}/signed", {"document": document})
    question = question_of(fleet, system.end(intent))
    without = copy.deepcopy(question)
    without["shown"]["documents"]["approvals"] = []
    good, bad = prove(question, without)
    assert good["verified"], good["checks"]
    (check,) = [one for one in good["checks"] if one["name"] == "approvals"]
    assert check["says"] == f"approved by {bea.did}"
    assert failing(bad) == [("approvals", "no_approval")]
