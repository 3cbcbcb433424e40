"""Webhooks from making one to its last attempt, against a real receiver on a socket."""

from __future__ import annotations

import ast
import asyncio
import json
from collections.abc import AsyncIterator, Awaitable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from controlplane.audit.kinds import FAMILIES, KINDS, kinds_of
from controlplane.webhooks.addresses import (
    hide_address,
    open_address,
    seal_addresses,
    shorten_address,
)
from protocol.http_target import parse_target
from protocol.messages import DocumentAckItem
from tests.controlplane import hubs
from tests.controlplane.hubs import Client, ServedHub, serve
from tests.servers.receiver import Post, Receiver, receiving, status

ROOM = Path(__file__).parents[2] / "controlplane"
QUICK = {
    "webhook_allowed_networks": ("127.0.0.0/8",),
    "webhook_first_retry_seconds": 0.05,
    "webhook_max_retry_seconds": 0.1,
    "webhook_timeout_seconds": 1,
    "webhook_attempts": 3,
}


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as one:
        yield one


@pytest.fixture(params=["sqlite", "postgres"])
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServedHub]:
    """A hub on each database, whose webhooks may reach loopback."""
    flags: dict[str, Any] = dict(QUICK)
    if request.param == "postgres":
        flags["database_url"] = request.getfixturevalue("postgres_url")
    async with serve(tmp_path / "hub", **flags) as one:
        yield one


async def make(client: Client, url: str, *events: str, **fields: Any) -> dict[str, Any]:
    answer = await client.post(
        "/api/v1/webhooks", {"url": url, "events": list(events) or ["*"], **fields}
    )
    assert answer.status == 201, answer.data
    return dict(answer.json)


until = partial(hubs.until, seconds=20)


async def deliveries(client: Client, id: str, **query: str) -> list[dict[str, Any]]:
    text = "&".join(f"{name}={value}" for name, value in query.items())
    answer = await client.get(f"/api/v1/webhooks/{id}/deliveries?{text}")
    assert answer.status == 200, answer.data
    return list(answer.json["items"])


async def make_realm(client: Client, name: str) -> None:
    assert (await client.post("/api/v1/realms", {"id": name})).status == 201


def test_every_leaf_the_code_appends_can_be_subscribed() -> None:
    found: set[str] = set()
    for path in ROOM.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = node.func.value
            if node.func.attr != "append" or getattr(owner, "attr", "") != "audit":
                continue
            match node.args[0]:
                case ast.Constant(value=str() as kind):
                    found.add(kind)
                case ast.JoinedStr(values=[ast.Constant(value=str() as prefix), *_]):
                    found |= {kind for kind in KINDS if kind.startswith(prefix)}
                case ast.Name(id="kind"):
                    found |= {"agent.quarantined", "agent.released"}
                case other:
                    raise AssertionError(f"{path}: which kinds is {ast.dump(other)}?")
    assert found == set(KINDS)


def test_what_an_agent_says_to_a_document_is_a_kind() -> None:
    states = get_args(DocumentAckItem.model_fields["state"].annotation)
    assert {f"document.{state}" for state in states} == kinds_of(["document.*"])


def test_a_family_is_every_kind_of_it() -> None:
    assert kinds_of(["intent.*"]) == {kind for kind in KINDS if kind.startswith("intent.")}
    assert "key_conflict" in kinds_of(["agent.*"])
    assert kinds_of(["*"]) == set(KINDS)
    assert kinds_of(["nothing.*", "intent"]) == frozenset()
    assert {"intent", "agent", "approval", "member"} <= set(FAMILIES)


async def test_an_event_arrives_signed_as_the_standard_says(
    served: ServedHub, receiver: Receiver
) -> None:
    made = await make(served.client, receiver.url, "realm.*")
    await make_realm(served.client, "lab")
    (post,) = await receiver.wait_for(1)
    event = post.verified_by(made["secret"])
    assert (event["type"], event["data"]["subject"]) == ("realm.created", "lab")
    assert event["data"]["realms"] == ["lab"]
    assert post.path == "/hook"
    assert post.headers["content-type"] == "application/json"
    assert post.headers["host"] == f"127.0.0.1:{receiver.port}"
    with pytest.raises(WebhookVerificationError):
        Webhook(made["secret"]).verify(post.body + b" ", post.headers)
    (one,) = await until(lambda: deliveries(served.client, made["id"], state="delivered"))
    assert (one["id"], one["status"], one["attempts"]) == (post.headers["webhook-id"], 200, 1)
    assert one["body"].encode() == post.body


async def test_the_secret_is_shown_once_and_lies_sealed(
    served: ServedHub, receiver: Receiver
) -> None:
    headers = {"Idempotency-Key": "once"}
    body = {"url": receiver.url, "events": ["*"]}
    first = await served.client.post("/api/v1/webhooks", body, headers=headers)
    again = await served.client.post("/api/v1/webhooks", body, headers=headers)
    secret, id = first.json["secret"], first.json["id"]
    assert secret.startswith("whsec_")
    assert (again.json["id"], again.json["secret"]) == (id, None)
    for path in (f"/api/v1/webhooks/{id}", "/api/v1/webhooks", "/api/v1/audit"):
        assert secret.encode() not in (await served.client.get(path)).data
    record = await served.hub.database.read(lambda uow: uow.webhooks.get(id))
    assert secret.encode() not in record.sealed_secret
    assert "secret" not in repr(record)


async def test_an_address_lies_sealed_and_is_whole_only_for_who_may_change_it(
    served: ServedHub, receiver: Receiver
) -> None:
    password = "T0PSECRETpathPASSWORD4f2a"
    url = f"{receiver.url}/{password}?key={password[::-1]}"
    shown = f"http://127.0.0.1:{receiver.port}/ …{url[-4:]}"
    headers = {"Idempotency-Key": "once"}
    body = {"url": url, "events": ["realm.created"], "realm": "default"}
    made = await served.client.post("/api/v1/webhooks", body, headers=headers)
    again = await served.client.post("/api/v1/webhooks", body, headers=headers)
    assert (made.json["url"], again.json["url"]) == (url, shown)
    owner = await served.owner()
    scopes = {"name": "looks", "scopes": ["webhooks.read"]}
    key = (await owner.post("/api/v1/api-keys", scopes)).json["key"]
    path = f"/api/v1/webhooks/{made.json['id']}"
    for client, seen in ((served.client, url), (served.client.as_key(key), shown)):
        listed = (await client.get("/api/v1/webhooks")).json["items"]
        assert [one["url"] for one in listed] == [seen] == [(await client.get(path)).json["url"]]

    async def echo(post: Post, writer: asyncio.StreamWriter) -> None:
        await status(500, f"Cannot POST {post.path}, {password[:9]}".encode())(post, writer)

    receiver.answer = echo
    tested = (await served.client.post(f"{path}/test")).json
    assert receiver.posts[-1].path == url.removeprefix(f"http://127.0.0.1:{receiver.port}")
    assert tested["excerpt"] == "Cannot POST …, …"
    # Another address, and back: what lies in the database is never it.
    other = url.replace("4f2a", "9c1b")
    assert (await served.client.send("PATCH", path, {"url": other})).json["url"] == other
    record = await served.hub.database.read(lambda uow: uow.webhooks.get(made.json["id"]))
    assert password[:20] not in repr(record)
    assert password[:20].encode() not in record.sealed_url
    refused = await served.client.send("PATCH", path, {"url": shown})
    assert (refused.status, refused.json["errors"][0]["pointer"]) == (422, "/url")
    assert (await served.client.get(path)).json["url"] == other


async def test_what_the_release_before_kept_in_the_open_is_sealed_and_sent_to_all_the_while(
    served: ServedHub, receiver: Receiver
) -> None:
    made = await make(served.client, receiver.url, "realm.created")
    database, id = served.hub.database, made["id"]
    for tail in ("first-word-of-the-receiver", "second-word-of-the-receiver"):
        url = f"{receiver.url}/{tail}"
        # As an older process makes one, and as it changes one that is sealed already.
        change = {"url": url} | ({"sealed_url": None} if tail.startswith("first") else {})
        await database.write(lambda uow, change=change: uow.webhooks.note(id, **change))
        for _ in range(2):
            assert (await served.client.post(f"/api/v1/webhooks/{id}/test")).status == 200
            assert receiver.posts[-1].path.endswith(tail)
            await seal_addresses(served.hub)
        record = await database.read(lambda uow: uow.webhooks.get(id))
        assert record.url == shorten_address(url) != url
        assert open_address(served.hub.secrets, record) == url


def test_what_is_shown_of_an_address_tells_it_apart_and_is_none() -> None:
    for url, shown in (
        ("https://example.org", "https://example.org"),
        ("https://example.org/", "https://example.org/"),
        ("https://example.org/hook", "https://example.org/ …"),
        ("https://example.org:8/services/T0/B0/1234abcd", "https://example.org:8/ …abcd"),
        ("https://example.org?key=123456789012", "https://example.org/ …9012"),
        ("https://[2001:db8::1]/services/0123456789", "https://[2001:db8::1]/ …6789"),
    ):
        assert shorten_address(url) == shown
        if url != shown:
            with pytest.raises(ValueError, match="not a URL"):
                parse_target(shown)


def test_what_a_receiver_repeats_of_its_address_is_left_out() -> None:
    url = "https://example.org/services/T0000/abcdefgh%2Bij?key=zyxwvuts"
    assert hide_address(None, url) is None
    assert hide_address("fine", url) == "fine"
    assert hide_address("no /services/T0000/abcdefgh%2Bij?key=zyxwvuts", url) == "no …"
    assert hide_address("<b>abcdefgh+ij</b> &amp; zyxwvuts", url) == "<b>…</b> &amp; …"
    assert hide_address("cut off at abcdefg", url) == "cut off at …"


async def test_only_events_that_were_asked_for_arrive(
    served: ServedHub, receiver: Receiver
) -> None:
    await make(served.client, receiver.url, "realm.changed", "invitation.*")
    await make_realm(served.client, "lab")
    owner = await served.owner()
    await owner.post("/api/v1/invitations", {"role": "member", "realm": "lab"})
    await served.client.send("PATCH", "/api/v1/realms/lab", {"description": "new"})
    posts = await receiver.wait_for(2)
    assert sorted(post.json["type"] for post in posts) == ["invitation.created", "realm.changed"]


async def test_a_realms_webhook_is_told_of_its_realm_only(
    served: ServedHub, receiver: Receiver
) -> None:
    await make_realm(served.client, "lab")
    await make_realm(served.client, "elsewhere")
    ada = await served.person("ada", "admin", "lab")
    assert (
        await ada.post("/api/v1/webhooks", {"url": receiver.url, "events": ["*"]})
    ).status == 403
    made = await make(ada, receiver.url, "*", realm="lab")
    assert made["realm"] == "lab"
    for realm in ("elsewhere", "lab"):
        path = f"/api/v1/realms/{realm}"
        await served.client.send("PATCH", path, {"description": "private"})
    (post,) = await receiver.wait_for(1)
    assert (post.json["type"], post.json["data"]["realms"]) == ("realm.changed", ["lab"])
    owed = await deliveries(served.client, made["id"])
    assert [one["id"] for one in owed] == [post.headers["webhook-id"]]


async def test_orders_arrive_without_params_and_outputs(
    served: ServedHub, receiver: Receiver
) -> None:
    await make(served.client, receiver.url, "intent.*", realm="default")
    agent = await served.enrol()
    order = {
        "target": {"agent": agent.did},
        "action": "echo",
        "params": {"password": "do-not-tell"},
    }
    ordered = await served.client.post("/api/v1/intents", order)
    assert ordered.status == 202, ordered.data
    posts = await receiver.wait_for(2)
    submitted = next(post.json for post in posts if post.json["type"] == "intent.submitted")
    assert submitted["data"]["action"] == "echo"
    assert submitted["data"]["agent"] == agent.did
    assert submitted["data"]["subject"] == ordered.json["intents"][0]["id"]
    assert b"do-not-tell" not in b"".join(post.body for post in posts)


async def test_a_failing_receiver_gets_it_again_under_the_same_id_until_it_is_a_dead_letter(
    served: ServedHub, receiver: Receiver
) -> None:
    receiver.answer = status(500, b"no \x1b[31mroom")
    made = await make(served.client, receiver.url, "realm.created")
    await make_realm(served.client, "lab")
    dead = await until(lambda: deliveries(served.client, made["id"], state="dead"))
    assert len({post.headers["webhook-id"] for post in receiver.posts}) == 1
    assert [one["attempts"] for one in dead] == [3] == [len(receiver.posts)]
    assert (dead[0]["status"], dead[0]["excerpt"]) == (500, "no  [31mroom")
    shown = (await served.client.get(f"/api/v1/webhooks/{made['id']}")).json
    assert (shown["state"], shown["dead"], shown["pending"]) == ("enabled", 1, 0)
    assert shown["failingSince"] is not None

    receiver.answer = status(204, b"")
    replayed = await served.client.post(f"/api/v1/webhooks/{made['id']}/replay")
    assert replayed.json == {"replayed": 1}
    (one,) = await until(lambda: deliveries(served.client, made["id"], state="delivered"))
    assert one["id"] == dead[0]["id"]
    shown = (await served.client.get(f"/api/v1/webhooks/{made['id']}")).json
    assert shown["failingSince"] is None
    path = f"/api/v1/webhooks/{made['id']}/deliveries/{one['id']}/replay"
    assert (await served.client.post(path)).json["state"] == "pending"
    posts = await receiver.wait_for(5)
    assert len({post.headers["webhook-id"] for post in posts}) == 1


async def test_a_span_is_sent_again_what_arrived_too_and_tests_are_not(
    served: ServedHub, receiver: Receiver
) -> None:
    made = await make(served.client, receiver.url, "realm.created")
    path = f"/api/v1/webhooks/{made['id']}"
    for name in ("one", "two", "three"):
        await make_realm(served.client, name)
    await receiver.wait_for(3)
    assert (await served.client.post(f"{path}/test")).status == 200
    arrived = await until(
        lambda: _when(deliveries(served.client, made["id"], state="delivered"), 4)
    )
    _, third, second, first = arrived
    span = {"since": second["createdAt"], "until": third["createdAt"], "delivered": True}
    if second["createdAt"] == third["createdAt"]:
        del span["until"]
    owed = [one for one in (second, third) if "until" not in span or one is second]
    owed += [first] if first["createdAt"] == second["createdAt"] else []
    assert (await served.client.post(f"{path}/replay", span)).json == {"replayed": len(owed)}
    posts = await receiver.wait_for(4 + len(owed))
    assert {one.headers["webhook-id"] for one in posts[4:]} == {one["id"] for one in owed}
    assert (await served.client.post(f"{path}/replay")).json == {"replayed": 0}

    unbounded = await served.client.post(f"{path}/replay", {"delivered": True})
    assert (unbounded.status, unbounded.json["errors"][0]["pointer"]) == (422, "/since")
    assert (await served.client.post(f"{path}/replay", {"since": "today"})).status == 422


async def _when(found: Awaitable[list[dict[str, Any]]], count: int) -> list[dict[str, Any]]:
    return one if len(one := await found) >= count else []


async def test_what_is_gone_is_disabled_and_catches_up_when_asked(
    served: ServedHub, receiver: Receiver
) -> None:
    receiver.answer = status(410)
    made = await make(served.client, receiver.url, "realm.created")
    path = f"/api/v1/webhooks/{made['id']}"
    await make_realm(served.client, "one")

    async def disabled() -> Any:
        shown = (await served.client.get(path)).json
        return shown if shown["state"] == "disabled" else None

    shown = await until(disabled)
    assert (shown["disabledReason"], shown["dead"]) == ("gone", 1)
    leaves = (await served.client.get("/api/v1/audit?kind=webhook.disabled")).json["items"]
    assert [leaf["subject"] for leaf in leaves] == [made["id"]]
    await make_realm(served.client, "two")
    receiver.answer = status(200)
    assert len(receiver.posts) == 1
    answer = await served.client.send("PATCH", path, {"enabled": True, "catchUp": True})
    assert answer.json["state"] == "enabled"
    posts = await receiver.wait_for(2)
    assert posts[1].json["data"]["subject"] == "two"
    await served.client.send("PATCH", path, {"enabled": False})
    await make_realm(served.client, "three")
    await served.client.send("PATCH", path, {"enabled": True})
    await make_realm(served.client, "four")
    posts = await receiver.wait_for(3)
    assert posts[2].json["data"]["subject"] == "four"


async def test_a_receiver_that_asks_for_time_gets_it(served: ServedHub, receiver: Receiver) -> None:
    receiver.answer = status(429, b"", Retry_After="3600")
    made = await make(served.client, receiver.url, "realm.created")
    await make_realm(served.client, "one")
    await receiver.wait_for(1)

    async def paused() -> Any:
        return (await served.client.get(f"/api/v1/webhooks/{made['id']}")).json["pausedUntil"]

    until_when = await until(paused)
    await make_realm(served.client, "two")
    waiting = await until(lambda: _two(served.client, made["id"]))
    assert waiting[1]["nextAttemptAt"] >= until_when[:16]
    assert waiting[0]["attempts"] == 0
    assert len(receiver.posts) == 1


async def _two(client: Client, id: str) -> list[dict[str, Any]] | None:
    found = await deliveries(client, id, state="pending")
    return found if len(found) == 2 else None


async def test_after_a_long_failure_a_webhook_is_disabled(
    receiver: Receiver, tmp_path: Path
) -> None:
    flags: dict[str, Any] = {**QUICK, "webhook_disable_after_seconds": 0.2, "webhook_attempts": 32}
    receiver.answer = status(503)
    async with serve(tmp_path / "hub", **flags) as served:
        made = await make(served.client, receiver.url, "realm.created")
        await make_realm(served.client, "one")

        async def disabled() -> Any:
            shown = (await served.client.get(f"/api/v1/webhooks/{made['id']}")).json
            return shown if shown["state"] == "disabled" else None

        shown = await until(disabled)
        assert (shown["disabledReason"], shown["pending"]) == ("failing", 1)


async def test_a_new_secret_signs_beside_the_old_one_for_a_while(
    served: ServedHub, receiver: Receiver
) -> None:
    made = await make(served.client, receiver.url, "realm.created")
    path = f"/api/v1/webhooks/{made['id']}/rotate-secret"
    renewed = (await served.client.post(path)).json
    assert renewed["secret"] not in (None, made["secret"])
    await make_realm(served.client, "lab")
    (post,) = await receiver.wait_for(1)
    assert post.verified_by(made["secret"]) == post.verified_by(renewed["secret"])
    assert len(post.headers["webhook-signature"].split()) == 2

    def end_grace(uow: Any) -> None:
        found = uow.webhooks.get(made["id"])
        uow.webhooks.note(found.id, previous_until=found.created_at)

    await served.hub.database.write(end_grace)
    await make_realm(served.client, "next")
    posts = await receiver.wait_for(2)
    assert posts[1].verified_by(renewed["secret"])
    with pytest.raises(WebhookVerificationError):
        posts[1].verified_by(made["secret"])


async def test_a_test_tells_at_once_how_it_went_and_changes_nothing(
    served: ServedHub, receiver: Receiver
) -> None:
    made = await make(served.client, receiver.url, "realm.removed")
    path = f"/api/v1/webhooks/{made['id']}"
    good = (await served.client.post(f"{path}/test")).json
    assert (good["state"], good["status"], good["type"]) == ("delivered", 200, "webhook.test")
    assert receiver.posts[0].verified_by(made["secret"])["data"]["webhook"] == made["id"]
    receiver.answer = status(302, b"", Location="http://127.0.0.1:1/elsewhere")
    bad = (await served.client.post(f"{path}/test")).json
    assert (bad["state"], bad["status"], bad["attempts"]) == ("dead", 302, 1)
    assert (await served.client.get(path)).json["failingSince"] is None
    assert (await served.client.post(f"{path}/replay")).json == {"replayed": 0}


async def test_a_hanging_receiver_holds_nobody_else_up(
    served: ServedHub, receiver: Receiver
) -> None:
    async def hang(*_: Any) -> None:
        await asyncio.Event().wait()

    async with receiving() as hanging:
        hanging.answer = hang
        slow = await make(served.client, hanging.url, "realm.created")
        await make(served.client, receiver.url, "realm.created")
        for number in range(12):
            await make_realm(served.client, f"realm-{number}")
        await receiver.wait_for(12)
        assert len(hanging.posts) >= 1
        assert hanging.most_open <= served.settings.webhook_concurrency

        async def timed_out() -> Any:
            found = await deliveries(served.client, slow["id"])
            return [one for one in found if one["error"] == "timed_out"]

        assert await until(timed_out)


async def test_what_does_not_fit_in_the_queue_waits_in_the_record(
    receiver: Receiver, tmp_path: Path
) -> None:
    receiver.answer = status(503, b"", Retry_After="3600")
    flags: dict[str, Any] = {**QUICK, "webhook_max_pending": 3}
    async with serve(tmp_path / "hub", **flags) as served:
        made = await make(served.client, receiver.url, "realm.created")
        for number in range(8):
            await make_realm(served.client, f"realm-{number}")

        async def full() -> Any:
            shown = (await served.client.get(f"/api/v1/webhooks/{made['id']}")).json
            return shown["pending"] == 3 and shown["pausedUntil"]

        await until(full)
        receiver.answer = status(200)
        receiver.posts.clear()
        await served.hub.database.write(
            lambda uow: uow.webhooks.note(made["id"], paused_until=None)
        )
        now = await served.hub.database.read(lambda uow: uow.now)

        def hurry(uow: Any) -> None:
            for one in uow.deliveries.list(made["id"], state="pending").items:
                uow.deliveries._change([uow.deliveries.mapping.table.c.id == one.id], next_at=now)

        await served.hub.database.write(hurry)
        posts = await receiver.wait_for(8)
        assert {post.json["data"]["subject"] for post in posts} == {
            f"realm-{number}" for number in range(8)
        }


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"url": "http://example.org/x"}, "/url"),
        ({"url": "https://169.254.169.254/latest"}, "/url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "/url"),
        ({"url": "https://user:word@example.org/"}, "/url"),
        ({"url": "ftp://example.org/"}, "/url"),
        ({"url": "https://exa mple.org/"}, "/url"),
        ({"events": ["intent.*", "made.up"]}, "/events/1"),
        ({"events": []}, "/events"),
        ({"realm": "nowhere"}, "/realm"),
        ({"secret": "whsec_mine"}, "/secret"),
    ],
)
async def test_what_could_never_be_sent_is_refused_by_field(
    tmp_path: Path, body: dict[str, Any], pointer: str
) -> None:
    async with serve(tmp_path / "hub") as served:
        whole = {"url": "https://example.org/hook", "events": ["*"], **body}
        answer = await served.client.post("/api/v1/webhooks", whole)
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer)


async def test_another_realms_webhook_is_not_there(served: ServedHub, receiver: Receiver) -> None:
    await make_realm(served.client, "lab")
    made = await make(served.client, receiver.url, "*", realm="default")
    hubs = await make(served.client, receiver.url, "realm.removed")
    ada = await served.person("ada", "admin", "lab")
    for id in (made["id"], hubs["id"]):
        path = f"/api/v1/webhooks/{id}"
        for method, tail in (
            ("GET", ""),
            ("DELETE", ""),
            ("GET", "/deliveries"),
            ("POST", "/test"),
            ("POST", "/replay"),
        ):
            assert (await ada.send(method, path + tail)).status == 404
    assert (await ada.get("/api/v1/webhooks")).json["items"] == []


async def test_an_edit_over_another_version_is_refused(
    served: ServedHub, receiver: Receiver
) -> None:
    made = await make(served.client, receiver.url, "realm.removed")
    path, old = f"/api/v1/webhooks/{made['id']}", {"If-Match": made["etag"]}
    edit = {"description": "for the on-call"}
    assert (await served.client.send("PATCH", path, edit, headers=old)).status == 200
    assert (await served.client.send("PATCH", path, edit, headers=old)).status == 412
    leaves = (await served.client.get("/api/v1/audit?kind=webhook.changed")).json["items"]
    assert receiver.url not in json.dumps(leaves)
    assert (await served.client.send("DELETE", path)).status == 204
    assert (await served.client.get(path)).status == 404


async def test_the_events_there_are_can_be_listed(served: ServedHub) -> None:
    items = (await served.client.get("/api/v1/webhook-events")).json["items"]
    assert {one["type"] for one in items} == set(KINDS)
    assert all(one["description"] and one["family"] for one in items)
