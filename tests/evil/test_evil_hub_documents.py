"""An evil hub steers: policies, revocations, delegations, quarantines, configurations.

The agent demands operators' signatures. After each lie the operator's own order is done, or not,
as what is honestly in force says.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from protocol.envelope import Envelope
from protocol.messages import DelegationUpdate
from tests.agentd.hub_double import delegate, new_id, new_key, now, seal
from tests.evil.stage import Stage, forged

DENY = [{"id": "none", "effect": "deny", "actions": ["*"]}]


async def give(stage: Stage, *delegations: Envelope) -> None:
    await stage.hub.send(
        DelegationUpdate(added=tuple(one.as_value() for one in delegations), removed=())
    )


def document(stage: Stage, kind: str, signer: Any = None, /, **payload: Any) -> Envelope:
    audience = "*" if kind == "revocations" else stage.hub.agent_did or ""
    return seal(kind, signer or stage.hub.key, audience, payload)


def by_operator(stage: Stage, kind: str, **payload: Any) -> Envelope:
    return document(stage, kind, stage.operator, proof=[stage.grant.id], **payload)


async def test_a_policy_of_its_own(stage: Stage) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        assert await stage.code_of(stage.hub.make_policy(9, DENY)) == "not_authorised"
        await stage.truth()


async def test_a_policy_rolled_back(stage: Stage) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        lax = stage.hub.policy
        assert lax is not None
        strict = stage.policy(2, DENY)
        assert await stage.code_of(strict) == "accepted"
        await stage.send(lax)
        assert await stage.code_of(stage.policy(1)) == "old_version"
        assert await stage.code_of(stage.policy(2)) == "old_version"
        assert await stage.code_of(stage.wish("evil")) == "policy_denied"
        # And not by a new start, nor inside a register_ack.
        stage.hub.policy = lax
    async with stage.agent() as agent:
        await agent.state("online")
        assert await stage.code_of(stage.wish("evil")) == "policy_denied"
    assert stage.witness == []


async def test_a_policy_for_other_realms_by_who_holds_only_one(stage: Stage) -> None:
    local = new_key()
    lent = seal(
        "delegation",
        stage.operator,
        "*",
        {
            "subject": local.public_key.did,
            "capabilities": [
                {"action": "writ.policy", "realms": ["other"]},
                {"action": "*", "realms": ["other"]},
            ],
            "conditions": [],
            "notBefore": "2020-01-01T00:00:00.000Z",
            "maxDepth": 0,
            "parent": stage.grant.digest,
        },
        expires=now() + timedelta(days=1),
    )
    proof = [stage.grant.id, lent.id]
    async with stage.agent() as agent:
        await agent.state("online")
        await give(stage, lent)
        grab = stage.hub.make_policy(5, signer=local, proof=proof)
        grab = seal("policy_update", local, grab.audience, grab.payload | {"realms": ["other"]})
        assert await stage.code_of(grab) == "not_authorised"
        await stage.truth()


async def test_a_policy_meant_for_a_sibling(stage: Stage) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        mine = stage.policy(5, DENY)
        other = seal("policy_update", stage.operator, new_key().public_key.did, mine.payload)
        assert await stage.code_of(other) == "wrong_audience"
        moved = seal("policy_update", stage.operator, new_key().public_key.did, mine.payload)
        assert await stage.code_of(forged(moved, audience=mine.audience)) == "bad_signature"
        await stage.truth()


async def test_an_old_policy_whose_time_has_gone(stage: Stage) -> None:
    moment = now() - timedelta(hours=3)
    async with stage.agent() as agent:
        await agent.state("online")
        old = stage.policy(9, DENY, timestamp=moment, expires=moment + timedelta(hours=1))
        assert await stage.code_of(old) == "expired"
        await stage.truth()


async def test_a_wider_delegation_under_an_operators(stage: Stage) -> None:
    narrow, wide = new_key(), new_key()
    hub = stage.hub
    lent = delegate(
        stage.operator, narrow.public_key.did, ("echo",), parent=stage.grant, max_depth=1
    )
    wider = delegate(narrow, wide.public_key.did, ("*",), parent=lent, max_depth=0)
    deeper = delegate(narrow, wide.public_key.did, ("echo",), parent=lent, max_depth=1)
    async with stage.agent() as agent:
        await agent.state("online")
        await give(stage, lent)
        await give(stage, wider, deeper)
        for last in (wider, deeper):
            proof = [stage.grant.id, lent.id, last.id]
            assert await stage.code_of(stage.wish("evil", signer=wide, proof=proof)) == (
                "not_attenuated"
            )
        own = stage.wish("evil", signer=narrow, proof=[stage.grant.id, lent.id])
        assert await stage.code_of(own) == "not_granted"
        assert hub.received.failures == []
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_a_delegation_with_a_forged_parent(stage: Stage) -> None:
    puppet = new_key()
    fake_root = delegate(stage.hub.key, puppet.public_key.did, ("*",))
    fake_child = delegate(stage.hub.key, puppet.public_key.did, ("*",), parent=stage.grant)
    async with stage.agent() as agent:
        await agent.state("online")
        await give(stage, fake_root, fake_child)
        assert await stage.answer_to(fake_root) == "not_authorised"
        assert await stage.answer_to(fake_child) == "not_authorised"
        lie = stage.wish("evil", signer=puppet, proof=[stage.grant.id, fake_child.id])
        assert await stage.code_of(lie) == "no_chain"
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_a_namesake_of_an_operators_delegation(stage: Stage) -> None:
    """A delegation of its own under the operator's id would put the operator out of force."""
    hub, puppet = stage.hub, new_key()
    namesake = delegate(
        hub.key, puppet.public_key.did, ("*",), parent=hub.delegation, id=stage.grant.id
    )
    async with stage.agent() as agent:
        await agent.state("online")
        await give(stage, namesake)
        assert await stage.answer_to(namesake) == "not_authorised"
        await stage.truth()


async def test_a_chain_that_has_expired(stage: Stage) -> None:
    late = new_key()
    lent = delegate(
        stage.operator,
        late.public_key.did,
        ("*",),
        parent=stage.grant,
        max_depth=0,
        timestamp=now() - timedelta(hours=2),
        expires=now() - timedelta(hours=1),
    )
    async with stage.agent() as agent:
        await agent.state("online")
        await give(stage, lent)
        assert await stage.answer_to(lent) == "expired"
        lie = stage.wish("evil", signer=late, proof=[stage.grant.id, lent.id])
        assert await stage.code_of(lie) == "no_chain"
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_a_revoked_delegation_and_a_revoked_key(stage: Stage) -> None:
    one, other = new_key(), new_key()
    lent_one = delegate(stage.operator, one.public_key.did, ("*",), parent=stage.grant, max_depth=0)
    lent_other = delegate(
        stage.operator, other.public_key.did, ("*",), parent=stage.grant, max_depth=0
    )
    lists = {"keys": [other.public_key.did], "delegations": [lent_one.id]}
    async with stage.agent() as agent:
        await agent.state("online")
        await give(stage, lent_one, lent_other)
        assert await stage.code_of(by_operator(stage, "revocations", epoch=1, **lists)) == (
            "accepted"
        )
        for key, link in ((one, lent_one), (other, lent_other)):
            proof = [stage.grant.id, link.id]
            lie = stage.wish("evil", signer=key, proof=proof)
            assert await stage.code_of(lie) == "revoked"
        # Taken from the agent and given again: still revoked.
        await stage.hub.send(DelegationUpdate(added=(), removed=(lent_one.id,)))
        await give(stage, lent_one)
        lie = stage.wish("evil", signer=one, proof=[stage.grant.id, lent_one.id])
        assert await stage.code_of(lie) in ("revoked", "no_chain")
        await stage.truth()
    assert stage.witness == ["truth"]


@pytest.mark.parametrize("by_hub", [True, False])
async def test_a_revocation_list_rolled_back(stage: Stage, by_hub: bool) -> None:
    gone = new_key().public_key.did

    def listed(epoch: int, *keys: str) -> Envelope:
        payload: dict[str, Any] = {"epoch": epoch, "keys": list(keys), "delegations": []}
        if by_hub:
            return document(stage, "revocations", **payload)
        return by_operator(stage, "revocations", **payload)

    async with stage.agent() as agent:
        await agent.state("online")
        first, second = listed(1), listed(2, gone)
        assert await stage.code_of(first) == "accepted"
        assert await stage.code_of(second) == "accepted"
        assert await stage.code_of(listed(1)) == "old_epoch"
        assert await stage.code_of(listed(2)) == "old_epoch"
        assert await stage.code_of(listed(3)) == "forbidden_lift"
        assert await stage.code_of(listed(3, new_key().public_key.did)) == "forbidden_lift"
        await stage.send(first)
        stage.hub.revocations = first
    async with stage.agent() as agent:
        await agent.state("online")
        assert await stage.code_of(listed(4)) == "forbidden_lift"
        assert agent.agent is not None
        assert agent.agent.standing.revocations.keys == {gone}


async def test_a_quarantine_it_would_lift(stage: Stage) -> None:
    hub, puppet = stage.hub, new_key()
    lent = delegate(
        hub.key,
        puppet.public_key.did,
        ("writ.quarantine",),
        parent=hub.delegation,
        max_depth=1,
    )
    async with stage.agent() as agent:
        await agent.state("online")
        await give(stage, lent)
        stop = by_operator(stage, "quarantine", epoch=1, active=True, reason="stop")
        assert await stage.code_of(stop) == "accepted"
        fields = {"active": False, "reason": "go on"}
        assert await stage.code_of(document(stage, "quarantine", epoch=2, **fields)) == (
            "forbidden_lift"
        )
        through = document(
            stage, "quarantine", puppet, epoch=2, proof=[hub.delegation.id, lent.id], **fields
        )
        assert await stage.code_of(through) == "forbidden_lift"
        old = by_operator(stage, "quarantine", epoch=1, **fields)
        assert await stage.code_of(old) == "old_epoch"
        assert await stage.code_of(stage.wish("evil")) == "quarantined"
    async with stage.agent() as agent:
        await agent.state("online")
        assert await stage.code_of(stage.wish("evil")) == "quarantined"
        lift = by_operator(stage, "quarantine", epoch=2, **fields)
        assert await stage.code_of(lift) == "accepted"
        await stage.truth()
    assert stage.witness == ["truth"]


@pytest.mark.parametrize("kind", ["llm_config", "skills_config"])
async def test_a_configuration_without_authority(stage: Stage, kind: str) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        lie = document(stage, kind, version=1, **{_body(kind): {}})
        assert await stage.code_of(lie) in ("not_authorised", "bad_payload")
        assert agent.agent is not None
        assert agent.agent.standing.configuration == {}
        await stage.truth()


def _body(kind: str) -> str:
    return "configuration" if kind == "llm_config" else "skills"


async def test_types_that_do_not_come_from_a_hub(stage: Stage) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        did = stage.hub.agent_did or ""
        rotation = seal("key_rotation", stage.hub.key, did, {"newKey": "x", "proof": "y"})
        assert await stage.code_of(rotation) == "forbidden_type"
        unknown = seal("become_mine", stage.hub.key, did, {})
        assert await stage.code_of(unknown) == "unknown_type"
        result = seal("result", stage.hub.key, did, {"intentId": new_id()})
        assert await stage.code_of(result) == "forbidden_type"
        await stage.truth()


async def test_a_cancel_without_authority(stage: Stage) -> None:
    thief, lent_to = new_key(), new_key()
    lent = delegate(
        stage.operator, lent_to.public_key.did, ("echo",), parent=stage.grant, max_depth=0
    )
    async with stage.agent() as agent:
        await agent.state("online")
        await give(stage, lent)
        later = (now() + timedelta(seconds=2)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        held = stage.wish("held", notBefore=later)
        await stage.send(held)
        fields = {"intentId": held.id, "reason": "no"}
        assert await stage.code_of(document(stage, "intent_cancel", thief, **fields)) == (
            "not_authorised"
        )
        proof = [stage.grant.id, lent.id]
        weak = document(stage, "intent_cancel", lent_to, proof=proof, **fields)
        assert await stage.code_of(weak) == "not_authorised"
        assert await stage.answer_to(held) == "succeeded"
    assert stage.witness == ["held"]


async def test_without_the_operators_delegation_nothing_is_done(stage: Stage) -> None:
    """Withholding is all a hub can do: the order waits, or is refused, and is never another's."""
    async with stage.agent() as agent:
        await agent.state("online")
        await stage.hub.send(DelegationUpdate(added=(), removed=(stage.grant.id,)))
        assert await stage.code_of(stage.wish("lost")) == "no_chain"
        await give(stage, stage.grant)
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_it_fills_the_memory_of_documents(stage: Stage) -> None:
    """No live id is forgotten for it, the operator has room of their own, stopping still works."""
    hub = stage.hub
    async with stage.agent(max_documents_per_signer=10) as agent:
        await agent.state("online")
        later = now() + timedelta(days=3_000)
        orders = [stage.wish("evil", signer=hub.key, expires=later) for _ in range(10)]
        for order in orders:
            assert await stage.code_of(order) == "operator_required"
        for kind in ("policy_update", "llm_config"):
            fields = stage.hub.make_policy(9).payload if kind == "policy_update" else {}
            fields = fields or {"version": 9, "config": {}}
            assert await stage.code_of(document(stage, kind, **fields)) == "rate_limited"
        more = stage.wish("evil", signer=hub.key, expires=later)
        assert await stage.code_of(more) == "rate_limited"
        await stage.send(orders[0])  # remembered: answered as the first time
        await hub.until(lambda: len(hub.results_of(orders[0])) == 2)
        await stage.truth()
        stop = document(stage, "quarantine", epoch=1, active=True, reason="stop")
        assert await stage.code_of(stop) == "accepted"
    assert stage.witness == ["truth"]
