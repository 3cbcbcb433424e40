"""Orders by REST, from the POST to the end, with an agent on a real socket."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane import clock
from controlplane.access.authorize import Actor
from controlplane.errors import HiddenError
from controlplane.intents.signed import submit_signed
from controlplane.key_files import load_private_key
from protocol.envelope import parse_document, seal_document
from tests.controlplane.hub.world import ScriptedAgent
from tests.controlplane.hubs import ServedHub, serve


@pytest.fixture(params=["sqlite", "postgres"])
async def both(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServedHub]:
    """A hub on each database."""
    flags: dict[str, Any] = {}
    if request.param == "postgres":
        flags["database_url"] = request.getfixturevalue("empty_postgres_url")
    async with serve(tmp_path / "hub", **flags) as one:
        yield one


def order(agent: str, **changes: Any) -> dict[str, Any]:
    return {"target": {"agent": agent}, "action": "echo", "params": {"a": 1}, **changes}


async def answer_one(agent: ScriptedAgent, output: Any) -> None:
    intent = await agent.document()
    await agent.accept(intent)
    await agent.say_document(agent.result(intent, output))
    await agent.result_acks(1)


async def test_an_order_that_is_waited_for_brings_its_result(both: ServedHub) -> None:
    agent = await both.enrol()
    answering = asyncio.create_task(answer_one(agent, {"done": True}))
    answer = await both.client.post("/api/v1/intents?wait=10", order("worker"))
    await answering
    assert answer.status == 202
    (item,) = answer.json["intents"]
    assert (item["state"], item["result"]["output"]) == ("succeeded", {"done": True})
    shown = (await both.client.get(f"/api/v1/intents/{item['id']}")).json
    assert parse_document(shown["documents"]["result"]).payload["output"] == {"done": True}
    intent = parse_document(shown["documents"]["intent"])
    assert intent.public_key.did == both.hub.identity.hub_did
    assert (intent.id, intent.audience) == (item["id"], agent.did)
    assert [
        parse_document(one).payload["subject"] for one in shown["documents"]["delegations"]
    ] == [both.hub.identity.hub_did]


async def test_a_wait_ends_at_its_bound_when_the_agent_is_gone(both: ServedHub) -> None:
    agent = await both.enrol()
    await agent.vanish()
    async with asyncio.timeout(5):
        answer = await both.client.post("/api/v1/intents?wait=0.3", order(agent.did))
    assert answer.status == 202
    assert answer.json["intents"][0]["state"] in ("queued", "dispatched")


async def test_an_order_repeated_under_one_key_is_one_order(both: ServedHub) -> None:
    agent = await both.enrol()
    key = {"Idempotency-Key": "order-1"}
    answers = await asyncio.gather(
        *(both.client.post("/api/v1/intents", order(agent.did), headers=key) for _ in range(5))
    )
    assert {answer.status for answer in answers} == {202}
    assert len({answer.data for answer in answers}) == 1
    assert len((await both.client.get("/api/v1/intents")).json["items"]) == 1
    other = await both.client.post(
        "/api/v1/intents", order(agent.did, params={"a": 2}), headers=key
    )
    assert (other.status, other.code) == (422, "idempotency_mismatch")


async def test_a_selector_orders_everybody_it_means_offline_ones_too(both: ServedHub) -> None:
    one = await both.enrol("one", labels={"site": "north"})
    await both.enrol("two", labels={"site": "south"})
    await one.leave()
    body = {"target": {"selector": "site=north,realm=default"}, "action": "echo"}
    answer = await both.client.post("/api/v1/intents", body)
    assert [item["agentName"] for item in answer.json["intents"]] == ["one"]
    body = {"target": {"capability": "files"}, "action": "echo"}
    answer = await both.client.post("/api/v1/intents", body)
    assert [item["agentName"] for item in answer.json["intents"]] == ["one", "two"]
    nobody = {"target": {"selector": "site=west"}, "action": "echo"}
    assert (await both.client.post("/api/v1/intents", nobody)).json["intents"] == []


async def test_a_batch_is_taken_in_whole_or_not_at_all(both: ServedHub) -> None:
    agent = await both.enrol()
    good = [order(agent.did, params={"n": n}) for n in range(64)]
    bad = await both.client.post("/api/v1/intents/batch", {"intents": [*good, order("nobody")]})
    assert bad.status == 404
    assert (await both.client.get("/api/v1/intents")).json["items"] == []
    answer = await both.client.post("/api/v1/intents/batch", {"intents": good})
    assert answer.status == 202
    ids = [item["id"] for item in answer.json["intents"]]
    assert len(set(ids)) == 64
    for _ in ids:
        intent = await agent.document()
        assert intent.id in ids


async def test_a_staged_order_goes_on_when_the_first_have_ended_and_stops_on_failures(
    served: ServedHub,
) -> None:
    agents = [await served.enrol(f"a{n}", labels={"fleet": "x"}) for n in range(3)]
    target = {"selector": "fleet=x", "batch": "1", "stopAfter": 1}
    answer = await served.client.post("/api/v1/intents", {"target": target, "action": "echo"})
    first, *rest = answer.json["intents"]
    by_did = {agent.did: agent for agent in agents}
    agent = by_did[first["agent"]]
    intent = await agent.document()
    failed = agent.result(
        intent, status="failed", error={"code": "broken", "message": "it is broken"}
    )
    await agent.say_document(failed)
    for item in rest:
        shown = (await served.client.get(f"/api/v1/intents/{item['id']}?wait=10")).json
        assert shown["state"] == "cancelled"


async def test_a_staged_order_reaches_everybody_while_all_goes_well(served: ServedHub) -> None:
    agents = [await served.enrol(f"a{n}", labels={"fleet": "x"}) for n in range(3)]
    answering = [asyncio.create_task(answer_one(agent, "ok")) for agent in agents]
    target = {"selector": "fleet=x", "batch": "34%", "stopAfter": 1}
    body = {"target": target, "action": "echo"}
    answer = await served.client.post("/api/v1/intents?wait=20", body)
    await asyncio.gather(*answering)
    assert [item["state"] for item in answer.json["intents"]] == ["succeeded"] * 3


async def test_params_with_u0000_are_400_and_leave_nothing(served: ServedHub) -> None:
    await served.enrol(labels={"a": "b"})
    body = {**order("worker"), "params": {"a": "\x00"}}
    answer = await served.client.post("/api/v1/intents", body)
    assert (answer.status, answer.code) == (400, "bad_request")
    assert (await served.client.get("/api/v1/intents")).json["items"] == []


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"params": {"a": 2**60}}, "/params"),
        ({"action": "Not An Action"}, "/action"),
        ({"timeoutSeconds": 0}, "/timeoutSeconds"),
        ({"timeoutSeconds": True}, "/timeoutSeconds"),
        ({"expiresInSeconds": 10**9}, "/expiresInSeconds"),
        ({"target": {}}, "/target"),
        ({"target": {"agent": "a", "capability": "b"}}, "/target"),
        ({"target": {"selector": "nonsense"}}, "/target/selector"),
        ({"target": {"selector": "a=b", "batch": "200%"}}, "/target/batch"),
    ],
)
async def test_an_impossible_order_is_422_and_leaves_nothing(
    served: ServedHub, change: dict[str, Any], pointer: str
) -> None:
    await served.enrol(labels={"a": "b"})
    body = {**order("worker"), **change}
    if body["target"] == {"selector": "a=b", "batch": "200%"}:
        await served.enrol("other", labels={"a": "b"})
    answer = await served.client.post("/api/v1/intents", body)
    assert (answer.status, answer.code) == (422, "invalid_field")
    assert answer.json["errors"][0]["pointer"] == pointer
    assert (await served.client.get("/api/v1/intents")).json["items"] == []


async def test_params_deeper_than_24_are_refused(served: ServedHub) -> None:
    await served.enrol()
    params: Any = {"leaf": 1}
    for _ in range(23):
        params = {"in": params}
    fits = await served.client.post("/api/v1/intents", order("worker", params=params))
    deeper = await served.client.post("/api/v1/intents", order("worker", params={"in": params}))
    assert (fits.status, deeper.status) == (202, 422)


async def test_a_queued_order_is_cancelled_at_once_and_only_once(both: ServedHub) -> None:
    agent = await both.enrol()
    await agent.leave()
    made = (await both.client.post("/api/v1/intents", order(agent.did))).json["intents"][0]
    answer = await both.client.post(f"/api/v1/intents/{made['id']}/cancel", {"reason": "no"})
    assert (answer.status, answer.json["state"]) == (200, "cancelled")
    again = await both.client.post(f"/api/v1/intents/{made['id']}/cancel")
    assert (again.status, again.code) == (409, "conflict")


async def test_orders_are_listed_by_any_of_several_states(both: ServedHub) -> None:
    agent = await both.enrol()
    await agent.leave()
    first, _, last = [
        (await both.client.post("/api/v1/intents", order(agent.did))).json["intents"][0]["id"]
        for _ in range(3)
    ]
    assert (await both.client.post(f"/api/v1/intents/{last}/cancel")).status == 200

    async def listed(query: str) -> list[str]:
        page = await both.client.get(f"/api/v1/intents?{query}")
        assert page.status == 200, page.data
        return [item["id"] for item in page.json["items"]]

    assert await listed("state=cancelled") == [last]
    assert await listed("state=cancelled&state=queued&limit=1") == [last]
    assert len(await listed("state=cancelled&state=queued")) == 3
    assert (await listed("state=queued"))[-1] == first
    wrong = await both.client.get("/api/v1/intents?state=queued&state=lost")
    assert (wrong.status, wrong.code) == (422, "invalid_field")
    many = await both.client.get("/api/v1/intents?" + "&".join(["state=queued"] * 17))
    assert (many.status, many.code) == (422, "invalid_field")


async def test_an_accepted_order_is_cancelled_by_the_agent(both: ServedHub) -> None:
    agent = await both.enrol()
    made = (await both.client.post("/api/v1/intents", order(agent.did))).json["intents"][0]
    intent = await agent.document()
    await agent.accept(intent)
    for _ in range(2):
        answer = await both.client.post(f"/api/v1/intents/{made['id']}/cancel", {"reason": "no"})
        assert answer.status == 200
        assert answer.json["cancelRequested"] is True
    asked = await agent.document("intent_cancel")
    assert asked.payload["intentId"] == made["id"]
    await agent.say_document(agent.result(intent, status="cancelled"))
    shown = (await both.client.get(f"/api/v1/intents/{made['id']}?wait=5")).json
    assert shown["state"] == "cancelled"


async def test_an_order_signed_elsewhere_keeps_its_bytes(both: ServedHub) -> None:
    agent = await both.enrol()
    operator = load_private_key(both.settings.keys_dir / "operator.pem")
    now = clock.now()
    document = seal_document(
        type="intent",
        id=clock.new_id(),
        timestamp=now,
        expires=now + timedelta(hours=1),
        audience=agent.did,
        payload={
            "action": "echo",
            "params": {},
            "realm": "default",
            "timeoutSeconds": 60,
            "proof": [both.hub.identity.operator_delegation.id],
        },
        signer=operator,
    )
    text = document.wire.decode()
    first = await both.client.post("/api/v1/intents/signed", {"document": text})
    again = await both.client.post("/api/v1/intents/signed", {"document": text})
    assert first.status == again.status == 202
    assert first.json["intents"][0]["id"] == again.json["intents"][0]["id"] == document.id
    assert (await agent.document()).wire == document.wire
    other = seal_document(
        type="intent",
        id=document.id,
        timestamp=now,
        expires=now + timedelta(hours=2),
        audience=agent.did,
        payload=document.payload,
        signer=operator,
    )
    answer = await both.client.post("/api/v1/intents/signed", {"document": other.wire.decode()})
    assert (answer.status, answer.code) == (409, "id_reuse")
    broken = text.replace('"timeoutSeconds":60', '"timeoutSeconds":61')
    answer = await both.client.post("/api/v1/intents/signed", {"document": broken})
    assert (answer.status, answer.code) == (422, "bad_signature")


async def test_a_signed_order_asked_for_again_after_its_time_gets_the_first_answer(
    served: ServedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = await served.enrol()
    operator = load_private_key(served.settings.keys_dir / "operator.pem")
    true = clock.now

    def sealed(expires_in: timedelta) -> str:
        return seal_document(
            type="intent",
            id=clock.new_id(),
            timestamp=true(),
            expires=true() + expires_in,
            audience=agent.did,
            payload={"action": "echo", "params": {}, "realm": "default", "timeoutSeconds": 60},
            signer=operator,
        ).wire.decode()

    taken, never = sealed(timedelta(minutes=1)), sealed(timedelta(minutes=1))
    first = await served.client.post("/api/v1/intents/signed", {"document": taken})
    monkeypatch.setattr(clock, "now", lambda: true() + timedelta(minutes=2))
    again = await served.client.post("/api/v1/intents/signed", {"document": taken})
    assert (first.status, again.status) == (202, 202)
    assert again.json["intents"][0]["id"] == first.json["intents"][0]["id"]
    answer = await served.client.post("/api/v1/intents/signed", {"document": never})
    assert (answer.status, answer.code) == (422, "expired")
    stranger = Actor(kind="user", id="stranger", name="stranger", realm_roles={})
    for document in (taken, never):  # which of the two is known is not for everybody
        with pytest.raises(HiddenError):
            await submit_signed(served.hub, stranger, document, [])


async def test_an_order_is_followed_live_until_it_ends(served: ServedHub) -> None:
    agent = await served.enrol()
    made = (await served.client.post("/api/v1/intents", order("worker"))).json["intents"][0]
    async with served.client.stream(f"/api/v1/intents/{made['id']}/events") as reader:
        assert b"event: intent.state" in await reader.readuntil(b"\n\n")
        await answer_one(agent, "ok")
        async with asyncio.timeout(10):
            rest = await reader.readuntil(b"0\r\n\r\n")
    names = [line.split(": ")[1] for line in rest.decode().splitlines() if "event: " in line]
    assert names[-1] == "intent.finished"


async def test_orders_on_behalf_of_a_person_without_a_grant_are_403(served: ServedHub) -> None:
    await served.enrol()
    person = "user:0198f000-0000-4000-8000-000000000000"
    answer = await served.client.post("/api/v1/intents", order("worker", onBehalfOf=person))
    assert (answer.status, answer.code) == (403, "person_not_granted")


async def test_a_database_that_is_gone_takes_nothing_in(served: ServedHub) -> None:
    await served.enrol()
    await served.client.get("/api/v1/me")
    await served.hub.database.close()
    answer = await served.client.post("/api/v1/intents", order("worker"))
    assert (answer.status, answer.code) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    assert "detail" not in answer.json
    assert (await served.client.get("/readyz")).status == 503
    assert (await served.client.get("/healthz")).status == 200


async def test_every_step_of_an_order_is_in_the_record_and_proved(served: ServedHub) -> None:
    agent = await served.enrol()
    answering = asyncio.create_task(answer_one(agent, "ok"))
    made = (await served.client.post("/api/v1/intents?wait=10", order("worker"))).json["intents"][0]
    await answering
    leaves = (await served.client.get(f"/api/v1/audit?subject={made['id']}")).json["items"]
    kinds = [leaf["kind"] for leaf in reversed(leaves)]
    assert kinds[0] == "intent.submitted"
    assert kinds[-1] == "intent.finished"
    assert set(kinds) <= {
        "intent.submitted",
        "intent.dispatched",
        "intent.accepted",
        "intent.finished",
    }
    assert json.loads(leaves[0]["leaf"])["data"]["state"] == "succeeded"
