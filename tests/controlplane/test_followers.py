"""Who follows the record, notifications and webhooks, while something happens all the time."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from controlplane.notifications.following import tell_people
from controlplane.webhooks.following import follow_record
from tests.controlplane.hubs import ServedHub, serve, until
from tests.servers.receiver import receiving


class Busy:
    """The hub's database, in which something happens after whatever is written."""

    def __init__(self, served: ServedHub) -> None:
        self._database, self._client = served.hub.database, served.client
        self.looks = 0

    async def read(self, unit: Callable[[Any], Any]) -> Any:
        self.looks += 1
        return await self._database.read(unit)

    async def write(self, unit: Callable[[Any], Any]) -> Any:
        value = await self._database.write(unit)
        await self.happen()
        return value

    async def happen(self) -> None:
        made = (await self._client.get("/api/v1/realms")).json["items"]
        answer = await self._client.post("/api/v1/realms", {"id": f"realm-{len(made)}"})
        assert answer.status == 201, answer.data


@pytest.mark.parametrize("follow", [tell_people, follow_record])
async def test_a_steady_stream_of_leaves_costs_one_look_and_not_a_commit_each(
    tmp_path: Path, follow: Callable[[Any], Awaitable[bool | None]]
) -> None:
    async with (
        receiving() as receiver,
        serve(tmp_path / "hub", webhook_allowed_networks=("127.0.0.0/8",)) as served,
    ):
        hook = {"url": receiver.url, "events": ["realm.*"]}
        assert (await served.client.post("/api/v1/webhooks", hook)).status == 201

        async def begun() -> bool:
            database = served.hub.database
            return await database.read(lambda uow: uow.followers.get("notifications")) is not None

        await until(begun)
        busy = Busy(served)
        await busy.happen()
        hub: Any = dataclasses.replace(served.hub, database=busy)  # type: ignore[arg-type]
        async with asyncio.timeout(60):
            assert not await follow(hub)
        # To find who is behind, and to read what they are behind by.
        assert busy.looks <= 2
