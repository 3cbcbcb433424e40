"""Policies of agents, realms and the fleet by REST: merged, signed, explained and compared."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

from protocol.envelope import Envelope, seal_document
from protocol.ids import format_uuid7
from protocol.key_files import parse_private_key_pem
from tests.controlplane.hub.world import ScriptedAgent
from tests.controlplane.hubs import Answer, ServedHub


def allow(*actions: str, id: str = "a", **more: Any) -> dict[str, Any]:
    return {"id": id, "effect": "allow", "actions": list(actions), **more}


def deny(*actions: str, id: str = "d", **more: Any) -> dict[str, Any]:
    return {"id": id, "effect": "deny", "actions": list(actions), **more}


async def apply(served: ServedHub, *rules: dict[str, Any], **target: Any) -> Answer:
    return await served.client.post("/api/v1/policies", {"rules": list(rules), **target})


async def policy_of(agent: ScriptedAgent, version: int) -> Envelope:
    """The policy of this version, as it reaches the agent; older ones may come before it."""
    while True:
        envelope = await agent.document("policy_update")
        if envelope.payload["version"] == version:
            return envelope


async def standing(served: ServedHub, agent: str = "worker") -> dict[str, Any]:
    answer = await served.client.get(f"/api/v1/agents/{agent}/policy")
    assert answer.status == 200
    found: dict[str, Any] = answer.json
    return found


async def test_a_fleet_policy_narrows_the_one_document_of_an_agent(served: ServedHub) -> None:
    agent = await served.enrol()
    made = await apply(served, allow("files.*", id="f"), deny("shell.*"), fleet=True)
    assert (made.status, made.json["layer"], made.json["version"]) == (201, "fleet", 1)
    assert (made.json["signed"], made.json["waiting"]) == (1, [])
    policy = (await policy_of(agent, 2)).payload
    assert [one["id"] for one in policy["rules"]] == ["fleet.d", "fleet.f--allow"]
    assert policy["rules"][1]["actions"] == ["files.*"]
    found = await standing(served)
    assert [one["layer"] for one in found["layers"]] == ["fleet"]
    assert found["own"]["rules"] == [allow("*", id="allow")]
    assert found["policy"]["signer"] == served.hub.identity.hub_did


async def test_a_realms_policy_is_about_the_orders_of_that_realm_only(served: ServedHub) -> None:
    await served.enrol()
    await served.client.post("/api/v1/realms", {"id": "red"})
    await served.client.send("PATCH", "/api/v1/agents/worker", {"realms": ["default", "red"]})
    assert (await apply(served, allow("*"), agent="worker")).status == 201
    made = await apply(served, allow("echo", id="e"), realm="red", limits={"ordersPerDay": 5})
    assert (made.status, made.json["layer"]) == (201, "realm:red")
    for realm, effect in (("default", "allow"), ("red", "deny")):
        body = {"agent": "worker", "action": "files.read", "realm": realm}
        answer = await served.client.post("/api/v1/policies/explain", body)
        assert (answer.status, answer.json["effect"]) == (200, effect)
    unknown = await apply(served, allow("echo"), realm="nowhere")
    assert (unknown.status, unknown.json["errors"][0]["pointer"]) == (422, "/realm")


async def test_an_agent_enrolled_later_is_narrowed_from_its_first_policy_on(
    served: ServedHub,
) -> None:
    await apply(served, allow("echo", id="only"), fleet=True)
    await served.enrol()
    body = {"agent": "worker", "action": "files.read"}
    answer = await served.client.post("/api/v1/policies/explain", body)
    assert (answer.json["effect"], answer.json["policyVersion"]) == ("deny", 1)


async def test_taking_a_layer_away_gives_back_what_the_agents_own_policy_says(
    served: ServedHub,
) -> None:
    agent = await served.enrol()
    made = await apply(served, allow("echo", id="only"), fleet=True)
    gone = await served.client.send("DELETE", f"/api/v1/policies/{made.json['id']}")
    assert gone.status == 204
    assert (await policy_of(agent, 3)).payload["rules"] == [allow("*", id="allow")]
    again = await apply(served, allow("echo", id="only"), fleet=True)
    assert again.json["version"] == 3


async def test_without_its_own_policy_an_agent_is_allowed_nothing_by_a_layer(
    served: ServedHub,
) -> None:
    agent = await served.enrol()
    own = (await standing(served))["own"]["id"]
    await served.client.send("DELETE", f"/api/v1/policies/{own}")
    assert (await policy_of(agent, 2)).payload["rules"] == []
    await apply(served, allow("*"), fleet=True)
    body = {"agent": "worker", "action": "echo"}
    answer = await served.client.post("/api/v1/policies/explain", body)
    assert answer.json["effect"] == "deny"


async def test_what_cannot_be_merged_is_refused_and_changes_nothing(served: ServedHub) -> None:
    await served.enrol()
    one = {"people": 1, "from": ["approver"], "withinSeconds": 60}
    other = {**one, "from": ["auditor"]}
    await apply(served, allow("*", approval=one), agent="worker")
    before = await standing(served)
    refused = await apply(served, allow("*", approval=other), fleet=True)
    assert (refused.status, refused.code) == (422, "policies_conflict")
    assert "worker" in refused.json["detail"]
    assert await standing(served) == before


async def test_only_who_may_write_everywhere_sets_the_fleets_policy(served: ServedHub) -> None:
    key = await (await served.owner()).post(
        "/api/v1/api-keys",
        {"name": "k", "machine": True, "roles": ["admin"], "realm": "default"},
    )
    client = served.client.as_key(key.json["key"])
    body = {"rules": [allow("echo")]}
    assert (await client.post("/api/v1/policies", {**body, "fleet": True})).status == 403
    assert (await client.post("/api/v1/policies", {**body, "realm": "default"})).status == 201


async def test_a_policy_for_nobody_or_for_two_is_422(served: ServedHub) -> None:
    for target in ({}, {"fleet": True, "realm": "default"}, {"fleet": True, "realms": ["default"]}):
        answer = await apply(served, allow("echo"), **target)
        assert (answer.status, answer.code) == (422, "invalid_field")


async def test_a_bad_rule_names_its_place_and_the_old_policy_stays(served: ServedHub) -> None:
    await served.enrol()
    before = await standing(served)
    for rule, place in (
        (allow("echo", when="this is (not"), "/rules/0/when"),
        (allow("echo", colour="red"), "/rules"),
        ({"id": "a", "effect": "maybe", "actions": ["echo"]}, "/rules"),
    ):
        for target in ({"agent": "worker"}, {"fleet": True}):
            answer = await apply(served, rule, **target)
            assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, place)
    assert await standing(served) == before


def sign(
    served: ServedHub,
    agent: ScriptedAgent,
    rules: list[dict[str, Any]],
    version: int,
    *,
    proof: list[str],
    **more: Any,
) -> Envelope:
    key = parse_private_key_pem((served.settings.keys_dir / "operator.pem").read_bytes())
    now = datetime.now(UTC)
    payload = {
        "policyId": format_uuid7(now, secrets.token_bytes(10)),
        "version": version,
        "realms": ["default"],
        "default": "deny",
        "rules": rules,
        "limits": {},
        "proof": proof,
        **more,
    }
    return seal_document(
        type="policy_update",
        id=format_uuid7(now, secrets.token_bytes(10)),
        timestamp=now,
        expires=now + timedelta(days=30),
        audience=agent.did,
        payload=payload,
        signer=key,
    )


async def test_a_policy_an_operator_has_signed_is_carried_byte_for_byte(served: ServedHub) -> None:
    agent = await served.enrol()
    operator = served.hub.identity.operator_did
    held = await served.client.get(f"/api/v1/delegations?subject={operator}")
    proof = [held.json["items"][0]["id"]]
    rules = [allow("echo")]
    good = sign(served, agent, rules, 2, proof=proof)
    for document, status, code in (
        (sign(served, agent, [allow("*")], 2, proof=proof), 422, "invalid_field"),
        (sign(served, agent, rules, 1, proof=proof), 409, "conflict"),
        (good, 201, None),
        (good, 201, None),
    ):
        answer = await apply(served, *rules, agent="worker", document=document.wire.decode())
        assert (answer.status, answer.code) == (status, code)
    assert (await policy_of(agent, 2)).wire == good.wire
    assert (await standing(served))["policy"]["signer"] == operator

    # The hub does not replace it by one of its own: it says whose signature is missing.
    layer = await apply(served, allow("*", id="f"), fleet=True)
    assert (layer.json["signed"], layer.json["waiting"]) == (0, ["worker"])
    merged = [allow("echo", id="f--a") | {"id": "fleet.f--a"}]
    signed = sign(served, agent, merged, 3, proof=proof).wire.decode()
    assert (await apply(served, *rules, agent="worker", document=signed)).status == 201


async def test_explain_names_the_rule_its_source_and_why_others_did_not(
    served: ServedHub,
) -> None:
    await served.enrol()
    await apply(
        served,
        allow("files.*", id="small", when="size(params.path) < 3"),
        allow("files.*", id="any"),
        allow("shell.*", id="shell"),
        agent="worker",
    )
    await apply(served, allow("*", id="base"), deny("files.write", id="ro"), fleet=True)
    body = {"agent": "worker", "action": "files.read", "params": {"path": "long"}}
    shown = (await served.client.post("/api/v1/policies/explain", body)).json
    assert (shown["effect"], shown["rule"]) == ("allow", "fleet.base--any")
    outcomes = {one["id"]: one["outcome"] for one in shown["rules"]}
    assert outcomes == {
        "fleet.ro": "other_action",
        "fleet.base--small": "when_false",
        "fleet.base--any": "decided",
        "fleet.base--shell": "not_reached",
    }
    decided = next(one for one in shown["rules"] if one["outcome"] == "decided")
    assert decided["from"] == [
        {"layer": "fleet", "rule": "base"},
        {"layer": "agent", "rule": "any"},
    ]
    body["action"] = "files.write"
    shown = (await served.client.post("/api/v1/policies/explain", body)).json
    assert (shown["effect"], shown["rule"], shown["code"]) == ("deny", "fleet.ro", "policy_denied")
    assert (await served.client.post("/api/v1/policies/explain", {"action": "echo"})).status == 422


async def test_diff_lists_the_real_orders_another_policy_would_decide_otherwise(
    served: ServedHub,
) -> None:
    await served.enrol()
    for action, params in (
        ("echo", {"n": 1}),
        ("echo", {"n": 9}),
        ("files.read", {"path": "x"}),
    ):
        order = {"target": {"agent": "worker"}, "action": action, "params": params}
        assert (await served.client.post("/api/v1/intents", order)).status == 202
    ask = {"people": 1, "from": ["admin"], "withinSeconds": 60}
    body = {
        "agent": "worker",
        "rules": [
            allow("echo", id="small", when="params.n < 5"),
            allow("files.*", id="files", approval=ask),
        ],
    }
    shown = (await served.client.post("/api/v1/policies/diff", body)).json
    assert (shown["orders"], shown["changed"]) == (3, 2)
    assert (shown["nowRefused"], shown["nowAsked"], shown["nowAllowed"]) == (1, 1, 0)
    newest, older = shown["changes"]
    assert (newest["action"], newest["change"]) == ("files.read", "nowAsked")
    assert (older["before"]["effect"], older["after"]["code"]) == ("allow", "policy_denied")
    limited = {"agent": "worker", "rules": [allow("*")], "limits": {"ordersPerHour": 2}}
    shown = (await served.client.post("/api/v1/policies/diff", limited)).json
    assert [one["after"]["code"] for one in shown["changes"]] == ["rate_limited"]
    same = {"agent": "worker", "rules": [allow("*", id="other-name")]}
    assert (await served.client.post("/api/v1/policies/diff", same)).json["changed"] == 0
