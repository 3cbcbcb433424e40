"""A real agent and a hub that keeps every frame: no plaintext of a sealed order ever reaches it."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from protocol.envelope import Envelope
from protocol.keys import PublicKey
from protocol.messages import IntentAck, IntentProgress, ToolApprovalRequest, dump_payload
from protocol.sealing import EncryptionKey, open_output, seal_params, verify_encryption_key
from protocol.timestamps import format_timestamp
from tests.agentd.hub_double import HubDouble, new_id, seal

CANARY = "c4n4ry-9f31-plaintext"
READER = EncryptionKey(os.urandom(32))


def sealed_order(hub: HubDouble, action: str, params: dict[str, Any], **more: Any) -> Envelope:
    """An order whose params only the agent reads; `swap` spoils the box's binding."""
    agent = PublicKey.parse_did(hub.agent_did or "")
    announced = hub.received.registers[-1].host["encryption"]
    intent_id = new_id()
    box = seal_params(
        params,
        intent_id=more.pop("made_for", intent_id),
        action=action,
        audience=agent.did,
        signer=hub.key.public_key.did,
        agent_key=verify_encryption_key(announced, agent),
        reply_key=READER.public,
        ephemeral_seed=os.urandom(32),
    )
    order = hub.make_intent(action, {}, id=intent_id, **more)
    return seal("intent", hub.key, agent.did, {**order.payload, "sealed": box}, id=intent_id)


async def send(hub: HubDouble, order: Envelope) -> dict[str, Any]:
    hub.open_documents[order.id] = order.wire
    await hub.send_document(order)
    return await hub.result(order)


def heard(hub: HubDouble) -> str:
    """Everything the agent has ever said to its hub, as text."""
    frames = [str(dump_payload(frame)) for frame in hub.received.frames]
    return "\n".join(frames + [one.wire.decode() for one in hub.received.results])


async def test_a_sealed_order_is_done_and_its_output_is_for_its_reader_alone(
    hub: HubDouble, agent_here: Callable[..., Any]
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        order = sealed_order(hub, "echo", {"say": CANARY})
        result = await send(hub, order)
        assert result["status"] == "succeeded"
        opened = open_output(result["output"], intent_id=order.id, key=READER)
        assert opened == {"output": {"say": CANARY}}
        assert CANARY not in heard(hub)


async def test_params_are_held_to_schema_and_policy_after_they_are_opened(
    hub: HubDouble, agent_here: Callable[..., Any]
) -> None:
    rules = [
        {"id": "no", "effect": "deny", "actions": ["echo"], "when": f'params.say == "{CANARY}"'},
        {"id": "all", "effect": "allow", "actions": ["*"]},
    ]
    async with agent_here() as agent:
        hub.on_register = lambda _: setattr(hub, "policy", hub.make_policy(rules=rules))
        await agent.state("online")
        denied = await send(hub, sealed_order(hub, "echo", {"say": CANARY}))
        assert (denied["error"]["code"], denied["decision"]["rule"]) == ("policy_denied", "no")
        assert (await send(hub, sealed_order(hub, "echo", {"say": "x"})))["status"] == "succeeded"
        order = sealed_order(hub, "files.read", {"path": 7, CANARY: CANARY})
        unfit = await send(hub, order)
        assert unfit["error"]["code"] == "bad_params"
        # What was wrong is for who ordered it: even a field's name could be a secret.
        opened = open_output(unfit["output"], intent_id=order.id, key=READER)
        assert CANARY in str(opened["message"])
        assert CANARY not in heard(hub)


async def test_a_failure_quotes_nothing_of_what_was_sealed(
    hub: HubDouble, agent_here: Callable[..., Any]
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        order = sealed_order(hub, "files.read", {"path": f"{CANARY}.txt"})
        result = await send(hub, order)
        assert result["status"] == "failed"
        assert "message" in open_output(result["output"], intent_id=order.id, key=READER)
        assert CANARY not in heard(hub)


async def test_progress_of_a_sealed_order_tells_only_that_it_runs(
    hub: HubDouble, agent_here: Callable[..., Any]
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        script = f"for i in 1 2 3; do echo {CANARY}; sleep 0.5; done"
        await send(hub, sealed_order(hub, "shell.exec", {"argv": ["sh", "-c", script]}))
        assert {one.kind for one in hub.received.of(IntentProgress)} <= {"status"}
        assert CANARY not in heard(hub)


async def test_people_are_asked_about_the_box_not_about_its_content(
    hub: HubDouble, agent_here: Callable[..., Any]
) -> None:
    approval = {"people": 1, "from": ["*"], "withinSeconds": 60}
    rules = [{"id": "ask", "effect": "allow", "actions": ["*"], "approval": approval}]
    async with agent_here() as agent:
        hub.on_register = lambda _: setattr(hub, "policy", hub.make_policy(rules=rules))
        await agent.state("online")
        order = sealed_order(hub, "echo", {"say": CANARY})
        await hub.send_document(order)
        await hub.until(lambda: hub.received.of(ToolApprovalRequest))
        asked = hub.received.of(ToolApprovalRequest)[0]
        assert asked.arguments == {"sealed": order.payload["sealed"]}
        assert CANARY not in heard(hub)


async def test_a_box_that_belongs_to_another_order_is_bad_params(
    hub: HubDouble, agent_here: Callable[..., Any]
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        moved = await send(hub, sealed_order(hub, "echo", {"say": CANARY}, made_for=new_id()))
        assert (moved["status"], moved["error"]["code"]) == ("refused", "bad_params")


async def test_what_came_sealed_is_not_handed_on_to_a_peer(
    hub: HubDouble, agent_here: Callable[..., Any]
) -> None:
    async with agent_here() as agent:
        await agent.state("online")
        wish = {"agent": hub.root.public_key.did, "action": "echo", "params": {"say": CANARY}}
        result = await send(hub, sealed_order(hub, "peer.order", wish))
        assert (result["status"], result["error"]["code"]) == ("failed", "sealed_order")
        assert CANARY not in heard(hub)


async def test_a_sealed_order_survives_a_restart_of_its_agent(
    hub: HubDouble, agent_here: Callable[..., Any]
) -> None:
    """The disk holds the box; the next process opens it again."""
    async with agent_here() as agent:
        await agent.state("online")
        soon = format_timestamp(datetime.now(UTC) + timedelta(seconds=3))
        order = sealed_order(hub, "echo", {"say": CANARY}, notBefore=soon)
        hub.open_documents[order.id] = order.wire
        await hub.send_document(order)
        await hub.until(lambda: hub.received.of(IntentAck))
    state = b"".join(
        path.read_bytes() for path in agent.settings.data_dir.iterdir() if path.is_file()
    )
    assert CANARY.encode() not in state
    async with agent_here() as agent:
        await agent.state("online")
        result = await hub.result(order)
        opened = open_output(result["output"], intent_id=order.id, key=READER)
        assert opened == {"output": {"say": CANARY}}
