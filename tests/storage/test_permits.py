"""Policies, delegations, revocations and approvals."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from storage.database import Database
from storage.errors import ConflictError, NotFoundError
from storage.records import (
    AgentPolicyRecord,
    ApprovalDecisionRecord,
    ApprovalRecord,
    DelegationRecord,
    PolicyRecord,
    RevocationsRecord,
)
from tests.storage.samples import LATER, NOW, new_id


async def test_policies_are_edited_by_revision(database: Database) -> None:
    rules = [{"id": "r", "effect": "allow", "actions": ["files.*"]}]
    policy = PolicyRecord(new_id(), ("default",), rules, "u", NOW, NOW, {"ordersPerDay": 3})
    await database.write(lambda uow: uow.policies.add(policy))
    assert await database.read(lambda uow: uow.policies.get(policy.id)) == policy
    changed = await database.write(
        lambda uow: uow.policies.update(policy.id, revision=1, rules=[], name="none")
    )
    assert changed == replace(policy, rules=[], name="none", revision=2)
    with pytest.raises(ConflictError):
        await database.write(lambda uow: uow.policies.update(policy.id, revision=1, rules=rules))
    assert (await database.read(lambda uow: uow.policies.list())).items == (changed,)
    assert await database.write(lambda uow: uow.policies.delete(policy.id))
    assert not await database.write(lambda uow: uow.policies.delete(policy.id))


async def test_the_version_in_force_at_an_agent_only_goes_up(database: Database) -> None:
    def at(version: int) -> AgentPolicyRecord:
        return AgentPolicyRecord(
            "did:a", "p", version, new_id(), f"d{version}", b"wire", NOW, LATER
        )

    two, five = at(2), at(5)
    for record in (two, five):
        await database.write(lambda uow, r=record: uow.policies.set_for_agent(r))
    for version in (5, 4):
        with pytest.raises(ConflictError):
            await database.write(lambda uow, v=version: uow.policies.set_for_agent(at(v)))
    assert await database.read(lambda uow: uow.policies.for_agent("did:a")) == five
    assert await database.read(lambda uow: uow.policies.for_agent("did:b")) is None
    assert await database.read(lambda uow: uow.policies.agents_of("p")) == [five]
    assert await database.read(lambda uow: uow.policies.expiring(LATER)) == []
    soon = LATER + timedelta(milliseconds=1)
    assert await database.read(lambda uow: uow.policies.expiring(soon)) == [five]


def _delegation(**changes: object) -> DelegationRecord:
    id = new_id()
    values = {
        "id": id,
        "issuer": "did:root",
        "subject": "did:op",
        "digest": f"digest-{id}",
        "wire": b"wire",
        "capabilities": [{"action": "files.*"}],
        "not_before": NOW,
        "expires_at": LATER,
        "created_by": "u",
        "created_at": NOW,
    }
    return DelegationRecord(**(values | changes))  # type: ignore[arg-type]


async def test_an_agent_holds_what_reaches_it_and_is_in_force(database: Database) -> None:
    everywhere = _delegation(conditions=("true",), max_depth=2, budget={"x": 1})
    here = _delegation(
        capabilities=[{"action": "a", "agents": ["did:a"]}, {"action": "b", "agents": ["did:b"]}],
        parent_digest=everywhere.digest,
        issuer="did:op",
        subject="user:1",
        source="role",
    )
    nowhere = _delegation(capabilities=[{"action": "a", "agents": []}])
    mixed = _delegation(capabilities=[{"action": "a", "agents": ["did:z"]}, {"action": "b"}])
    expired, revoked = _delegation(expires_at=NOW), _delegation()
    records = [everywhere, here, nowhere, mixed, expired, revoked]
    await database.write(lambda uow: [uow.delegations.add(r) for r in records])
    gone = await database.write(lambda uow: uow.delegations.revoke(revoked.id, "u", NOW))
    assert gone == replace(revoked, revoked_at=NOW, revoked_by="u")
    assert await database.write(lambda uow: uow.delegations.revoke(revoked.id, "u", NOW)) is None

    async def held(agent: str) -> list[str]:
        found = await database.read(lambda uow: uow.delegations.for_agent(agent, NOW))
        return [one.id for one in found]

    assert await held("did:a") == [everywhere.id, here.id, mixed.id]
    assert await held("did:c") == [everywhere.id, mixed.id]
    assert await database.read(lambda uow: uow.delegations.get(here.id)) == here
    by_digest = await database.read(lambda uow: uow.delegations.get_by_digest(everywhere.digest))
    assert by_digest == everywhere
    assert await database.read(lambda uow: uow.delegations.children(everywhere.digest)) == [here]
    assert await database.read(lambda uow: uow.delegations.for_subject("user:1", NOW)) == [here]
    many = await database.read(lambda uow: uow.delegations.get_many([mixed.id, here.id, "x"]))
    assert many == [here, mixed]

    async def listed(**filters):
        page = await database.read(lambda uow: uow.delegations.list(**filters))
        return [one.id for one in page.items]

    assert await listed() == [record.id for record in records[::-1]]
    assert await listed(revoked=True) == [revoked.id]
    assert await listed(agent_did="did:b", revoked=False, source="role") == [here.id]
    with pytest.raises(ConflictError):
        await database.write(lambda uow: uow.delegations.add(_delegation(digest=here.digest)))


async def test_epochs_of_revocations_only_go_up(database: Database) -> None:
    def at(epoch: int) -> RevocationsRecord:
        return RevocationsRecord(epoch, ("did:k",), ("d",), new_id(), "digest", b"w", "u", NOW)

    assert await database.read(lambda uow: (uow.revocations.latest(), uow.revocations.epoch())) == (
        None,
        0,
    )
    one, seven = at(1), at(7)
    for record in (one, seven):
        await database.write(lambda uow, r=record: uow.revocations.add(r))
    for epoch in (7, 3):
        with pytest.raises(ConflictError):
            await database.write(lambda uow, e=epoch: uow.revocations.add(at(e)))
    assert await database.read(lambda uow: uow.revocations.latest()) == seven
    assert await database.read(lambda uow: uow.revocations.get(1)) == one
    assert await database.read(lambda uow: uow.revocations.epoch()) == 7


def _approval(**changes: object) -> ApprovalRecord:
    values = {
        "id": new_id(),
        "intent_id": "i",
        "agent_did": "did:a",
        "realm": "default",
        "tool": "shell.exec",
        "arguments": {"argv": ["ls"]},
        "call_digest": "digest",
        "rule": "r",
        "people": 2,
        "requested_at": NOW,
        "expires_at": LATER,
    }
    return ApprovalRecord(**(values | changes))  # type: ignore[arg-type]


async def test_an_approval_is_asked_once_and_decided_once(database: Database) -> None:
    asked, old = _approval(), _approval(realm="lab", expires_at=NOW)
    assert await database.write(lambda uow: (uow.approvals.add(asked), uow.approvals.add(old)))
    assert not await database.write(lambda uow: uow.approvals.add(replace(asked, tool="other")))
    assert await database.read(lambda uow: uow.approvals.get(asked.id)) == asked
    assert await database.read(lambda uow: uow.approvals.due_expired(NOW)) == [old]
    mine = await database.read(lambda uow: uow.approvals.list(realms=["default"], state="pending"))
    assert mine.items == (asked,)
    assert await database.read(lambda uow: uow.approvals.of_intent("i")) == [asked, old]
    outcomes = await asyncio.gather(
        *(
            database.write(lambda uow, s=state: uow.approvals.decide(asked.id, s, NOW))
            for state in ("denied", "approved")
        ),
        return_exceptions=True,
    )
    assert outcomes[0] == replace(asked, state="denied", decided_at=NOW)
    assert isinstance(outcomes[1], ConflictError)
    with pytest.raises(NotFoundError):
        await database.write(lambda uow: uow.approvals.decide(new_id(), "denied", NOW))


async def test_a_person_decides_once(database: Database) -> None:
    asked = _approval()
    await database.write(lambda uow: uow.approvals.add(asked))

    def decision(approver: str) -> ApprovalDecisionRecord:
        return ApprovalDecisionRecord(
            new_id(), asked.id, approver, "did:op", True, b"signed", NOW, "fine"
        )

    first, second = decision("user:1"), decision("user:2")
    for one in (first, second):
        await database.write(lambda uow, d=one: uow.approvals.add_decision(d))
    with pytest.raises(ConflictError):
        await database.write(lambda uow: uow.approvals.add_decision(decision("user:1")))
    found = await database.read(lambda uow: uow.approvals.decisions(asked.id))
    assert found == [first, second]
