"""Orders through a real hub process: closed loops to saturation, open loops at a fixed rate.

The hub has one core and everything on (permissions, durable commits, the record); agents and
clients share the other. Every cell stands between two calibrations of both cores. What came back
is remembered, and `check_ledger` asks the database for it after the hub has gone.
"""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from protocol.envelope import parse_document
from protocol.verification import verify_signature
from storage.database import Database
from storage.unit_of_work import UnitOfWork
from tests.benchmarks.hub_process import Client, System, Target
from tests.benchmarks.machine import Calibrator, sign_and_verify_per_second

SATURATED = 0.9
OPEN_LOOP_CLIENTS = 128
PAD = "x" * 900


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement: what was done in `seconds`, and what bare crypto could have done.

    Attributes:
        name: of the system and the load.
        orders: that came back with a result.
        seconds: it took.
        hub_cpu_seconds: CPU time of the hub process (or of what stands in its place).
        limit_per_second: sign+verify of the hub's core while both were busy, before and after.
        latencies_ms: sorted.
        database_cpu_seconds: of a database server beside the hub.
        python_per_second: plain Python of the hub's core, before and after.
        load_cpu_seconds: of this process, which asks; the other end of a peer's conversation.
    """

    name: str
    orders: int
    seconds: float
    hub_cpu_seconds: float
    limit_per_second: float
    latencies_ms: tuple[float, ...]
    database_cpu_seconds: float = 0.0
    python_per_second: float = 0.0
    load_cpu_seconds: float = 0.0

    @property
    def per_second(self) -> float:
        """Orders that came back with a result, per second."""
        return self.orders / self.seconds

    @property
    def share(self) -> float:
        """Of the sign+verify limit of one core."""
        return self.per_second / self.limit_per_second

    @property
    def utilisation(self) -> float:
        """How much of its core the hub had, together with a database server that shares it."""
        return (self.hub_cpu_seconds + self.database_cpu_seconds) / self.seconds

    @property
    def saturated(self) -> bool:
        """Whether that was at least 90 %; else the cell proves nothing about the limit."""
        return self.utilisation >= SATURATED

    @property
    def exhausted(self) -> bool:
        """Whether either end had its core: what a peer is held to, who asks being half of it."""
        return self.saturated or self.load_cpu_seconds / self.seconds >= SATURATED

    @property
    def cpu_microseconds(self) -> float:
        """CPU time of hub and database server for one order."""
        return (self.hub_cpu_seconds + self.database_cpu_seconds) / max(1, self.orders) * 1e6


def calibrate(seconds: float = 0.4) -> float:
    """Return how many times a second this core signs and verifies a 1 KB message."""
    return sign_and_verify_per_second(seconds)


@contextmanager
def measured(
    system: Any, name: str, calibrator: Calibrator | None
) -> Iterator[Callable[[int, Sequence[float]], Cell]]:
    """Yield what makes the cell of the block, between two calibrations of both cores.

    Args:
        system: has `hub_cpu_seconds` and `database_cpu_seconds`.
        name: of the cell.
        calibrator: None calibrates on this process's core alone.
    """
    before = calibrator.measure() if calibrator is not None else (calibrate(), 0.0)
    database, cpu = system.database_cpu_seconds(), system.hub_cpu_seconds()
    began, own = time.perf_counter(), time.process_time()

    def finish(orders: int, latencies: Sequence[float]) -> Cell:
        took = time.perf_counter() - began
        spent, of_load = system.hub_cpu_seconds() - cpu, time.process_time() - own
        of_database = system.database_cpu_seconds() - database
        after = calibrator.measure() if calibrator is not None else (calibrate(), 0.0)
        return Cell(
            name,
            orders,
            took,
            spent,
            (before[0] + after[0]) / 2,
            tuple(sorted(latencies)),
            of_database,
            (before[1] + after[1]) / 2,
            of_load,
        )

    yield finish


def order_to(did: str) -> dict[str, Any]:
    """The body of one order; its canonical form is about 1 KB."""
    return {
        "target": {"agent": did},
        "action": "echo",
        "params": {"pad": PAD},
        "realm": "default",
    }


async def give(system: Target, client: Client, dids: list[str]) -> None:
    """Give orders in one request and wait for their results; every one must succeed."""
    orders = [order_to(did) for did in dids]
    if len(orders) == 1:
        answer = await client.post("/api/v1/intents?wait=60", json.dumps(orders[0]).encode())
    else:
        body = json.dumps({"intents": orders}).encode()
        answer = await client.post("/api/v1/intents/batch?wait=60", body)
    states = {one["state"] for one in answer["intents"]}
    if states != {"succeeded"}:
        raise RuntimeError(f"an order ended {states}")
    system.replied.update(one["id"] for one in answer["intents"])


async def measure(
    system: Target,
    *,
    name: str,
    clients: int,
    batch: int,
    seconds: float,
    calibrator: Calibrator | None = None,
) -> Cell:
    """Run one closed-loop cell and return what it showed; every order must have succeeded."""
    pool = [await system.client() for _ in range(clients)]
    latencies: list[float] = []
    with measured(system, name, calibrator) as finish:
        end = time.perf_counter() + seconds

        async def drive(number: int, client: Client) -> None:
            turn = number
            while (started := time.perf_counter()) < end:
                agents = [system.dids[(turn + n) % len(system.dids)] for n in range(batch)]
                await give(system, client, agents)
                latencies.append((time.perf_counter() - started) * 1000)
                turn += batch * clients

        async with asyncio.TaskGroup() as driving:
            for number, client in enumerate(pool):
                driving.create_task(drive(number, client))
        cell = finish(len(latencies) * batch, latencies)
    for client in pool:
        client.close()
    return cell


async def measure_open(
    system: Target,
    *,
    name: str,
    per_second: float,
    seconds: float,
    chance: random.Random,
    calibrator: Calibrator | None = None,
) -> Cell:
    """Give single orders at random moments, so many a second, whatever the hub makes of it.

    Latency counts from the moment an order was due, not from when a connection was free for it.
    """
    pool: asyncio.Queue[Client] = asyncio.Queue()
    for _ in range(OPEN_LOOP_CLIENTS):
        pool.put_nowait(await system.client())
    latencies: list[float] = []
    with measured(system, name, calibrator) as finish:
        began = time.perf_counter()

        async def one(due: float, did: str) -> None:
            client = await pool.get()
            await give(system, client, [did])
            pool.put_nowait(client)
            latencies.append((time.perf_counter() - due) * 1000)

        due = began
        async with asyncio.TaskGroup() as given:
            while (due := due + chance.expovariate(per_second)) < began + seconds:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                given.create_task(one(due, chance.choice(system.dids)))
        cell = finish(len(latencies), latencies)
    while not pool.empty():
        pool.get_nowait().close()
    return cell


async def check_ledger(system: System) -> int:
    """Return how many replies were checked: each has a durable row and a valid signed result.

    Asked once the hub has gone, of the database alone.

    Raises:
        RuntimeError: one has not. Then the run is void.
    """
    database = await Database.open(system.database_url, create=False)
    try:
        replied = sorted(system.replied)
        for start in range(0, len(replied), 500):
            ids = replied[start : start + 500]
            await database.read(lambda uow: _check(uow, ids))  # noqa: B023
        return len(replied)
    finally:
        await database.close()


def _check(uow: UnitOfWork, ids: list[str]) -> None:
    records = uow.intents.get_many(ids)
    for id in ids:
        record = records.get(id)
        if record is None or record.state.value != "succeeded":
            raise RuntimeError(f"void: {id} was answered and is not there")
        kept = uow.documents.get(record.result_document_id or "", record.agent_did)
        if kept is None:
            raise RuntimeError(f"void: the result of {id} is not there")
        result = parse_document(kept.wire)
        verify_signature(result)
        answers = result.payload["intentId"], result.payload["intentDigest"]
        if result.sender_did != record.agent_did or answers != (id, record.digest):
            raise RuntimeError(f"void: the result of {id} does not prove it")


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the sorted `values` lie."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")
