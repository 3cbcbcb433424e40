"""Who follows the record, notifications and webhooks: not far behind, nor on every commit."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from controlplane import app
from controlplane.notifications import following as telling
from controlplane.notifications.following import tell_people
from controlplane.webhooks import following as calling
from controlplane.webhooks import worker
from controlplane.webhooks.following import follow_record
from storage.errors import UnavailableError
from storage.unit_of_work import UnitOfWork
from tests.controlplane.hubs import ServedHub, serve
from tests.servers.receiver import receiving

Follow = Callable[[Any], Awaitable[bool | None]]
FOLLOWERS = pytest.mark.parametrize("follow", [tell_people, follow_record])


@asynccontextmanager
async def nobody(_hub: Any) -> AsyncIterator[None]:
    """In the place of what a hub does by itself."""
    yield


@pytest.fixture
async def followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ServedHub]:
    """A hub with a webhook, whose record nobody follows but the test."""
    monkeypatch.setattr(app, "run_maintenance", nobody)
    monkeypatch.setattr(app, "run_webhooks", nobody)
    async with (
        receiving() as receiver,
        serve(tmp_path / "hub", webhook_allowed_networks=("127.0.0.0/8",)) as served,
    ):
        await tell_people(served.hub)  # begins with what happens from now on
        hook = {"url": receiver.url, "events": ["realm.*"]}
        assert (await served.client.post("/api/v1/webhooks", hook)).status == 201
        yield served


async def make_realm(served: ServedHub, number: int) -> None:
    answer = await served.client.post("/api/v1/realms", {"id": f"realm-{number}"})
    assert answer.status == 201, answer.data


class Busy:
    """The hub's database, in which something happens after whatever is written, ten times."""

    def __init__(self, served: ServedHub) -> None:
        self._served = served
        self.looks = self.commits = 0

    async def read(self, unit: Callable[[UnitOfWork], Any]) -> Any:
        self.looks += 1
        return await self._served.hub.database.read(unit)

    async def write(self, unit: Callable[[UnitOfWork], Any]) -> Any:
        value = await self._served.hub.database.write(unit)
        self.commits += 1
        if self.commits <= 10:
            await make_realm(self._served, self.commits)
        return value


@FOLLOWERS
async def test_a_steady_stream_of_leaves_costs_one_look_and_not_a_commit_each(
    followed: ServedHub, follow: Follow
) -> None:
    await make_realm(followed, 0)
    busy = Busy(followed)
    hub: Any = dataclasses.replace(followed.hub, database=busy)  # type: ignore[arg-type]
    assert not await follow(hub)
    assert busy.commits == 1
    assert busy.looks <= 2  # who is behind, and by what


@FOLLOWERS
async def test_who_is_far_behind_catches_up_without_a_pause(
    followed: ServedHub, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(telling, "CHUNK_LEAVES", 2)
    monkeypatch.setattr(calling, "CHUNK_LEAVES", 2)
    for number in range(5):
        await make_realm(followed, number)
    while await follow(followed.hub):
        pass

    def places(uow: UnitOfWork) -> tuple[int | None, int, int]:
        (webhook,) = uow.webhooks.enabled()
        return uow.followers.get(telling.FOLLOWER), webhook.next_index, uow.audit.size()

    told, called, size = await followed.hub.database.read(places)
    assert (told if follow is tell_people else called) == size


async def test_a_look_that_fails_is_not_tried_again_before_the_next_one_is_due(
    followed: ServedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    async def fail(_hub: Any) -> bool:
        nonlocal looks
        looks += 1
        raise UnavailableError("the database is away")

    monkeypatch.setattr(worker, "follow_record", fail)
    monkeypatch.setattr(worker, "LOOK_SECONDS", 30.0)
    async with worker.run_webhooks(followed.hub):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                while looks < 2:  # noqa: ASYNC110 - what must not happen tells nobody
                    await asyncio.sleep(0.01)
    assert looks == 1
