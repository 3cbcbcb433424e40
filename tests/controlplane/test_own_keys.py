"""Own keys: enrolled by who has them, lent what roles allow, ended with the role and the person."""

from __future__ import annotations

import base64
from typing import Any

from controlplane.people.own_keys import CONTEXT, MAX_KEYS
from protocol.keys import SigningKey
from tests.controlplane.hubs import Answer, Client, ServedHub

ROUTES = "/api/v1/me/keys"


async def enrol(person: Client, key: SigningKey, **changed: Any) -> Answer:
    """Enrol `key` as a browser does; `changed` bends the body."""
    subject = f"user:{(await person.get('/api/v1/me')).json['id']}"
    begun = (await person.post(f"{ROUTES}/begin")).json
    message = CONTEXT + base64.b64decode(begun["challenge"]) + key.public_key.raw
    body = {
        "ceremony": begun["ceremony"],
        "publicKey": key.public_key.multikey,
        "proof": base64.b64encode(key.sign(message + subject.encode())).decode(),
        "name": "laptop",
    }
    return await person.post(ROUTES, body | changed)


def new_key(number: int) -> SigningKey:
    return SigningKey.from_seed(bytes([number]) * 32)


async def revoked(served: ServedHub) -> tuple[set[str], set[str]]:
    latest = await served.hub.database.read(lambda uow: uow.revocations.latest())
    return (set(), set()) if latest is None else (set(latest.keys), set(latest.delegations))


async def test_an_owners_key_is_lent_what_the_role_allows(served: ServedHub) -> None:
    owner = await served.owner()
    key = new_key(1)
    made = await enrol(owner, key)
    assert made.status == 201, made.data
    assert made.json["did"] == key.public_key.did
    (lent,) = made.json["lent"]
    assert lent["throughHub"]
    assert len(lent["proof"]) == 2
    assert lent["capabilities"] == [
        {"action": "*"},
        {"action": "writ.approve"},
        {"action": "writ.cancel"},
    ]
    (shown,) = (await owner.get(ROUTES)).json["items"]
    assert shown == made.json
    kinds = {one["kind"] for one in (await owner.get("/api/v1/audit?limit=20")).json["items"]}
    assert {"key.added", "delegation.issued"} <= kinds


async def test_who_does_not_have_the_key_enrols_nothing(served: ServedHub) -> None:
    owner = await served.owner()
    key, other = new_key(1), new_key(2)
    good = await enrol(owner, new_key(3))
    assert good.status == 201
    for changed, pointer in (
        ({"publicKey": other.public_key.multikey}, "/proof"),
        ({"proof": base64.b64encode(bytes(64)).decode()}, "/proof"),
        ({"proof": "?"}, "/proof"),
        ({"publicKey": "z6Mk"}, "/publicKey"),
        ({"ceremony": "another"}, "/ceremony"),
    ):
        answer = await enrol(owner, key, **changed)
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer), changed
    again = await enrol(owner, new_key(3))
    assert (again.status, again.json["errors"][0]["pointer"]) == (422, "/publicKey")
    by_key = await served.client.post(f"{ROUTES}/begin")
    assert (by_key.status, by_key.code) == (403, "forbidden")


async def test_a_challenge_serves_once_and_its_own_person_only(served: ServedHub) -> None:
    owner = await served.owner()
    key = new_key(1)
    begun = (await owner.post(f"{ROUTES}/begin")).json
    message = CONTEXT + base64.b64decode(begun["challenge"]) + key.public_key.raw
    body = {
        "ceremony": begun["ceremony"],
        "publicKey": key.public_key.multikey,
        # Signed for somebody else, as a hub would have it that wants the key for itself.
        "proof": base64.b64encode(key.sign(message + b"user:somebody-else")).decode(),
        "name": "laptop",
    }
    assert (await owner.post(ROUTES, body)).json["errors"][0]["pointer"] == "/proof"
    assert (await owner.post(ROUTES, body)).json["errors"][0]["pointer"] == "/ceremony"


async def test_a_role_that_ends_takes_its_delegation_along(served: ServedHub) -> None:
    owner = await served.owner()
    key = new_key(1)
    person = await served.person("ada", "operator", "default")
    person_id = (await person.get("/api/v1/me")).json["id"]
    made = (await enrol(person, key)).json
    assert made["lent"][0]["capabilities"] == [
        {"action": "*", "realms": ["default"]},
        {"action": "writ.approve", "realms": ["default"]},
        {"action": "writ.cancel", "realms": ["default"]},
    ]
    first = made["lent"][0]["proof"][-1]
    path = f"/api/v1/realms/default/members/{person_id}"
    assert (await owner.send("PUT", path, {"role": "approver"})).status == 200
    (shown,) = (await person.get(ROUTES)).json["items"]
    (lent,) = shown["lent"]
    assert lent["capabilities"] == [{"action": "writ.approve", "realms": ["default"]}]
    assert first in (await revoked(served))[1]
    assert (await owner.send("DELETE", path)).status == 204
    (shown,) = (await person.get(ROUTES)).json["items"]
    assert shown["lent"] == []
    assert (await owner.send("DELETE", f"/api/v1/users/{person_id}")).status == 204
    assert key.public_key.did in (await revoked(served))[0]


async def test_a_key_that_is_ended_is_ended_everywhere_and_stays_so(served: ServedHub) -> None:
    owner = await served.owner()
    key = new_key(1)
    made = (await enrol(owner, key)).json
    assert (await owner.send("DELETE", f"{ROUTES}/{made['id']}")).status == 204
    assert (await owner.send("DELETE", f"{ROUTES}/{made['id']}")).status == 404
    assert key.public_key.did in (await revoked(served))[0]
    (shown,) = (await owner.get(ROUTES)).json["items"]
    assert shown["lent"] == []
    assert shown["revokedAt"] is not None
    assert (await enrol(owner, key)).status == 422


async def test_nobody_has_more_keys_than_fit_a_desk(served: ServedHub) -> None:
    owner = await served.owner()
    for number in range(MAX_KEYS):
        assert (await enrol(owner, new_key(number + 1))).status == 201
    answer = await owner.post(f"{ROUTES}/begin")
    assert (answer.status, answer.code) == (409, "conflict")
