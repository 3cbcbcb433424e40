"""Passkeys start to finish, and every way in which one must not work."""

from __future__ import annotations

from typing import Any

from tests.controlplane.hubs import Answer, Client, ServedHub
from tests.controlplane.software_authenticator import PRESENT, SoftwareAuthenticator


def at_localhost(client: Client) -> dict[str, str]:
    return {"Host": f"localhost:{client.port}"}


async def make_passkey(served: ServedHub) -> SoftwareAuthenticator:
    owner = await served.owner()
    device = SoftwareAuthenticator(f"http://localhost:{owner.port}")
    here = at_localhost(owner)
    begun = (await owner.post("/api/v1/me/passkeys/begin", headers=here)).json
    assert begun["options"]["rp"]["id"] == "localhost"
    assert begun["options"]["authenticatorSelection"]["userVerification"] == "required"
    body = {
        "ceremony": begun["ceremony"],
        "credential": device.create(begun["options"]),
        "name": "laptop",
    }
    made = await owner.post("/api/v1/me/passkeys", body, headers=here)
    assert (made.status, made.json["name"]) == (201, "laptop")
    again = await owner.post("/api/v1/me/passkeys", body, headers=here)
    assert (again.status, again.json["errors"][0]["pointer"]) == (422, "/ceremony")
    return device


async def sign_in(
    served: ServedHub, device: SoftwareAuthenticator, **changed: Any
) -> tuple[Answer, dict[str, Any]]:
    stranger = served.client.as_key(None)
    here = at_localhost(stranger)
    begun = (await stranger.post("/api/v1/login/passkey/begin", headers=here)).json
    assert begun["options"].get("allowCredentials", []) == []
    body = {"ceremony": begun["ceremony"], "credential": device.get(begun["options"])}
    body.update(changed)
    body["bearer"] = True
    return await stranger.post("/api/v1/login/passkey", body, headers=here), body


async def test_a_passkey_signs_in_without_a_name(served: ServedHub) -> None:
    device = await make_passkey(served)
    answer, body = await sign_in(served, device)
    assert answer.status == 200, answer.data
    client = served.client.as_key(answer.json["token"])
    assert (await client.get("/api/v1/me")).json["name"] == "admin"
    (session, *_) = (await client.get("/api/v1/me/sessions")).json["items"]
    assert (session["method"], session["current"]) == ("passkey", True)
    # A recorded answer is worth nothing: its challenge is used up.
    replayed = await client.as_key(None).post(
        "/api/v1/login/passkey", body, headers=at_localhost(client)
    )
    assert (replayed.status, replayed.code) == (401, "sign_in_failed")


async def test_a_passkey_of_elsewhere_is_none(served: ServedHub) -> None:
    device = await make_passkey(served)
    good = vars(device).copy()
    for bent in (
        {"origin": "https://evil.example.org"},
        {"rp_id": "evil.example.org"},
        {"flags": PRESENT},
        {"flags": 0},
        {"credential_id": b"\x00" * 32},
        {"user_handle": b"somebody else"},
        {"_key": SoftwareAuthenticator("")._key},
    ):
        vars(device).update({**good, "count": device.count, **bent})
        answer, _ = await sign_in(served, device)
        assert (answer.status, answer.code) == (401, "sign_in_failed"), bent
    vars(device).update({**good, "count": device.count})
    assert (await sign_in(served, device))[0].status == 200


async def test_a_copy_is_noticed_by_its_counter(served: ServedHub) -> None:
    device = await make_passkey(served)
    device.count = 5
    assert (await sign_in(served, device))[0].status == 200
    device.count = 3
    answer, _ = await sign_in(served, device)
    assert (answer.status, answer.code) == (401, "sign_in_failed")


async def test_nonsense_is_refused_and_breaks_nothing(served: ServedHub) -> None:
    device = await make_passkey(served)
    for credential in ({}, {"id": 1}, {"id": "x"}, {"id": device.get({"challenge": "x"})["id"]}):
        answer, _ = await sign_in(served, device, credential=credential)
        assert (answer.status, answer.code) == (401, "sign_in_failed"), credential
    owner = await served.owner()
    here = at_localhost(owner)
    for credential in ({}, {"id": "x", "response": {"transports": 7}}):
        begun = (await owner.post("/api/v1/me/passkeys/begin", headers=here)).json
        body = {"ceremony": begun["ceremony"], "credential": credential, "name": "x"}
        answer = await owner.post("/api/v1/me/passkeys", body, headers=here)
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/credential")


async def test_a_removed_passkey_and_a_key_make_no_sign_in(served: ServedHub) -> None:
    device = await make_passkey(served)
    owner = await served.owner()
    by_key = await served.client.post("/api/v1/me/passkeys/begin")
    assert (by_key.status, by_key.code) == (403, "forbidden")
    (held,) = (await owner.get("/api/v1/me/passkeys")).json["items"]
    assert held["lastUsedAt"] is None
    assert (await owner.send("DELETE", f"/api/v1/me/passkeys/{held['id']}")).status == 204
    assert (await owner.send("DELETE", f"/api/v1/me/passkeys/{held['id']}")).status == 404
    assert (await sign_in(served, device))[0].code == "sign_in_failed"
