"""Orders per second through a real hub process, as a share of the bare sign+verify limit.

Closed loop: C clients, each one POST at a time that waits for its results, against a hub on one
core with everything on (permissions, durable commits, the record). Fleet and clients share the
other core. Every figure stands beside a calibration taken just before and after it.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.keys import SigningKey

HUB_CPU, LOAD_CPU = 0, 1
WRIT = [sys.executable, "-m", "controlplane.cli.main", "--json"]
UNBOUNDED = {
    "WRIT_MAX_UNREGISTERED_PER_ADDRESS": "100000",
    "WRIT_FRAMES_PER_SECOND": "1000000",
    "WRIT_FRAMES_BURST": "1000000",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One measurement: what the hub did in `seconds`, and what bare crypto could have done."""

    name: str
    orders: int
    seconds: float
    hub_cpu_seconds: float
    limit_per_second: float
    latencies_ms: tuple[float, ...]

    @property
    def per_second(self) -> float:
        """Orders that came back with a result, per second."""
        return self.orders / self.seconds

    @property
    def share(self) -> float:
        """Of the sign+verify limit of one core."""
        return self.per_second / self.limit_per_second

    @property
    def saturated(self) -> bool:
        """Whether the hub had at least 90 % of its core; else the cell proves nothing."""
        return self.hub_cpu_seconds / self.seconds >= 0.9


def calibrate(seconds: float = 0.4) -> float:
    """Return how many times a second this core signs and verifies a 1 KB message."""
    key = SigningKey.from_seed(bytes(32))
    message = b"x" * 1024
    end, count, began = time.perf_counter() + seconds, 0, time.perf_counter()
    while time.perf_counter() < end:
        key.public_key.verify(key.sign(message), message)
        count += 1
    return count / (time.perf_counter() - began)


class Client:
    """One keep-alive HTTP/1.1 connection; just enough of a client to stay out of the way."""

    def __init__(self, host: str, port: int, key: str) -> None:
        self._host, self._port = host, port
        self._head = (
            f"Host: {host}\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json"
        )
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)

    async def post(self, path: str, body: bytes) -> Any:
        """Return the JSON of a 2xx answer; any other is an error."""
        head = f"POST {path} HTTP/1.1\r\n{self._head}\r\nContent-Length: {len(body)}\r\n\r\n"
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
    """A hub process and a fleet process, pinned apart."""

    def __init__(
        self,
        folder: Path,
        *,
        agents: int,
        database_url: str | None = None,
        hub_command: list[str] | None = None,
    ) -> None:
        self.agents = agents
        env = {**os.environ, **UNBOUNDED, "WRIT_LOG_LEVEL": "error"}
        flags = ["--data-dir", str(folder / "hub")]
        if database_url:
            flags += ["--database-url", database_url]
        made = json.loads(subprocess.check_output([*WRIT, "hub", "init", *flags], env=env))
        self.key = made["apiKey"]
        self.hub = subprocess.Popen(
            [
                *("taskset", "-c", str(HUB_CPU)),
                *(hub_command or WRIT),
                *("hub", "run", *flags, "--port", "0"),
            ],
            env=env,
            stdout=subprocess.PIPE,
            stderr=(folder / "hub.log").open("w"),
            text=True,
        )
        assert self.hub.stdout is not None
        self.url = json.loads(self.hub.stdout.readline())["url"]
        self.port = int(self.url.rpartition(":")[2])
        self._root = made["rootDid"]
        self.fleet: subprocess.Popen[str]
        self.dids: list[str] = []

    async def enrol(self) -> None:
        """Start the fleet and wait until every agent of it is online."""
        client = Client("127.0.0.1", self.port, self.key)
        await client.open()
        body = json.dumps({"autoApprove": True, "capabilities": ["echo"]}).encode()
        tokens = [
            (await client.post("/api/v1/join-tokens", body))["token"] for _ in range(self.agents)
        ]
        self.fleet = subprocess.Popen(  # noqa: ASYNC220 - once, before anything is measured
            ["taskset", "-c", str(LOAD_CPU), sys.executable, "-m", "tests.benchmarks.fleet"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.fleet.stdin is not None
        assert self.fleet.stdout is not None
        url = self.url.replace("http", "ws", 1) + "/ws/agent"
        order = {"url": url, "root": self._root, "first": 0, "tokens": tokens}
        self.fleet.stdin.write(json.dumps(order) + "\n")
        self.fleet.stdin.flush()
        line = await asyncio.to_thread(self.fleet.stdout.readline)
        self.dids = json.loads(line)["dids"]

    def hub_cpu_seconds(self) -> float:
        """CPU time of the hub process, user and system."""
        fields = Path(f"/proc/{self.hub.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End both processes."""
        if hasattr(self, "fleet"):
            assert self.fleet.stdin is not None
            self.fleet.stdin.close()
            self.fleet.wait(20)
        self.hub.terminate()
        self.hub.wait(30)


async def measure(system: System, *, name: str, clients: int, batch: int, seconds: float) -> Cell:
    """Run one closed-loop cell and return what it showed; every order must have succeeded."""
    pool = [Client("127.0.0.1", system.port, system.key) for _ in range(clients)]
    for one in pool:
        await one.open()
    pad = "x" * 900
    limit_before = await asyncio.to_thread(calibrate)
    latencies: list[float] = []
    done = 0
    cpu, began = system.hub_cpu_seconds(), time.perf_counter()
    end = began + seconds

    async def drive(number: int, client: Client) -> None:
        nonlocal done
        turn = number
        while time.perf_counter() < end:
            orders = [
                {
                    "target": {"agent": system.dids[(turn + n) % len(system.dids)]},
                    "action": "echo",
                    "params": {"pad": pad},
                    "realm": "default",
                }
                for n in range(batch)
            ]
            turn += batch * clients
            started = time.perf_counter()
            if batch == 1:
                body = json.dumps(orders[0]).encode()
                answer = await client.post("/api/v1/intents?wait=30", body)
            else:
                body = json.dumps({"intents": orders}).encode()
                answer = await client.post("/api/v1/intents/batch?wait=30", body)
            latencies.append((time.perf_counter() - started) * 1000)
            states = {one["state"] for one in answer["intents"]}
            if states != {"succeeded"}:
                raise RuntimeError(f"an order ended {states}")
            done += batch

    await asyncio.gather(*(drive(number, client) for number, client in enumerate(pool)))
    took = time.perf_counter() - began
    spent = system.hub_cpu_seconds() - cpu
    limit = (limit_before + await asyncio.to_thread(calibrate)) / 2
    return Cell(name, done, took, spent, limit, tuple(sorted(latencies)))


def quantile(values: tuple[float, ...], share: float) -> float:
    """Return the value below which `share` of the sorted `values` lie."""
    return values[min(len(values) - 1, int(len(values) * share))] if values else float("nan")


async def run(rounds: int, seconds: float, agents: int) -> list[Cell]:
    """Return the cells of `rounds` interleaved rounds."""
    cells: list[Cell] = []
    with tempfile.TemporaryDirectory(prefix="writ-bench-") as folder:
        system = System(Path(folder), agents=agents)
        try:
            await system.enrol()
            await measure(system, name="warm-up", clients=8, batch=1, seconds=1)
            for _ in range(rounds):
                for name, clients, batch in (
                    ("one POST each, C=32", 32, 1),
                    ("batches of 64, C=4", 4, 64),
                    ("one POST each, C=1", 1, 1),
                ):
                    cell = await measure(
                        system, name=name, clients=clients, batch=batch, seconds=seconds
                    )
                    cells.append(cell)
        finally:
            system.stop()
    return cells


def report(cells: list[Cell]) -> dict[str, Any]:
    """Return medians by cell name; a cell whose hub was starved is counted as rejected."""
    rows = {}
    for name in dict.fromkeys(cell.name for cell in cells):
        mine = [cell for cell in cells if cell.name == name]
        must_saturate = "C=1" not in name.split(", ")[1:]
        good = [c for c in mine if c.saturated or not must_saturate]
        chosen = good or mine
        rows[name] = {
            "rounds": len(mine),
            "rejected": len(mine) - len(good),
            "ordersPerSecond": round(statistics.median(c.per_second for c in chosen)),
            "shareOfLimit": round(statistics.median(c.share for c in chosen), 3),
            "hubCpuMicrosecondsPerOrder": round(
                statistics.median(c.hub_cpu_seconds / c.orders * 1e6 for c in chosen)
            ),
            "p50ms": round(statistics.median(quantile(c.latencies_ms, 0.5) for c in chosen), 2),
            "p99ms": round(statistics.median(quantile(c.latencies_ms, 0.99) for c in chosen), 2),
            "limitPerSecond": round(statistics.median(c.limit_per_second for c in chosen)),
        }
    return rows
