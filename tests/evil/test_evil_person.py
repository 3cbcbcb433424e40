"""A person with rights at the hub who would decide about their own order."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from controlplane import clock
from protocol.approvals import call_digest
from protocol.messages import ToolApprovalRequest
from tests.controlplane.hub.world import until
from tests.controlplane.hubs import serve


async def test_orders_through_a_key_of_their_own_making_and_approves_as_themselves(
    tmp_path: Path,
) -> None:
    async with serve(tmp_path) as served:
        agent = await served.enrol()
        owner = await served.owner()
        made = await owner.post("/api/v1/api-keys", {"name": "ci", "roles": ["operator"]})
        second = await served.client.as_key(made.json["key"]).post(
            "/api/v1/api-keys", {"name": "ci of ci", "roles": ["operator"]}
        )
        assert second.status == 403
        for key in (made.json["key"], owner.api_key):
            order = {"target": {"agent": agent.did}, "action": "echo", "params": {}}
            batch = (await served.client.as_key(key).post("/api/v1/intents", order)).json
            intent_id = batch["intents"][0]["id"]
            request_id = clock.new_id()
            await agent.document()
            await agent.say(
                ToolApprovalRequest(
                    request_id=request_id,
                    intent_id=intent_id,
                    tool="echo",
                    arguments={},
                    call_digest=call_digest(intent_id=intent_id, tool="echo", arguments={}),
                    rule="ask",
                    people=1,
                    expires=clock.now() + timedelta(hours=1),
                )
            )
            listed: list[str] = []
            for _ in range(200):
                page = (await served.client.get("/api/v1/approvals")).json
                listed = [one["id"] for one in page["items"]]
                if request_id in listed:
                    break
                await until(lambda: True)
            assert request_id in listed
            answer = await served.client.post(f"/api/v1/approvals/{request_id}/approve", {})
            assert answer.status == 403
