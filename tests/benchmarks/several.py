"""Two hub processes against one, on one Postgres and one NATS server.

Each process has a core of its own, which it shares with nobody but whom the machine leaves no
other: on two cores, Postgres and those who order take from both. So beside orders per second stands
the CPU time that one order costs all hubs and the database, which is what more cores would divide.
"""

from __future__ import annotations

import os
import random
import shutil
import statistics
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.benchmarks import goals
from tests.benchmarks.hub_process import Client, System
from tests.benchmarks.machine import LOAD_CPU, Calibrator, on_all_cores
from tests.benchmarks.orders import Cell, check_ledger, measure
from tests.servers.nats import NatsServer
from tests.servers.postgres import PostgresServer

AGENTS = 50
LOADS = ((goals.SINGLE, 32, 1), (goals.BATCH, 4, 64))
ONE, TWO = "one process", "two processes"


class SecondProcess(System):
    """One more process of a hub, with agents of its own."""

    def __init__(self, first: System, folder: Path) -> None:
        self.agents, self.key, self.root = first.agents, first.key, first.root
        self.database_url, self.replied = first.database_url, first.replied
        self._folder, self._env, self._command = folder, first._env, first._command
        self._database_pid = None  # counted with the first
        self._flags = ["--data-dir", str(folder / "hub"), "--database-url", first.database_url]
        self._run_flags, self._cpu = first._run_flags, LOAD_CPU
        self.port, self.fleets, self.dids = 0, [], []
        (folder / "hub").mkdir(mode=0o700)
        keys = first._folder / "hub" / "keys"
        shutil.copytree(keys, folder / "hub" / "keys", ignore=shutil.ignore_patterns("root.pem"))
        self.start_hub()


class Both:
    """Orders go to either process, for agents of either."""

    def __init__(self, first: System, second: System) -> None:
        self._hubs = (first, second)
        self.dids = [did for pair in zip(first.dids, second.dids, strict=True) for did in pair]
        self.replied = first.replied
        self._turn = 0

    async def client(self) -> Client:
        """Return an open connection to the one whose turn it is."""
        self._turn += 1
        return await self._hubs[self._turn % 2].client()

    def hub_cpu_seconds(self) -> float:
        """CPU time of both."""
        return sum(one.hub_cpu_seconds() for one in self._hubs)

    def database_cpu_seconds(self) -> float:
        """CPU time of the server that they share."""
        return self._hubs[0].database_cpu_seconds()


async def run(folder: Path, rounds: int, seconds: float, chance: random.Random) -> dict[str, Any]:
    """Return, by shape of load, what two processes do against one; every reply is checked."""
    cells: dict[tuple[str, str], list[Cell]] = {}
    with ExitStack() as stack:
        by = Calibrator()
        stack.callback(by.stop)
        with on_all_cores():
            database = PostgresServer()
            stack.callback(database.remove)
            bus = NatsServer()
            stack.callback(bus.remove)
        url = database.url(database.create())
        places = [folder / "first", folder / "second"]
        for place in places:
            place.mkdir()
        flags = ["--bus-url", bus.url]
        first = System(
            places[0], agents=AGENTS, database_url=url, database_pid=database.pid, flags=flags
        )
        stack.callback(first.stop)
        second = SecondProcess(first, places[1])
        stack.callback(second.stop)
        await first.enrol()
        await second.enrol()
        targets = {ONE: first, TWO: Both(first, second)}
        for target in targets.values():
            await measure(target, name="warm-up", clients=8, batch=8, seconds=1)
        for _ in range(rounds):
            turns = [(load, name) for load in LOADS for name in targets]
            for (load, clients, batch), name in chance.sample(turns, len(turns)):
                cell = await measure(
                    targets[name],
                    name=f"{name}, {load}",
                    clients=clients,
                    batch=batch,
                    seconds=seconds,
                    calibrator=by,
                )
                cells.setdefault((load, name), []).append(cell)
        second.stop()
        first.stop()
        await check_ledger(first)
    return {load: _compare(cells[load, ONE], cells[load, TWO]) for load, _, _ in LOADS}


def _compare(one: list[Cell], two: list[Cell]) -> dict[str, Any]:
    ratios = [after.per_second / before.per_second for before, after in zip(one, two, strict=True)]
    return {
        "cores": os.cpu_count(),
        "ratios": [round(ratio, 2) for ratio in ratios],
        "ordersPerSecondOfOne": round(statistics.median(cell.per_second for cell in one)),
        "ordersPerSecondOfTwo": round(statistics.median(cell.per_second for cell in two)),
        "cpuMicrosecondsPerOrderOfOne": _cpu(one),
        "cpuMicrosecondsPerOrderOfTwo": _cpu(two),
        "coresOfHubsAndDatabaseWithOne": _cores(one),
        "coresOfHubsAndDatabaseWithTwo": _cores(two),
    }


def _cpu(cells: list[Cell]) -> int:
    return round(statistics.median(cell.cpu_microseconds for cell in cells))


def _cores(cells: list[Cell]) -> float:
    return round(statistics.median(cell.utilisation for cell in cells), 2)
