"""Enrolment, policies, approvals and the record by REST, with an agent on a real socket."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import timedelta
from typing import Any

import pytest

from controlplane import clock
from controlplane.access.api_keys import new_api_key
from controlplane.first_start import key_record
from controlplane.key_files import load_private_key
from protocol.approvals import call_digest
from protocol.audit_tree import leaf_hash, root_hash, verify_consistency, verify_inclusion
from protocol.checkpoint import verify_checkpoint
from protocol.envelope import Envelope, parse_document, seal_document
from protocol.keys import PublicKey, SigningKey
from protocol.limits import CloseCode
from protocol.messages import (
    DocumentAck,
    DocumentAckItem,
    ErrorMessage,
    RegisterAck,
    RegistrationRejected,
    ToolApprovalRequest,
)
from protocol.timestamps import format_timestamp
from storage.records import UserRecord
from storage.unit_of_work import UnitOfWork
from tests.controlplane.hub.world import ScriptedAgent
from tests.controlplane.hubs import Client, ServedHub


async def waiting_agent(served: ServedHub, name: str = "worker") -> tuple[ScriptedAgent, str]:
    agent = ScriptedAgent(served.world())
    pending = await agent.pending(name=name)
    return agent, pending.registration_id


async def test_an_approval_by_capabilities_enrols_with_a_policy(served: ServedHub) -> None:
    agent, registration = await waiting_agent(served)
    (listed,) = (await served.client.get("/api/v1/registrations?state=pending")).json["items"]
    assert (listed["id"], listed["did"], listed["state"]) == (registration, agent.did, "pending")
    body = {"name": "press-1", "realms": ["default"], "capabilities": ["files.*"]}
    path = f"/api/v1/registrations/{registration}/approve"
    answer = await served.client.post(path, body)
    assert (answer.status, answer.json["state"]) == (200, "approved")
    ack = await agent.receive(RegisterAck)
    assert ack.name == "press-1"
    assert ack.policy is not None
    policy = ack.policy["payload"]
    assert policy["rules"] == [{"id": "allow", "effect": "allow", "actions": ["files.*"]}]
    assert policy["realms"] == ["default"]
    again = await served.client.post(path, body)
    assert (again.status, again.code) == (409, "conflict")


async def test_an_admin_of_one_realm_lets_no_agent_into_another(served: ServedHub) -> None:
    owner = await served.owner()
    for realm in ("here", "elsewhere"):
        assert (await owner.post("/api/v1/realms", {"id": realm})).status == 201
    admin = await served.person("mia", "admin", "here")
    made = await admin.post("/api/v1/join-tokens", {"realm": "here"})
    assert made.status == 201, made.data
    foreign = await admin.post("/api/v1/join-tokens", {"realm": "elsewhere"})
    assert foreign.status in (403, 404)
    agent = ScriptedAgent(served.world())
    pending = await agent.pending(token=made.json["token"])
    path = f"/api/v1/registrations/{pending.registration_id}/approve"
    for realms in (["elsewhere"], ["here", "elsewhere"], ["default"]):
        refused = await admin.post(path, {"realms": realms, "capabilities": ["echo"]})
        assert refused.status in (403, 404, 422), refused.data
    shown = await admin.get(f"/api/v1/registrations/{pending.registration_id}")
    assert shown.json["state"] == "pending"
    taken = await admin.post(path, {"realms": ["here"], "capabilities": ["echo"]})
    assert (taken.status, taken.json.get("state")) == (200, "approved"), taken.data
    ack = await agent.receive(RegisterAck)
    assert ack.policy is not None
    assert ack.policy["payload"]["realms"] == ["here"]


async def test_an_approval_that_cannot_be_leaves_the_request_pending(served: ServedHub) -> None:
    _, registration = await waiting_agent(served)
    path = f"/api/v1/registrations/{registration}/approve"
    rule = {"id": "a", "effect": "allow", "actions": ["echo"], "when": "this is not CEL ("}
    for body, pointer in (
        ({"realms": ["nowhere"], "capabilities": ["*"]}, "/realms/0"),
        ({"realms": ["default"], "policy": {"rules": [rule]}}, "/policy/rules/0/when"),
        ({"realms": ["default"], "capabilities": ["Bad Action"]}, "/capabilities/0"),
        ({"realms": ["default"], "capabilities": [], "policy": {"rules": []}}, ""),
    ):
        answer = await served.client.post(path, body)
        assert (answer.status, answer.code) == (422, "invalid_field")
        assert answer.json["errors"][0]["pointer"] == pointer
    shown = (await served.client.get(f"/api/v1/registrations/{registration}")).json
    assert shown["state"] == "pending"


async def test_a_rejected_agent_is_told_why_and_closed(served: ServedHub) -> None:
    agent, registration = await waiting_agent(served)
    path = f"/api/v1/registrations/{registration}/reject"
    assert (await served.client.post(path, {"reason": "who are you?"})).status == 200
    assert (await agent.receive(RegistrationRejected)).reason == "who are you?"
    assert await agent.close_code() == CloseCode.REFUSED


async def test_a_taken_wish_gets_a_number(served: ServedHub) -> None:
    await served.enrol("same")
    await served.enrol("same")
    await served.enrol("same")
    names = [one["name"] for one in (await served.client.get("/api/v1/agents")).json["items"]]
    assert names == ["same", "same-2", "same-3"]


async def test_an_agent_is_edited_only_over_the_version_one_has_seen(served: ServedHub) -> None:
    agent = await served.enrol()
    seen = await served.client.get("/api/v1/agents/worker")
    path, tag = f"/api/v1/agents/{agent.did}", seen.headers["etag"]
    body = {"labels": {"site": "north"}}
    changed = await served.client.send("PATCH", path, body, headers={"If-Match": tag})
    assert (changed.status, changed.json["labels"]) == (200, {"site": "north"})
    assert changed.headers["etag"] != tag
    late = await served.client.send("PATCH", path, body, headers={"If-Match": tag})
    assert (late.status, late.code) == (412, "precondition_failed")


async def test_a_newer_policy_reaches_the_agent_and_an_unreadable_one_nobody(
    served: ServedHub,
) -> None:
    agent = await served.enrol()
    assert (await agent.document("policy_update")).payload["version"] == 1
    rules = [{"id": "r", "effect": "allow", "actions": ["echo"]}]
    made = await served.client.post("/api/v1/policies", {"agent": "worker", "rules": rules})
    assert made.status == 201
    document = await agent.document("policy_update")
    assert document.payload["version"] == made.json["version"] == 2
    assert document.payload["rules"] == rules
    bad = [{"id": "r", "effect": "maybe", "actions": ["echo"]}]
    answer = await served.client.post("/api/v1/policies", {"agent": "worker", "rules": bad})
    assert (answer.status, answer.code) == (422, "invalid_field")
    gone = await served.client.send("DELETE", f"/api/v1/policies/{made.json['id']}")
    assert gone.status == 204
    document = await agent.document("policy_update")
    assert (document.payload["version"], document.payload["rules"]) == (3, [])


async def test_a_policy_can_be_asked_without_being_put_in_force(served: ServedHub) -> None:
    rules = [
        {"id": "no", "effect": "deny", "actions": ["shell.*"]},
        {"id": "yes", "effect": "allow", "actions": ["*"], "when": "params.n < 3"},
    ]
    ask = {"rules": rules, "action": "echo", "params": {"n": 2}}
    for change, effect, rule in (
        ({}, "allow", "yes"),
        ({"params": {"n": 3}}, "deny", None),
        ({"action": "shell.exec"}, "deny", "no"),
        ({"realm": "elsewhere"}, "deny", None),
    ):
        said = (await served.client.post("/api/v1/policies/test", {**ask, **change})).json
        assert (said["effect"], said["rule"]) == (effect, rule)


async def test_a_quarantine_needs_an_operator_to_be_lifted(served: ServedHub) -> None:
    agent = await served.enrol()
    path = f"/api/v1/agents/{agent.did}"
    answer = await served.client.post(f"{path}/quarantine", {"reason": "odd"})
    assert answer.json["status"] == "quarantined"
    document = await agent.document("quarantine")
    assert (document.payload["active"], document.payload["epoch"]) == (True, 1)

    def release(signer: Any, epoch: int, proof: list[str]) -> dict[str, str]:
        return {"document": sealed_release(agent.did, signer, epoch, proof)}

    operator = load_private_key(served.settings.keys_dir / "operator.pem")
    proof = [served.hub.identity.operator_delegation.id]
    by_hub = await served.client.post(
        f"{path}/release", release(served.hub.identity.hub_key, 2, [])
    )
    assert by_hub.status == 422
    old = await served.client.post(f"{path}/release", release(operator, 1, proof))
    assert (old.status, old.code) == (409, "conflict")
    lifted = await served.client.post(f"{path}/release", release(operator, 2, proof))
    assert (lifted.status, lifted.json["state"]) == (200, "active")
    assert (await agent.document("quarantine")).payload["active"] is False


async def test_a_release_that_its_agent_would_refuse_is_refused_here(served: ServedHub) -> None:
    agent = await served.enrol()
    path = f"/api/v1/agents/{agent.did}"
    await served.client.post(f"{path}/quarantine", {})
    identity = served.hub.identity
    operator = load_private_key(served.settings.keys_dir / "operator.pem")
    person = SigningKey.from_seed(b"p" * 32)

    async def refused(signer: SigningKey, proof: list[str], **changes: Any) -> tuple[int, str]:
        document = sealed_release(agent.did, signer, 2, proof, **changes)
        answer = await served.client.post(f"{path}/release", {"document": document})
        return answer.status, answer.json["detail"]

    lent = {
        "subject": person.public_key.did,
        "capabilities": [{"action": "writ.quarantine"}],
    }
    by_hub = (await served.client.post("/api/v1/delegations", lent)).json["id"]
    status, why = await refused(person, [identity.hub_delegation.id, by_hub])
    assert (status, "passes through the hub's key" in why) == (403, True)
    here = lend(operator, person, identity.operator_delegation.digest, ["elsewhere"])
    posted = await served.client.post("/api/v1/delegations/signed", {"document": here})
    assert posted.status == 201, posted.data
    status, why = await refused(person, [identity.operator_delegation.id, posted.json["id"]])
    assert (status, "in every realm of this agent" in why) == (403, True)
    ahead = clock.now() + timedelta(minutes=5)
    status, why = await refused(operator, [identity.operator_delegation.id], timestamp=ahead)
    assert (status, "clock is ahead" in why) == (422, True)
    shown = (await served.client.get(path)).json
    assert (shown["state"], shown["quarantine"]["epoch"]) == ("quarantined", 1)


async def test_an_agent_counts_as_stopped_until_it_takes_its_release(served: ServedHub) -> None:
    agent = await served.enrol()
    path = f"/api/v1/agents/{agent.did}"
    operator = load_private_key(served.settings.keys_dir / "operator.pem")
    proof = [served.hub.identity.operator_delegation.id]

    async def answered(document: Envelope, **answer: Any) -> dict[str, Any]:
        with served.hub.events.subscribe(subject=document.id) as news:
            item = DocumentAckItem(id=document.id, digest=document.digest, **answer)
            await agent.say(DocumentAck(documents=(item,)))
            async with asyncio.timeout(10):
                await news.next()
        shown: dict[str, Any] = (await served.client.get(path)).json
        return {"state": shown["state"], **shown["quarantine"]}

    stopped = await served.client.post(f"{path}/quarantine", {})
    assert stopped.json["quarantine"]["answer"] is None
    told = await answered(await agent.document("quarantine"), state="accepted")
    assert (told["state"], told["answer"], told["code"]) == ("quarantined", "accepted", None)
    for epoch, answer, state in (
        (2, {"state": "refused", "code": "old_epoch"}, "quarantined"),
        (3, {"state": "accepted"}, "active"),
    ):
        body = {"document": sealed_release(agent.did, operator, epoch, proof)}
        lifted = (await served.client.post(f"{path}/release", body)).json
        assert (lifted["state"], lifted["quarantine"]["answer"]) == ("active", None)
        told = await answered(await agent.document("quarantine"), **answer)
        assert (told["state"], told["active"], told["epoch"]) == (state, False, epoch)
        assert (told["answer"], told["code"]) == (answer["state"], answer.get("code"))


async def test_what_an_agent_says_of_a_fork_is_cut_and_of_one_that_waits_nothing_is_believed(
    served: ServedHub,
) -> None:
    hostile = ("\x1b[2J<img src=x onerror=alert(1)>\u202e" * 40)[:1_000]
    stranger, registration = await waiting_agent(served, "stranger")
    await stranger.say(ErrorMessage(code="log_fork", message=hostile))
    shown = await served.client.get(f"/api/v1/registrations/{registration}")
    assert (shown.status, shown.json["state"]) == (200, "pending")
    agent = await served.enrol()
    await agent.say(ErrorMessage(code="log_fork", message=hostile))
    document = await agent.document("quarantine")
    told = (await served.client.get(f"/api/v1/agents/{agent.did}")).json["quarantine"]
    assert told["reason"] == document.payload["reason"]
    assert len(told["reason"]) == 1_000
    assert told["reason"].endswith(hostile[: 1_000 - told["reason"].index(hostile[:20])])
    held = (await served.client.get("/api/v1/agents?status=quarantined")).json["items"]
    assert [one["did"] for one in held] == [agent.did]


async def test_an_agent_that_says_its_record_forked_is_stopped_once_and_not_while_it_is_let_go(
    served: ServedHub,
) -> None:
    agent = await served.enrol()
    path = f"/api/v1/agents/{agent.did}"
    operator = load_private_key(served.settings.keys_dir / "operator.pem")
    proof = [served.hub.identity.operator_delegation.id]

    async def says_fork() -> None:
        await agent.say(ErrorMessage(code="log_fork", message="the record shrank"))

    async def shown() -> tuple[str, int]:
        told = (await served.client.get(path)).json
        return told["state"], told["quarantine"]["epoch"]

    async def answer(document: Envelope) -> None:
        with served.hub.events.subscribe(subject=document.id) as news:
            item = DocumentAckItem(id=document.id, digest=document.digest, state="accepted")
            await agent.say(DocumentAck(documents=(item,)))
            async with asyncio.timeout(10):
                await news.next()

    # What one connection says is taken in order: each answer shows what came of all before it.
    await says_fork()
    await says_fork()
    await answer(await agent.document("quarantine"))
    told = (await served.client.get(path)).json["quarantine"]
    assert (told["by"], told["reason"].endswith(": the record shrank")) == (agent.did, True)
    assert await shown() == ("quarantined", 1)
    body = {"document": sealed_release(agent.did, operator, 2, proof)}
    assert (await served.client.post(f"{path}/release", body)).status == 200
    await says_fork()
    await answer(await agent.document("quarantine"))
    assert await shown() == ("active", 2)
    await says_fork()
    await answer(await agent.document("quarantine"))
    assert await shown() == ("quarantined", 3)


def sealed_release(
    did: str, signer: SigningKey, epoch: int, proof: list[str], **changes: Any
) -> str:
    now = clock.now()
    fields: dict[str, Any] = {
        "type": "quarantine",
        "id": clock.new_id(),
        "timestamp": now,
        "expires": now + timedelta(days=1),
        "audience": did,
        "payload": {"epoch": epoch, "active": False, "reason": "", "proof": proof},
        "signer": signer,
    }
    return seal_document(**(fields | changes)).wire.decode()


def lend(signer: SigningKey, subject: SigningKey, parent: str, realms: list[str]) -> str:
    now = clock.now()
    payload = {
        "subject": subject.public_key.did,
        "capabilities": [{"action": "writ.quarantine", "realms": realms}],
        "conditions": [],
        "notBefore": format_timestamp(now),
        "maxDepth": 0,
        "parent": parent,
    }
    return seal_document(
        type="delegation",
        id=clock.new_id(),
        timestamp=now,
        expires=now + timedelta(hours=1),
        audience="*",
        payload=payload,
        signer=signer,
    ).wire.decode()


async def test_a_revoked_agent_is_shut_out_and_the_others_are_told(served: ServedHub) -> None:
    agent, other = await served.enrol("one"), await served.enrol("two")
    answer = await served.client.post(f"/api/v1/agents/{agent.did}/revoke", {"reason": "stolen"})
    assert answer.json["status"] == "revoked"
    assert await agent.close_code() == CloseCode.REFUSED
    told = await other.document("revocations")
    assert told.payload["keys"] == [agent.did]
    shown = (await served.client.get("/api/v1/revocations")).json
    assert (shown["epoch"], shown["keys"]) == (1, [agent.did])
    order = {"target": {"agent": agent.did}, "action": "echo"}
    assert (await served.client.post("/api/v1/intents", order)).status == 409
    await agent.connect()
    await agent.register()
    assert await agent.close_code() == CloseCode.REFUSED


async def held_call(
    served: ServedHub, asked_of: list[str], *, rule_told: str = "ask", people: int = 1
) -> tuple[ScriptedAgent, str, Envelope]:
    """An order of a machine that waits for a decision by `asked_of`."""
    agent = await served.enrol()
    rule = {"people": people, "from": asked_of, "withinSeconds": 600}
    rules = [{"id": "ask", "effect": "allow", "actions": ["echo"], "approval": rule}]
    await served.client.post("/api/v1/policies", {"agent": "worker", "rules": rules})
    key = await second_person(served)
    order = {"target": {"agent": "worker"}, "action": "echo", "params": {}}
    await served.client.as_key(key).post("/api/v1/intents", order)
    intent = await agent.document()
    await agent.accept(intent)
    request_id = clock.new_id()
    await agent.say(
        ToolApprovalRequest(
            request_id=request_id,
            intent_id=intent.id,
            tool="echo",
            arguments={},
            call_digest=call_digest(intent_id=intent.id, tool="echo", arguments={}),
            rule=rule_told,
            people=people,
            expires=clock.now() + timedelta(minutes=10),
        )
    )
    await approval_appears(served.client, request_id)
    return agent, request_id, intent


async def second_person(served: ServedHub) -> str:
    """Return the API key of somebody beside the first admin, who may order anything."""
    key, now = new_api_key(), clock.now()
    person = UserRecord(clock.new_id(), "ben", now, now, roles=("operator",))

    def unit(uow: UnitOfWork) -> None:
        uow.users.add(person)
        uow.api_keys.add(key_record(key, "ben's", person.id, "hub", now))

    await served.hub.database.write(unit)
    grant = {"subject": f"user:{person.id}", "capabilities": [{"action": "*"}]}
    assert (await served.client.post("/api/v1/delegations", grant)).status == 201
    return key


async def approval_appears(client: Client, request_id: str) -> None:
    async with asyncio.timeout(10):
        while (await client.get(f"/api/v1/approvals/{request_id}")).status == 404:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_the_hub_vouches_for_a_person_in_a_role_the_rule_names(served: ServedHub) -> None:
    agent, request_id, intent = await held_call(served, ["admin"])
    path = f"/api/v1/approvals/{request_id}"
    answer = await served.client.post(f"{path}/approve", {"reason": "fine"})
    assert (answer.status, answer.json["state"]) == (200, "approved")
    decision = await agent.document("tool_approval_response")
    me = (await served.client.get("/api/v1/me")).json
    assert decision.payload["approver"] == me["subject"]
    assert decision.payload["callDigest"] == answer.json["callDigest"]
    assert decision.public_key.did == served.hub.identity.hub_did
    again = await served.client.post(f"{path}/reject")
    assert (again.status, again.code) == (409, "conflict")
    shown = (await served.client.get(f"/api/v1/intents/{intent.id}")).json
    assert [parse_document(one).id for one in shown["documents"]["approvals"]] == [decision.id]


async def test_the_hub_does_not_vouch_under_a_rule_that_it_does_not_know(
    served: ServedHub,
) -> None:
    _, request_id, _ = await held_call(served, ["admin"], rule_told="of-its-own-making")
    answer = await served.client.post(f"/api/v1/approvals/{request_id}/approve")
    assert (answer.status, answer.code) == (409, "conflict")


def signed_decision(served: ServedHub, agent: ScriptedAgent, waiting: Any) -> dict[str, str]:
    """An approval by the first admin's own key."""
    operator = load_private_key(served.settings.keys_dir / "operator.pem")
    now = clock.now()
    envelope = seal_document(
        type="tool_approval_response",
        id=clock.new_id(),
        timestamp=now,
        expires=now + timedelta(minutes=5),
        audience=agent.did,
        payload={
            "requestId": waiting["id"],
            "callDigest": waiting["callDigest"],
            "approved": True,
            "approver": operator.public_key.did,
            "proof": [served.hub.identity.operator_delegation.id],
        },
        signer=operator,
    )
    return {"document": envelope.wire.decode()}


@pytest.mark.parametrize("signs_first", [False, True])
async def test_one_person_is_one_person_vouched_for_or_by_their_own_key(
    served: ServedHub, signs_first: bool
) -> None:
    operator = served.hub.identity.operator_did
    agent, request_id, _ = await held_call(served, ["admin", operator], people=2)
    path = f"/api/v1/approvals/{request_id}"
    waiting = (await served.client.get(path)).json
    steps = [(f"{path}/approve", None), (f"{path}/signed", signed_decision(served, agent, waiting))]
    first, second = reversed(steps) if signs_first else steps
    answer = await served.client.post(*first)
    assert (answer.status, answer.json["state"]) == (200, "pending")
    answer = await served.client.post(*second)
    assert (answer.status, answer.code) == (409, "conflict")
    assert (await served.client.get(path)).json["state"] == "pending"


@pytest.mark.parametrize("asked_of", [["*"], ["press-lead"]])
async def test_the_hub_does_not_vouch_where_its_word_counts_for_nothing(
    served: ServedHub, asked_of: list[str]
) -> None:
    _, request_id, _ = await held_call(served, asked_of)
    answer = await served.client.post(f"/api/v1/approvals/{request_id}/approve")
    assert (answer.status, answer.code) == (403, "forbidden")


async def test_a_decision_signed_by_an_operator_is_passed_on_as_it_is(served: ServedHub) -> None:
    agent, request_id, _ = await held_call(served, ["*"])
    operator = load_private_key(served.settings.keys_dir / "operator.pem")
    waiting = (await served.client.get(f"/api/v1/approvals/{request_id}")).json

    def decision(**changes: Any) -> dict[str, str]:
        now = clock.now()
        payload = {
            "requestId": request_id,
            "callDigest": waiting["callDigest"],
            "approved": True,
            "approver": operator.public_key.did,
            "proof": [served.hub.identity.operator_delegation.id],
            **changes,
        }
        sealed = seal_document(
            type="tool_approval_response",
            id=clock.new_id(),
            timestamp=now,
            expires=now + timedelta(minutes=5),
            audience=agent.did,
            payload=payload,
            signer=operator,
        )
        return {"document": sealed.wire.decode()}

    path = f"/api/v1/approvals/{request_id}/signed"
    other = call_digest(intent_id=waiting["intentId"], tool="echo", arguments={"x": 1})
    assert (await served.client.post(path, decision(callDigest=other))).status == 422
    good = decision()
    answer = await served.client.post(path, good)
    assert (answer.status, answer.json["state"]) == (200, "approved")
    assert (await agent.document("tool_approval_response")).wire.decode() == good["document"]
    assert (await served.client.post(path, good)).status == 200


async def test_the_record_proves_itself_to_somebody_with_the_root_key_only(
    served: ServedHub,
) -> None:
    await served.enrol()
    first = (await served.client.get("/api/v1/audit/checkpoint")).json
    order = {"target": {"agent": "worker"}, "action": "echo"}
    made = (await served.client.post("/api/v1/intents", order)).json["intents"][0]
    proved = (await served.client.get(f"/api/v1/audit/proof/inclusion?intent={made['id']}")).json
    delegation = parse_document(proved["logDelegation"])
    assert delegation.public_key.did == served.hub.identity.root_did
    log_key = PublicKey.parse_did(delegation.payload["subject"])
    checkpoint = verify_checkpoint(proved["checkpoint"], log_key)
    decode = base64.b64decode
    verify_inclusion(
        leaf_hash(proved["leaf"].encode()),
        index=proved["index"],
        size=checkpoint.size,
        proof=[decode(one) for one in proved["proof"]],
        root=checkpoint.root_hash,
    )
    path = f"/api/v1/audit/proof/consistency?old={first['size']}&new={checkpoint.size}"
    consistent = (await served.client.get(path)).json
    verify_consistency(
        old_size=first["size"],
        new_size=checkpoint.size,
        old_root=verify_checkpoint(first["checkpoint"], log_key).root_hash,
        new_root=checkpoint.root_hash,
        proof=[decode(one) for one in consistent["proof"]],
    )
    lines = (await served.client.get("/api/v1/audit/export")).data.decode().splitlines()
    header, *leaves = [json.loads(line) for line in lines]
    exported = verify_checkpoint(header["checkpoint"], log_key)
    hashes = [leaf_hash(one["leaf"].encode()) for one in leaves]
    assert (len(hashes), root_hash(hashes)) == (exported.size, exported.root_hash)


async def test_what_happens_is_told_live_to_those_who_may_see_it(served: ServedHub) -> None:
    async with served.client.stream("/api/v1/events") as reader:
        await reader.readuntil(b"retry: 2000\n\n")
        await served.enrol()
        async with asyncio.timeout(10):
            told = await reader.readuntil(b"event: agent.online\n")
    assert b"id: " in told


async def test_the_description_names_every_operation_and_the_page_needs_nobody_else(
    served: ServedHub,
) -> None:
    stranger = served.client.as_key(None)
    api = (await stranger.get("/openapi.json")).json
    assert api["openapi"].startswith("3.1")
    submit = api["paths"]["/api/v1/intents"]["post"]
    assert submit["x-permission"] == "intents.submit"
    assert {"202", "401", "403", "422", "503"} <= set(submit["responses"])
    page = await stranger.get("/docs")
    assert page.headers["content-security-policy"].startswith("default-src 'none'")
    assert b"//" not in page.data.replace(b"<!doctype html>", b"")
    known = (await stranger.get("/.well-known/writ.json")).json
    assert known["root"] == served.hub.identity.root_did
    published = (await stranger.get("/.well-known/jwks.json")).json["keys"]
    assert published
    assert all(one["crv"] == "Ed25519" and "d" not in one for one in published)
