"""An evil hub answers the agent's questions in the place of people."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from protocol.envelope import Envelope
from protocol.messages import DelegationUpdate, ToolApprovalRequest
from tests.agentd.hub_double import HubDouble, delegate, new_key
from tests.evil.stage import Stage, approval_rule

USER = "user:0199a1f0-0000-7000-8000-000000000001"


class Asked:
    """An operator's order that waits for people, and one person who may decide."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.person = new_key()
        self.may = delegate(stage.hub.root, self.person.public_key.did, ("writ.approve",))
        self.hub: HubDouble = stage.hub
        self.order: Envelope
        self.question: ToolApprovalRequest

    async def ask(self, **rule: object) -> None:
        version = (self.hub.policy.payload["version"] if self.hub.policy else 0) + 1
        self.hub.policy = self.stage.policy(version, approval_rule(**rule))
        assert await self.stage.code_of(self.hub.policy) == "accepted"
        self.order = self.stage.wish("asked")
        self.question = await self.stage.question(self.order)

    async def still_waits(self) -> None:
        """The lie counted for nothing: the question is open, and the person's answer ends it."""
        assert self.stage.witness == []
        assert self.hub.result_of(self.order) is None
        assert await self.stage.code_of(
            self.stage.decision(self.question, self.person, self.may)
        ) == ("accepted")
        assert await self.stage.answer_to(self.order) == "succeeded"
        assert self.stage.witness == ["asked"]


@pytest.fixture
async def asked(stage: Stage) -> AsyncIterator[Asked]:
    waiting = Asked(stage)
    stage.hub.delegations.append(waiting.may)
    async with stage.agent() as agent:
        await agent.state("online")
        yield waiting


async def test_as_anyone_under_its_own_key(asked: Asked) -> None:
    await asked.ask()
    lie = asked.stage.decision(asked.question, asked.hub.key)
    assert await asked.stage.code_of(lie) == "not_authorised"
    await asked.still_waits()


async def test_as_a_role_it_vouches_for(asked: Asked) -> None:
    await asked.ask(**{"from": ["admin", "*"]})
    lie = asked.stage.decision(asked.question, asked.hub.key, approver=USER)
    assert await asked.stage.code_of(lie) == "not_authorised"
    await asked.still_waits()


async def test_as_a_role_where_the_rule_wants_operators(stage: Stage) -> None:
    waiting = Asked(stage)
    stage.hub.delegations.append(waiting.may)
    async with stage.agent(require_operator_signature=False) as agent:
        await agent.state("online")
        rule = approval_rule(**{"from": ["admin", "*"], "operatorSigned": True})
        assert await stage.code_of(stage.hub.make_policy(2, rule)) == "accepted"
        waiting.order = stage.wish("asked")
        waiting.question = await stage.question(waiting.order)
        lie = stage.decision(waiting.question, stage.hub.key, approver=USER)
        assert await stage.code_of(lie) == "not_authorised"
        await waiting.still_waits()


async def test_as_anyone_under_a_key_it_lent_its_authority(asked: Asked) -> None:
    hub, puppet = asked.hub, new_key()
    lent = delegate(
        hub.key, puppet.public_key.did, ("writ.approve",), parent=hub.delegation, max_depth=0
    )
    await asked.ask()
    await hub.send(DelegationUpdate(added=(lent.as_value(),), removed=()))
    lie = asked.stage.decision(asked.question, puppet, hub.delegation, lent)
    assert await asked.stage.code_of(lie) == "not_authorised"
    await asked.still_waits()


async def test_under_a_key_without_any_right(asked: Asked) -> None:
    await asked.ask()
    lie = asked.stage.decision(asked.question, new_key(), asked.may)
    assert await asked.stage.code_of(lie) == "not_authorised"
    await asked.still_waits()


async def test_as_the_operator_who_ordered(asked: Asked) -> None:
    await asked.ask()
    own = asked.stage.decision(asked.question, asked.stage.operator, asked.stage.grant)
    assert await asked.stage.code_of(own) == "not_authorised"
    await asked.still_waits()


async def test_as_one_person_twice(asked: Asked) -> None:
    other = new_key()
    may_too = delegate(asked.hub.root, other.public_key.did, ("writ.approve",))
    asked.hub.delegations.append(may_too)
    await asked.hub.send(DelegationUpdate(added=(may_too.as_value(),), removed=()))
    await asked.ask(people=2)
    for _ in range(2):
        yes = asked.stage.decision(asked.question, asked.person, asked.may)
        assert await asked.stage.code_of(yes) == "accepted"
    assert asked.stage.witness == []
    yes = asked.stage.decision(asked.question, other, may_too)
    assert await asked.stage.code_of(yes) == "accepted"
    assert await asked.stage.answer_to(asked.order) == "succeeded"
    assert asked.stage.witness == ["asked"]


async def test_with_an_approval_of_another_call(asked: Asked) -> None:
    await asked.ask()
    first, first_question = asked.order, asked.question
    asked.order = asked.stage.wish("asked")
    asked.question = await asked.stage.question(asked.order)
    for_first = asked.stage.decision(first_question, asked.person, asked.may)
    mixed = asked.stage.decision(
        asked.question, asked.person, asked.may, callDigest=first_question.call_digest
    )
    assert await asked.stage.code_of(mixed) == "not_authorised"
    assert await asked.stage.code_of(for_first) == "accepted"
    assert await asked.stage.answer_to(first) == "succeeded"
    await asked.stage.send(for_first)
    assert asked.hub.result_of(asked.order) is None
    assert asked.stage.witness == ["asked"]


async def test_with_a_denial_of_its_own(asked: Asked) -> None:
    """Nobody who may not approve may deny: the order goes on waiting."""
    await asked.ask()
    lie = asked.stage.decision(asked.question, asked.hub.key, approved=False)
    assert await asked.stage.code_of(lie) == "not_authorised"
    await asked.still_waits()


async def test_with_an_approval_after_a_denial(asked: Asked) -> None:
    await asked.ask()
    no = asked.stage.decision(asked.question, asked.person, asked.may, approved=False)
    assert await asked.stage.code_of(no) == "accepted"
    assert await asked.stage.answer_to(asked.order) == "approval_denied"
    yes = asked.stage.decision(asked.question, asked.person, asked.may)
    assert await asked.stage.code_of(yes) == "not_authorised"
    assert asked.stage.witness == []
