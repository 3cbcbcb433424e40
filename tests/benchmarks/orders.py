"""Orders through a real hub process: closed loops to saturation, open loops at a fixed rate.

The hub has one core and everything on (permissions, durable commits, the record); agents and
clients share the other. Every cell stands between two calibrations of both cores. What came back
is remembered, and `check_ledger` asks the database for it after the hub has gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.envelope import parse_document
from protocol.verification import verify_signature
from storage.database import Database
from storage.unit_of_work import UnitOfWork
from tests.benchmarks.machine import (
    HUB_CPU,
    LOAD_CPU,
    Calibrator,
    cpu_seconds,
    family,
    pinned,
    sign_and_verify_per_second,
)

SATURATED = 0.9
OPEN_LOOP_CLIENTS = 128
PAD = "x" * 900
WRIT = [sys.executable, "-m", "controlplane.cli.main", "--json"]
UNBOUNDED = {
    # The whole fleet has one address here.
    "WRIT_MAX_UNREGISTERED_PER_ADDRESS": "1000",
    "WRIT_FRAMES_PER_SECOND": "1000000",
    "WRIT_FRAMES_BURST": "1000000",
}


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


class Client:
    """One keep-alive HTTP/1.1 connection; just enough of a client to stay out of the way."""

    def __init__(self, host: str, port: int, key: str) -> None:
        self._host, self._port = host, port
        self._head = (
            f"Host: {host}:{port}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json"
        )
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def get(self, path: str) -> Any:
        """Return the JSON of a 2xx answer; any other is an error."""
        return await self._ask("GET", path, b"")

    async def post(self, path: str, body: bytes) -> Any:
        """Return the JSON of a 2xx answer; any other is an error."""
        return await self._ask("POST", path, body)

    async def _ask(self, method: str, path: str, body: bytes) -> Any:
        head = f"{method} {path} HTTP/1.1\r\n{self._head}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        header = await self._reader.readuntil(b"\r\n\r\n")
        status = int(header[9:12])
        lower = header.lower()
        at = lower.index(b"content-length:") + 15
        data = await self._reader.readexactly(int(lower[at : lower.index(b"\r\n", at)]))
        if status >= 300:
            raise RuntimeError(f"{status}: {data[:300]!r}")
        return json.loads(data)


class System:
    """A hub process and its fleet, pinned apart."""

    def __init__(
        self,
        folder: Path,
        *,
        agents: int,
        database_url: str | None = None,
        hub_command: list[str] | None = None,
        database_pid: int | None = None,
    ) -> None:
        self.agents = agents
        self.database_url = database_url or f"sqlite+aiosqlite:///{folder / 'hub' / 'hub.db'}"
        self.replied: set[str] = set()
        """Orders that came back with a result."""
        self._folder = folder
        self._database_pid = database_pid
        self._env = {**os.environ, **UNBOUNDED, "WRIT_LOG_LEVEL": "error"}
        self._flags = ["--data-dir", str(folder / "hub")]
        if database_url:
            self._flags += ["--database-url", database_url]
        self._command = hub_command or WRIT
        made = json.loads(
            subprocess.check_output([*WRIT, "hub", "init", *self._flags], env=self._env)
        )
        self.key = made["apiKey"]
        self.root = made["rootDid"]
        self.port = 0
        self.hub: subprocess.Popen[str]
        self.fleets: list[subprocess.Popen[str]] = []
        self.dids: list[str] = []
        self.start_hub()

    def start_hub(self) -> None:
        """Start the hub's process, on the port it had before; return when it is ready."""
        command = [*self._command, "hub", "run", *self._flags, "--port", str(self.port)]
        self.hub = subprocess.Popen(
            pinned(HUB_CPU, command),
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=(self._folder / "hub.log").open("a"),
            text=True,
        )
        assert self.hub.stdout is not None
        self.url = json.loads(self.hub.stdout.readline())["url"]
        self.port = int(self.url.rpartition(":")[2])

    @property
    def agent_url(self) -> str:
        """Where agents dial."""
        return self.url.replace("http", "ws", 1) + "/ws/agent"

    async def client(self) -> Client:
        """Return an open connection of the admin."""
        client = Client("127.0.0.1", self.port, self.key)
        await client.open()
        return client

    async def join_tokens(self, count: int, **fields: Any) -> list[str]:
        """Return so many tokens that let an agent in at once."""
        body = json.dumps({"autoApprove": True, "capabilities": ["echo"], **fields}).encode()
        tokens: list[str] = []

        async def make(some: int) -> None:
            client = await self.client()
            for _ in range(some):
                made = await client.post("/api/v1/join-tokens", body)
                tokens.append(made["token"])
            client.close()

        makers = min(16, count)
        await asyncio.gather(*(make(len(range(first, count, makers))) for first in range(makers)))
        return tokens

    async def enrol(self, processes: int = 1) -> None:
        """Start the fleet, in so many processes, and wait until every agent of it is online."""
        tokens = await self.join_tokens(self.agents)
        size = -(-self.agents // processes)
        for first in range(0, self.agents, size):
            fleet = subprocess.Popen(  # noqa: ASYNC220 - once, before anything is measured
                pinned(LOAD_CPU, [sys.executable, "-m", "tests.benchmarks.fleet"]),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            self.fleets.append(fleet)
            assert fleet.stdin is not None
            order = {"url": self.agent_url, "root": self.root, "first": first}
            fleet.stdin.write(json.dumps({**order, "tokens": tokens[first : first + size]}) + "\n")
            fleet.stdin.flush()
        for answer in await self.hear():
            self.dids += answer["dids"]

    async def hear(self) -> list[dict[str, Any]]:
        """Return the next line of every fleet process."""

        def line(fleet: subprocess.Popen[str]) -> dict[str, Any]:
            assert fleet.stdout is not None
            found: dict[str, Any] = json.loads(fleet.stdout.readline())
            return found

        return list(await asyncio.gather(*(asyncio.to_thread(line, one) for one in self.fleets)))

    async def ask(self, word: str) -> list[dict[str, Any]]:
        """Say a word to every fleet process and return what they answer."""
        for fleet in self.fleets:
            assert fleet.stdin is not None
            fleet.stdin.write(word + "\n")
            fleet.stdin.flush()
        return await self.hear()

    def hub_cpu_seconds(self) -> float:
        """CPU time of the hub process, user and system."""
        return cpu_seconds([self.hub.pid])

    def database_cpu_seconds(self) -> float:
        """CPU time of the database server, when there is one."""
        return 0.0 if self._database_pid is None else cpu_seconds(family(self._database_pid))

    def stop(self) -> None:
        """End every process."""
        for fleet in self.fleets:
            assert fleet.stdin is not None
            fleet.stdin.close()
            fleet.wait(60)
        self.hub.terminate()
        self.hub.wait(60)


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


async def give(system: System, client: Client, dids: list[str]) -> None:
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
    system: System,
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

        await asyncio.gather(*(drive(number, client) for number, client in enumerate(pool)))
        cell = finish(len(latencies) * batch, latencies)
    for client in pool:
        client.close()
    return cell


async def measure_open(
    system: System,
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

        due, tasks = began, []
        while (due := due + chance.expovariate(per_second)) < began + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(one(due, chance.choice(system.dids))))
        await asyncio.gather(*tasks)
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
