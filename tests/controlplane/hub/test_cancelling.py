"""Section 8: an order is asked to end, and what becomes of the `intent_cancel` that asks."""

from __future__ import annotations

import pytest

from controlplane.access.authorize import HUB_ACTOR
from controlplane.intents.cancellation import cancel_intent
from protocol.envelope import Envelope
from protocol.messages import DocumentAck, DocumentAckItem, ErrorMessage, ResultError, ResultStatus
from storage.records import IntentRecord
from tests.controlplane.hub.world import NOTHING, RunningHub, ScriptedAgent


async def cancel(hub: RunningHub, order_id: str) -> IntentRecord:
    """Ask for an order to end."""
    return await cancel_intent(hub.hub, HUB_ACTOR, order_id, "no longer")


async def cancelled(hub: RunningHub, agent: ScriptedAgent) -> tuple[Envelope, Envelope]:
    """Return an order that the agent has, and the `intent_cancel` that it was sent."""
    order = await hub.order(agent.did)
    intent = await agent.document()
    await agent.accept(intent)
    await hub.intent_reaches(order.id, "accepted")
    await cancel(hub, order.id)
    return intent, await agent.document("intent_cancel")


async def is_owed(hub: RunningHub, did: str, document_id: str) -> bool:
    """Whether the hub would send this to the agent again."""
    return await hub.read(lambda uow: uow.outbox.holds(did, document_id))


async def answered(agent: ScriptedAgent, asked: Envelope, how: str) -> None:
    """Answer an `intent_cancel`: by a code, as a refusal, or as accepted."""
    if how in ("accepted", "refused"):
        code = "not_authorised" if how == "refused" else None
        item = DocumentAckItem(id=asked.id, digest=asked.digest, state=how, code=code)
        await agent.say(DocumentAck(documents=(item,)))
    else:
        await agent.say(ErrorMessage(code=how, message="no", in_reply_to=asked.id))


async def until_taken(hub: RunningHub, agent: ScriptedAgent) -> None:
    """Return when the hub has on disk what the agent said before: it answers in order."""
    await agent.say_document(agent.result(await _another(hub, agent)))
    await agent.result_acks(1)


async def _another(hub: RunningHub, agent: ScriptedAgent) -> Envelope:
    await hub.order(agent.did)
    return await agent.document()


async def test_a_cancel_is_sent_no_more_when_the_order_has_ended(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    intent, asked = await cancelled(hub, agent)
    assert await is_owed(hub, agent.did, asked.id)
    await agent.say_document(
        agent.result(
            intent,
            status=ResultStatus.CANCELLED,
            error=ResultError(code="cancelled", message="as asked"),
        )
    )
    await agent.result_acks(1)
    assert not await is_owed(hub, agent.did, asked.id)
    connection = hub.registry.get(agent.did)
    assert connection is not None
    assert asked.id not in connection.lane.unacked


async def test_nor_when_it_ended_because_the_agent_has_lost_it(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    intent, asked = await cancelled(hub, agent)
    await agent.vanish()
    await agent.online(holds=NOTHING)
    assert (await hub.intent(intent.id)).state.value == "expired"
    assert not await is_owed(hub, agent.did, asked.id)


@pytest.mark.parametrize("how", ["refused", "wrong_audience"])
async def test_a_cancel_that_was_turned_down_can_be_asked_for_again(
    hub: RunningHub, how: str
) -> None:
    agent = await hub.enrolled()
    intent, first = await cancelled(hub, agent)
    assert (await cancel(hub, intent.id)).cancel_document_id == first.id  # it is on its way
    await answered(agent, first, how)
    await until_taken(hub, agent)
    record = await cancel(hub, intent.id)
    again = await agent.document("intent_cancel")
    assert again.id != first.id
    assert record.cancel_document_id == again.id
    assert again.payload["intentId"] == intent.id


async def test_a_cancel_that_the_agent_took_is_asked_for_once(hub: RunningHub) -> None:
    agent = await hub.enrolled()
    intent, first = await cancelled(hub, agent)
    await answered(agent, first, "accepted")
    await until_taken(hub, agent)
    assert (await cancel(hub, intent.id)).cancel_document_id == first.id
