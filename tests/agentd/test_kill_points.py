"""SPEC section 8 with kill -9 of the agent at every named point: one result, no action twice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from agentd.faults import POINTS
from protocol.messages import IntentAck
from tests.agentd.agent_process import AgentProcess
from tests.agentd.hub_double import HubDouble

MakeAgent = Callable[..., AgentProcess]

# Where the process dies, how often the action may have run by then, and how the order ends.
ORDER_POINTS = {
    "intent_received": ("succeeded", 1),
    "intent_stored": ("succeeded", 1),
    "intent_started": ("interrupted", 0),
    "action_done": ("interrupted", 1),
    "result_stored": ("succeeded", 1),
    "result_sent": ("succeeded", 1),
    "result_acked": ("succeeded", 1),
}


def witness(data_dir: Path) -> list[str]:
    file = data_dir / "workspace" / "witness"
    return file.read_text().splitlines() if file.exists() else []


async def killed(agent: AgentProcess) -> None:
    assert await agent.ended() == -signal.SIGKILL, agent.log


@pytest.mark.parametrize("point", sorted(ORDER_POINTS))
async def test_a_kill_loses_nothing_and_repeats_nothing(
    hub: HubDouble, agent_process: MakeAgent, data_dir: Path, point: str
) -> None:
    status, lines = ORDER_POINTS[point]
    append = {"path": "witness", "content": "done\n", "append": True}
    async with agent_process(fault=point) as agent:
        await agent.state("online")
        intent = await hub.order("files.write", append)
        await killed(agent)
    async with agent_process() as agent:
        await agent.state("online")
        result = await hub.result(intent)
        # A second order proves that the first one is over, and that the agent still works.
        other = await hub.order("echo", {"again": True})
        await hub.result(other)
    assert result["status"] == status, agent.log
    assert witness(data_dir) == ["done"] * lines
    assert len({envelope.id for envelope in hub.results_of(intent)}) == 1


@pytest.mark.parametrize("point", ["intent_started", "action_done", "result_stored"])
async def test_idempotent_work_simply_runs_again(
    hub: HubDouble, agent_process: MakeAgent, point: str
) -> None:
    async with agent_process(fault=point) as agent:
        await agent.state("online")
        intent = await hub.order("echo", {"n": 1})
        await killed(agent)
    async with agent_process():
        result = await hub.result(intent)
    assert (result["status"], result["output"]) == ("succeeded", {"n": 1})


async def test_a_kill_after_the_ack_ends_as_interrupted(
    hub: HubDouble, agent_process: MakeAgent
) -> None:
    async with agent_process(fault="intent_acked") as agent:
        await agent.state("online")
        intent = await hub.order("shell.exec", {"argv": ["sleep", "20"]})
        await killed(agent)
        hub.open_documents.pop(intent.id)  # acked: the hub does not send it again
    async with agent_process():
        result = await hub.result(intent)
    assert result["status"] == "interrupted"


async def test_a_result_without_an_ack_is_sent_again_unchanged(
    hub: HubDouble, agent_process: MakeAgent
) -> None:
    hub.ack_results = False
    async with agent_process() as agent:
        await agent.state("online")
        intent = await hub.order("echo", {})
        await hub.result(intent)
        hub.open_documents.clear()
        hub.ack_results = True
        await hub.drop()
        await hub.until(lambda: len(hub.results_of(intent)) == 2)
        first, second = hub.results_of(intent)
        assert first.wire == second.wire
    assert hub.received.registers[1].holds.intents == (intent.id,)


async def test_the_same_order_again_gets_the_same_answer(
    hub: HubDouble, agent_process: MakeAgent, data_dir: Path
) -> None:
    async with agent_process() as agent:
        await agent.state("online")
        intent = await hub.order(
            "files.write", {"path": "witness", "content": "done\n", "append": True}
        )
        await hub.result(intent)
        await hub.send_document(intent)
        await hub.until(lambda: len(hub.results_of(intent)) == 2)
        slow = await hub.order("shell.exec", {"argv": ["sleep", "30"]})
        await hub.until(lambda: hub.received.of(IntentAck))
        await hub.send_document(slow)
        await hub.until(lambda: len(hub.received.of(IntentAck)) == 2)
    states = [item.state for ack in hub.received.of(IntentAck) for item in ack.intents]
    assert states == ["accepted", "duplicate"]
    assert witness(data_dir) == ["done"]
    first, second = hub.results_of(intent)
    assert first.wire == second.wire


async def test_every_point_that_orders_pass_is_tried() -> None:
    tried = set(ORDER_POINTS) | {"intent_acked"}
    elsewhere = {point for point in POINTS if point.split("_")[0] in {"rotation", "approval"}}
    assert POINTS - tried - elsewhere == {"document_stored"}


async def test_a_policy_survives_a_kill_right_after_it_was_stored(
    hub: HubDouble, agent_process: MakeAgent
) -> None:
    async with agent_process(fault="document_stored") as agent:
        await killed(agent)
    hub.policy, sent = None, hub.policy
    async with agent_process() as agent:
        await agent.state("connecting")
        await hub.until(lambda: len(hub.received.registers) == 2)
    assert sent is not None
    assert hub.received.registers[1].holds.policy_version == 1


async def test_many_orders_at_once_all_end(hub: HubDouble, agent_process: MakeAgent) -> None:
    async with agent_process() as agent:
        await agent.state("online")
        intents = [await hub.order("echo", {"n": n}) for n in range(120)]
        results = await asyncio.gather(*(hub.result(intent) for intent in intents))
    assert [result["output"]["n"] for result in results] == list(range(120))
