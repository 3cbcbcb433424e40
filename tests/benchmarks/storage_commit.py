"""Units per second: group commit against one commit per unit, on both databases.

    python -m tests.benchmarks.storage_commit [--seconds 2] [--rounds 3] [--one sqlite|postgres]

A unit is what one order costs: intent, document, audit leaf and outbox row, about 1 KB. Cells run
in random order inside each round; what is printed is the median, with full durability everywhere.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from protocol.ids import format_uuid7
from storage import groups, postgres_engine, sqlite_engine
from storage.database import Database
from storage.records import DocumentRecord, IntentRecord
from storage.unit_of_work import UnitOfWork
from tests.servers.postgres import PostgresServer

NOW = datetime(2026, 1, 1, tzinfo=UTC)
WIRE = b'{"payload":"' + b"x" * 1_000 + b'"}'


def order() -> Callable[[UnitOfWork], None]:
    """One order as the hub keeps it."""
    id = format_uuid7(datetime.now(UTC), os.urandom(10))
    intent = IntentRecord(
        id=id,
        batch_id=id,
        agent_did="did:key:z6Mkagent",
        agent_name="agent",
        action="echo",
        params={"text": "x" * 300},
        realm="default",
        submitted_by="user:1",
        signer="did:key:z6Mkhub",
        digest="47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        created_at=NOW,
        expires_at=NOW + timedelta(hours=1),
        timeout_seconds=60,
    )
    document = DocumentRecord(
        id, intent.signer, "intent", intent.digest, WIRE, intent.agent_did, intent.expires_at, NOW
    )

    def unit(uow: UnitOfWork) -> None:
        uow.intents.add_many([intent])
        uow.documents.put(document)
        uow.outbox.add(intent.agent_did, "intent", id, signer=intent.signer)
        uow.audit.append("intent.submitted", intent.submitted_by, id, {"action": "echo"})

    return unit


@contextmanager
def group_of(units: int) -> Iterator[None]:
    """Let groups have at most so many units."""
    for module in (sqlite_engine, postgres_engine):
        module.MAX_GROUP_UNITS = units  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in (sqlite_engine, postgres_engine):
            module.MAX_GROUP_UNITS = groups.MAX_GROUP_UNITS  # type: ignore[attr-defined]


async def units_per_second(database: Database, callers: int, seconds: float) -> float:
    """Keep `callers` writing one unit after another, and count."""
    written = 0
    end = time.perf_counter() + seconds

    async def caller() -> None:
        nonlocal written
        while time.perf_counter() < end:
            await database.write(order())
            written += 1

    started = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return written / (time.perf_counter() - started)


async def measure(urls: dict[str, str], seconds: float, rounds: int) -> None:
    """Print the table."""
    opened = {name: await Database.open(url) for name, url in urls.items()}
    cells = [(n, callers, size) for n in opened for callers in (1, 64) for size in (256, 1)]
    results: dict[tuple[str, int, int], list[float]] = {cell: [] for cell in cells}
    for name in opened:
        await units_per_second(opened[name], 64, 0.3)
    for _ in range(rounds):
        for cell in random.sample(cells, len(cells)):
            name, callers, size = cell
            with group_of(size):
                results[cell].append(await units_per_second(opened[name], callers, seconds))
    print(f"{'database':10} {'callers':>7} {'grouped':>10} {'one each':>10} {'ratio':>6}   units/s")
    for name in opened:
        for callers in (1, 64):
            grouped = statistics.median(results[name, callers, 256])
            single = statistics.median(results[name, callers, 1])
            print(f"{name:10} {callers:7} {grouped:10.0f} {single:10.0f} {grouped / single:6.1f}")
    for database in opened.values():
        await database.close()


def main() -> None:
    """Start what is asked for and measure it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", choices=["sqlite", "postgres"])
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        urls = {}
        server = None
        if asked.one != "postgres":
            urls["sqlite"] = f"sqlite+aiosqlite:///{Path(folder) / 'hub.db'}"
        try:
            if asked.one != "sqlite":
                server = PostgresServer()
                urls["postgres"] = server.url(server.create())
            asyncio.run(measure(urls, asked.seconds, asked.rounds))
        finally:
            if server is not None:
                server.remove()


if __name__ == "__main__":
    main()
