"""Who may do what: API keys, scopes, realms, and the one permission check."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from controlplane.access.api_keys import is_api_key, new_api_key
from controlplane.access.authorize import Actor, authorize, authorize_one, realms_with
from controlplane.errors import AccessDeniedError, HiddenError, SecretError
from controlplane.secrets import SecretBox
from controlplane.telemetry import hide_secrets
from storage.records import AgentRecord
from tests.controlplane.hubs import ServedHub

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def actor(**fields: Any) -> Actor:
    return Actor(**{"kind": "user", "id": "u", "name": "n", **fields})


def test_a_role_everywhere_holds_in_every_realm() -> None:
    assert realms_with(actor(roles=frozenset({"admin"})), "audit.read") is None


def test_a_member_holds_a_permission_only_in_their_realm() -> None:
    member = actor(realm_roles={"lab": frozenset({"operator"})})
    assert realms_with(member, "intents.submit") == {"lab"}
    authorize(member, "intents.submit", realm="lab")
    with pytest.raises(AccessDeniedError):
        authorize(member, "intents.submit", realm="plant")


def test_what_reaches_the_whole_hub_is_not_held_by_a_member() -> None:
    member = actor(realm_roles={"lab": frozenset({"admin"})})
    with pytest.raises(AccessDeniedError):
        authorize(member, "users.write", realm="lab")


def test_a_scope_narrows_and_never_widens() -> None:
    scoped = actor(roles=frozenset({"member"}), scopes=frozenset({"intents"}))
    assert realms_with(scoped, "intents.read") is None
    assert realms_with(scoped, "agents.read") == frozenset()
    assert realms_with(scoped, "intents.submit.any") == frozenset()


def test_a_machine_key_with_scopes_alone_may_what_they_say() -> None:
    machine = actor(kind="machine", scopes=frozenset({"metrics"}))
    assert realms_with(machine, "metrics.read") is None
    assert realms_with(machine, "agents.read") == frozenset()


def test_a_key_bound_to_a_realm_stays_in_it() -> None:
    bound = actor(roles=frozenset({"admin"}), realm="lab")
    assert realms_with(bound, "agents.read") == {"lab"}
    with pytest.raises(AccessDeniedError):
        authorize(bound, "users.write")


def test_what_one_may_not_see_is_hidden_and_what_one_may_see_is_denied() -> None:
    viewer = actor(realm_roles={"lab": frozenset({"member"})})
    with pytest.raises(HiddenError):
        authorize_one(viewer, "agents.edit", ("plant",), see="agents.read")
    with pytest.raises(AccessDeniedError):
        authorize_one(viewer, "agents.edit", ("lab",), see="agents.read")


def test_an_unknown_permission_is_a_bug_not_a_no() -> None:
    with pytest.raises(ValueError, match="no such permission"):
        realms_with(actor(), "agents.fly")


def test_a_mistyped_key_is_known_without_asking_anybody() -> None:
    key = new_api_key()
    assert is_api_key(key)
    assert not is_api_key(key[:-1] + ("A" if key[-1] != "A" else "B"))
    assert not is_api_key(key.upper())
    assert not is_api_key("")


def test_a_sealed_secret_opens_only_in_its_place_with_its_key() -> None:
    box = SecretBox(bytes(32))
    sealed = box.seal(b"secret", place="a/1")
    assert box.open(sealed, place="a/1") == b"secret"
    assert b"secret" not in sealed
    for other, place in ((box, "a/2"), (SecretBox(bytes([1]) * 32), "a/1")):
        with pytest.raises(SecretError):
            other.open(sealed, place=place)
    with pytest.raises(SecretError):
        box.open(sealed[:-1] + bytes([sealed[-1] ^ 1]), place="a/1")
    with pytest.raises(SecretError):
        box.open(b"", place="a/1")


def test_log_lines_do_not_show_what_sounds_secret() -> None:
    event = hide_secrets(None, "info", {"event": "x", "join_token": "abc", "agent": "did"})
    assert event == {"event": "x", "join_token": "(hidden)", "agent": "did"}


async def test_a_revoked_key_stops_at_once(served: ServedHub) -> None:
    made = (await (await served.owner()).post("/api/v1/api-keys", {"name": "mine"})).json
    other = served.client.as_key(made["key"])
    assert (await other.get("/api/v1/me")).json["name"] == "admin"
    gone = await served.client.send("DELETE", f"/api/v1/api-keys/{made['id']}")
    assert gone.status == 204
    assert (await other.get("/api/v1/me")).code == "unauthenticated"
    listed = (await served.client.get("/api/v1/api-keys")).data
    assert made["key"].encode() not in listed


async def test_nobody_makes_a_key_that_may_more_than_they(served: ServedHub) -> None:
    body = {"name": "reader", "roles": ["member"], "scopes": ["keys", "agents"]}
    made = (await (await served.owner()).post("/api/v1/api-keys", body)).json
    reader = served.client.as_key(made["key"])
    answer = await reader.post("/api/v1/api-keys", {"name": "x", "roles": ["admin"]})
    assert (answer.status, answer.code) == (403, "forbidden")
    operator = (
        await (await served.owner()).post("/api/v1/api-keys", {"name": "op", "roles": ["operator"]})
    ).json
    answer = await served.client.as_key(operator["key"]).post(
        "/api/v1/api-keys", {"name": "x", "roles": ["admin"]}
    )
    assert (answer.status, answer.code) == (403, "forbidden")


async def test_metrics_are_for_loopback_or_a_scoped_key(served: ServedHub) -> None:
    stranger = served.client.as_key(None)
    assert b"writ_intents_total" in (await stranger.get("/metrics")).data
    proxied = await stranger.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"})
    assert (proxied.status, proxied.code) == (401, "unauthenticated")
    body = {"name": "prometheus", "scopes": ["metrics"]}
    key = (await (await served.owner()).post("/api/v1/api-keys", body)).json["key"]
    scraper = served.client.as_key(key)
    shown = await scraper.get("/metrics", headers={"X-Forwarded-For": "192.0.2.1"})
    assert shown.status == 200
    assert (await scraper.get("/api/v1/agents")).code == "forbidden"


async def test_a_key_of_one_realm_sees_nothing_of_another(served: ServedHub) -> None:
    await served.client.post("/api/v1/realms", {"id": "lab"})
    agent = await served.enrol("in-default")
    body = {"name": "lab", "roles": ["operator"], "realm": "lab"}
    lab = served.client.as_key(
        (await (await served.owner()).post("/api/v1/api-keys", body)).json["key"]
    )
    assert (await lab.get("/api/v1/agents")).json["items"] == []
    assert (await lab.get(f"/api/v1/agents/{agent.did}")).status == 404
    order = {"target": {"agent": agent.did}, "action": "echo"}
    assert (await lab.post("/api/v1/intents", order)).status == 404
    assert (await lab.post("/api/v1/intents", {**order, "realm": "lab"})).status == 404
    made = (await served.client.post("/api/v1/intents", order)).json["intents"][0]
    assert (await lab.get(f"/api/v1/intents/{made['id']}")).status == 404
    assert (await lab.post(f"/api/v1/intents/{made['id']}/cancel")).status == 404
    assert [one["id"] for one in (await lab.get("/api/v1/realms")).json["items"]] == ["lab"]
    assert (await lab.get("/api/v1/audit")).code == "forbidden"


def test_an_agent_record_says_its_status_in_one_word() -> None:
    record = AgentRecord("did", "key", "name", NOW, NOW, state="quarantined", online=True)
    assert record.status == "quarantined"


def test_ids_differ_across_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    from controlplane import clock

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: clock.new_id(), range(2_000)))
    made += clock.new_ids(1_000, clock.now())
    assert len(set(made)) == 3_000
