"""The caller's side of orders to peers: a real agent, a hub that may lie, a peer by its key."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel, JsonValue

from agentd.executors.base import Params, Work
from agentd.executors.peer import PeerOrder
from protocol.envelope import Envelope, envelope_from_value
from protocol.keys import SigningKey
from protocol.messages import ErrorMessage, PeerIntent, PeerResult
from tests.agentd.hub_double import HubDouble, delegate, new_key, seal

PEER = new_key()
Make = Callable[..., Any]


class TwiceParams(Params):
    """Nothing to say."""


class Twice:
    """A plug-in's action: two orders to the peer, one after the other."""

    name = "twice"
    capability = "twice"
    description = "Order echo twice."
    idempotent = True
    params_model: type[BaseModel] = TwiceParams

    async def execute(self, work: Work) -> JsonValue:
        outputs = []
        for number in (1, 2):
            answer = await work.peers.order(PEER.public_key.did, "echo", {"number": number})
            outputs.append(answer.require_success())
        return outputs


@pytest.fixture
def lent(hub: HubDouble) -> HubDouble:
    """The hub lends every agent that registers the action `echo`, and carries what it orders."""

    def lend(event: Any) -> None:
        did = event.envelope.sender_did
        if not hub.delegations:
            hub.delegations = [
                delegate(hub.key, did, ("echo",), parent=hub.delegation, max_depth=1)
            ]

    hub.on_register = lend
    return hub


def wish(**more: Any) -> dict[str, Any]:
    return {"agent": PEER.public_key.did, "action": "echo", "params": {"n": 1}, **more}


async def carried(hub: HubDouble, count: int = 1) -> Envelope:
    """Return the newest order the agent gave, once it has given so many different ones."""

    def find() -> Envelope | None:
        seen = {one.id: one for one in map(_intent, hub.received.of(PeerIntent))}
        return list(seen.values())[-1] if len(seen) >= count else None

    found = await hub.until(find)
    assert isinstance(found, Envelope)
    return found


def _intent(frame: PeerIntent) -> Envelope:
    return envelope_from_value(frame.intent)


def result(order: Envelope, signer: SigningKey = PEER, **changes: Any) -> PeerResult:
    fields = {
        "intentId": order.id,
        "intentDigest": order.digest,
        "status": "succeeded",
        "output": "done",
        "finishedAt": order.as_value()["timestamp"],
        "usage": {},
        "decision": {"policyVersion": 1, "rule": "all"},
        "sandbox": {},
        "approvals": [],
        "progressCount": 0,
        **changes,
    }
    return PeerResult(result=seal("result", signer, signer.public_key.did, fields).as_value())


async def test_an_order_to_a_peer_names_its_chain_and_what_it_was_made_for(
    lent: HubDouble, agent_here: Make
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        work = await lent.order("peer.order", wish())
        order = await carried(lent)
        order.public_key.verify(order.signature, order.signed_bytes)
        assert (order.sender_did, order.audience) == (lent.agent_did, PEER.public_key.did)
        assert order.payload["proof"] == [lent.delegation.id, lent.delegations[0].id]
        assert order.payload["batchId"] == work.id
        assert order.expires is not None
        # It cannot outlive the order it was made for, which has 30 seconds.
        assert (order.expires - order.timestamp).total_seconds() <= 30
        await lent.send(result(order))
        done = await lent.result(work)
        assert (done["status"], done["output"]["output"]) == ("succeeded", "done")


@pytest.mark.parametrize("lie", ["signer", "digest", "other", "altered"])
async def test_a_result_that_is_not_the_peers_about_this_order_counts_for_nothing(
    lent: HubDouble, agent_here: Make, lie: str
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        work = await lent.order("peer.order", wish())
        order = await carried(lent)
        value = result(order).result
        lies = {
            "signer": lambda: result(order, lent.key, output="a lie"),
            "digest": lambda: result(order, intentDigest=lent.delegation.digest, output="a lie"),
            "other": lambda: result(order, intentId=work.id, output="a lie"),
            "altered": lambda: PeerResult(
                result={**value, "payload": {**value["payload"], "output": "a lie"}}
            ),
        }
        await lent.send(lies[lie]())
        refused = await lent.until(lambda: lent.received.of(ErrorMessage))
        codes = {"signer": "wrong_key", "digest": "bad_digest", "other": "unknown_intent",
                 "altered": "bad_signature"}  # fmt: skip
        assert refused[0].code == codes[lie]
        await lent.send(result(order))
        assert (await lent.result(work))["output"]["output"] == "done"


async def test_a_peer_that_turns_it_down_ends_the_order_with_its_code(
    lent: HubDouble, agent_here: Make
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        work = await lent.order("peer.order", wish())
        order = await carried(lent)
        await lent.send(ErrorMessage(code="no_chain", message="who?", in_reply_to=order.id))
        ended = await lent.result(work)
        assert (ended["status"], ended["error"]["code"]) == ("failed", "no_chain")


async def test_an_order_that_the_hub_cannot_take_now_is_said_again(
    lent: HubDouble, agent_here: Make
) -> None:
    async with agent_here(result_resend_seconds=0.3) as agent:
        await agent.state("online")
        work = await lent.order("peer.order", wish())
        order = await carried(lent)
        busy = ErrorMessage(code="unavailable", message="later", in_reply_to=order.id)
        await lent.send(busy)
        said = len(lent.received.of(PeerIntent))
        await lent.until(lambda: len(lent.received.of(PeerIntent)) > said)
        assert (await carried(lent)).digest == order.digest
        await lent.send(result(order))
        assert (await lent.result(work))["status"] == "succeeded"


async def test_a_right_lent_on_is_inside_the_agents_own_and_ends_with_the_order(
    lent: HubDouble, agent_here: Make
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        await lent.order("peer.order", wish(lend=[{"action": "echo"}]))
        await carried(lent)
        given = [envelope_from_value(one) for one in lent.received.of(PeerIntent)[0].delegations]
        child = given[-1]
        assert child.payload["subject"] == PEER.public_key.did
        assert child.payload["parent"] == lent.delegations[0].digest
        assert child.payload["maxDepth"] == 0
        assert child.expires is not None
        assert (child.expires - child.timestamp).total_seconds() <= 30
        wide = await lent.order("peer.order", wish(lend=[{"action": "*"}]))
        assert (await lent.result(wide))["error"]["code"] == "not_attenuated"


async def test_a_plugins_orders_go_on_after_a_restart_where_they_were(
    lent: HubDouble, agent_here: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first order was answered before; it is not given again, the second is the same one."""
    with_plugin(monkeypatch)
    async with agent_here() as agent:
        await agent.state("online")
        work = await lent.order("twice", {}, timeout=60)
        first = await carried(lent)
        await lent.send(result(first, output=1))
        second = await carried(lent, 2)
    before = len(lent.received.of(PeerIntent))
    async with agent_here() as agent:
        await agent.state("online")
        await lent.until(lambda: len(lent.received.of(PeerIntent)) > before)
        again = [_intent(one).digest for one in lent.received.of(PeerIntent)[before:]]
        assert set(again) == {second.digest}
        await lent.send(result(second, output=2))
        assert (await lent.result(work))["output"] == [1, 2]


async def test_a_plugin_orders_nothing_that_the_agents_policy_denies_it(
    lent: HubDouble, agent_here: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_plugin(monkeypatch)
    lend = lent.on_register

    def register(event: Any) -> None:
        lend(event)
        lent.policy = lent.make_policy(
            rules=[{"id": "no-peers", "effect": "deny", "actions": ["peer.order"]},
                   {"id": "all", "effect": "allow", "actions": ["*"]}]
        )  # fmt: skip

    lent.on_register = register
    async with agent_here() as agent:
        await agent.state("online")
        ended = await lent.result(await lent.order("twice", {}))
        assert (ended["status"], ended["error"]["code"]) == ("failed", "policy_denied")
        assert not lent.received.of(PeerIntent)


@pytest.mark.parametrize("agent_name", ["nobody", "did:key:z6Mk", ""])
async def test_a_peer_without_a_did_is_unknown(
    lent: HubDouble, agent_here: Make, agent_name: str
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        ended = await lent.result(await lent.order("peer.order", wish(agent=agent_name)))
        assert ended["error"]["code"] == ("unknown_peer" if agent_name else "bad_params")


async def test_a_name_of_the_agents_own_settings_stands_for_a_did(
    lent: HubDouble, agent_here: Make
) -> None:
    async with agent_here(peers={"helper": PEER.public_key.did}) as agent:
        await agent.state("online")
        await lent.order("peer.order", wish(agent="helper"))
        assert (await carried(lent)).audience == PEER.public_key.did


def with_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offer the action `twice` beside `peer.order`."""
    table = {"twice": Twice(), "peer.order": PeerOrder()}
    monkeypatch.setattr("agentd.agent.load_executors", lambda _settings: table)
