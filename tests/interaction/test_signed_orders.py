"""Orders signed by operators and schedulers: every way such a document can be wrong, and right."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane.key_files import save_private_key
from protocol.envelope import Envelope, seal_document
from protocol.ids import format_uuid7
from protocol.keys import SigningKey
from tests.interaction.fixtures import Fleet
from tests.interaction.rest import Answer
from tests.interaction.system import Agent, System


def hand_in(system: System, document: Envelope | str) -> Answer:
    text = document if isinstance(document, str) else document.wire.decode()
    return system.rest.send("POST", "/intents/signed", {"document": text})


def order_of(fleet: Fleet, **changes: Any) -> Envelope:
    return fleet.system.signed_order(fleet.worker, "echo", {"n": 1}, **changes)


def sealed_at(fleet: Fleet, timestamp: datetime, lifetime: timedelta) -> Envelope:
    payload = dict(order_of(fleet).payload)
    return seal_document(
        type="intent",
        id=format_uuid7(timestamp, secrets.token_bytes(10)),
        timestamp=timestamp,
        expires=timestamp + lifetime,
        audience=fleet.worker.did,
        payload=payload,
        signer=fleet.system.hub.key("operator"),
    )


def altered(envelope: Envelope, change: Callable[[dict[str, Any]], None]) -> str:
    value = json.loads(envelope.wire)
    change(value)
    return json.dumps(value)


def refusal(fleet: Fleet, document: Envelope) -> str:
    """Hand in what the hub takes and its agent must judge; return the agent's code."""
    answer = hand_in(fleet.system, document)
    assert answer.status == 202, answer
    ended = fleet.system.end(document.id)
    assert ended["state"] == "refused", ended
    return str(ended["result"]["error"]["code"])


# --- what the hub itself does not take ---------------------------------------------------------


def test_an_order_for_an_agent_nobody_knows_is_not_found(fleet: Fleet) -> None:
    order = fleet.system.seal(
        "intent", SigningKey.from_seed(secrets.token_bytes(32)).public_key.did,
        order_of(fleet).payload,
    )  # fmt: skip
    assert hand_in(fleet.system, order).status == 404


def test_an_order_moved_to_another_agent_breaks_its_signature(fleet: Fleet) -> None:
    moved = altered(order_of(fleet), lambda value: value.update(audience=fleet.helper.did))
    answer = hand_in(fleet.system, moved)
    assert (answer.status, answer.code) == (422, "bad_signature")


def test_an_order_whose_time_has_gone_is_not_taken(fleet: Fleet) -> None:
    old = sealed_at(fleet, datetime.now(UTC) - timedelta(hours=2), timedelta(hours=1))
    answer = hand_in(fleet.system, old)
    assert (answer.status, answer.code) == (422, "expired")


def test_an_order_from_the_future_is_not_taken(fleet: Fleet) -> None:
    early = sealed_at(fleet, datetime.now(UTC) + timedelta(minutes=5), timedelta(hours=1))
    answer = hand_in(fleet.system, early)
    assert (answer.status, answer.code) == (422, "future")


def test_an_id_that_was_used_for_other_bytes_is_not_taken(fleet: Fleet) -> None:
    first = order_of(fleet)
    assert hand_in(fleet.system, first).status == 202
    again = seal_document(
        type="intent",
        id=first.id,
        timestamp=first.timestamp,
        expires=first.timestamp + timedelta(hours=1),
        audience=first.audience,
        payload={**first.payload, "params": {"n": 2}},
        signer=fleet.system.hub.key("operator"),
    )
    answer = hand_in(fleet.system, again)
    assert answer.code == "id_reuse"
    assert answer.status in (409, 422)


def test_the_same_order_again_gets_its_first_answer_and_is_done_once(fleet: Fleet) -> None:
    system = fleet.system
    params = {"path": "signed-once", "content": "x\n", "append": True}
    order = system.signed_order(fleet.worker, "files.write", params)
    first = hand_in(system, order)
    assert system.end(order.id)["state"] == "succeeded"
    again = hand_in(system, order)
    assert (first.status, again.status) == (202, 202)
    assert again.value["intents"][0]["id"] == first.value["intents"][0]["id"]
    assert again.value["intents"][0]["state"] == "succeeded"
    assert fleet.worker.lines("signed-once") == ["x"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"urgent": True}, "bad_payload"),
        ({"timeoutSeconds": 0}, "bad_payload"),
        ({"onBehalfOf": None}, "bad_payload"),
        ({"proof": ["no-id"]}, "bad_payload"),
        ({"realm": "No Realm"}, "bad_payload"),
    ],
)
def test_a_payload_out_of_form_is_not_taken_whoever_signed_it(
    fleet: Fleet, change: Mapping[str, Any], code: str
) -> None:
    answer = hand_in(fleet.system, order_of(fleet, **change))
    assert (answer.status, answer.code) == (422, code)


def test_an_envelope_with_a_field_too_many_is_not_taken(fleet: Fleet) -> None:
    answer = hand_in(fleet.system, altered(order_of(fleet), lambda value: value.update(note="x")))
    assert (answer.status, answer.code) == (422, "bad_envelope")


def test_another_kind_of_document_is_no_order(fleet: Fleet) -> None:
    payload = {"epoch": 1, "active": False, "reason": "x"}
    document = fleet.system.seal("quarantine", fleet.worker.did, payload)
    answer = hand_in(fleet.system, document)
    assert (answer.status, answer.code) == (422, "forbidden_type")


def test_a_machine_of_another_realm_hands_in_nothing(fleet: Fleet) -> None:
    system = fleet.system
    system.rest.post("/realms", {"id": "outside"})
    outsider = system.machine("operator", realm="outside")
    body = {"document": order_of(fleet).wire.decode()}
    assert outsider.send("POST", "/intents/signed", body).status in (403, 404)


# --- what the agent refuses --------------------------------------------------------------------


def test_a_proof_that_names_no_delegation_is_refused(fleet: Fleet) -> None:
    nowhere = format_uuid7(datetime.now(UTC), secrets.token_bytes(10))
    assert refusal(fleet, order_of(fleet, proof=[nowhere])) == "no_chain"


def test_a_proof_in_the_wrong_order_is_refused(fleet: Fleet) -> None:
    own = fleet.system.operator_proof()
    hubs = fleet.system.rest.items("/delegations", subject=fleet.system.hub.did)[0]["id"]
    assert refusal(fleet, order_of(fleet, proof=[*own, hubs])) == "bad_chain"


def test_an_order_in_a_realm_its_agent_is_not_in_is_refused(fleet: Fleet) -> None:
    assert refusal(fleet, order_of(fleet, realm="mars")) == "wrong_realm"


# --- standing rights of a scheduler ------------------------------------------------------------


class Scheduler:
    """A key of its own, lent actions on one agent in one realm by the operator, hub or no hub."""

    def __init__(self, system: System, agent: Agent, folder: Path, *actions: str) -> None:
        self.key = SigningKey.from_seed(secrets.token_bytes(32))
        folder.chmod(0o700)
        self.file = folder / "scheduler.pem"
        save_private_key(self.file, self.key)
        self.above = folder / "above.json"
        above = system.writ("delegations", "show", system.operator_proof()[0])
        self.above.write_text(above["document"])
        self.grant = folder / "grant.json"
        lent = [word for action in actions for word in ("--action", action)]
        words = ("delegations", "issue", self.key.public_key.did, *lent, "--realm", "default",
                 "--agent", agent.did, "--expires-in", "30d", "--parent", str(self.above),
                 "--sign", system.hub.made["operatorKeyFile"],
                 "--out", str(self.grant))  # fmt: skip
        system.writ(*words, WRIT_URL="http://127.0.0.1:9")

    @property
    def files(self) -> tuple[str, ...]:
        """The options that name its chain."""
        return ("--delegation", str(self.above), "--delegation", str(self.grant))


def test_a_scheduler_signs_offline_inside_what_it_was_lent(fleet: Fleet, tmp_path: Path) -> None:
    system = fleet.system
    scheduler = Scheduler(system, fleet.worker, tmp_path, "files.list")
    out = tmp_path / "order.json"
    words = ("intents", "sign", fleet.worker.did, "files.list", "-p", "path=.",
             "--sign", str(scheduler.file), "--out", str(out))  # fmt: skip
    # No hub is reachable while it signs.
    made = system.writ(*words, *scheduler.files, WRIT_URL="http://127.0.0.1:9")
    handed = system.writ("intents", "submit", str(out))
    assert handed["id"] == made["id"]
    ended = system.end(made["id"])
    assert ended["state"] == "succeeded", ended
    assert ended["signer"] == scheduler.key.public_key.did
    assert system.writ("intents", "submit", str(out))["id"] == made["id"]


def test_a_scheduler_signs_nothing_beyond_what_it_was_lent(fleet: Fleet, tmp_path: Path) -> None:
    system = fleet.system
    scheduler = Scheduler(system, fleet.worker, tmp_path, "files.list")
    system.writ("delegations", "post", str(scheduler.grant))
    key = str(scheduler.file)
    assert system.writ("run", "worker", "files.list", "-p", "path=.", "--sign", key)["state"] == (
        "succeeded"
    )
    ended = system.writ("run", "worker", "echo", "--sign", key, expect=4)
    assert ended["result"]["error"]["code"] == "not_granted"
    ended = system.writ("run", "helper", "files.list", "-p", "path=.", "--sign", key, expect=4)
    assert ended["result"]["error"]["code"] in ("not_granted", "no_chain", "unknown_action")


def test_signing_for_a_key_that_the_delegations_do_not_name_is_a_usage_error(
    fleet: Fleet, tmp_path: Path
) -> None:
    scheduler = Scheduler(fleet.system, fleet.worker, tmp_path, "files.list")
    words = ("intents", "sign", fleet.worker.did, "echo", "--out", str(tmp_path / "o"))
    operator = fleet.system.hub.made["operatorKeyFile"]
    fleet.system.writ(*words, "--sign", operator, *scheduler.files, expect=2)
    assert not (tmp_path / "o").exists()


# --- agents that demand an operator's signature ------------------------------------------------


def test_a_strict_agent_obeys_operators_and_whom_they_lent_to_and_nobody_else(
    fleet: Fleet, tmp_path: Path
) -> None:
    system = fleet.system
    key = system.hub.made["operatorKeyFile"]
    policy = tmp_path / "policy.json"
    rules = [{"id": "all", "effect": "allow", "actions": ["*"]}]
    policy.write_text(json.dumps({"rules": rules, "limits": {}}))
    with system.agent("strict-one", "--require-operator-signature") as strict:
        system.writ("policies", "apply", str(policy), "--agent", strict.name, "--sign", key)

        # The hub itself.
        ended = system.run(strict, "echo", by="the hub")
        assert (ended["state"], ended["result"]["error"]["code"]) == (
            "refused",
            "operator_required",
        )
        # The operator.
        assert system.writ("run", strict.did, "echo", "--sign", key)["state"] == "succeeded"
        # A scheduler under the operator; what it signed the hub cannot have made.
        scheduler = Scheduler(system, strict, tmp_path, "echo")
        system.writ("delegations", "post", str(scheduler.grant))
        done = system.writ("run", strict.did, "echo", "--sign", str(scheduler.file))
        assert done["state"] == "succeeded"
        # A peer that the hub lent to, and the same peer once the operator has.
        wish = {"agent": strict.did, "action": "echo", "params": {}}
        with system.agent("peer-of-strict") as peer:
            lent = ("delegations", "issue", peer.did, "--action", "echo", "--agent", strict.did)
            system.writ(*lent, "--expires-in", "80d")
            ended = system.run(peer, "peer.order", **wish)
            assert ended["result"]["error"]["code"] == "operator_required", ended
            system.writ(*lent, "--expires-in", "85d", "--sign", key)
            assert system.run(peer, "peer.order", **wish)["state"] == "succeeded"
