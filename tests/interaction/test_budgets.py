"""Budgets of tokens and cents, held by a real agent, and what people are shown of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.interaction.plugins import ASK, install_model
from tests.interaction.processes import wait_until
from tests.interaction.system import System


def test_a_budget_ends_at_the_agent_and_is_shown(
    make_system: Callable[..., System], tmp_path: Path
) -> None:
    system = make_system(WRIT_HEARTBEAT_SECONDS="1")
    policy = {
        "rules": [{"id": "all", "effect": "allow", "actions": ["*"]}],
        "limits": {"tokensPerDay": 100, "ordersPerDay": 1_000},
    }
    agent = system.agent("worker", policy=policy, **install_model(tmp_path / "site"))
    for _ in range(2):
        assert system.run(agent, ASK, tokens=60, cents=0.75)["state"] == "succeeded"

    refused = system.run(agent, ASK, tokens=60, cents=0.75)
    assert refused["state"] == "refused"
    assert refused["result"]["error"]["code"] == "budget_exhausted"

    def shown() -> bool:
        return bool(system.rest.get("/overview")["nearLimits"]["agents"])

    wait_until(shown, "the agent's heartbeat to say what it has used", seconds=60)
    overview = system.rest.get("/overview")
    assert overview["nearLimits"]["nearest"] == [
        {
            "agent": agent.did,
            "name": "worker",
            "limit": "tokensPerDay",
            "used": 120,
            "most": 100,
        }
    ]
    stretches = overview["orders"]["stretches"]
    assert sum(one["tokens"] for one in stretches) == 120
    assert sum(one["cents"] for one in stretches) == 1.5

    # It holds over a restart: the agent's own disk remembers.
    agent.kill()
    agent.start()
    agent.state("online")
    assert system.run(agent, ASK, tokens=1, cents=0)["state"] == "refused"
