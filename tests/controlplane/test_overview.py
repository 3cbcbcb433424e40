"""The fleet in numbers: counted right on both databases, and only what its reader may see."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane import clock
from protocol.approvals import call_digest
from protocol.messages import ToolApprovalRequest
from tests.controlplane.hub.world import ScriptedAgent
from tests.controlplane.hubs import Client, ServedHub, serve, until


@pytest.fixture(params=["sqlite", "postgres"])
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServedHub]:
    """A hub on each database."""
    flags: dict[str, Any] = {}
    if request.param == "postgres":
        flags["database_url"] = request.getfixturevalue("empty_postgres_url")
    async with serve(tmp_path / "hub", **flags) as one:
        yield one


async def overview(client: Client, query: str = "") -> Any:
    answer = await client.get(f"/api/v1/overview{query}")
    assert answer.status == 200, answer.data
    return answer.json


async def test_a_fleet_is_counted_and_seen_by_realm(both: ServedHub) -> None:
    agent = await both.enrol()
    await ScriptedAgent(both.world()).pending(name="asks")
    order = {"target": {"agent": "worker"}, "action": "echo", "params": {}}
    for _ in range(2):
        assert (await both.client.post("/api/v1/intents", order)).status == 202
    intent = await agent.document()
    await agent.accept(intent)
    usage = {"tokens": 120, "cents": 0.125, "seconds": 3}
    await agent.say_document(agent.result(intent, {"done": True}, usage=usage))
    await agent.result_acks(1)

    seen = await overview(both.client)
    assert seen["agents"] == {"online": 1, "offline": 0, "quarantined": 0, "revoked": 0}
    assert (seen["approvals"], seen["registrations"]) == (0, 1)
    assert seen["orders"]["open"] == 1
    assert seen["orders"]["stretchSeconds"] == 1_800
    states: dict[str, int] = {}
    for stretch in seen["orders"]["stretches"]:
        assert stretch["startsAt"] >= seen["orders"]["since"]
        for state, count in stretch["states"].items():
            states[state] = states.get(state, 0) + count
    assert states == {"succeeded": 1, "open": 1}
    assert sum(one["tokens"] for one in seen["orders"]["stretches"]) == 120
    assert sum(one["cents"] for one in seen["orders"]["stretches"]) == 0.125
    assert seen["nearLimits"] == {"agents": 0, "nearest": []}

    elsewhere = await both.owner()
    await elsewhere.post("/api/v1/realms", {"id": "lab"})
    stranger = await both.person("ada", "member", realm="lab")
    seen = await overview(stranger)
    assert seen["agents"]["online"] == 0
    assert (seen["orders"]["open"], seen["orders"]["stretches"]) == (0, [])
    assert seen["registrations"] is None


async def test_counts_are_kept_for_a_moment_only(served: ServedHub) -> None:
    assert (await overview(served.client))["agents"]["online"] == 0
    await served.enrol()
    # Another stretch is another question, which nobody has asked before.
    assert (await overview(served.client, "?hours=1"))["agents"]["online"] == 1
    assert (await served.client.get("/api/v1/overview?hours=0")).status == 422


async def test_a_question_whose_order_has_ended_waits_for_nobody(served: ServedHub) -> None:
    agent = await served.enrol()
    order = {"target": {"agent": "worker"}, "action": "echo", "params": {}}
    await served.client.post("/api/v1/intents", order)
    intent = await agent.document()
    await agent.accept(intent)
    call = {"intent_id": intent.id, "tool": "echo", "arguments": {}}
    request = ToolApprovalRequest(
        request_id=clock.new_id(),
        **call,
        call_digest=call_digest(**call),
        rule="ask",
        people=1,
        expires=clock.now() + timedelta(hours=1),
    )
    await agent.say(request)
    asked = f"/api/v1/approvals/{request.request_id}"

    async def is_in(state: str) -> bool:
        return bool((await served.client.get(asked)).json.get("state") == state)

    await until(lambda: is_in("pending"))
    assert (await overview(served.client, "?hours=1"))["approvals"] == 1
    await agent.say_document(agent.result(intent, None))
    await until(lambda: is_in("expired"))

    async def nothing_waits() -> bool:
        read = served.running.hub.database.read
        return not await read(lambda uow: uow.tallies.waiting_approvals(None, clock.now()))

    await until(nothing_waits)
    leaves = (await served.client.get(f"/api/v1/audit?subject={request.request_id}")).json["items"]
    assert "approval.expired" not in {one["kind"] for one in leaves}
