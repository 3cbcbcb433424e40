"""The real process against a hub on a real socket: enrolment, work, restarts, stopping."""

from __future__ import annotations

import signal
from collections.abc import Callable

from tests.agentd.agent_process import AgentProcess
from tests.agentd.hub_double import HubDouble

MakeAgent = Callable[..., AgentProcess]


async def test_an_order_is_done_and_its_result_signed(
    hub: HubDouble, agent_process: MakeAgent
) -> None:
    async with agent_process() as agent:
        await agent.state("online")
        intent = await hub.order("echo", {"say": "hello"})
        result = await hub.result(intent)
    assert result["status"] == "succeeded", agent.log
    assert result["output"] == {"say": "hello"}
    assert result["intentDigest"] == intent.digest
    assert result["decision"] == {"policyVersion": 1, "rule": "all"}
    assert [line["agentDid"] for line in agent.lines[:1]] == [hub.agent_did]


async def test_sigterm_ends_it_in_order(hub: HubDouble, agent_process: MakeAgent) -> None:
    async with agent_process() as agent:
        await agent.state("online")
        agent.process.send_signal(signal.SIGTERM)
        assert await agent.ended() == 0, agent.log
