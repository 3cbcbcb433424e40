"""What bare parts can do at most, without the product: HTTP, a WebSocket echo, a commit.

Each runs in a process of its own on the hub's core: `python -m tests.benchmarks.floors http|echo`.
The commit runs here: one row of 1 KB inserted and changed, each durable, alone and in groups.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import uvicorn
from websockets.asyncio.client import connect

from protocol import limits
from tests.benchmarks.hub_process import Client
from tests.benchmarks.machine import HUB_CPU, Calibrator, cpu_seconds, pinned
from tests.benchmarks.orders import PAD, Cell, measured

BODY = b'{"pad":"' + PAD.encode() + b'"}'
GROUP = 64


class Floor:
    """A bare server in a process of its own."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        command = [sys.executable, "-m", "tests.benchmarks.floors", kind]
        self._process = subprocess.Popen(
            pinned(HUB_CPU, command), stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())

    def hub_cpu_seconds(self) -> float:
        """CPU time of the server."""
        return cpu_seconds([self._process.pid])

    def database_cpu_seconds(self) -> float:
        """There is none."""
        return 0.0

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(20)

    async def measure(self, *, name: str, clients: int, seconds: float, by: Calibrator) -> Cell:
        """Run one closed-loop cell."""
        calls = [await self._open() for _ in range(clients)]
        latencies: list[float] = []
        with measured(self, name, by) as finish:
            end = time.perf_counter() + seconds

            async def drive(call: Callable[[], Awaitable[Any]]) -> None:
                while (started := time.perf_counter()) < end:
                    await call()
                    latencies.append((time.perf_counter() - started) * 1000)

            async with asyncio.TaskGroup() as driving:
                for call, _ in calls:
                    driving.create_task(drive(call))
            cell = finish(len(latencies), latencies)
        for _, close in calls:
            await close()
        return cell

    async def _open(self) -> tuple[Callable[[], Awaitable[Any]], Callable[[], Awaitable[None]]]:
        if self.kind == "http":
            client = Client("127.0.0.1", self.port, "none")
            await client.open()

            async def hang_up() -> None:
                client.close()

            return (lambda: client.post("/", BODY)), hang_up
        socket = await connect(f"ws://127.0.0.1:{self.port}", compression=None)

        async def echo() -> Any:
            await socket.send(BODY.decode())
            return await socket.recv()

        return echo, socket.close


def commit_floor(folder: Path, seconds: float) -> tuple[float, float]:
    """Return milliseconds of one durable commit alone, and units a second in groups of 64."""
    path = folder / f"floor-{time.time_ns()}.db"
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, body TEXT, result TEXT)")
    number = 0

    def transaction(units: int) -> None:
        nonlocal number
        database.execute("BEGIN IMMEDIATE")
        for _ in range(units):
            number += 1
            database.execute("INSERT INTO orders VALUES (?, ?, NULL)", (number, PAD))
        database.execute("COMMIT")
        database.execute("BEGIN IMMEDIATE")
        for earlier in range(number - units, number):
            database.execute("UPDATE orders SET result = ? WHERE id = ?", (PAD, earlier + 1))
        database.execute("COMMIT")

    alone: list[float] = []
    end = time.perf_counter() + seconds / 2
    while (began := time.perf_counter()) < end:
        transaction(1)
        alone.append((time.perf_counter() - began) / 2 * 1000)
    began, units = time.perf_counter(), 0
    while (now := time.perf_counter()) < began + seconds / 2:
        transaction(GROUP)
        units += GROUP
    database.close()
    return statistics.median(alone), units / (now - began)


async def _http(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": b"{}"})


async def _echo(_scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"]})


def _serve(kind: str) -> None:
    config = uvicorn.Config(
        cast(Any, _http if kind == "http" else _echo),
        port=0,
        http="httptools",
        loop="uvloop",
        ws="websockets-sansio",
        ws_per_message_deflate=False,
        ws_max_size=limits.MAX_FRAME_BYTES,
        access_log=False,
        log_level="error",
        lifespan="off",
    )
    listening = config.bind_socket()
    listening.listen(2_048)  # before anybody is told of it
    print(listening.getsockname()[1], flush=True)
    uvicorn.Server(config).run([listening])


if __name__ == "__main__":
    _serve(sys.argv[1])
