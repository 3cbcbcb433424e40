"""SPEC section 7, step 7: an order held for people, from asking to the end."""

from __future__ import annotations

from typing import Any

import pytest

from protocol.approvals import call_digest
from protocol.envelope import parse_document
from tests.interaction.fixtures import Fleet
from tests.interaction.people import Approver, add_person, new_approver
from tests.interaction.processes import wait_until

UNAME = {"argv": ["uname", "-s"]}


def decide(
    fleet: Fleet, asked: dict[str, Any], *, approved: bool, by: Approver | None = None
) -> Any:
    """Decide by a person's own key; without `by` it is the key of whoever gave the order."""
    payload = {
        "requestId": asked["requestId"],
        "callDigest": asked["callDigest"],
        "approved": approved,
        "approver": fleet.system.hub.made["operatorDid"] if by is None else by.did,
        **({} if by is None else {"proof": by.proof}),
    }
    document = fleet.system.seal(
        "tool_approval_response",
        asked["agent"],
        payload,
        key="operator" if by is None else "",
        signer=None if by is None else by.key,
    )
    body = {"document": document.wire.decode()}
    return fleet.system.rest.send("POST", f"/approvals/{asked['id']}/signed", body)


@pytest.fixture(scope="module")
def ann(fleet: Fleet) -> Approver:
    """Somebody beside the first admin, who gives the orders here."""
    return new_approver(fleet.system, "ann")


def test_a_held_order_runs_once_approved_by_somebodys_own_key(fleet: Fleet, ann: Approver) -> None:
    system = fleet.system
    intent = system.order_with(fleet.worker, "shell.exec", UNAME)
    asked = system.pending_approval(intent)
    assert (asked["tool"], asked["arguments"]) == ("shell.exec", UNAME)
    assert (asked["rule"], asked["people"]) == ("anyone-approves", 1)
    assert asked["callDigest"] == call_digest(intent_id=intent, tool="shell.exec", arguments=UNAME)
    assert system.intent(intent)["state"] in ("dispatched", "accepted")
    decided = decide(fleet, asked, approved=True, by=ann)
    assert decided.status == 200
    ended = system.end(intent)
    assert ended["state"] == "succeeded"
    assert ended["result"]["output"]["exitCode"] == 0
    result = parse_document(ended["documents"]["result"]).payload
    [decision] = ended["documents"]["approvals"]
    assert result["approvals"] == [parse_document(decision).id]
    assert decide(fleet, asked, approved=True, by=ann).status == 409


def test_a_denial_is_final_and_nothing_is_started(fleet: Fleet, ann: Approver) -> None:
    system = fleet.system
    argv = ["uname", "-a"]
    intent = system.order(fleet.worker, "shell.exec", argv=argv)
    asked = system.pending_approval(intent)
    assert decide(fleet, asked, approved=False, by=ann).status == 200
    ended = system.end(intent)
    assert (ended["state"], ended["result"]["error"]["code"]) == ("refused", "approval_denied")
    assert decide(fleet, asked, approved=True, by=ann).status == 409


def test_nobody_deciding_in_time_is_approval_expired(fleet: Fleet) -> None:
    system = fleet.system
    ended = system.run(fleet.worker, "shell.exec", argv=["true"])
    assert (ended["state"], ended["result"]["error"]["code"]) == ("refused", "approval_expired")


def test_who_gave_the_order_does_not_decide_about_it(fleet: Fleet) -> None:
    system = fleet.system
    intent = system.order(fleet.worker, "shell.exec", argv=["id", "-u"])
    asked = system.pending_approval(intent)
    own = system.rest.send("POST", f"/approvals/{asked['id']}/approve", {})
    assert own.status == 403
    # Nor by the key that is theirs: to the agent it is somebody else, the hub knows better.
    signed = decide(fleet, asked, approved=True)
    assert (signed.status, signed.code) == (403, "forbidden")
    system.rest.post(f"/intents/{intent}/cancel", {})
    assert system.end(intent)["state"] == "cancelled"


def test_a_person_with_the_role_decides_and_the_hub_vouches(fleet: Fleet) -> None:
    system = fleet.system
    body = {
        "target": {"agent": fleet.worker.did},
        "action": "shell.exec",
        "params": {"argv": ["id", "-u"]},
    }
    # A machine's order is its maker's: who made its key does not decide about it either.
    made = system.machine("operator").post("/intents", body)["intents"][0]["id"]
    own = system.pending_approval(made)
    assert system.rest.send("POST", f"/approvals/{own['id']}/approve", {}).status == 403
    system.rest.post(f"/intents/{made}/cancel", {})
    given = add_person(system, "ben", "operator").post("/intents", body)
    intent = given["intents"][0]["id"]
    asked = system.pending_approval(intent)
    machine = system.machine("approver")
    assert machine.send("POST", f"/approvals/{asked['id']}/approve", {}).status == 403
    decided = system.rest.post(f"/approvals/{asked['id']}/approve", {"reason": "fine"})
    assert decided["decisions"][0]["approver"].startswith("user:")
    ended = system.end(intent)
    assert ended["state"] == "succeeded"
    [decision] = [parse_document(one) for one in ended["documents"]["approvals"]]
    assert decision.sender_did == system.hub.did


def test_a_decision_over_another_call_is_not_taken(fleet: Fleet, ann: Approver) -> None:
    system = fleet.system
    intent = system.order(fleet.worker, "shell.exec", argv=["uname", "-r"])
    asked = system.pending_approval(intent)
    other = {**asked, "callDigest": call_digest(intent_id=intent, tool="echo", arguments={})}
    assert decide(fleet, other, approved=True, by=ann).status == 422
    assert system.rest.get(f"/approvals/{asked['id']}")["state"] == "pending"
    assert decide(fleet, asked, approved=True, by=ann).status == 200
    assert system.end(intent)["state"] == "succeeded"


def test_a_held_order_survives_a_kill_of_the_agent(fleet: Fleet, ann: Approver) -> None:
    system = fleet.system
    rule = {
        "id": "ask",
        "effect": "allow",
        "actions": ["files.write"],
        "approval": {"people": 1, "from": ["*"], "withinSeconds": 600},
    }
    with system.agent("held", policy={"rules": [rule], "limits": {}}) as agent:
        params = {"path": "witness", "content": "done\n", "append": True}
        intent = system.order_with(agent, "files.write", params)
        asked = system.pending_approval(intent)
        agent.kill()
        assert decide(fleet, asked, approved=True, by=ann).status == 200
        agent.start()
        assert system.end(intent)["state"] == "succeeded"
        assert agent.lines("witness") == ["done"]


def test_who_is_asked_is_told_and_who_ordered_is_not(fleet: Fleet) -> None:
    system = fleet.system
    asked_person = add_person(system, "on-call", "operator")
    onlooker = add_person(system, "onlooker", "member")
    intent = system.order_with(fleet.worker, "shell.exec", UNAME)
    asked = system.pending_approval(intent)

    def told() -> dict[str, Any] | None:
        found = asked_person.items("/notifications")
        return next((one for one in found if one["subject"] == asked["id"]), None)

    one = wait_until(told, "word that a call waits")
    assert one["title"] == f"shell.exec on {fleet.worker.name} waits for your decision"
    assert "uname" not in str(one)
    assert onlooker.items("/notifications") == []
    mine = system.writ("notifications", "list", "--unread")["items"]
    assert asked["id"] not in [item["subject"] for item in mine]
    chosen = system.writ("notifications", "preferences", "approvals", "--email", "digest")
    assert chosen["families"]["approvals"]["email"] == "digest"
    assert system.writ("notifications", "read")["read"] >= 0
    system.writ("notifications", "preferences", "approvals", expect=2)
    system.rest.post(f"/intents/{intent}/cancel", {})
    assert system.end(intent)["state"] == "cancelled"
