"""People in realms: who may give what, who sees whom, and roles as grants that agents check."""

from __future__ import annotations

import asyncio

from protocol.envelope import parse_document
from protocol.messages import DelegationUpdate
from tests.controlplane.hubs import Client, ServedHub


async def make_realm(served: ServedHub, realm: str) -> None:
    assert (await served.client.post("/api/v1/realms", {"id": realm})).status == 201


async def id_of(client: Client) -> str:
    return str((await client.get("/api/v1/me")).json["id"])


async def test_a_realm_has_members_with_roles(served: ServedHub) -> None:
    await make_realm(served, "lab")
    ada = await served.person("ada", "manager", "lab")
    await served.person("bob", "member", "default")
    path, bob = "/api/v1/realms/lab/members", {"user": "bob", "role": "operator"}
    # Whom she does not see she invites; who sees everybody may simply add him.
    assert (await ada.post(path, bob)).json["errors"][0]["pointer"] == "/user"
    added = await served.client.post(path, {**bob, "role": "member"})
    assert (added.status, added.json["role"]) == (201, "member")
    assert (await ada.post(path, bob)).json["role"] == "operator"
    listed = (await ada.get("/api/v1/realms/lab/members")).json["items"]
    assert [(one["name"], one["role"]) for one in listed] == [
        ("ada", "manager"),
        ("bob", "operator"),
    ]
    above = await ada.post("/api/v1/realms/lab/members", {"user": "bob", "role": "manager"})
    assert (above.status, above.code) == (403, "forbidden")
    nobody = await ada.post("/api/v1/realms/lab/members", {"user": "eve", "role": "member"})
    assert (nobody.status, nobody.json["errors"][0]["pointer"]) == (422, "/user")
    no_role = await ada.post("/api/v1/realms/lab/members", {"user": "bob", "role": "king"})
    assert no_role.status == 422
    assert (await ada.send("DELETE", "/api/v1/realms/lab/members/bob")).status == 204
    assert (await ada.send("DELETE", "/api/v1/realms/lab/members/bob")).status == 404


async def test_nobody_changes_who_stands_as_high(served: ServedHub) -> None:
    await make_realm(served, "lab")
    ada = await served.person("ada", "manager", "lab")
    await served.person("eva", "manager", "lab")
    for method, body in (("PUT", {"role": "member"}), ("DELETE", None)):
        answer = await ada.send(method, "/api/v1/realms/lab/members/eva", body)
        assert (answer.status, answer.code) == (403, "forbidden")


async def test_another_realm_does_not_exist(served: ServedHub) -> None:
    await make_realm(served, "lab")
    ada = await served.person("ada", "admin", "lab")
    bob = await served.person("bob", "member", "default")
    bob_id = await id_of(bob)
    for method, path, body in (
        ("GET", "/api/v1/realms/default", None),
        ("PATCH", "/api/v1/realms/default", {"description": "mine"}),
        ("GET", "/api/v1/realms/default/members", None),
        ("POST", "/api/v1/realms/default/members", {"user": "ada", "role": "member"}),
        ("PUT", f"/api/v1/realms/default/members/{bob_id}", {"role": "member"}),
        ("DELETE", f"/api/v1/realms/default/members/{bob_id}", None),
        ("GET", f"/api/v1/users/{bob_id}", None),
        ("PATCH", f"/api/v1/users/{bob_id}", {"name": "x"}),
        ("GET", "/api/v1/realms/nowhere", None),
    ):
        answer = await ada.send(method, path, body)
        assert (answer.status, answer.code) == (404, "not_found"), (method, path)
    assert [one["id"] for one in (await ada.get("/api/v1/realms")).json["items"]] == ["lab"]
    assert [one["name"] for one in (await ada.get("/api/v1/users")).json["items"]] == ["ada"]


async def test_the_last_owner_cannot_leave(served: ServedHub) -> None:
    await make_realm(served, "lab")
    owner = await served.owner()
    me = await id_of(owner)
    for method, body in (("PATCH", {"roles": ["admin"]}), ("DELETE", None)):
        answer = await owner.send(method, f"/api/v1/users/{me}", body)
        assert (answer.status, answer.code) == (409, "conflict"), method
    ada = await served.person("ada", "owner", "lab")
    left = await ada.send("DELETE", "/api/v1/realms/lab/members/ada")
    assert (left.status, left.code) == (409, "conflict")
    lowered = await ada.send("PUT", "/api/v1/realms/lab/members/ada", {"role": "member"})
    assert (lowered.status, lowered.code) == (409, "conflict")
    second = await served.person("eva", "owner")
    assert (await second.send("DELETE", f"/api/v1/users/{me}")).status == 204
    assert (await owner.get("/api/v1/me")).status == 401


async def test_an_admin_makes_no_admin_and_touches_no_owner(served: ServedHub) -> None:
    admin = await served.person("ada", "admin")
    for role in ("admin", "owner"):
        made = await admin.post("/api/v1/users", {"name": "eve", "roles": [role]})
        assert (made.status, made.code) == (403, "forbidden")
    raised = await admin.send("PATCH", "/api/v1/users/ada", {"roles": ["owner"]})
    assert raised.status == 403
    owner = await served.client.get("/api/v1/users/admin")
    for method, body in (("PATCH", {"state": "disabled"}), ("DELETE", None)):
        answer = await admin.send(method, f"/api/v1/users/{owner.json['id']}", body)
        assert (answer.status, answer.code) == (403, "forbidden")
    assert (await admin.post("/api/v1/users", {"name": "bob", "roles": ["manager"]})).status == 201


async def test_only_declared_fields_of_a_user_can_be_set(served: ServedHub) -> None:
    for field in ("passwordHash", "kind", "id", "operatorDid"):
        answer = await served.client.send("PATCH", "/api/v1/users/admin", {field: "x"})
        assert (answer.status, answer.code) == (422, "invalid_field")


async def test_two_who_change_one_user_do_not_undo_each_other(served: ServedHub) -> None:
    await served.person("ada", "member")
    etag = (await served.client.get("/api/v1/users/ada")).headers["etag"]
    given = {"If-Match": etag}
    body = {"email": "ada@example.org"}
    first = await served.client.send("PATCH", "/api/v1/users/ada", body, headers=given)
    second = await served.client.send("PATCH", "/api/v1/users/ada", body, headers=given)
    assert (first.status, second.status) == (200, 412)


async def test_a_member_orders_only_what_they_were_granted(served: ServedHub) -> None:
    agent = await served.enrol("press")
    ada = await served.person("ada", "member", "default")
    order = {"target": {"agent": "press"}, "action": "echo", "params": {"n": 1}}
    refused = await ada.post("/api/v1/intents", order)
    assert (refused.status, refused.code) == (403, "person_not_granted")
    manager = await served.person("mia", "manager", "default")
    capability = {"action": "echo", "realms": ["default"], "agents": ["press"]}
    body = {"subject": f"user:{await id_of(ada)}", "capabilities": [capability]}
    grant = await manager.post("/api/v1/delegations", body)
    assert grant.status == 201, grant.data
    update = await agent.receive(DelegationUpdate)
    while grant.json["id"] not in [one["id"] for one in update.added]:
        update = await agent.receive(DelegationUpdate)
    taken = await ada.post("/api/v1/intents", order)
    assert taken.status == 202, taken.data
    shown = (await ada.get(f"/api/v1/intents/{taken.json['intents'][0]['id']}")).json
    assert shown["onBehalfOf"] == body["subject"]
    signed = parse_document(shown["documents"]["intent"].encode())
    assert signed.payload["onBehalfOf"] == body["subject"]
    other = await ada.post("/api/v1/intents", {**order, "action": "files.read"})
    assert (other.status, other.code) == (403, "person_not_granted")
    theirs = (await manager.post("/api/v1/intents", order)).json["intents"][0]["id"]
    foreign = await ada.post(f"/api/v1/intents/{theirs}/cancel")
    assert (foreign.status, foreign.code) == (403, "forbidden")
    own = await ada.post(f"/api/v1/intents/{taken.json['intents'][0]['id']}/cancel")
    assert own.status == 200
    back = await manager.post(f"/api/v1/delegations/{grant.json['id']}/revoke", {})
    assert back.status == 200
    assert (await ada.post("/api/v1/intents", order)).code == "person_not_granted"


async def test_a_manager_grants_nothing_outside_their_realm(served: ServedHub) -> None:
    await make_realm(served, "lab")
    manager = await served.person("mia", "manager", "default")
    ada = await served.person("ada", "member", "default")
    subject = f"user:{await id_of(ada)}"
    for capability in (
        {"action": "echo"},
        {"action": "echo", "realms": ["lab"]},
        {"action": "echo", "realms": ["default", "lab"]},
        {"action": "writ.policy", "realms": ["default"]},
    ):
        body = {"subject": subject, "capabilities": [capability]}
        answer = await manager.post("/api/v1/delegations", body)
        assert (answer.status, answer.code) == (403, "forbidden"), capability
    key = (await served.client.get("/.well-known/writ.json")).json["root"]
    body = {"subject": key, "capabilities": [{"action": "echo", "realms": ["default"]}]}
    assert (await manager.post("/api/v1/delegations", body)).status == 403


async def test_a_role_is_a_grant_as_long_as_it_lasts(served: ServedHub) -> None:
    agent = await served.enrol("press")
    ada = await served.person("ada", "operator", "default")
    subject = f"user:{await id_of(ada)}"
    update = await agent.receive(DelegationUpdate)
    (given,) = update.added
    assert given["payload"]["subject"] == subject
    assert given["payload"]["capabilities"] == [{"action": "*", "realms": ["default"]}]
    order = {"target": {"agent": "press"}, "action": "echo"}
    taken = (await ada.post("/api/v1/intents", order)).json["intents"][0]
    shown = (await ada.get(f"/api/v1/intents/{taken['id']}")).json
    assert shown["onBehalfOf"] == subject
    owner = await served.owner()
    path = "/api/v1/realms/default/members/ada"
    assert (await owner.send("PUT", path, {"role": "member"})).status == 200
    revoked = (await owner.get("/api/v1/revocations")).json
    assert given["id"] in revoked["delegations"]
    assert (await ada.post("/api/v1/intents", order)).code == "person_not_granted"
    # Two changes at once leave one grant, not two.
    changes = [owner.send("PUT", path, {"role": "operator"}) for _ in range(4)]
    assert {one.status for one in await asyncio.gather(*changes)} == {200}
    held = (await owner.get(f"/api/v1/delegations?subject={subject}")).json["items"]
    assert len([one for one in held if not one["revoked"]]) == 1


async def test_an_owner_orders_in_the_hubs_own_name(served: ServedHub) -> None:
    await served.enrol("press")
    owner = await served.owner()
    order = {"target": {"agent": "press"}, "action": "echo"}
    taken = (await owner.post("/api/v1/intents", order)).json["intents"][0]
    assert (await owner.get(f"/api/v1/intents/{taken['id']}")).json["onBehalfOf"] is None


async def test_people_are_found_by_a_part_of_their_name_and_nobody_else_is(
    served: ServedHub,
) -> None:
    await make_realm(served, "lab")
    lead = await served.person("Lab-Lead", "manager", "lab")
    await served.client.post("/api/v1/users", {"name": "lab_robot", "kind": "service"})
    await served.client.post("/api/v1/users", {"name": "eve", "email": "Eve@lab.example"})
    path = "/api/v1/users?q="

    async def found(client: Client, query: str) -> list[str]:
        return [one["name"] for one in (await client.get(path + query)).json["items"]]

    assert sorted(await found(served.client, "LAB")) == ["Lab-Lead", "eve", "lab_robot"]
    assert await found(served.client, "b_r") == ["lab_robot"]
    assert await found(served.client, "%25") == []
    assert await found(served.client, "lab&kind=service") == ["lab_robot"]
    assert await found(lead, "lab") == ["Lab-Lead"]
    assert (await served.client.get(path + "a" * 201)).status == 422
    assert (await served.client.get("/api/v1/users?kind=king")).status == 422


async def test_what_one_is_told_one_may_do_counts_the_reach_of_each_permission(
    served: ServedHub,
) -> None:
    await make_realm(served, "lab")
    of_lab = (await (await served.person("ada", "admin", "lab")).get("/api/v1/me")).json
    assert {"policies.write", "members.write", "me.write"} <= set(of_lab["permissions"])
    # What reaches the hub has to be held everywhere, whatever one is in a realm.
    assert {"settings.read", "users.write", "agents.revoke"}.isdisjoint(of_lab["permissions"])
    everywhere = (await (await served.person("eve", "admin")).get("/api/v1/me")).json
    assert {"settings.read", "users.write", "agents.revoke"} <= set(everywhere["permissions"])
