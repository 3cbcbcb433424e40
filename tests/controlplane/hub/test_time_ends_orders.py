"""Sections 4 and 8: what time alone ends and what it must not end; and no compression."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from controlplane import clock
from controlplane.intents.service import expire_due
from protocol.messages.intents import IntentState
from storage.records import IntentRecord
from tests.controlplane.hub.world import NOTHING, RunningHub, until


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


async def test_compression_is_never_agreed(hub: RunningHub) -> None:
    async with connect(
        hub.url, subprotocols=[Subprotocol("writ.v1")], compression="deflate"
    ) as socket:
        assert socket.subprotocol == "writ.v1"
        assert socket.protocol.extensions == []
