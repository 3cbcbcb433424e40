"""What was acknowledged is there, whatever happened to the process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

from storage.database import Database
from tests.storage.samples import document, intent

ROOT = Path(__file__).parents[2]

WRITER = """
import asyncio, sys
from storage.database import Database
from tests.storage.samples import intent

async def main(url):
    database = await Database.open(url)
    async def one(worker):
        number = 0
        while True:
            key = f"{worker}-{number}"
            def unit(uow):
                uow.settings.put(key, number)
                uow.audit.append("test.write", "a", key, {"n": number})
            await database.write(unit)
            sys.stdout.write(key + "\\n")
            sys.stdout.flush()
            number += 1
    await asyncio.gather(*(one(worker) for worker in range(16)))

asyncio.run(main(sys.argv[1]))
"""


async def test_after_kill_9_what_was_acknowledged_is_there_and_nothing_is_half(
    database_url: str,
) -> None:
    process = subprocess.Popen(  # noqa: ASYNC220 - starting it is quick
        [sys.executable, "-c", WRITER, database_url],
        stdout=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert process.stdout is not None
    lines = [await asyncio.to_thread(process.stdout.readline) for _ in range(400)]
    process.send_signal(signal.SIGKILL)
    rest = await asyncio.to_thread(process.stdout.read)
    acknowledged = (b"".join(lines) + rest).decode().split("\n")[:-1]
    process.stdout.close()
    process.wait(10)

    database = await Database.open(database_url)
    settings = await database.read(lambda uow: {item.key for item in uow.settings.list()})
    leaves = await database.read(lambda uow: uow.audit.leaves(0, 1_000_000))
    tree = await database.read(lambda uow: uow.audit.tree())
    assert set(acknowledged) <= settings
    assert {leaf.subject for leaf in leaves} == settings  # a unit is there in full or not at all
    assert [leaf.index for leaf in leaves] == list(range(len(leaves)))
    assert tree.size == len(leaves)
    # Each worker wrote in order, and at most one unit of its own was still unanswered.
    for worker in range(16):
        numbers = sorted(int(k.split("-")[1]) for k in settings if k.startswith(f"{worker}-"))
        answered = sum(key.startswith(f"{worker}-") for key in acknowledged)
        assert numbers == list(range(len(numbers)))
        assert answered <= len(numbers) <= answered + 1
    await database.write(lambda uow: uow.audit.append("after", "a", "s", {}))
    await database.close()


async def test_orders_survive_a_restart_byte_for_byte(database_url: str) -> None:
    database = await Database.open(database_url)
    order, wire = intent(), document()
    await database.write(lambda uow: (uow.intents.add_many([order]), uow.documents.put(wire)))
    await database.close()
    again = await Database.open(database_url, create=False)
    assert await again.read(lambda uow: uow.intents.get(order.id)) == order
    assert await again.read(lambda uow: uow.documents.get(wire.id)) == wire
    await again.close()
