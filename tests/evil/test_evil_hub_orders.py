"""A hub with its real keys and all its code in evil hands orders what nobody ordered.

The agent demands operators' signatures, unless a test says otherwise. Each test tells one lie and
then has the operator's own order done: the witness must hold that one word and nothing else.
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from protocol.messages import DelegationUpdate
from tests.agentd.hub_double import delegate, new_id, new_key, now, seal
from tests.evil.stage import Stage, forged


async def test_an_order_under_its_own_key(stage: Stage) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        assert await stage.code_of(stage.wish("evil", signer=stage.hub.key)) == "operator_required"
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_an_order_under_its_own_key_with_the_operators_proof(stage: Stage) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        lie = stage.wish("evil", signer=stage.hub.key, proof=[stage.grant.id])
        assert await stage.code_of(lie) == "no_chain"
        both = [stage.hub.delegation.id, stage.grant.id]
        lie = stage.wish("evil", signer=stage.hub.key, proof=both)
        assert await stage.code_of(lie) == "bad_chain"
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_an_order_under_a_key_it_has_made_itself_a_puppet_of(stage: Stage) -> None:
    hub, puppet = stage.hub, new_key()
    lent = delegate(hub.key, puppet.public_key.did, ("*",), parent=hub.delegation, max_depth=1)
    async with stage.agent() as agent:
        await agent.state("online")
        await hub.send(DelegationUpdate(added=(lent.as_value(),), removed=()))
        lie = stage.wish("evil", signer=puppet, proof=[hub.delegation.id, lent.id])
        assert await stage.code_of(lie) == "operator_required"
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_other_params_under_an_operators_signature(stage: Stage) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        lie = forged(stage.wish("order"), payload={"params": {"path": "witness", "content": "x"}})
        assert await stage.code_of(lie) == "bad_signature"
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_another_action_under_an_operators_signature(stage: Stage) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        echo = stage.hub.make_intent("echo", {}, signer=stage.operator, proof=[stage.grant.id])
        lie = forged(echo, payload={"action": "files.write"})
        assert await stage.code_of(lie) == "bad_signature"
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_an_order_for_another_agent(stage: Stage) -> None:
    sibling = new_key()
    async with stage.agent() as agent:
        await agent.state("online")
        lie = stage.wish("evil", audience=sibling.public_key.did)
        assert await stage.code_of(lie) == "wrong_audience"
        moved = forged(lie, audience=stage.hub.agent_did)
        await stage.send(moved)
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_a_longer_life_for_an_operators_order(stage: Stage) -> None:
    moment = now() - timedelta(hours=2)
    async with stage.agent() as agent:
        await agent.state("online")
        old = stage.wish("old", timestamp=moment, expires=moment + timedelta(hours=1))
        assert await stage.code_of(old) == "expired"
        far = (now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        other = stage.wish("old", timestamp=moment, expires=moment + timedelta(hours=1))
        assert await stage.code_of(forged(other, expires=far)) == "bad_signature"
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_the_same_order_over_and_over(stage: Stage) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        order = stage.wish("once")
        assert await stage.code_of(order) == "succeeded"
        for _ in range(5):
            await stage.send(order)
        await stage.hub.until(lambda: len(stage.hub.results_of(order)) == 6)
        await stage.truth()
    assert len({result.id for result in stage.hub.results_of(order)}) == 1
    assert stage.witness == ["once", "truth"]


async def test_the_same_order_twice_in_one_breath(stage: Stage) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        order = stage.wish("once")
        for _ in range(3):
            await stage.send(order)
        assert await stage.answer_to(order) == "succeeded"
        await stage.truth()
    assert stage.witness == ["once", "truth"]


async def test_the_same_order_under_a_new_session_and_a_new_process(stage: Stage) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        order = stage.wish("once")
        assert await stage.code_of(order) == "succeeded"
        await stage.hub.drop()
        await stage.hub.until(lambda: len(stage.hub.received.registers) == 2 and stage.hub.online)
        await stage.send(order)
        await stage.hub.until(lambda: len(stage.hub.results_of(order)) == 2)
    async with stage.agent() as agent:
        await agent.state("online")
        await stage.send(order)
        await stage.hub.until(lambda: len(stage.hub.results_of(order)) == 3)
        await stage.truth()
    assert stage.witness == ["once", "truth"]


async def test_an_operators_order_signed_again_under_another_id(stage: Stage) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        order = stage.wish("once")
        assert await stage.code_of(order) == "succeeded"
        again = seal("intent", stage.hub.key, order.audience, order.payload)
        assert await stage.code_of(again) == "no_chain"
        payload = {name: value for name, value in order.payload.items() if name != "proof"}
        bare = seal("intent", stage.hub.key, order.audience, payload)
        assert await stage.code_of(bare) == "operator_required"
        assert await stage.code_of(forged(order, id=new_id())) == "bad_signature"
    assert stage.witness == ["once"]


async def test_a_used_id_for_other_work(stage: Stage) -> None:
    async with stage.agent(require_operator_signature=False) as agent:
        await agent.state("online")
        order = stage.wish("once")
        assert await stage.code_of(order) == "succeeded"
        lie = stage.wish("evil", signer=stage.hub.key, id=order.id)
        await stage.send(lie)
        own = stage.wish("twice", id=order.id)
        await stage.send(own)
        await stage.truth()
        from protocol.messages import ErrorMessage

        codes = [error.code for error in stage.hub.received.of(ErrorMessage)]
    assert codes == ["id_reuse", "id_reuse"]
    assert stage.witness == ["once", "truth"]


async def test_one_id_by_two_signers_in_one_breath_counts_once_and_frees_no_limit(
    stage: Stage,
) -> None:
    hub = stage.hub
    async with stage.agent(require_operator_signature=False) as agent:
        await agent.state("online")
        policy = hub.make_policy(2, limits={"ordersPerHour": 1})
        assert await stage.code_of(policy) == "accepted"
        order = stage.wish("once")
        twin = stage.wish("twin", signer=hub.key, id=order.id)
        await stage.send(order)
        await stage.send(twin)
        assert await stage.answer_to(order) in ("succeeded", "id_reuse")
        await hub.until(lambda: hub.result_of(order))
        assert await stage.code_of(stage.wish("more")) == "rate_limited"
    assert stage.witness == ["once"]


async def test_an_order_in_a_realm_that_the_policy_does_not_cover(stage: Stage) -> None:
    async with stage.agent(require_operator_signature=False) as agent:
        await agent.state("online")
        lie = stage.wish("evil", signer=stage.hub.key)
        elsewhere = seal("intent", stage.hub.key, lie.audience, lie.payload | {"realm": "other"})
        assert await stage.code_of(elsewhere) == "wrong_realm"
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_an_order_on_behalf_of_somebody_without_a_grant(stage: Stage) -> None:
    person = "user:0199a1f0-0000-7000-8000-000000000001"
    async with stage.agent(require_operator_signature=False) as agent:
        await agent.state("online")
        lie = stage.wish("evil", signer=stage.hub.key, onBehalfOf=person)
        assert await stage.code_of(lie) == "person_not_granted"
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_a_grant_to_a_person_of_its_own_making_where_operators_are_required(
    stage: Stage,
) -> None:
    hub, person = stage.hub, "user:0199a1f0-0000-7000-8000-000000000001"
    lent = delegate(hub.key, person, ("*",), parent=hub.delegation, max_depth=0)
    async with stage.agent() as agent:
        await agent.state("online")
        await hub.send(DelegationUpdate(added=(lent.as_value(),), removed=()))
        lie = stage.wish("evil", signer=stage.operator, proof=[stage.grant.id], onBehalfOf=person)
        assert await stage.code_of(lie) == "person_not_granted"
        await stage.truth()
    assert stage.witness == ["truth"]


async def test_an_order_of_a_stranger_leaves_nothing(stage: Stage) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        assert await stage.code_of(stage.wish("evil", signer=new_key())) == "no_chain"
        assert await stage.code_of(stage.wish("evil", signer=new_key(), proof=[new_id()])) == (
            "no_chain"
        )
        assert stage.hub.received.results == []
        await stage.truth()
    assert stage.witness == ["truth"]


@pytest.mark.parametrize("proof", [[], ["log"]])
async def test_an_order_by_the_keeper_of_the_record(stage: Stage, proof: list[str]) -> None:
    hub = stage.hub
    named = [hub.log_delegation.id for _ in proof]
    async with stage.agent(require_operator_signature=False) as agent:
        await agent.state("online")
        await hub.send(DelegationUpdate(added=(hub.log_delegation.as_value(),), removed=()))
        lie = stage.wish("evil", signer=hub.log_key, proof=named)
        assert await stage.code_of(lie) == ("not_granted" if proof else "no_chain")
        await stage.truth()
    assert stage.witness == ["truth"]
