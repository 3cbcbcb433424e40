"""Notifications: who is told what, live and by a real mail server, and who is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP

from controlplane.notifications.families import FAMILIES, KINDS, title_of
from tests.controlplane.hubs import Client, ServedHub, serve, until
from tests.servers.receiver import receiving, status


class Mailbox:
    """A mail server's other end: keeps what it is handed, or turns it away."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses = False
        self.refused = 0

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuses:
            self.refused += 1
            return "451 later"
        self.mails.append(message_from_bytes(envelope.content, policy=default_policy))  # type: ignore[arg-type]
        return "250 OK"

    def to(self, address: str) -> list[EmailMessage]:
        return [one for one in self.mails if one["To"] == address]


@asynccontextmanager
async def mail_server() -> AsyncIterator[tuple[Mailbox, str]]:
    box, loop = Mailbox(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(box, loop=loop), "127.0.0.1", 0)
    try:
        yield box, f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


@pytest.fixture(params=["sqlite", "postgres"])
async def stage(
    request: pytest.FixtureRequest, tmp_path: Path
) -> AsyncIterator[tuple[ServedHub, Mailbox]]:
    """A hub on each database, with a mail server."""
    flags: dict[str, Any] = {"public_url": "http://hub.example"}
    if request.param == "postgres":
        flags["database_url"] = request.getfixturevalue("postgres_url")
    async with (
        mail_server() as (box, url),
        serve(tmp_path / "hub", smtp_url=url, **flags) as served,
    ):
        await until(lambda: follows(served))
        yield served, box


async def follows(served: ServedHub) -> bool:
    found = await served.hub.database.read(lambda uow: uow.followers.get("notifications"))
    return found is not None


async def told(client: Client, **query: str) -> list[dict[str, Any]]:
    text = "&".join(f"{name}={value}" for name, value in query.items())
    answer = await client.get(f"/api/v1/notifications?{text}")
    assert answer.status == 200, answer.data
    return list(answer.json["items"])


async def with_address(served: ServedHub, name: str, role: str, realm: str | None) -> Client:
    client = await served.person(name, role, realm)
    id = (await client.get("/api/v1/me")).json["id"]
    email = {"email": f"{name}@example.org"}
    assert (await served.client.send("PATCH", f"/api/v1/users/{id}", email)).status == 200
    return client


async def stop(served: ServedHub, did: str) -> None:
    answer = await served.client.post(f"/api/v1/agents/{did}/quarantine", {"reason": "s3cret why"})
    assert answer.status == 200, answer.data


async def test_a_stopped_agent_is_told_to_its_realm_live_and_by_mail(
    stage: tuple[ServedHub, Mailbox],
) -> None:
    served, box = stage
    ada = await with_address(served, "ada", "operator", "default")
    assert (await served.client.post("/api/v1/realms", {"id": "elsewhere"})).status == 201
    bob = await with_address(served, "bob", "owner", "elsewhere")
    agent = await served.enrol("press")
    async with (
        ada.stream("/api/v1/events") as mine,
        bob.stream("/api/v1/events") as others,
    ):
        await mine.readuntil(b"\r\n\r\n")
        await others.readuntil(b"\r\n\r\n")
        await stop(served, agent.did)
        async with asyncio.timeout(20):
            await mine.readuntil(b"event: notification.created")
        (one,) = await until(lambda: told(ada))
        assert (one["family"], one["title"]) == ("agents", "press was stopped")
        assert (one["kind"], one["subject"]) == ("agent.quarantined", agent.did)
        assert (one["realm"], one["readAt"]) == ("default", None)
        assert await told(bob) == []
        # Something of bob's own realm ends what he may have seen before it.
        served.hub.events.emit("realm.end", realm="elsewhere", data={})
        async with asyncio.timeout(20):
            seen = await others.readuntil(b"event: realm.end")
        assert b"notification" not in seen

    async def mailed() -> list[EmailMessage]:
        return box.to("ada@example.org")

    (mail,) = await until(mailed)
    assert mail["Subject"] == "press was stopped"
    assert "(realm default)" in mail.get_content()
    assert "http://hub.example/" in mail.get_content()
    assert "s3cret" not in mail.get_content()
    assert box.to("bob@example.org") == []


async def test_reading_is_counted_and_is_nobody_elses(
    stage: tuple[ServedHub, Mailbox],
) -> None:
    served, _ = stage
    ada, bob = [await served.person(name, "operator", "default") for name in ("ada", "bob")]
    for name in ("one", "two"):
        await stop(served, (await served.enrol(name)).did)

    async def two() -> Any:
        found = await told(ada, unread="true")
        return found if len(found) == 2 else None

    newest, oldest = await until(two)
    unread = "/api/v1/notifications/unread"
    assert (await ada.get(unread)).json == {"unread": 2}
    path = f"/api/v1/notifications/{oldest['id']}/read"
    assert (await bob.post(path)).status == 404
    assert (await ada.post(path)).status == 204
    assert (await ada.post(path)).status == 204
    assert (await ada.get(unread)).json == {"unread": 1}
    assert [one["id"] for one in await told(ada, unread="true")] == [newest["id"]]
    assert (await ada.post("/api/v1/notifications/read")).json == {"read": 1}
    assert (await bob.get(unread)).json == {"unread": 2}


async def test_who_loses_a_right_no_longer_sees_what_they_were_told(
    stage: tuple[ServedHub, Mailbox],
) -> None:
    served, _ = stage
    ada = await served.person("ada", "operator", "default")
    await stop(served, (await served.enrol("press")).did)
    assert await until(lambda: told(ada))
    removed = await served.client.send("DELETE", "/api/v1/realms/default/members/ada")
    assert removed.status == 204, removed.data

    async def nothing() -> bool:
        return await told(ada) == []

    await until(nothing)
    assert (await ada.get("/api/v1/notifications/unread")).json == {"unread": 0}


async def test_an_agent_that_asks_is_told_to_who_may_let_it_in(
    stage: tuple[ServedHub, Mailbox],
) -> None:
    from tests.controlplane.hub.world import ScriptedAgent

    served, box = stage
    owner = await served.owner()
    member = await served.person("mia", "member", "default")
    agent = ScriptedAgent(served.world())
    await agent.connect()
    await agent.register(name="new-one")
    (one,) = await until(lambda: told(owner))
    assert (one["family"], one["title"]) == ("registrations", "new-one asks to join")
    assert await told(member) == []
    assert box.mails == []  # the owner has no address


async def test_orders_of_one_batch_that_fail_are_one_fact_for_their_giver(
    stage: tuple[ServedHub, Mailbox],
) -> None:
    served, _ = stage
    owner = await served.owner()
    ada = await served.person("ada", "operator", "default")
    for name in ("one", "two"):
        await (await served.enrol(name, labels={"row": "a"})).leave()
    order = {
        "target": {"selector": "row=a"},
        "action": "echo",
        "params": {"word": "do-not-tell"},
        "expiresInSeconds": 1,
    }
    answer = await owner.post("/api/v1/intents", order)
    assert (answer.status, len(answer.json["intents"])) == (202, 2), answer.data
    (one,) = await until(lambda: told(owner))
    assert (one["family"], one["data"]["batchId"]) == ("orders", answer.json["batchId"])
    assert one["title"].startswith("echo on ")
    assert one["title"].endswith(" ended as expired")
    assert "do-not-tell" not in json.dumps(one)

    async def both_ended() -> bool:
        listed = (await owner.get("/api/v1/intents")).json["items"]
        return all(intent["state"] == "expired" for intent in listed)

    await until(both_ended)
    assert len(await told(owner)) == 1
    assert await told(ada) == []


async def test_people_choose_what_they_are_told_and_how(
    stage: tuple[ServedHub, Mailbox],
) -> None:
    served, box = stage
    ada = await with_address(served, "ada", "operator", "default")
    bob = await with_address(served, "bob", "operator", "default")
    path = "/api/v1/me/notification-preferences"
    before = (await ada.get(path)).json
    assert (before["email"], before["hubSendsMail"]) == ("ada@example.org", True)
    assert set(before["families"]) == set(FAMILIES)
    change = {"families": {"agents": {"inApp": False, "email": "off"}}}
    after = (await ada.send("PATCH", path, change)).json
    assert after["families"]["agents"]["email"] == "off"
    assert after["families"]["orders"] == before["families"]["orders"]
    digest = {"families": {"agents": {"email": "digest"}}}
    await bob.send("PATCH", path, digest)
    for body, pointer in (
        ({"families": {"nothing": {}}}, "/families/nothing/[key]"),
        ({"families": {}}, "/families"),
        ({"families": {"agents": {"email": "hourly"}}}, "/families/agents/email"),
    ):
        answer = await ada.send("PATCH", path, body)
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer)

    await stop(served, (await served.enrol("press")).did)
    (one,) = await until(lambda: told(bob))
    assert await told(ada) == []
    due = await served.hub.database.read(lambda uow: uow.notifications.people_to_mail(uow.now, 10))
    assert due == []
    assert box.mails == []
    assert one["readAt"] is None


async def test_mail_that_is_not_taken_is_sent_again_and_what_was_read_is_not(
    stage: tuple[ServedHub, Mailbox],
) -> None:
    served, box = stage
    box.refuses = True
    await with_address(served, "ada", "operator", "default")
    await stop(served, (await served.enrol("press")).did)

    async def refused() -> bool:
        return box.refused > 0

    await until(refused)
    box.refuses = False

    async def due_again() -> Any:
        def unit(uow: Any) -> list[Any]:
            table = uow.notifications.mapping.table.c
            return [
                uow.notifications._change([table.id == one.id], mail_at=uow.now)
                for one in uow.notifications._all(table.mail == "immediate")
                if one.mail_attempts and one.mail_at is not None
            ]

        return await served.hub.database.write(unit)

    async def mailed() -> Any:
        await due_again()
        return box.to("ada@example.org")

    await until(mailed)


async def test_what_was_read_before_its_digest_is_not_mailed(
    stage: tuple[ServedHub, Mailbox],
) -> None:
    served, box = stage
    ada = await with_address(served, "ada", "operator", "default")
    digest = {"families": {"agents": {"email": "digest"}}}
    await ada.send("PATCH", "/api/v1/me/notification-preferences", digest)
    for name in ("one", "two", "three"):
        await stop(served, (await served.enrol(name)).did)

    async def three() -> Any:
        found = await told(ada, unread="true")
        return found if len(found) == 3 else None

    newest, *_ = await until(three)
    await ada.post(f"/api/v1/notifications/{newest['id']}/read")

    def day_is_over(uow: Any) -> None:
        table = uow.notifications.mapping.table.c
        oldest = uow.notifications._all(table.mail == "digest", order=table.id)[0]
        uow.notifications._change([table.id == oldest.id], mail_at=uow.now)

    await served.hub.database.write(day_is_over)

    async def mailed() -> Any:
        return box.to("ada@example.org")

    (mail,) = await until(mailed)
    assert mail["Subject"] == "2 things on Writ"
    assert "one was stopped" in mail.get_content()
    assert "two was stopped" in mail.get_content()
    assert "three" not in mail.get_content()


async def test_a_disabled_webhook_is_told_to_who_may_mend_it(tmp_path: Path) -> None:
    flags = {"webhook_allowed_networks": ("127.0.0.1/32",)}
    async with receiving() as receiver, serve(tmp_path / "hub", **flags) as served:
        receiver.answer = status(410)
        await until(lambda: follows(served))
        admin = await served.person("ann", "admin", "default")
        operator = await served.person("oli", "operator", "default")
        body = {"url": f"{receiver.url}/secret-of-the-path", "events": ["*"], "realm": "default"}
        made = await admin.post("/api/v1/webhooks", body)
        assert (await admin.post("/api/v1/webhooks", {**body, "realm": None})).status in (403, 422)
        changed = await served.client.send(
            "PATCH", "/api/v1/realms/default", {"description": "changed"}
        )
        assert changed.status == 200
        (one,) = await until(lambda: told(admin))
        assert one["subject"] == made.json["id"]
        assert one["title"] == f"the webhook to 127.0.0.1:{receiver.port} was disabled: gone"
        assert "secret-of-the-path" not in json.dumps(one)
        assert await told(operator) == []


async def test_keys_and_machines_are_told_nothing(stage: tuple[ServedHub, Mailbox]) -> None:
    served, _ = stage
    owner = await served.owner()
    body = {"name": "ci", "roles": ["admin"]}
    made = await owner.post("/api/v1/api-keys", body)
    machine = served.client.as_key(made.json["key"])
    assert (await machine.get("/api/v1/notifications")).status == 403
    scoped = await owner.post("/api/v1/api-keys", {"name": "watch", "scopes": ["notifications"]})
    watch = served.client.as_key(scoped.json["key"])
    await stop(served, (await served.enrol("press")).did)
    assert await until(lambda: told(watch))


def test_every_title_is_one_bounded_line_whatever_names_say() -> None:
    evil = {"agentName": "x\r\nBcc: all@example.org\x1b[2J", "tool": "t" * 1_000, "name": "\u2028"}
    for kind in KINDS:
        title = title_of(kind, evil)
        assert title.isprintable()
        assert len(title) <= 200
    assert set(KINDS.values()) == set(FAMILIES)
