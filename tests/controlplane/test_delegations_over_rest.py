"""Grants to people and keys by REST, and what they let the hub order (SPEC section 7)."""

from __future__ import annotations

from protocol.envelope import envelope_from_value
from protocol.messages import DelegationUpdate
from tests.controlplane.hubs import ServedHub

PERSON = "user:0198f000-0000-4000-8000-000000000000"


async def test_a_grant_lets_the_hub_order_for_a_person_until_it_is_revoked(
    served: ServedHub,
) -> None:
    agent = await served.enrol()
    body = {"subject": PERSON, "capabilities": [{"action": "files.*", "agents": [agent.did]}]}
    made = await served.client.post("/api/v1/delegations", body)
    assert made.status == 201
    (sent,) = (await agent.receive(DelegationUpdate)).added
    link = envelope_from_value(sent)
    assert (link.id, link.payload["parent"]) == (
        made.json["id"],
        served.hub.identity.hub_delegation.digest,
    )
    order = {"target": {"agent": "worker"}, "onBehalfOf": PERSON}
    covered = await served.client.post("/api/v1/intents", {**order, "action": "files.read"})
    beyond = await served.client.post("/api/v1/intents", {**order, "action": "echo"})
    assert (covered.status, beyond.code) == (202, "person_not_granted")
    gone = await served.client.post(f"/api/v1/delegations/{made.json['id']}/revoke")
    assert gone.json["revoked"] is True
    assert (await agent.document("revocations")).payload["delegations"] == [made.json["id"]]
    late = await served.client.post("/api/v1/intents", {**order, "action": "files.read"})
    assert late.code == "person_not_granted"


async def test_a_grant_that_no_agent_would_read_is_422(served: ServedHub) -> None:
    good = {"subject": PERSON, "capabilities": [{"action": "echo"}]}
    for change, pointer in (
        ({"subject": "me"}, "/subject"),
        ({"capabilities": [{"action": "echo", "colour": "red"}]}, "/capabilities"),
        ({"conditions": ["this is ( not CEL"]}, "/conditions/0"),
        ({"maxDepth": 3}, "/maxDepth"),
    ):
        answer = await served.client.post("/api/v1/delegations", {**good, **change})
        assert (answer.status, answer.code) == (422, "invalid_field")
        assert answer.json["errors"][0]["pointer"] == pointer


async def test_the_hubs_own_delegation_is_not_revoked_by_the_hub(served: ServedHub) -> None:
    own = served.hub.identity.hub_delegation.id
    answer = await served.client.post(f"/api/v1/delegations/{own}/revoke")
    assert (answer.status, answer.code) == (422, "invalid_field")
