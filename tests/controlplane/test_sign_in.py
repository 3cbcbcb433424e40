"""Signing in: passwords, sessions, forged requests, invitations, machines without a browser."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from email import message_from_bytes
from email.policy import default as default_policy
from pathlib import Path
from typing import Any

import pytest

from controlplane import clock
from controlplane.access import passwords
from controlplane.access.session_tokens import csrf_token_of, is_session_token
from tests.controlplane.hubs import OWNER_PASSWORD, Answer, Client, ServedHub, serve


@pytest.fixture
async def strict(tmp_path: Path) -> AsyncIterator[ServedHub]:
    """A hub that lets nobody try often, and believes nobody for long."""
    async with serve(
        tmp_path / "strict",
        sign_in_attempts_per_name=3,
        step_up_seconds=60,
        public_url="https://hub.example.org",
    ) as one:
        yield one


def cookie_of(answer: Answer) -> str:
    return answer.headers["set-cookie"].partition(";")[0]


async def browser(served: ServedHub) -> tuple[str, str]:
    """The owner's session cookie and the value pages send back."""
    await served.owner()
    body = {"name": "admin", "password": OWNER_PASSWORD}
    answer = await served.client.as_key(None).post("/api/v1/login", body)
    assert answer.status == 200
    assert "token" not in answer.json
    return cookie_of(answer), answer.json["csrfToken"]


def origin(client: Client) -> str:
    return f"http://{client.host}:{client.port}"


async def test_a_session_is_an_opaque_cookie_that_scripts_cannot_read(served: ServedHub) -> None:
    await served.owner()
    body = {"name": "admin", "password": OWNER_PASSWORD}
    answer = await served.client.as_key(None).post("/api/v1/login", body)
    cookie = answer.headers["set-cookie"]
    token = cookie_of(answer).partition("=")[2]
    assert is_session_token(token)
    assert all(part in cookie for part in ("HttpOnly", "SameSite=Lax", "Path=/"))
    assert "Secure" not in cookie
    assert token.encode() not in answer.data
    kept = await served.hub.database.read(
        lambda uow: uow.sessions.list(answer.json["user"]["id"]).items
    )
    assert all(token not in (one.id, one.hash) for one in kept)


async def test_over_https_the_cookie_is_bound_to_it(strict: ServedHub) -> None:
    await strict.owner()
    body = {"name": "admin", "password": OWNER_PASSWORD}
    answer = await strict.client.as_key(None).post("/api/v1/login", body)
    assert answer.headers["set-cookie"].startswith("__Host-writ_session=writs_")
    assert answer.headers["set-cookie"].endswith("; Secure")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_who_signs_out_is_out_at_once(served: ServedHub) -> None:
    owner = await served.owner()
    assert (await owner.get("/api/v1/me")).json["name"] == "admin"
    assert (await owner.post("/api/v1/logout")).status == 204
    assert (await owner.get("/api/v1/me")).code == "unauthenticated"


async def test_all_other_sessions_end_at_once_and_only_ones_own(served: ServedHub) -> None:
    ada = await served.person("ada", "member")
    bob = await served.person("bob", "member")
    others = [await served.sign_in("ada", OWNER_PASSWORD) for _ in range(2)]
    path = "/api/v1/me/sessions/end-others"
    assert (await ada.post(path)).json == {"ended": 2}
    assert [(await one.get("/api/v1/me")).status for one in (ada, bob, *others)] == [
        200,
        200,
        401,
        401,
    ]
    assert (await ada.post(path)).json == {"ended": 0}
    leaves = (await served.client.get("/api/v1/audit?kind=session.ended")).json["items"]
    assert [one["data"] for one in leaves] == [{"others": 2}]


async def test_unknown_and_wrong_are_told_alike(served: ServedHub) -> None:
    await served.owner()
    stranger = served.client.as_key(None)
    answers = [
        await stranger.post("/api/v1/login", {"name": name, "password": "wrong wrong wrong"})
        for name in ("admin", "nobody")
    ]
    assert [one.status for one in answers] == [401, 401]
    told = [{k: v for k, v in one.json.items() if k != "requestId"} for one in answers]
    assert told[0] == told[1]


async def test_unknown_wrong_and_without_a_password_cost_one_hash_each(
    served: ServedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await served.owner()
    await served.client.post("/api/v1/users", {"name": "no-password"})
    verified: list[str] = []

    class Counted:
        def verify(self, kept: str, password: str) -> bool:
            verified.append(kept)
            return hasher.verify(kept, password)

    hasher = passwords._HASHER
    monkeypatch.setattr(passwords, "_HASHER", Counted())
    stranger = served.client.as_key(None)
    for number, name in enumerate(("admin", "nobody", "no-password"), start=1):
        answer = await stranger.post("/api/v1/login", {"name": name, "password": "wrong" * 4})
        assert (answer.status, answer.code) == (401, "sign_in_failed")
        assert len(verified) == number, name
    parameters = {kept.rpartition("$")[0].rpartition("$")[0] for kept in verified}
    assert len(parameters) == 1, "every one is as dear as every other"


async def test_whoever_tries_too_often_waits_and_others_do_not(strict: ServedHub) -> None:
    await strict.owner()
    stranger = strict.client.as_key(None)
    wrong = {"name": "eve", "password": "wrong wrong wrong"}
    codes = [(await stranger.post("/api/v1/login", wrong)).code for _ in range(4)]
    assert codes == ["sign_in_failed"] * 3 + ["rate_limited"]
    held = await stranger.post("/api/v1/login", wrong)
    assert 0 < int(held.headers["retry-after"]) <= 301
    right = {"name": "admin", "password": OWNER_PASSWORD}
    assert (await stranger.post("/api/v1/login", right)).status == 200


async def test_attempts_are_counted_where_every_hub_sees_them(served: ServedHub) -> None:
    await served.client.as_key(None).post("/api/v1/login", {"name": "x", "password": "y"})
    database, now = served.hub.database, clock.now()
    first = await database.write(lambda uow: uow.rate_windows.hit("k", timedelta(hours=1), now))
    again = await database.write(lambda uow: uow.rate_windows.hit("k", timedelta(hours=1), now))
    later = now + timedelta(hours=1)
    fresh = await database.write(lambda uow: uow.rate_windows.hit("k", timedelta(hours=1), later))
    assert (first, again, fresh) == (1, 2, 1)


async def test_a_change_under_a_cookie_needs_our_page(served: ServedHub) -> None:
    cookie, csrf = await browser(served)
    page = {"Cookie": cookie, "Origin": origin(served.client), "X-CSRF-Token": csrf}
    stranger = served.client.as_key(None)
    body = {"id": "lab"}
    for change in (
        {"Origin": "https://evil.example.org"},
        {"Origin": "null"},
        {"Origin": ""},
        {"X-CSRF-Token": ""},
        {"X-CSRF-Token": csrf_token_of("writs_" + "A" * 43)},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ):
        answer = await stranger.post("/api/v1/realms", body, headers={**page, **change})
        assert (answer.status, answer.code) == (403, "cross_site"), change
    assert (await stranger.post("/api/v1/realms", body, headers=page)).status == 201
    # Reading needs no page, and cannot be read by another site anyway.
    me = await stranger.get("/api/v1/me", headers={"Cookie": cookie})
    assert me.json["csrfToken"] == csrf


async def test_another_site_cannot_even_sign_somebody_in(served: ServedHub) -> None:
    await served.owner()
    body = {"name": "admin", "password": OWNER_PASSWORD}
    stranger = served.client.as_key(None)
    elsewhere = {"Origin": "https://evil.example.org"}
    assert (await stranger.post("/api/v1/login", body, headers=elsewhere)).code == "cross_site"


async def test_a_page_of_another_site_opens_no_socket(served: ServedHub) -> None:
    upgrade = {
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": "writ.v1",
        "Origin": "https://evil.example.org",
    }
    answer = await served.client.as_key(None).send("GET", "/ws/agent", headers=upgrade)
    assert answer.status == 403


async def test_two_session_cookies_are_none(served: ServedHub) -> None:
    cookie, _ = await browser(served)
    stranger = served.client.as_key(None)
    answer = await stranger.get("/api/v1/me", headers={"Cookie": f"{cookie}; {cookie}"})
    assert answer.code == "unauthenticated"


async def test_every_answer_forbids_what_pages_do_not_need(served: ServedHub) -> None:
    for path in ("/healthz", "/api/v1/nothing", "/api/v1/me", "/docs", "/docs/page.js"):
        headers = (await served.client.get(path)).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"


async def test_the_first_password_comes_with_the_first_key_and_no_second_one(
    served: ServedHub,
) -> None:
    short = await served.client.send("PUT", "/api/v1/me/password", {"password": "short"})
    assert (short.status, short.code) == (422, "invalid_field")
    body = {"password": OWNER_PASSWORD}
    assert (await served.client.send("PUT", "/api/v1/me/password", body)).status == 204
    other = {"password": "another password", "current": OWNER_PASSWORD}
    by_key = await served.client.send("PUT", "/api/v1/me/password", other)
    assert (by_key.status, by_key.code) == (403, "forbidden")
    session = await served.sign_in("admin", OWNER_PASSWORD)
    elsewhere = await served.sign_in("admin", OWNER_PASSWORD)
    wrong = await session.send("PUT", "/api/v1/me/password", {**other, "current": "no"})
    assert (wrong.status, wrong.code) == (401, "sign_in_failed")
    assert (await session.send("PUT", "/api/v1/me/password", other)).status == 204
    assert (await session.get("/api/v1/me")).status == 200
    assert (await elsewhere.get("/api/v1/me")).status == 401
    kept = await served.hub.database.read(lambda uow: uow.users.get_by_name("admin"))
    assert kept.password_hash.startswith("$argon2id$")
    assert b"argon2" not in (await session.get(f"/api/v1/users/{kept.id}")).data


async def test_what_matters_needs_somebody_who_has_just_signed_in(strict: ServedHub) -> None:
    owner = await strict.owner()
    assert (await owner.post("/api/v1/api-keys", {"name": "now"})).status == 201
    long_ago = clock.now() - timedelta(seconds=61)

    def age(uow: Any) -> None:
        me = uow.users.get_by_name("admin")
        for one in uow.sessions.list(me.id).items:
            uow.sessions._change([], authenticated_at=long_ago)
            assert one.user_id == me.id

    await strict.hub.database.write(age)
    strict.hub.authenticator.forget()
    answer = await owner.post("/api/v1/api-keys", {"name": "later"})
    assert (answer.status, answer.code) == (403, "step_up_required")
    assert (await owner.get("/api/v1/api-keys")).status == 200
    again = await strict.sign_in("admin", OWNER_PASSWORD)
    assert (await again.post("/api/v1/api-keys", {"name": "later"})).status == 201


async def test_sessions_and_keys_die_with_the_person(served: ServedHub) -> None:
    owner = await served.owner()
    ada = await served.person("ada", "operator")
    key = (await ada.post("/api/v1/api-keys", {"name": "mine"})).json["key"]
    machine = (await ada.post("/api/v1/api-keys", {"name": "m", "roles": ["member"]})).json["key"]
    for shown in (key, machine):
        assert (await served.client.as_key(shown).get("/api/v1/agents")).status == 200
    changed = await owner.send("PATCH", "/api/v1/users/ada", {"state": "disabled"})
    assert changed.json["state"] == "disabled"
    for shown in (ada.api_key, key, machine):
        assert (await served.client.as_key(shown).get("/api/v1/agents")).status == 401
    refused = {"name": "ada", "password": OWNER_PASSWORD}
    answer = await served.client.as_key(None).post("/api/v1/login", refused)
    assert (answer.status, answer.code) == (401, "sign_in_failed")


async def test_a_stream_ends_with_the_right_to_read_it(served: ServedHub) -> None:
    owner = await served.owner()
    ada = await served.person("ada", "auditor", "default")

    async def read_until(reader: asyncio.StreamReader, wanted: bytes) -> bytes:
        seen = b""
        async with asyncio.timeout(10):
            while wanted not in seen:
                piece = await reader.read(4_096)
                assert piece, seen
                seen += piece
        return seen

    async with ada.stream("/api/v1/events") as reader:
        await read_until(reader, b"retry:")
        served.hub.events.emit("shown.before", realm="default", data={}, subject="x")
        await read_until(reader, b"shown.before")
        await owner.send("DELETE", "/api/v1/realms/default/members/ada")
        served.hub.events.emit("hidden.after", realm="default", data={}, subject="x")
        left = await read_until(reader, b"event: ended")
        assert b"hidden.after" not in left
        assert b"forbidden" in left


async def test_a_key_loses_what_its_maker_loses(served: ServedHub) -> None:
    owner = await served.owner()
    ada = await served.person("ada", "manager")
    body = {"name": "m", "roles": ["operator"], "scopes": ["join-tokens", "enrolment", "agents"]}
    assert (await ada.post("/api/v1/api-keys", {**body, "scopes": ["nonsense"]})).status == 422
    body["scopes"] = ["enrolment", "agents"]
    key = served.client.as_key((await ada.post("/api/v1/api-keys", body)).json["key"])
    assert (await key.get("/api/v1/registrations")).status == 200
    await owner.send("PATCH", "/api/v1/users/ada", {"roles": ["member"]})
    assert (await key.get("/api/v1/registrations")).status == 403
    assert (await key.get("/api/v1/agents")).status == 200


async def test_a_key_makes_no_key(served: ServedHub) -> None:
    answer = await served.client.post("/api/v1/api-keys", {"name": "child"})
    assert (answer.status, answer.code) == (403, "forbidden")
    owner = await served.owner()
    key = (await owner.post("/api/v1/api-keys", {"name": "all", "scopes": ["*"]})).json["key"]
    answer = await served.client.as_key(key).post("/api/v1/api-keys", {"name": "child"})
    assert (answer.status, answer.code) == (403, "forbidden")


async def test_a_service_account_has_keys_and_never_signs_in(served: ServedHub) -> None:
    owner = await served.owner()
    body = {"name": "ci", "kind": "service", "roles": ["operator"]}
    made = await owner.post("/api/v1/users", body)
    assert (made.status, made.json["kind"]) == (201, "service")
    answer = await owner.post("/api/v1/api-keys", {"name": "ci", "user": "ci"})
    assert answer.status == 201
    service = served.client.as_key(answer.json["key"])
    me = (await service.get("/api/v1/me")).json
    assert (me["name"], me["roles"]) == ("ci", ["operator"])
    password = {"password": OWNER_PASSWORD}
    assert (await service.send("PUT", "/api/v1/me/password", password)).status == 403
    person = await owner.post("/api/v1/api-keys", {"name": "no", "user": "admin"})
    assert (person.status, person.json["errors"][0]["pointer"]) == (422, "/user")


async def test_an_invitation_works_once(served: ServedHub) -> None:
    owner = await served.owner()
    body = {"role": "operator", "realm": "default"}
    made = await owner.post("/api/v1/invitations", body)
    assert made.status == 201
    base, _, token = made.json["link"].partition("#")
    assert base == f"{origin(served.client)}/invite"
    listed = await owner.get("/api/v1/invitations")
    assert token.encode() not in listed.data
    stranger = served.client.as_key(None)
    accept = {"token": token, "name": "admin", "password": OWNER_PASSWORD}
    taken = await stranger.post("/api/v1/invitations/accept", accept)
    assert (taken.status, taken.json["errors"][0]["pointer"]) == (422, "/name")
    accept["name"] = "ada"
    came = await stranger.post("/api/v1/invitations/accept", accept)
    assert came.status == 200
    me = await stranger.get("/api/v1/me", headers={"Cookie": cookie_of(came)})
    assert me.json["realmRoles"] == {"default": ["operator"]}
    accept["name"] = "bob"
    again = await stranger.post("/api/v1/invitations/accept", accept)
    unknown = await stranger.post("/api/v1/invitations/accept", {**accept, "token": "writi_x"})
    assert (again.status, unknown.status) == (404, 404)
    assert again.json["detail"] == unknown.json["detail"]


async def test_an_invitation_dies_with_the_right_to_give_it(served: ServedHub) -> None:
    owner = await served.owner()
    ada = await served.person("ada", "manager", "default")
    above = await ada.post("/api/v1/invitations", {"role": "manager", "realm": "default"})
    everywhere = await ada.post("/api/v1/invitations", {"role": "member"})
    assert (above.status, everywhere.status) == (403, 403)
    made = await ada.post("/api/v1/invitations", {"role": "operator", "realm": "default"})
    token = made.json["link"].partition("#")[2]
    path = f"/api/v1/realms/default/members/{(await ada.get('/api/v1/me')).json['id']}"
    assert (await owner.send("PUT", path, {"role": "member"})).json["role"] == "member"
    accept = {"token": token, "name": "bob", "password": OWNER_PASSWORD}
    answer = await served.client.as_key(None).post("/api/v1/invitations/accept", accept)
    assert answer.status == 404


async def test_an_invitation_travels_by_mail(tmp_path: Path) -> None:
    from aiosmtpd.smtp import SMTP

    class Inbox:
        def __init__(self) -> None:
            self.mails: list[bytes] = []

        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            self.mails.append(envelope.content)
            return "250 OK"

    inbox = Inbox()
    loop = asyncio.get_running_loop()
    mail_server = await loop.create_server(lambda: SMTP(inbox, loop=loop), "127.0.0.1", 0)
    port = mail_server.sockets[0].getsockname()[1]
    url = f"smtp://127.0.0.1:{port}"
    async with serve(tmp_path / "hub", smtp_url=url, smtp_from="hub@example.org") as served:
        owner = await served.owner()
        body = {"role": "member", "realm": "default", "email": "ada@example.org"}
        made = await owner.post("/api/v1/invitations", body)
        assert made.json["emailed"] is True
        (mail,) = inbox.mails
        message = message_from_bytes(mail, policy=default_policy)
        assert message["To"] == "ada@example.org"
        assert made.json["link"] in message.get_content()
        mail_server.close()
        await mail_server.wait_closed()
        failed = await owner.post("/api/v1/invitations", body)
        assert (failed.status, failed.json["emailed"]) == (201, False)


async def test_without_a_mail_server_an_address_is_refused(served: ServedHub) -> None:
    body = {"role": "member", "realm": "default", "email": "ada@example.org"}
    answer = await (await served.owner()).post("/api/v1/invitations", body)
    assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, "/email")


async def test_a_machine_is_let_in_by_its_person(served: ServedHub) -> None:
    machine = served.client.as_key(None)
    begun = (await machine.post("/api/v1/login/device")).json
    poll = {"deviceCode": begun["deviceCode"]}
    waits = await machine.post("/api/v1/login/device/token", poll)
    assert (waits.status, waits.code) == (400, "authorization_pending")
    fast = await machine.post("/api/v1/login/device/token", poll)
    assert (fast.status, fast.code) == (400, "slow_down")
    owner = await served.owner()
    shown = await owner.get(f"/api/v1/me/device-logins/{begun['userCode'].lower()}")
    assert shown.json["address"] == "127.0.0.1"
    decide = {"userCode": begun["userCode"], "approved": True}
    by_key = await served.client.post("/api/v1/me/device-logins", decide)
    assert (by_key.status, by_key.code) == (403, "forbidden")
    assert (await owner.post("/api/v1/me/device-logins", decide)).status == 200
    assert (await owner.post("/api/v1/me/device-logins", decide)).status == 404
    came = await machine.post("/api/v1/login/device/token", poll)
    assert came.status == 200
    session = machine.as_key(came.json["token"])
    assert (await session.get("/api/v1/me")).json["name"] == "admin"
    again = await machine.post("/api/v1/login/device/token", poll)
    assert (again.status, again.code) == (400, "expired_token")


async def test_a_machine_is_turned_away(served: ServedHub) -> None:
    machine = served.client.as_key(None)
    begun = (await machine.post("/api/v1/login/device")).json
    owner = await served.owner()
    body = {"userCode": begun["userCode"], "approved": False}
    assert (await owner.post("/api/v1/me/device-logins", body)).status == 200
    poll = {"deviceCode": begun["deviceCode"]}
    answer = await machine.post("/api/v1/login/device/token", poll)
    assert (answer.status, answer.code) == (400, "access_denied")
    guess = await machine.post("/api/v1/login/device/token", {"deviceCode": "guess"})
    assert (guess.status, guess.code) == (400, "expired_token")
