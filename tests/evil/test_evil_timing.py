"""Frames timed to the moment: what an evil hub can do between an agent's decision and its disk.

The agent's writer is held by a unit of the test's own, so that what races in real life happens here
in one known order.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from protocol.messages import ErrorMessage
from tests.agentd.conftest import AgentHere
from tests.agentd.hub_double import delegate, new_key, seal
from tests.evil.stage import Stage, approval_rule


@contextlib.contextmanager
def slow_disk(agent: AgentHere, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let nothing reach the agent's disk inside the block; all of it afterwards, in order."""
    assert agent.agent is not None
    state = agent.agent._state
    with monkeypatch.context() as patched:
        patched.setattr(state, "_flush", lambda: None)
        yield
    state._flush()


async def heard(stage: Stage) -> None:
    """Return when the agent has read all that was sent to it so far."""
    stranger = seal("intent", stage.hub.key, stage.operator.public_key.did, stage.wish("x").payload)
    await stage.send(stranger)
    await stage.hub.until(
        lambda: any(e.in_reply_to == stranger.id for e in stage.hub.received.of(ErrorMessage))
    )


async def queued(agent: AgentHere, units: int) -> None:
    """Return when so many units wait for the disk."""
    assert agent.agent is not None
    async with asyncio.timeout(10):
        while len(agent.agent._state._jobs) < units:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.01)


async def test_one_id_by_two_signers_counts_once_and_frees_no_limit(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = stage.hub
    async with stage.agent(require_operator_signature=False) as agent:
        await agent.state("online")
        policy = hub.make_policy(2, limits={"ordersPerHour": 2})
        assert await stage.code_of(policy) == "accepted"
        order = stage.wish("once")
        with slow_disk(agent, monkeypatch):
            await stage.send(order)
            await stage.send(stage.wish("twin", signer=hub.key, id=order.id))
            await heard(stage)
        await hub.until(lambda: hub.result_of(order))
        assert await stage.code_of(stage.wish("more")) == "succeeded"
        assert await stage.code_of(stage.wish("most")) == "rate_limited"
    assert stage.witness == ["once", "more"]


async def test_a_quarantine_right_behind_an_order_stops_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = stage.hub
    async with stage.agent() as agent:
        await agent.state("online")
        order = stage.wish("late")
        stop = seal(
            "quarantine",
            stage.operator,
            hub.agent_did or "",
            {"epoch": 1, "active": True, "reason": "stop", "proof": [stage.grant.id]},
        )
        with slow_disk(agent, monkeypatch):
            await stage.send(order)
            await heard(stage)
            await stage.send(stop)
            await queued(agent, 2)
        assert await stage.answer_to(stop) == "accepted"
        assert await stage.answer_to(order) == "quarantined"
    assert stage.witness == []


async def test_a_cancel_right_behind_an_order_is_not_lost(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = stage.hub
    async with stage.agent() as agent:
        await agent.state("online")
        params = {"argv": ["sleep", "30"]}
        order = hub.make_intent("shell.exec", params, signer=stage.operator, proof=[stage.grant.id])
        cancel = seal(
            "intent_cancel",
            stage.operator,
            hub.agent_did or "",
            {"intentId": order.id, "reason": "no", "proof": [stage.grant.id]},
        )
        with slow_disk(agent, monkeypatch):
            await stage.send(order)
            await heard(stage)
            await stage.send(cancel)
            await queued(agent, 2)
        assert await stage.answer_to(order) == "cancelled"


async def test_a_stricter_rule_holds_for_orders_that_wait_for_a_place(stage: Stage) -> None:
    """The order came while no one was asked; it starts when two people are."""
    hub = stage.hub
    async with stage.agent() as agent:
        await agent.state("online")
        assert await stage.code_of(stage.policy(2, limits={"concurrent": 1})) == "accepted"
        first = hub.make_intent(
            "shell.exec", {"argv": ["sleep", "30"]}, signer=stage.operator, proof=[stage.grant.id]
        )
        await stage.send(first)
        waiting = stage.wish("unasked")
        await stage.send(waiting)
        stricter = stage.policy(3, approval_rule(operatorSigned=True), limits={"concurrent": 1})
        assert await stage.code_of(stricter) == "accepted"
        cancel = seal(
            "intent_cancel",
            stage.operator,
            hub.agent_did or "",
            {"intentId": first.id, "reason": "done", "proof": [stage.grant.id]},
        )
        await stage.send(cancel)
        assert await stage.answer_to(first) == "cancelled"
        asked = await stage.asked(waiting)
        assert asked.people == 1
        assert stage.witness == []


async def test_approvals_under_an_old_rule_do_not_count_under_a_stricter_one(stage: Stage) -> None:
    """Asked under a lax rule; by the time somebody answers, two people must."""
    hub, person = stage.hub, new_key()
    may = delegate(hub.root, person.public_key.did, ("writ.approve",))
    other = new_key()
    may_too = delegate(hub.root, other.public_key.did, ("writ.approve",))
    hub.delegations += [may, may_too]
    async with stage.agent() as agent:
        await agent.state("online")
        assert await stage.code_of(stage.policy(2, approval_rule())) == "accepted"
        order = stage.wish("asked")
        question = await stage.question(order)
        assert await stage.code_of(stage.policy(3, approval_rule(people=2))) == "accepted"
        first = stage.decision(question, person, may)
        assert await stage.code_of(first) == "accepted"
        again = await stage.asked(order, after=1)
        assert (again.people, again.call_digest) == (2, question.call_digest)
        assert again.request_id != question.request_id
        assert stage.witness == []
        await stage.send(stage.decision(again, person, may))
        await stage.send(stage.decision(again, other, may_too))
        assert await stage.answer_to(order) == "succeeded"
    assert stage.witness == ["asked"]
