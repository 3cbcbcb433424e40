"""Sections 4 and 8: what time alone ends and what it must not end; and no compression."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from controlplane import clock
from controlplane.hub import sweeps
from controlplane.hub.claims import sweep_claims
from controlplane.intents.service import expire_due
from protocol.messages import IntentProgress
from protocol.messages.enrolment import MAX_HELD_INTENTS
from protocol.messages.intents import IntentState
from storage.errors import UnavailableError
from storage.records import IntentRecord
from storage.repositories.agents import Agents
from tests.controlplane.hub.world import NOTHING, RunningHub, ScriptedAgent, running_hub, until


async def ended_at(hub: RunningHub, order: IntentRecord, days: float) -> list[IntentRecord]:
    """Let the hub look for orders that are over, `days` after this one expires."""
    moment = order.expires_at + timedelta(days=days)
    return await hub.hub.database.write(lambda uow: expire_due(uow, now=moment))


async def test_a_sent_order_expires_when_the_agent_is_back_without_it(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    lost = await hub.order(agent.did, expires_in_seconds=1)
    kept = await hub.order(agent.did, expires_in_seconds=1)
    for _ in range(2):
        await agent.document()
    await agent.vanish()
    await until(lambda: clock.now() >= kept.expires_at, "both to be over")
    # Its time is over, but the agent may have it: nothing is decided before it is asked.
    assert (await hub.intent(lost.id)).state is IntentState.DISPATCHED
    await agent.online(holds=NOTHING.model_copy(update={"intents": (kept.id,)}))
    assert (await hub.intent_reaches(lost.id, "expired")).unconfirmed is False
    assert (await hub.intent(kept.id)).state is IntentState.ACCEPTED


async def test_a_week_without_the_agent_ends_a_sent_order_unconfirmed(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    order = await hub.order(agent.did)
    await agent.accept(await agent.document())
    await hub.intent_reaches(order.id, "accepted")
    # An agent that is there reports itself, however long it takes.
    assert await ended_at(hub, order, days=30) == []
    with hub.hub.events.subscribe(lambda event: event.type == "agent.offline") as news:
        await agent.leave()
        assert await asyncio.wait_for(news.next(), 8) is not None
    assert await ended_at(hub, order, days=6.9) == []
    (ended,) = await ended_at(hub, order, days=7.1)
    assert (ended.id, ended.state, ended.unconfirmed) == (order.id, IntentState.EXPIRED, True)


async def test_one_that_was_sent_more_than_once_may_have_been_done(
    hub: RunningHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = await hub.enrolled()
    order = await hub.order(agent.did, expires_in_seconds=60)
    await agent.document()
    await agent.vanish()
    await agent.online(holds=NOTHING)
    assert (await agent.document()).id == order.id
    await agent.vanish()
    true = clock.now
    monkeypatch.setattr(clock, "now", lambda: true() + timedelta(minutes=2))
    await agent.online(holds=NOTHING)
    assert (await hub.intent_reaches(order.id, "expired")).unconfirmed is True


async def accepted(hub: RunningHub, agent: ScriptedAgent) -> IntentRecord:
    """An order that the agent has said it has."""
    order = await hub.order(agent.did)
    await agent.accept(await agent.document())
    return await hub.intent_reaches(order.id, "accepted")


async def test_an_order_the_agent_had_and_lost_expires_unconfirmed_and_is_not_sent_again(
    hub: RunningHub,
) -> None:
    agent = await hub.enrolled()
    lost, started, kept = [await accepted(hub, agent) for _ in range(3)]
    await agent.say(IntentProgress(intent_id=started.id, index=0, kind="status", data="started"))
    await hub.intent_reaches(started.id, "running")
    await agent.vanish()
    await agent.online(holds=NOTHING.model_copy(update={"intents": (kept.id,)}))
    for order in (lost, started):
        ended = await hub.intent_reaches(order.id, "expired")
        assert ended.unconfirmed is True
        assert ended.finished_at is not None
    assert (await hub.intent(kept.id)).state is IntentState.ACCEPTED
    # The one given now is the first to come: nothing was sent again.
    later = await hub.order(agent.did)
    assert (await agent.document()).id == later.id


async def test_a_full_list_of_held_orders_says_nothing_of_others(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    order = await accepted(hub, agent)
    await agent.vanish()
    full = tuple(clock.new_id() for _ in range(MAX_HELD_INTENTS))
    await agent.online(holds=NOTHING.model_copy(update={"intents": full}))
    assert (await hub.intent(order.id)).state is IntentState.ACCEPTED


async def test_a_result_taken_just_before_the_agent_came_back_stays(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    order = await hub.order(agent.did)
    intent = await agent.document()
    await agent.accept(intent)
    await agent.say_document(agent.result(intent))
    await agent.result_acks(1)
    await agent.vanish()
    await agent.online(holds=NOTHING)
    record = await hub.intent(order.id)
    assert (record.state, record.unconfirmed) == (IntentState.SUCCEEDED, False)


async def test_orders_of_agents_that_are_there_do_not_hide_those_of_a_lost_one(
    hub: RunningHub,
) -> None:
    there, gone = await hub.enrolled(), await hub.enrolled()
    for _ in range(2):
        await accepted(hub, there)
    order = await accepted(hub, gone)
    with hub.hub.events.subscribe(lambda event: event.type == "agent.offline") as news:
        await gone.leave()
        assert await asyncio.wait_for(news.next(), 8) is not None
    moment = order.expires_at + timedelta(days=8)
    ended = await hub.hub.database.write(lambda uow: expire_due(uow, now=moment, limit=1))
    assert [one.id for one in ended] == [order.id]


async def test_an_agent_whose_end_could_not_be_written_is_offline_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweeps, "CLAIMS_SECONDS", 3_600.0)  # the test looks itself
    async with running_hub(tmp_path) as hub:
        there, gone = await hub.enrolled(), await hub.enrolled()
        order = await accepted(hub, gone)
        failed: list[str] = []

        def fail(_agents: Agents, did: str, *_: object, **__: object) -> None:
            failed.append(did)
            raise UnavailableError("the disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(Agents, "set_presence", fail)
            await gone.vanish()
            await until(lambda: failed == [gone.did], "the end that cannot be written")
        assert await ended_at(hub, order, days=8) == []
        with hub.hub.events.subscribe(lambda event: event.type == "agent.offline") as news:
            await sweep_claims(hub.live)
            assert (await hub.agent(gone.did)).online is True  # one look may come too early
            await sweep_claims(hub.live)
            assert (await asyncio.wait_for(news.next(), 8)).subject == gone.did
        assert (await hub.agent(gone.did)).online is False
        assert (await hub.agent(there.did)).online is True
        assert [one.id for one in await ended_at(hub, order, days=8)] == [order.id]


async def test_compression_is_never_agreed(hub: RunningHub) -> None:
    async with connect(
        hub.url, subprotocols=[Subprotocol("writ.v1")], compression="deflate"
    ) as socket:
        assert socket.subprotocol == "writ.v1"
        assert socket.protocol.extensions == []
