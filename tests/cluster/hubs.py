"""Two processes of one hub, each with a port of its own, on one Postgres and one NATS server."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from protocol.envelope import Envelope
from protocol.messages import RegisterAck
from tests.controlplane.hub.world import ScriptedAgent, until
from tests.controlplane.hubs import ServedHub, serve


@asynccontextmanager
async def two_hubs(
    folder: Path, database_url: str, bus_url: str, **flags: Any
) -> AsyncIterator[tuple[ServedHub, ServedHub]]:
    """Serve both inside the block, linked to each other."""
    shared = {"database_url": database_url, "bus_url": bus_url, "files_url": str(folder / "files")}
    async with serve(folder / "a", **shared, **flags) as first:
        give_keys(folder / "a", folder / "b")
        key = first.client.api_key
        async with serve(folder / "b", key, **shared, **flags) as second:
            await until(lambda: linked(first) and linked(second), "the bus")
            yield first, second


def give_keys(from_folder: Path, to_folder: Path) -> None:
    """Do what an operator does for one more process: give it the keys, without the root's."""
    to_folder.mkdir(mode=0o700)
    shutil.copytree(
        from_folder / "keys", to_folder / "keys", ignore=shutil.ignore_patterns("root.pem")
    )


def linked(hub: ServedHub) -> bool:
    return bool(hub.hub.neighbours.bus.is_linked)


def at(agent: ScriptedAgent, hub: ServedHub) -> ScriptedAgent:
    """The same key, about to dial another process."""
    return ScriptedAgent(hub.world(), agent.key)


async def online(agent: ScriptedAgent) -> RegisterAck:
    return await agent.online()


async def answer(agent: ScriptedAgent, count: int = 1) -> list[Envelope]:
    """Take orders as an agent does, and give each its params back."""
    taken = []
    for _ in range(count):
        intent = await agent.document()
        await agent.accept(intent)
        await agent.say_document(agent.result(intent, intent.payload["params"]))
        taken.append(intent)
    return taken


async def read_event(reader: asyncio.StreamReader, type: str) -> dict[str, str]:
    """Return the fields of the next server-sent event of a type."""
    fields: dict[str, str] = {}
    async with asyncio.timeout(8):
        while True:
            line = (await reader.readline()).decode().strip()
            name, _, value = line.partition(": ")
            if line and name in ("id", "event", "data"):
                fields[name] = value
            if not line:
                if fields.get("event") == type:
                    return fields
                fields = {}
