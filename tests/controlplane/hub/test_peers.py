"""Agents that order from each other: the hub carries, and signs nothing."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from controlplane import clock
from controlplane.access.authorize import HUB_ACTOR
from controlplane.hub.handlers.peers import MAX_HANDED_ON
from controlplane.intents.cancellation import cancel_intent
from protocol.envelope import Envelope, envelope_from_value, seal_document
from protocol.messages import (
    Delegation,
    DelegationUpdate,
    ErrorMessage,
    Intent,
    PeerIntent,
    PeerResult,
    dump_payload,
)
from protocol.messages.delegations import Capability
from tests.controlplane.hub.world import RunningHub, ScriptedAgent, until


def peer_order(caller: ScriptedAgent, peer_did: str, **changes: Any) -> Envelope:
    """Return an intent that `caller` has signed for a peer."""
    fields: dict[str, Any] = {
        "action": "echo",
        "params": {},
        "realm": "default",
        "timeout_seconds": 60,
        **changes,
    }
    signer = fields.pop("signer", caller.key)
    lifetime = fields.pop("lifetime", timedelta(hours=1))
    return seal_document(
        type="intent",
        id=clock.new_id(),
        timestamp=clock.now(),
        expires=clock.now() + lifetime,
        audience=peer_did,
        payload=dump_payload(Intent(**fields)),
        signer=signer,
    )


def said(order: Envelope, *delegations: Envelope) -> PeerIntent:
    return PeerIntent(
        intent=order.as_value(), delegations=tuple(one.as_value() for one in delegations)
    )


def lent_by(hub: RunningHub, subject: str) -> Envelope:
    """A delegation of the hub's own."""
    identity = hub.hub.identity
    return seal_link(identity.hub_key, subject, identity.hub_delegation.digest, depth=1)


def seal_link(signer: Any, subject: str, parent: str, *, depth: int) -> Envelope:
    """A delegation of `echo` under `parent`."""
    return seal_document(
        type="delegation",
        id=clock.new_id(),
        timestamp=clock.now(),
        expires=clock.now() + timedelta(days=1),
        audience="*",
        payload=dump_payload(
            Delegation(
                subject=subject,
                capabilities=(Capability(action="echo"),),
                conditions=(),
                not_before=clock.now(),
                max_depth=depth,
                parent=parent,
            )
        ),
        signer=signer,
    )


async def until_known(hub: RunningHub, intent_id: str) -> None:
    """Return once the hub has an order on disk."""
    with hub.hub.events.subscribe(subject=intent_id) as news:
        async with asyncio.timeout(8):
            while await hub.read(lambda uow: uow.intents.get(intent_id)) is None:
                await news.next()


async def test_a_peers_order_arrives_unchanged_and_its_result_comes_back(hub: RunningHub) -> None:
    caller, peer = await hub.enrolled(), await hub.enrolled()
    order = peer_order(caller, peer.did)
    await caller.say(said(order))

    arrived = await peer.document()
    assert (arrived.id, arrived.digest, arrived.signature) == (
        order.id,
        order.digest,
        order.signature,
    )
    result = peer.result(arrived, {"from": "a peer"})
    await peer.say_document(result)
    back = await caller.receive(PeerResult)
    assert envelope_from_value(back.result).digest == result.digest
    assert (await hub.intent(order.id)).submitted_by == caller.did


async def test_the_delegations_of_a_peers_order_come_before_it(hub: RunningHub) -> None:
    caller, peer = await hub.enrolled(), await hub.enrolled()
    link = lent_by(hub, caller.did)
    order = peer_order(caller, peer.did, proof=(link.id,))
    await caller.say(said(order, link))
    update = await peer.receive(DelegationUpdate)
    assert [one["id"] for one in update.added] == [link.id]
    assert (await peer.document()).id == order.id


async def test_the_same_order_again_has_its_result_sent_again(hub: RunningHub) -> None:
    caller, peer = await hub.enrolled(), await hub.enrolled()
    order = peer_order(caller, peer.did)
    await caller.say(said(order))
    await peer.say_document(peer.result(await peer.document()))
    first = await caller.receive(PeerResult)
    await caller.say(said(order))
    assert (await caller.receive(PeerResult)).result == first.result


async def test_an_order_asked_for_again_after_its_time_has_its_result_sent_again(
    hub: RunningHub,
) -> None:
    caller, peer, other = [await hub.enrolled() for _ in range(3)]
    order = peer_order(caller, peer.did, lifetime=timedelta(seconds=2))
    await caller.say(said(order))
    result = peer.result(await peer.document())
    await peer.say_document(result)
    await caller.receive(PeerResult)
    await until(lambda: clock.now() >= order.expires, "the order to be over")
    await caller.say(said(order))
    again = await caller.receive(PeerResult)
    assert envelope_from_value(again.result).digest == result.digest
    # One that never came in time is as late as before, and nobody else learns anything.
    never = peer_order(caller, peer.did, lifetime=timedelta(0))
    await caller.say(said(never))
    assert (await caller.receive(ErrorMessage)).code == "expired"
    await other.say(said(order))
    assert (await other.receive(ErrorMessage)).code == "wrong_key"


async def test_a_result_waits_for_a_caller_that_is_away(hub: RunningHub) -> None:
    caller, peer = await hub.enrolled(), await hub.enrolled()
    order = peer_order(caller, peer.did)
    await caller.say(said(order))
    intent = await peer.document()
    await caller.leave()
    await peer.say_document(peer.result(intent))
    await peer.result_acks(1)
    await caller.online()
    assert (await caller.receive(PeerResult)).result["payload"]["intentId"] == order.id


async def test_a_caller_learns_that_the_peer_could_not_take_its_order(hub: RunningHub) -> None:
    caller, peer = await hub.enrolled(), await hub.enrolled()
    order = peer_order(caller, peer.did)
    await caller.say(said(order))
    await peer.document()
    await peer.say(ErrorMessage(code="no_chain", message="who", in_reply_to=order.id))
    answer = await caller.receive(ErrorMessage)
    assert (answer.code, answer.in_reply_to) == ("no_chain", order.id)


async def test_an_order_that_ended_without_a_result_is_told_to_who_asks_again(
    hub: RunningHub,
) -> None:
    caller, peer = await hub.enrolled(), await hub.enrolled()
    await peer.leave()
    order = peer_order(caller, peer.did)
    await caller.say(said(order))
    await until_known(hub, order.id)
    await cancel_intent(hub.hub, HUB_ACTOR, order.id, "no longer")
    await caller.say(said(order))
    answer = await caller.receive(ErrorMessage)
    assert (answer.code, answer.in_reply_to) == ("cancelled", order.id)


async def test_what_is_lent_to_the_peer_reaches_it_before_the_order(hub: RunningHub) -> None:
    caller, peer = await hub.enrolled(), await hub.enrolled()
    own = lent_by(hub, caller.did)
    onward = seal_link(caller.key, peer.did, own.digest, depth=0)
    await caller.say(said(peer_order(caller, peer.did, proof=(own.id,)), own, onward))
    update = await peer.receive(DelegationUpdate)
    assert [one["id"] for one in update.added] == [own.id, onward.id]


async def test_an_order_for_an_order_of_the_same_agent_is_a_circle(hub: RunningHub) -> None:
    first, second, third = [await hub.enrolled() for _ in range(3)]
    there = peer_order(first, second.did)
    await first.say(said(there))
    await second.document()
    on = peer_order(second, third.did, batch_id=there.id)
    await second.say(said(on))
    await third.document()
    for back in (first, second):
        await third.say(said(peer_order(third, back.did, batch_id=on.id)))
        assert (await third.receive(ErrorMessage)).code == "bad_chain"
    # Naming an order that was not given to it binds nobody, and shows nothing.
    await third.say(said(peer_order(third, first.did, batch_id=there.id)))
    assert (await first.document()).payload["batchId"] == there.id


async def test_an_order_is_not_handed_on_without_end(hub: RunningHub) -> None:
    agents = [await hub.enrolled() for _ in range(MAX_HANDED_ON + 2)]
    cause: str | None = None
    for giver, taker in pairwise(agents):
        order = peer_order(giver, taker.did, **({"batch_id": cause} if cause else {}))
        await giver.say(said(order))
        if taker is agents[-1]:
            assert (await giver.receive(ErrorMessage)).code == "bad_chain"
        else:
            cause = (await taker.document()).id


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        ("signer", "wrong_key"),
        ("audience", "wrong_audience"),
        ("self", "wrong_audience"),
        ("realm", "wrong_realm"),
    ],
)
async def test_a_peers_order_that_may_not_pass_is_an_error(
    hub: RunningHub, spoil: str, code: str
) -> None:
    caller, peer = await hub.enrolled(), await hub.enrolled()
    order = {
        "signer": lambda: peer_order(caller, peer.did, signer=peer.key),
        "audience": lambda: peer_order(caller, ScriptedAgent(hub).did),
        "self": lambda: peer_order(caller, caller.did),
        "realm": lambda: peer_order(caller, peer.did, realm="elsewhere"),
    }[spoil]()
    await caller.say(said(order))
    assert (await caller.receive(ErrorMessage)).code == code
    assert await hub.read(lambda uow: uow.intents.get(order.id)) is None
