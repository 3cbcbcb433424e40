"""`writ agent ...` as a person or a script uses it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from protocol.join_tokens import JoinToken, encode_join_token
from protocol.messages import IntentAck, ToolApprovalRequest
from tests.agentd.agent_process import CHECKOUT, AgentProcess
from tests.agentd.hub_double import HubDouble, new_id
from tests.agentd.test_orders import approval_rules

MakeAgent = Callable[..., AgentProcess]


async def writ(data_dir: Path, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    """Run `writ --json agent ...`; return exit code, JSON lines of stdout, and stderr."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "controlplane.cli.main", "--json", "agent"),
        *arguments,
        *("--data-dir", str(data_dir)),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, [json.loads(line) for line in out.splitlines()], err.decode()


async def test_join_then_run_needs_nothing_more(hub: HubDouble, data_dir: Path) -> None:
    token = encode_join_token(JoinToken(hub.url, hub.root.public_key, new_id(), os.urandom(32)))
    code, lines, log = await writ(data_dir, "join", token, "--name", "first")
    assert code == 0, log
    assert lines[-1]["state"] == "online"
    assert token not in (data_dir / "config.toml").read_text() + log
    async with AgentProcess(data_dir) as agent:
        await agent.state("online")
        code, (shown,), _ = await writ(data_dir, "status")
        assert code == 0
        assert shown["online"] is True
        assert shown["name"] == "tester"
        assert shown["policyVersion"] == 1
        code, (again,), _ = await writ(data_dir, "fingerprint")
        assert again == {"agentDid": shown["agentDid"], "fingerprint": shown["fingerprint"]}
        code, _, log = await writ(data_dir, "run")
        assert code == 5, log
    assert hub.received.registers[1].name == "first"
    code, (shown,), _ = await writ(data_dir, "status")
    assert (shown["running"], shown["online"]) == (False, None)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("run",), "no hub"),
        (("run", "--hub", "ws://localhost:1"), "whom to believe"),
        (("run", "--hub", "ws://hub.example", "--trust-first-hub"), "plain ws://"),
        (("run", "--join", "writ-join:nonsense"), "join token"),
        (("run", "--name", "Not A Name"), "name (flag)"),
        (("run", "--label", "nonsense"), "label"),
        (("status",), "no key"),
        (("fingerprint",), "no key"),
        (("rotate-key",), "no key"),
    ],
)
async def test_what_cannot_start_says_why(
    data_dir: Path, arguments: tuple[str, ...], says: str
) -> None:
    code, _, log = await writ(data_dir, *arguments)
    assert code == 1
    assert says in json.loads(log.splitlines()[-1])["error"]["message"]


async def test_a_key_is_rotated_while_the_agent_runs(
    hub: HubDouble, agent_process: MakeAgent, data_dir: Path
) -> None:
    async with agent_process() as agent:
        before = await agent.state("online")
        code, (shown,), _ = await writ(data_dir, "rotate-key")
        assert (code, shown["state"]) == (0, "prepared")
        await hub.until(lambda: hub.agent_did == shown["newAgentDid"] and hub.online)
        assert shown["newAgentDid"] != before["agentDid"]


@pytest.mark.parametrize("point", ["rotation_prepared", "rotation_sent", "rotation_acked"])
async def test_a_rotation_survives_a_kill(
    hub: HubDouble, agent_process: MakeAgent, data_dir: Path, point: str
) -> None:
    async with agent_process() as agent:
        await agent.state("online")
    async with agent_process(fault=point) as agent:
        await agent.state("online")
        _, (shown,), _ = await writ(data_dir, "rotate-key")
        assert await agent.ended() == -signal.SIGKILL
    async with agent_process() as agent:
        await hub.until(lambda: hub.agent_did == shown["newAgentDid"] and hub.online)
        hub.policy = hub.make_policy(9)
        await hub.send_document(hub.policy)
        assert (await hub.result(await hub.order("echo", {})))["status"] == "succeeded"


async def test_a_question_survives_a_kill(hub: HubDouble, agent_process: MakeAgent) -> None:
    async with agent_process(fault="approval_requested") as agent:
        await agent.state("online")
        hub.policy = await hub.send_document(hub.make_policy(2, approval_rules()))
        intent = await hub.order("echo", {})
        assert await agent.ended() == -signal.SIGKILL
    async with agent_process() as agent:
        (asked,) = await hub.until(lambda: hub.received.of(ToolApprovalRequest))
        assert asked.intent_id == intent.id


async def test_stopping_ends_running_work_as_interrupted(
    hub: HubDouble, agent_process: MakeAgent
) -> None:
    async with agent_process(WRIT_AGENT_SHUTDOWN_GRACE_SECONDS="0.1") as agent:
        await agent.state("online")
        intent = await hub.order("shell.exec", {"argv": ["sleep", "60"]})
        await hub.until(lambda: hub.received.of(IntentAck))
        agent.process.send_signal(signal.SIGTERM)
        result = await hub.result(intent)
        assert await agent.ended() == 0, agent.log
    assert result["status"] == "interrupted"


async def test_the_agent_is_light() -> None:
    code = (
        "import sys, agentd.main, agentd.cli\n"
        "heavy = {'urllib3','rich','httpx','yaml','starlette','sqlalchemy','litellm','cel'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, cwd=CHECKOUT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.decode().strip() == "[]"
