"""What one order costs the hub's code, without sockets: `python -m tests.benchmarks.hot_path`.

A whole hub in this process, its requests and agents in memory, its database in a folder of tmpfs;
the CPU time of clients and agents is taken out. The least of many short rounds is printed, as the
figure that other work on the machine disturbs the least. `--profile FILE` keeps a cProfile run.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from controlplane.app import RunningHub, open_hub
from controlplane.hub.transport import SCOPE_KEY
from controlplane.server import settle_memory
from controlplane.settings import HubSettings
from protocol.limits import SUBPROTOCOL
from tests.benchmarks.agent import SimulatedAgent

PAD = "x" * 900


class Elsewhere:
    """CPU time of this thread that belongs to clients and agents; no profile sees it."""

    seconds = 0.0
    profile: cProfile.Profile | None = None

    @contextmanager
    def spent(self) -> Iterator[None]:
        """Count what the block takes."""
        if self.profile is not None:
            self.profile.disable()
        began = time.thread_time()
        try:
            yield
        finally:
            self.seconds += time.thread_time() - began
            if self.profile is not None:
                self.profile.enable()


class Wire:
    """An agent's socket in memory: a `Transport` to the hub, an ASGI `receive` and `send`."""

    buffered_bytes = 0
    has_room = True
    is_open = True

    def __init__(self, agent: SimulatedAgent, elsewhere: Elsewhere) -> None:
        self._agent, self._elsewhere = agent, elsewhere
        self._to_hub: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._to_hub.put_nowait({"type": "websocket.connect"})
        self.online = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        """What the agent says, as uvicorn would tell it."""
        return await self._to_hub.get()

    async def send(self, message: dict[str, Any]) -> None:
        """Nothing but the acceptance comes this way."""

    def send_text(self, frame: bytes) -> None:
        """Have the agent answer in the same breath."""
        with self._elsewhere.spent():
            answers = [one.decode() for one in self._agent.receive(frame.decode())]
            if self._agent.is_online:
                self.online.set()
        for one in answers:
            self._to_hub.put_nowait({"type": "websocket.receive", "text": one})

    def start_close(self, code: int, reason: str) -> None:
        """Hang up."""
        self.is_open = False
        self._to_hub.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})

    def abort(self) -> None:
        """Hang up."""
        self.start_close(1006, "")

    def limit_frames(self, max_bytes: int) -> None:
        """Any size will do."""

    def set_writable_callback(self, callback: Any) -> None:
        """It is always writable."""

    async def probe(self, timeout_seconds: float) -> bool:
        """It lives as long as it is open."""
        return self.is_open


class Bench:
    """A hub, its agents, and the one who orders."""

    def __init__(self, running: RunningHub) -> None:
        self.running = running
        self.elsewhere = Elsewhere()
        self.agents: list[SimulatedAgent] = []
        self._sockets: list[asyncio.Task[None]] = []
        key = running.first_api_key or ""
        self._headers = [
            (b"host", b"hub"),
            (b"authorization", f"Bearer {key}".encode()),
            (b"content-type", b"application/json"),
        ]

    async def post(self, path: str, query: str, body: Any) -> Any:
        """Return the JSON of a 2xx answer."""
        with self.elsewhere.spent():
            data = json.dumps(body).encode()
        messages: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": data, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            messages.append(message)

        scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "query_string": query.encode(),
            "headers": [*self._headers, (b"content-length", str(len(data)).encode())],
            "client": ("127.0.0.1", 1),
            "scheme": "http",
        }
        await self.running.app(scope, receive, send)
        with self.elsewhere.spent():
            if messages[0]["status"] >= 300:
                raise RuntimeError(f"{messages[0]['status']}: {messages[1]['body'][:300]!r}")
            return json.loads(messages[1]["body"])

    async def enrol(self, count: int) -> None:
        """Have `count` agents come online."""
        root = self.running.hub.identity.root
        for number in range(count):
            made = await self.post(
                "/api/v1/join-tokens", "", {"autoApprove": True, "capabilities": ["echo"]}
            )
            agent = SimulatedAgent(root, f"sim-{number}", made["token"])
            wire = Wire(agent, self.elsewhere)
            scope = {
                "type": "websocket",
                "path": "/ws/agent",
                "headers": [(b"host", b"hub")],
                "subprotocols": [SUBPROTOCOL],
                "extensions": {SCOPE_KEY: wire},
                "client": ("127.0.0.1", 2),
                "scheme": "ws",
                "query_string": b"",
                "root_path": "",
            }
            serving = self.running.app(scope, wire.receive, wire.send)
            self._sockets.append(asyncio.ensure_future(serving))  # type: ignore[arg-type]
            await wire.online.wait()
            self.agents.append(agent)

    def order(self, number: int) -> dict[str, Any]:
        """The body of one order."""
        agent = self.agents[number % len(self.agents)]
        return {
            "target": {"agent": agent.key.public_key.did},
            "action": "echo",
            "params": {"pad": PAD},
            "realm": "default",
        }

    async def singles(self, orders: int, at_once: int) -> None:
        """Give orders one by one, some at a time."""

        async def caller(first: int) -> None:
            for number in range(first, orders, at_once):
                check(await self.post("/api/v1/intents", "wait=30", self.order(number)))

        await asyncio.gather(*(caller(first) for first in range(at_once)))

    async def batch(self, orders: int) -> None:
        """Give orders in one request."""
        body = {"intents": [self.order(number) for number in range(orders)]}
        check(await self.post("/api/v1/intents/batch", "wait=30", body))

    async def microseconds_per_order(self, orders: int, at_once: int) -> float:
        """CPU time of the whole process for one order, clients and agents left out."""
        self.elsewhere.seconds = 0.0
        began = time.process_time()
        await (self.singles(orders, at_once) if at_once else self.batch(orders))
        spent = time.process_time() - began - self.elsewhere.seconds
        return spent / orders * 1e6

    async def stop(self) -> None:
        """Hang every agent up."""
        for one in self._sockets:
            one.cancel()
        await asyncio.gather(*self._sockets, return_exceptions=True)


def check(answer: Any) -> None:
    """Every order must have succeeded."""
    states = {one["state"] for one in answer["intents"]}
    if states != {"succeeded"}:
        raise RuntimeError(f"an order ended {states}")


CELLS = {"one POST each, C=1": (32, 1), "one POST each, C=32": (128, 32), "batch of 64": (64, 0)}


async def measure(
    folder: Path, rounds: int, database_url: str = "", profile: cProfile.Profile | None = None
) -> dict[str, list[float]]:
    """Return microseconds per order by cell, one figure a round."""
    figures: dict[str, list[float]] = {name: [] for name in CELLS}
    settings = HubSettings(
        data_dir=folder / "hub",
        database_url=database_url,
        log_level="error",
        frames_per_second=1_000_000,
        frames_burst=1_000_000,
        heartbeat_seconds=3_600,
    )
    async with open_hub(settings) as running:
        bench = Bench(running)
        await bench.enrol(50)
        settle_memory()
        for name, cell in CELLS.items():
            await bench.microseconds_per_order(*cell)  # warm
            if profile is not None:
                bench.elsewhere.profile = profile
                profile.enable()
            for _ in range(rounds):
                figures[name].append(await bench.microseconds_per_order(*cell))
            if profile is not None:
                bench.elsewhere.profile = None
                profile.disable()
        await bench.stop()
    return figures


def main() -> None:
    """Print the least and the median of each cell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--database-url", default="")
    parser.add_argument("--profile", type=Path)
    args = parser.parse_args()
    shm = Path("/dev/shm")
    profile = cProfile.Profile() if args.profile else None
    with tempfile.TemporaryDirectory(dir=shm if shm.is_dir() else None) as folder:
        figures = asyncio.run(measure(Path(folder), args.rounds, args.database_url, profile))
    if profile is not None:
        profile.dump_stats(args.profile)
        orders = sum(args.rounds * count for count, _ in CELLS.values())
        calls = pstats.Stats(profile).total_calls / orders  # type: ignore[attr-defined]
        print(f"{calls:,.0f} calls per order beside the database's writer, over all cells")
    for name, found in figures.items():
        print(
            f"{name:22} least {min(found):7.0f} us   median {statistics.median(found):7.0f} us"
            f"   of the hub's CPU per order"
        )


if __name__ == "__main__":
    main()
