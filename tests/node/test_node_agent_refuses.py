"""The example agent for Node against a hub that lies: forged hellos, orders, chains and replays."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from protocol.envelope import Envelope
from protocol.key_files import parse_private_key_pem
from protocol.keys import SigningKey
from tests.node.conftest import NodeAgent
from tests.node.scripted_hub import (
    HOUR,
    HUB_ACTIONS,
    Peer,
    ScriptedHub,
    delegation,
    document,
    new_id,
    now,
    payload_of,
)
from tests.protocol.material import HUB, OTHER, ROOT

ALICE, BOB, CAROL, DAVE = (SigningKey.from_seed(bytes([number]) * 32) for number in range(21, 25))


@pytest.fixture
def hub() -> Iterator[ScriptedHub]:
    with ScriptedHub() as made:
        yield made


@pytest.fixture
def agent(hub: ScriptedHub, node_agent_script: Path, tmp_path: Path) -> Iterator[NodeAgent]:
    pins = ["--hub", hub.url, "--root", ROOT.public_key.did]
    with NodeAgent(node_agent_script, tmp_path / "agent", "worker", pins) as made:
        made.start()
        yield made


def order(
    signer: SigningKey, to: str, action: str = "echo", *proof: Envelope, **changes: Any
) -> Envelope:
    payload: dict[str, Any] = {
        "action": action,
        "params": {"n": 1},
        "realm": "default",
        "timeoutSeconds": 60,
    }
    if proof:
        payload["proof"] = [link.id for link in proof]
    fields = {name: changes.pop(name) for name in ("id", "expires", "timestamp") if name in changes}
    return document(signer, "intent", payload | changes, audience=to, **fields)


FORGED_HELLOS: dict[str, Callable[[Peer], None]] = {
    "another root": lambda peer: peer.hello(root=OTHER.public_key.did),
    "a delegation by a stranger": lambda peer: peer.hello(delegation(OTHER, HUB, *HUB_ACTIONS)),
    "a delegation to a stranger": lambda peer: peer.hello(delegation(ROOT, OTHER, *HUB_ACTIONS)),
    "no writ.route": lambda peer: peer.hello(delegation(ROOT, HUB, "*")),
    "a delegation that ended": lambda peer: peer.hello(
        delegation(ROOT, HUB, *HUB_ACTIONS, expires=now() - timedelta(seconds=1))
    ),
    "conditions": lambda peer: peer.hello(delegation(ROOT, HUB, *HUB_ACTIONS, conditions=["true"])),
    "signed by another": lambda peer: peer.hello(signer=OTHER),
    "stale": lambda peer: peer.hello(timestamp=now() - timedelta(seconds=90)),
    "sequence 2": lambda peer: peer.hello(sequence=2),
    "not hello": lambda peer: peer.control("drain", {"retryAfterSeconds": 0}),
}


@pytest.mark.parametrize("name", FORGED_HELLOS)
def test_a_false_hello_is_answered_by_4401(hub: ScriptedHub, agent: NodeAgent, name: str) -> None:
    peer = hub.accept()
    FORGED_HELLOS[name](peer)
    error = peer.hear("error")
    assert payload_of(error)["code"] == "auth_failed"
    assert error.audience == "*"
    assert peer.close_code() == 4401


def test_a_session_is_believed_once_even_over_a_restart(hub: ScriptedHub, agent: NodeAgent) -> None:
    first = hub.accept()
    first.let_in()
    agent.state("online")
    agent.kill()
    agent.start()
    second = hub.accept()
    second.session = first.session
    second.hello()
    assert second.close_code() == 4401


def test_forged_orders_get_an_error_and_leave_nothing_behind(
    hub: ScriptedHub, agent: NodeAgent
) -> None:
    peer = hub.accept()
    peer.let_in(allow=["*"])
    good = order(HUB, peer.agent_did)
    forgeries = {
        "bad_signature": good.wire.decode().replace('"n":1', '"n":2'),
        "wrong_audience": order(HUB, OTHER.public_key.did).wire.decode(),
        "expired": order(HUB, peer.agent_did, expires=now()).wire.decode(),
        "future": order(HUB, peer.agent_did, timestamp=now() + HOUR).wire.decode(),
        "unknown_type": document(HUB, "no_such_type", {}, audience=peer.agent_did).wire.decode(),
        "bad_payload": order(HUB, peer.agent_did, extra=1).wire.decode(),
        "no_chain": order(OTHER, peer.agent_did).wire.decode(),
    }
    for code, text in forgeries.items():
        peer.say(text)
        assert payload_of(peer.hear("error"))["code"] == code
    # The connection lives, and the true one with the forged one's id is done.
    peer.say(good.wire.decode())
    result = payload_of(peer.hear("result"))
    assert (result["status"], result["output"]) == ("succeeded", {"n": 1})
    assert result["intentDigest"] == good.digest


def test_the_same_order_again_is_done_once_and_its_id_is_used_up(
    hub: ScriptedHub, agent: NodeAgent
) -> None:
    peer = hub.accept()
    peer.let_in(allow=["*"])
    good = order(HUB, peer.agent_did)
    peer.say(good.wire.decode())
    first = peer.hear("result")
    agent.kill()
    agent.start()
    again = hub.accept()
    register = again.let_in()
    assert payload_of(register)["holds"]["intents"] == [good.id]
    assert again.hear("result").wire == first.wire
    again.say(good.wire.decode())
    assert payload_of(again.hear("intent_ack"))["intents"][0]["state"] == "duplicate"
    assert again.hear("result").wire == first.wire
    again.say(order(HUB, again.agent_did, id=good.id).wire.decode())
    assert payload_of(again.hear("error"))["code"] == "id_reuse"
    # After the ack it is not offered again.
    result = {"intentId": good.id, "resultId": first.id}
    again.control("result_ack", {"results": [result]})
    again.say(order(HUB, again.agent_did).wire.decode())
    again.hear("result")
    again.hang_up()
    third = hub.accept()
    assert good.id not in payload_of(third.let_in())["holds"]["intents"]


def test_a_result_is_offered_until_it_is_acked_or_turned_down(
    hub: ScriptedHub, agent: NodeAgent
) -> None:
    peer = hub.accept()
    peer.let_in(allow=["*"], heartbeat_seconds=1)
    peer.say(order(HUB, peer.agent_did).wire.decode())
    result = peer.hear("result")
    peer.answer_heartbeat()
    assert peer.hear("result").wire == result.wire
    said = {"code": "unknown_intent", "message": "never sent", "inReplyTo": result.id}
    peer.control("error", said)
    peer.answer_heartbeat()  # what was on its way has arrived
    peer.heard.clear()
    for _ in range(3):
        peer.answer_heartbeat()
    assert peer.heard == ["heartbeat"] * 3
    peer.hang_up()
    again = hub.accept()
    again.let_in()
    assert again.hear("result").wire == result.wire


def test_every_step_of_authority_has_its_code(hub: ScriptedHub, agent: NodeAgent) -> None:
    peer = hub.accept()
    alice = delegation(ROOT, ALICE, "echo")
    bob = delegation(ALICE, BOB, "echo", parent=alice.digest, maxDepth=1)
    wide = delegation(ALICE, OTHER, "*", parent=alice.digest, maxDepth=1)
    deep = delegation(ALICE, OTHER, "echo", parent=alice.digest, maxDepth=2)
    unsure = delegation(ROOT, CAROL, "echo", conditions=["true"])
    frugal = delegation(ROOT, DAVE, "echo", budget={"ordersPerDay": 5})
    # Children first: the order inside one frame does not matter.
    peer.let_in(deep, wide, bob, alice, unsure, frugal, allow=["echo"])
    to = peer.agent_did
    expected = [
        (order(BOB, to, "echo", alice, bob), None),
        (order(BOB, to, "echo", bob), "bad_chain"),
        (order(BOB, to, "echo", bob, alice), "bad_chain"),
        (order(ALICE, to, "echo"), "no_chain"),
        (order(OTHER, to, "echo", alice, wide), "not_attenuated"),
        (order(OTHER, to, "echo", alice, deep), "not_attenuated"),
        (order(ALICE, to, "files.read", alice, params={"path": "x"}), "not_granted"),
        (order(HUB, to, "no.such"), "unknown_action"),
        (order(HUB, to, "files.read"), "bad_params"),
        (order(HUB, to, realm="lab"), "wrong_realm"),
        (order(HUB, to, onBehalfOf=OTHER.public_key.did), "person_not_granted"),
        (order(HUB, to, onBehalfOf=ALICE.public_key.did), "person_not_granted"),
        (order(CAROL, to, "echo", unsure), "condition_false"),
        (order(DAVE, to, "echo", frugal), "condition_false"),
        (order(HUB, to, "files.read", params={"path": "x"}), "policy_denied"),
    ]
    for number, (sent, code) in enumerate(expected):
        peer.say(sent.wire.decode())
        result = payload_of(peer.hear("result"))
        assert result["intentId"] == sent.id
        assert result.get("error", {}).get("code") == code, f"order {number}"
    revoked = {"epoch": 1, "keys": [ALICE.public_key.did], "delegations": []}
    peer.say(document(HUB, "revocations", revoked).wire.decode())
    assert payload_of(peer.hear("document_ack"))["documents"][0]["state"] == "accepted"
    peer.say(order(BOB, to, "echo", alice, bob).wire.decode())
    assert payload_of(peer.hear("result"))["error"]["code"] == "revoked"
    lifted = document(HUB, "revocations", {"epoch": 2, "keys": [], "delegations": []})
    peer.say(lifted.wire.decode())
    assert payload_of(peer.hear("document_ack"))["documents"][0]["code"] == "forbidden_lift"


def test_junk_and_wrong_numbers_end_the_connection_and_it_comes_back(
    hub: ScriptedHub, agent: NodeAgent
) -> None:
    pong = {"time": "2026-01-01T00:00:00.000Z", "checkpoint": None, "revocationEpoch": None}
    attacks: list[tuple[str, Callable[[Peer], None]]] = [
        ("bad_json", lambda peer: peer.say('{"type":1,"type":2}')),
        ("bad_envelope", lambda peer: peer.say("[]")),
        ("wrong_key", lambda peer: peer.control("pong", pong, signer=OTHER)),
        ("replay", lambda peer: peer.control("pong", pong, sequence=1)),
        ("bad_sequence", lambda peer: peer.control("pong", pong, sequence=9)),
        ("wrong_session", lambda peer: peer.control("pong", pong, session=new_id())),
        ("forbidden_type", lambda peer: peer.hello()),
    ]
    for code, attack in attacks:
        peer = hub.accept()
        peer.let_in()
        attack(peer)
        assert payload_of(peer.hear("error"))["code"] == code
        assert peer.close_code() == 4400
        peer.over.set()


def test_a_quarantine_is_set_through_the_hub_and_lifted_only_without_it(
    hub: ScriptedHub, agent: NodeAgent
) -> None:
    peer = hub.accept()
    peer.let_in(allow=["*"])
    to = peer.agent_did

    def answer(signer: SigningKey, epoch: int, active: bool) -> dict[str, Any]:
        payload = {"epoch": epoch, "active": active, "reason": "drill"}
        peer.say(document(signer, "quarantine", payload, audience=to).wire.decode())
        shown: dict[str, Any] = payload_of(peer.hear("document_ack"))["documents"][0]
        return shown

    def ordered() -> str | None:
        peer.say(order(HUB, to).wire.decode())
        code: str | None = payload_of(peer.hear("result")).get("error", {}).get("code")
        return code

    assert ordered() is None
    assert answer(OTHER, 1, True)["code"] == "not_authorised"
    assert answer(HUB, 5, True)["state"] == "accepted"
    assert ordered() == "quarantined"
    assert answer(HUB, 6, False)["code"] == "forbidden_lift"
    assert answer(ROOT, 4, False)["code"] == "old_epoch"
    assert ordered() == "quarantined"
    assert answer(ROOT, 6, False)["state"] == "accepted"
    assert ordered() is None


@pytest.mark.parametrize("type_", ["llm_config", "skills_config", "intent_cancel"])
def test_steering_it_does_not_know_is_refused(
    hub: ScriptedHub, agent: NodeAgent, type_: str
) -> None:
    peer = hub.accept()
    peer.let_in()
    sent = document(ROOT, type_, {"version": 1, "config": {}}, audience=peer.agent_did)
    peer.say(sent.wire.decode())
    [shown] = payload_of(peer.hear("document_ack"))["documents"]
    assert (shown["id"], shown["state"], shown["code"]) == (sent.id, "refused", "not_authorised")


def test_an_old_policy_does_not_come_back(hub: ScriptedHub, agent: NodeAgent) -> None:
    peer = hub.accept()
    peer.let_in(allow=["*"])

    def answer(version: int) -> dict[str, Any]:
        rules: list[dict[str, Any]] = [{"id": "none", "effect": "deny", "actions": ["*"]}]
        payload = {"policyId": new_id(), "version": version, "realms": ["default"], "limits": {}}
        peer.say(
            document(
                HUB,
                "policy_update",
                payload | {"default": "deny", "rules": rules},
                audience=peer.agent_did,
            ).wire.decode()
        )
        shown: dict[str, Any] = payload_of(peer.hear("document_ack"))["documents"][0]
        return shown

    peer.hear("document_ack")
    assert answer(1)["code"] == "old_version"
    assert answer(3)["state"] == "accepted"
    assert answer(2)["code"] == "old_version"
    peer.say(order(HUB, peer.agent_did).wire.decode())
    assert payload_of(peer.hear("result"))["error"]["code"] == "policy_denied"


def test_what_a_crash_cut_in_two_is_interrupted_and_not_done_again(
    hub: ScriptedHub, agent: NodeAgent
) -> None:
    peer = hub.accept()
    peer.let_in(allow=["*"])
    sent = order(HUB, peer.agent_did)
    peer.say(sent.wire.decode())
    peer.hear("result")
    agent.kill()
    # The journal as a crash leaves it: the start is on the disk, of the next line only a part.
    journal = agent.folder / "journal"
    lines = journal.read_text("utf-8").splitlines(keepends=True)
    started = next(at for at, line in enumerate(lines) if '"startedAt"' in line)
    journal.write_text("".join(lines[: started + 1]) + lines[started + 1][:40], "utf-8")
    agent.start()
    again = hub.accept()
    assert payload_of(again.let_in())["holds"]["intents"] == [sent.id]
    result = payload_of(again.hear("result"))
    assert (result["status"], result["intentDigest"]) == ("interrupted", sent.digest)


def test_its_key_is_its_own(hub: ScriptedHub, agent: NodeAgent) -> None:
    key = agent.folder / "key.pem"
    assert key.stat().st_mode & 0o777 == 0o600
    assert agent.folder.stat().st_mode & 0o777 == 0o700
    assert parse_private_key_pem(key.read_bytes()).public_key.did == agent.did
    agent.kill()
    key.chmod(0o640)
    with pytest.raises(AssertionError, match="key_file"):
        agent.start()
