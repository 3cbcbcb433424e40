"""The interleaved rounds: in each, every system has its turn, in random order.

Owns what is started for them and kept up through all rounds: hubs on both databases, bare servers,
what people use instead. A turn that fails is noted by name and the others go on.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from tests.benchmarks import goals
from tests.benchmarks.floors import Floor, commit_floor
from tests.benchmarks.hub_process import System
from tests.benchmarks.machine import HUB_CPU, Calibrator, family
from tests.benchmarks.orders import (
    Cell,
    check_ledger,
    measure,
    measure_open,
    quantile,
)
from tests.benchmarks.peers import Celery, MissingServerError, Nats
from tests.servers.postgres import PostgresServer

LOADS = ((goals.SINGLE, 32, 1), (goals.BATCH, 4, 64), (goals.ALONE, 1, 1))
MOST_SECONDS_OF_A_TURN = 120
Turn = Callable[[], Awaitable[Cell]]


def tell(text: str) -> None:
    """Say on stderr how far it has come."""
    print(text, file=sys.stderr, flush=True)


class Rounds:
    """Everything that takes part, and the cells it has given so far."""

    def __init__(
        self,
        folder: Path,
        stack: ExitStack,
        *,
        rounds: int,
        seconds: float,
        agents: int,
        chance: random.Random,
        only: Sequence[str] = (),
    ) -> None:
        self.cells: list[Cell] = []
        self.found: list[dict[str, Any]] = []
        """Of each round, by name, its cells, and what one order costs at least (`floorMs`)."""
        self.missing: dict[str, str] = {}
        """What was left out or failed, and why."""
        self.systems: dict[str, System] = {}
        self.by = Calibrator()
        stack.callback(self.by.stop)
        self._count, self._seconds, self._agents = rounds, seconds, agents
        self._chance, self._only = chance, only
        self._folder, self._stack = folder, stack
        self._turns: dict[str, Turn] = {}

    async def start(self) -> None:
        """Start hubs, fleets, bare servers and peers; what is not there is left out by name."""
        tell("starting hubs, agents, bare servers and what people use instead")
        await self._add_hub(goals.SQLITE)
        if self._wants_any(goals.POSTGRES, [load for load, _, _ in LOADS]):
            await self._add_postgres()
        for name, kind in ((goals.HTTP, "http"), (goals.ECHO, "echo")):
            if self._wants_any(name, [goals.SINGLE, goals.ALONE]):
                floor = Floor(kind)
                self._stack.callback(floor.stop)
                self._add_turn(f"{name}, {goals.SINGLE}", floor, 32)
                self._add_turn(f"{name}, {goals.ALONE}", floor, 1)
        for name, peer in ((goals.NATS, Nats), (goals.CELERY, Celery)):
            if not self._wants(name):
                continue
            try:
                one = peer(self._folder)
            except (MissingServerError, ImportError, OSError) as exc:
                self.missing[name] = f"not on this machine: {exc}"
                continue
            self._stack.callback(one.stop)
            self._add_turn(name, one, 64)

    async def _add_postgres(self) -> None:
        try:
            server = PostgresServer()
        except Exception as exc:
            self.missing[goals.POSTGRES] = f"not on this machine: {exc}"
            return
        self._stack.callback(server.remove)
        for pid in family(server.pid):  # hub and database share a core; what it forks follows
            os.sched_setaffinity(pid, {HUB_CPU})
        await self._add_hub(goals.POSTGRES, server.url(server.create()), server.pid)

    async def _add_hub(self, name: str, url: str | None = None, pid: int | None = None) -> None:
        place = self._folder / name
        place.mkdir()
        system = System(place, agents=self._agents, database_url=url, database_pid=pid)
        self._stack.callback(system.stop)
        self.systems[name] = system
        await system.enrol()
        await measure(system, name="warm-up", clients=8, batch=8, seconds=self._seconds)
        for load, clients, batch in LOADS:
            self._add_load(system, f"{name}, {load}", clients, batch)

    def _add_load(self, system: System, name: str, clients: int, batch: int) -> None:
        if self._wants(name):
            self._turns[name] = lambda: measure(
                system,
                name=name,
                clients=clients,
                batch=batch,
                seconds=self._seconds,
                calibrator=self.by,
            )

    def _add_turn(self, name: str, one: Any, clients: int) -> None:
        if self._wants(name):
            self._turns[name] = lambda: one.measure(
                name=name, clients=clients, seconds=self._seconds, by=self.by
            )

    def _wants(self, name: str) -> bool:
        return not self._only or any(word.lower() in name.lower() for word in self._only)

    def _wants_any(self, name: str, loads: Sequence[str]) -> bool:
        return any(self._wants(f"{name}, {load}") for load in loads)

    async def run(self) -> None:
        """Give everything its turn in every round."""
        for number in range(1, self._count + 1):
            found: dict[str, Any] = {}
            for name in self._chance.sample(list(self._turns), len(self._turns)):
                cell = await self._take(name, self._turns[name])
                if cell is None:
                    continue
                found[name] = cell
                tell(
                    f"round {number}/{self._count}  {name:44} {cell.per_second:9,.0f}/s"
                    f"  {100 * cell.share:6.1f} % of limit, core {100 * cell.utilisation:3.0f} %"
                )
            self._note_floor(found)
            self.found.append(found)

    async def run_at_half_load(self) -> None:
        """Give single orders at half the rate that saturated a hub, when they are due."""
        for database in self.systems:
            name = f"{database}, {goals.SINGLE}"
            rates = sorted(cell.per_second for cell in goals.best(self.cells, name)[0])
            if not rates:
                continue
            for _ in range(self._count if database == goals.SQLITE else 1 + self._count // 3):
                await self._take_at_half_load(database, rates[len(rates) // 2] / 2)

    async def _take_at_half_load(self, database: str, per_second: float) -> None:
        name = f"{database}, {goals.HALF}"
        cell = await self._take(
            name,
            lambda: measure_open(
                self.systems[database],
                name=name,
                per_second=per_second,
                seconds=1.5 * self._seconds,
                chance=self._chance,
                calibrator=self.by,
            ),
        )
        if cell is not None:
            p99 = quantile(cell.latencies_ms, 0.99)
            tell(f"{name}  {cell.per_second:8,.0f}/s  p99 {p99:.1f} ms")

    async def check(self) -> str:
        """Stop the hubs; return what their databases say about every reply.

        Raises:
            RuntimeError: one is not proved: the run is void.
        """
        told = []
        for name, system in self.systems.items():
            system.stop()
            told.append(f"{await check_ledger(system):,} on {name}")
        return f"Every reply has a durable row and a valid signed result ({', '.join(told)})."

    async def _take(self, name: str, turn: Turn) -> Cell | None:
        try:
            async with asyncio.timeout(MOST_SECONDS_OF_A_TURN):
                cell = await turn()
        except Exception as exc:
            self.missing[name] = f"failed: {reason_of(exc)}"
            tell(f"{name} {self.missing[name]}")
            return None
        self.cells.append(cell)
        return cell

    def _note_floor(self, found: dict[str, Any]) -> None:
        """What one order costs at least, one step after the other (see the goal)."""
        commit_ms, per_second = commit_floor(self._folder, self._seconds / 2)
        found["commitMs"], found["commitUnitsPerSecond"] = commit_ms, per_second
        http = found.get(f"{goals.HTTP}, {goals.ALONE}")
        echo = found.get(f"{goals.ECHO}, {goals.ALONE}")
        if http is not None and echo is not None:
            bare = quantile(http.latencies_ms, 0.5) + quantile(echo.latencies_ms, 0.5)
            found["floorMs"] = bare + 2 * 1000 / http.limit_per_second + 2 * commit_ms


def reason_of(error: BaseException) -> str:
    """What a failure says, in a line; of a group, its first."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
