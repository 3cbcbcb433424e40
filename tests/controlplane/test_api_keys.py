"""API keys and service accounts: every promise about them, one test each.

That a key makes no key, dies with its maker and loses what they lose stands in `test_sign_in`.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from controlplane import clock
from controlplane.access.api_keys import api_key_hash, is_api_key
from tests.controlplane.hubs import Client, ServedHub, serve

KEYS = "/api/v1/api-keys"


async def make(client: Client, **body: Any) -> dict[str, Any]:
    answer = await client.post(KEYS, {"name": "k", **body})
    assert answer.status == 201, answer.data
    return dict(answer.json)


async def shown(client: Client, id: str) -> dict[str, Any]:
    (found,) = [one for one in (await client.get(KEYS)).json["items"] if one["id"] == id]
    return dict(found)


async def test_a_key_has_a_prefix_and_a_checksum_is_shown_once_and_kept_as_a_hash(
    served: ServedHub,
) -> None:
    owner = await served.owner()
    headers = {"Idempotency-Key": "once"}
    first = await owner.post(KEYS, {"name": "k"}, headers=headers)
    key = first.json["key"]
    assert key.startswith("writ_")
    assert is_api_key(key)
    again = await owner.post(KEYS, {"name": "k"}, headers=headers)
    assert (again.json["id"], again.json["key"]) == (first.json["id"], None)
    assert (await shown(owner, first.json["id"])).get("key") is None
    record = await served.hub.database.read(lambda uow: uow.api_keys.get(first.json["id"]))
    assert record.hash == api_key_hash(key)
    assert key.startswith(record.prefix)
    assert len(record.prefix) <= 10


@pytest.mark.parametrize("changed", ["last", "case", "cut", "longer", "other"])
async def test_a_key_that_is_none_is_refused_like_one_that_is_unknown(
    served: ServedHub, changed: str
) -> None:
    key = served.client.api_key or ""
    bad = {
        "last": key[:-1] + ("A" if key[-1] != "A" else "B"),
        "case": key.swapcase(),
        "cut": key[:-1],
        "longer": key + "0",
        "other": "writ_" + "0" * 49,
    }[changed]
    answer = await served.client.as_key(bad).get("/api/v1/me")
    assert (answer.status, answer.code) == (401, "unauthenticated")
    assert bad not in answer.data.decode()


async def test_a_key_ends_at_its_time(served: ServedHub, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = await served.owner()
    made = await make(owner, expiresInSeconds=60)
    key = served.client.as_key(made["key"])
    assert (await key.get("/api/v1/me")).status == 200
    real = clock.now
    monkeypatch.setattr(clock, "now", lambda: real() + timedelta(seconds=61))
    assert (await key.get("/api/v1/me")).status == 401


async def test_the_last_use_is_written_at_most_once_a_minute(
    served: ServedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = await served.owner()
    made = await make(owner)
    key = served.client.as_key(made["key"])
    assert (await shown(owner, made["id"]))["lastUsedAt"] is None
    real, moved = clock.now, timedelta()
    monkeypatch.setattr(clock, "now", lambda: real() + moved)
    await asyncio.gather(*(key.get("/api/v1/me") for _ in range(10)))
    first = (await shown(owner, made["id"]))["lastUsedAt"]
    assert first is not None
    for seconds, same in ((10, True), (50, True), (62, False)):
        moved = timedelta(seconds=seconds)  # past what is remembered of a key
        assert (await key.get("/api/v1/me")).status == 200
        assert ((await shown(owner, made["id"]))["lastUsedAt"] == first) is same


async def test_a_key_is_narrowed_by_its_scopes_and_its_realm(served: ServedHub) -> None:
    owner = await served.owner()
    await owner.post("/api/v1/realms", {"id": "lab"})
    narrow = served.client.as_key((await make(owner, scopes=["agents", "me"], realm="lab"))["key"])
    me = (await narrow.get("/api/v1/me")).json
    assert (me["scopes"], me["realm"]) == (["agents", "me"], "lab")
    assert (await narrow.get("/api/v1/agents")).status == 200
    assert (await narrow.get("/api/v1/intents")).status == 403
    assert (await narrow.get("/api/v1/realms/default")).status in (403, 404)


async def test_a_service_account_is_shown_as_such_wherever_it_stands(served: ServedHub) -> None:
    owner = await served.owner()
    body = {"name": "ci", "kind": "service", "roles": ["operator"]}
    user = (await owner.post("/api/v1/users", body)).json
    made = await make(owner, user="ci")
    assert (made["kind"], made["user"], made["userId"]) == ("service", "ci", user["id"])
    service = served.client.as_key(made["key"])
    me = (await service.get("/api/v1/me")).json
    assert (me["kind"], me["subject"]) == ("service", f"user:{user['id']}")
    listed = (await owner.get("/api/v1/users")).json["items"]
    assert {one["name"]: one["kind"] for one in listed}["ci"] == "service"
    machine = await make(owner, roles=["member"])
    own = await make(owner)
    kinds = [(await shown(owner, one["id"]))["kind"] for one in (made, machine, own)]
    assert kinds == ["service", "machine", "person"]
    leaves = (await served.client.get("/api/v1/audit?limit=200")).json["items"]
    by_subject = {(one["kind"], one["subject"]): one["data"] for one in leaves}
    assert by_subject["user.added", user["id"]]["kind"] == "service"
    assert by_subject["api_key.created", made["id"]]["kind"] == "service"
    assert by_subject["api_key.created", made["id"]]["user"] == user["id"]


async def test_only_admins_make_service_accounts_and_keys_for_them(served: ServedHub) -> None:
    owner = await served.owner()
    for role in ("operator", "manager"):
        person = await served.person(role, role)
        body = {"name": f"of-{role}", "kind": "service", "roles": []}
        assert (await person.post("/api/v1/users", body)).status == 403
    admin = await served.person("root", "admin")
    above = {"name": "boss", "kind": "service", "roles": ["admin"]}
    assert (await admin.post("/api/v1/users", above)).status == 403
    assert (await owner.post("/api/v1/users", above)).status == 201
    answer = await admin.post(KEYS, {"name": "k", "user": "boss"})
    assert (answer.status, answer.code) == (403, "forbidden")
    fine = {"name": "ci", "kind": "service", "roles": ["operator"]}
    assert (await admin.post("/api/v1/users", fine)).status == 201
    assert (await make(admin, user="ci"))["kind"] == "service"
    answer = await (await served.person("op", "operator")).post(KEYS, {"name": "k", "user": "ci"})
    assert answer.status in (403, 422)


async def test_a_service_account_is_stopped_at_once_and_for_good(served: ServedHub) -> None:
    owner = await served.owner()
    user = {"name": "ci", "kind": "service", "roles": ["operator"]}
    await owner.post("/api/v1/users", user)
    keys = [served.client.as_key((await make(owner, user="ci"))["key"]) for _ in range(3)]
    for key in keys:
        assert (await key.get("/api/v1/agents")).status == 200
    await owner.send("PATCH", "/api/v1/users/ci", {"state": "disabled"})
    for key in keys:
        assert (await key.get("/api/v1/agents")).status == 401
    await owner.send("PATCH", "/api/v1/users/ci", {"state": "active"})
    assert (await keys[0].get("/api/v1/agents")).status == 200
    found = (await owner.get("/api/v1/users/ci")).json
    await owner.send("DELETE", f"/api/v1/users/{found['id']}")
    for key in keys:
        assert (await key.get("/api/v1/agents")).status == 401
    # A new account of that name is another one: the old keys stay dead.
    await owner.post("/api/v1/users", user)
    assert (await keys[0].get("/api/v1/agents")).status == 401


async def test_a_service_key_dies_with_whoever_made_it(served: ServedHub) -> None:
    owner = await served.owner()
    await owner.post("/api/v1/users", {"name": "ci", "kind": "service", "roles": ["operator"]})
    admin = await served.person("root", "admin")
    key = served.client.as_key((await make(admin, user="ci"))["key"])
    assert (await key.get("/api/v1/agents")).status == 200
    await owner.send("PATCH", "/api/v1/users/root", {"state": "disabled"})
    assert (await key.get("/api/v1/agents")).status == 401


async def test_a_key_is_dead_in_another_process_within_two_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from controlplane.access.authenticate import REMEMBERED_FOR, Authenticator
    from controlplane.errors import UnauthenticatedError

    async with serve(tmp_path / "hub") as served:
        owner = await served.owner()
        made = await make(owner)
        elsewhere = Authenticator(served.hub.database)
        await elsewhere.authenticate(f"Bearer {made['key']}")
        await owner.send("DELETE", f"{KEYS}/{made['id']}")
        real = clock.now
        monkeypatch.setattr(clock, "now", lambda: real() + REMEMBERED_FOR)
        with pytest.raises(UnauthenticatedError):
            await elsewhere.authenticate(f"Bearer {made['key']}")


async def test_keys_of_others_are_seen_by_those_who_may_end_them_and_by_nobody_else(
    served: ServedHub,
) -> None:
    owner = await served.owner()
    made = await make(owner, name="the owner's", scopes=["agents.read"])
    for role in ("member", "operator", "manager", "approver", "auditor"):
        person = await served.person(f"of-{role}", role)
        own = await make(person, name="their own")
        listed = (await person.get(KEYS)).json["items"]
        assert [one["id"] for one in listed] == [own["id"]], role
        assert (await person.send("DELETE", f"{KEYS}/{made['id']}")).status == 404
    admin = await served.person("root", "admin")
    assert (await shown(admin, made["id"]))["name"] == "the owner's"
    assert (await admin.send("DELETE", f"{KEYS}/{made['id']}")).status == 204
    assert (await shown(owner, made["id"]))["revokedAt"] is not None
