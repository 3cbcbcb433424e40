"""Agents that order from each other: the hub carries, and signs nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controlplane import clock
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
from tests.controlplane.hub.world import RunningHub, ScriptedAgent


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
    return seal_document(
        type="intent",
        id=clock.new_id(),
        timestamp=clock.now(),
        expires=clock.now() + timedelta(hours=1),
        audience=peer_did,
        payload=dump_payload(Intent(**fields)),
        signer=signer,
    )


def said(order: Envelope, *delegations: Envelope) -> PeerIntent:
    return PeerIntent(
        intent=order.as_value(), delegations=tuple(one.as_value() for one in delegations)
    )


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
    link = seal_document(
        type="delegation",
        id=clock.new_id(),
        timestamp=clock.now(),
        expires=clock.now() + timedelta(days=1),
        audience="*",
        payload=dump_payload(
            Delegation(
                subject=caller.did,
                capabilities=(Capability(action="echo"),),
                conditions=(),
                not_before=clock.now(),
                max_depth=0,
                parent=hub.hub.identity.hub_delegation.digest,
            )
        ),
        signer=hub.hub.identity.hub_key,
    )
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
