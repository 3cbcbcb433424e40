"""Reports of forks: only what the log's own key has signed twice over is put on the record."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from controlplane.audit.service import log_origin
from protocol.checkpoint import seal_checkpoint
from protocol.keys import SigningKey
from tests.controlplane.hubs import Client, ServedHub, serve
from tests.controlplane.test_notifications import follows, told, until

ROOT, OTHER = b"\x01" * 32, b"\x02" * 32


@pytest.fixture(params=["sqlite", "postgres"])
async def served(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ServedHub]:
    """A hub on each database, whose people can be told."""
    flags: dict[str, Any] = {}
    if request.param == "postgres":
        flags["database_url"] = request.getfixturevalue("postgres_url")
    async with serve(tmp_path / "hub", **flags) as one:
        await until(lambda: follows(one))
        yield one


def signed(served: ServedHub, size: int, root: bytes, *, key: SigningKey | None = None) -> str:
    """A checkpoint as the log's key signs them; whoever has that key can make one."""
    identity = served.hub.identity
    return seal_checkpoint(log_origin(identity), size, root, key or identity.log_key)


async def report(client: Client, before: str, now: str) -> Any:
    body = {"seenBefore": before, "shownNow": now}
    return await client.post("/api/v1/audit/fork-reports", body)


async def shown_now(served: ServedHub) -> str:
    return str((await served.client.get("/api/v1/audit/checkpoint")).json["checkpoint"])


async def recorded(served: ServedHub) -> list[dict[str, Any]]:
    answer = await served.client.get("/api/v1/audit?kind=audit.fork_reported")
    return list(answer.json["items"])


async def test_two_records_of_one_size_are_put_on_the_record_once_and_told(
    served: ServedHub,
) -> None:
    eve = await served.person("eve", "auditor", None)
    one, other = signed(served, 5, ROOT), signed(served, 5, OTHER)
    found = await report(eve, one, other)
    assert (found.status, found.json["why"]) == (201, "two_roots")
    # Lines that others add to a note, and another order, make no second proof of it.
    stranger = signed(served, 5, OTHER, key=SigningKey.from_seed(b"\x07" * 32)).rpartition("\n\n")[
        2
    ]
    again = await report(served.client, other + stranger, one)
    assert (again.status, again.json["id"]) == (201, found.json["id"])
    [leaf] = await recorded(served)
    assert {leaf["data"]["seenBefore"], leaf["data"]["shownNow"]} == {one, other}
    assert (leaf["subject"], leaf["realms"]) == (found.json["id"], [])

    async def notices() -> list[dict[str, Any]]:
        return [item for item in await told(eve) if item["family"] == "record"]

    [notice] = await until(notices)
    assert notice["title"] == "the record has a fork: two roots"


async def test_what_the_record_does_not_contain_is_a_fork(served: ServedHub) -> None:
    now = await shown_now(served)
    for before, why in (
        (signed(served, 2, ROOT), "not_contained"),
        (signed(served, 1_000_000, ROOT), "cut_short"),
        (seal_checkpoint("another/log", 2, ROOT, served.hub.identity.log_key), "two_names"),
    ):
        found = await report(served.client, before, now)
        assert (found.status, found.json["why"]) == (201, why)
    assert len(await recorded(served)) == 3


async def test_what_can_be_true_or_was_never_signed_is_no_report(served: ServedHub) -> None:
    before = await shown_now(served)
    assert (await served.client.post("/api/v1/realms", {"id": "grown"})).status == 201
    now = await shown_now(served)
    stranger = signed(served, 2, ROOT, key=SigningKey.from_seed(b"\x07" * 32))
    long = before.rpartition("\n\n")[0] + "\n" + "x" * 5_000 + "\n\n" + before.rpartition("\n\n")[2]
    for one, other, pointer in (
        (before, now, "/shownNow"),
        (now, now, "/shownNow"),
        (stranger, now, "/seenBefore"),
        (before, stranger, "/shownNow"),
        (long, now, "/seenBefore"),
        ("hello", now, "/seenBefore"),
        ("x" * 20_000, now, "/seenBefore"),
    ):
        answer = await report(served.client, one, other)
        assert (answer.status, answer.json["errors"][0]["pointer"]) == (422, pointer)
    mia = await served.person("mia", "member", "default")
    assert (await report(mia, signed(served, 2, ROOT), now)).status == 403
    assert await recorded(served) == []
