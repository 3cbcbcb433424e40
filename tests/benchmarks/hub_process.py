"""A hub process and its agents, as the benchmarks have them: pinned to cores, each apart.

Owns starting and ending them, and a client that stays out of the way; measures nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from tests.benchmarks.machine import HUB_CPU, LOAD_CPU, cpu_seconds, family, pinned

WRIT = [sys.executable, "-m", "controlplane.cli.main", "--json"]
UNBOUNDED = {
    # The whole fleet has one address here.
    "WRIT_MAX_UNREGISTERED_PER_ADDRESS": "1000",
    "WRIT_FRAMES_PER_SECOND": "1000000",
    "WRIT_FRAMES_BURST": "1000000",
}


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


class Target(Protocol):
    """What orders are given to: a hub and its fleet, or several."""

    dids: list[str]
    replied: set[str]

    async def client(self) -> Client:
        """Return an open connection of the admin."""

    def hub_cpu_seconds(self) -> float:
        """CPU time of the hub."""

    def database_cpu_seconds(self) -> float:
        """CPU time of the database server, when there is one."""


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
        flags: Sequence[str] = (),
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
        self._run_flags = list(flags)
        self._cpu = HUB_CPU
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
        command = [*self._command, "hub", "run", *self._flags, *self._run_flags]
        self.hub = subprocess.Popen(
            pinned(self._cpu, [*command, "--port", str(self.port)]),
            env=self._env,
            stdout=subprocess.PIPE,
            stderr=(self._folder / "hub.log").open("a"),
            text=True,
        )
        assert self.hub.stdout is not None
        said = self.hub.stdout.readline()
        if not said:
            raise RuntimeError(f"the hub did not start: {self._last_of_log()}")
        self.url = json.loads(said)["url"]
        self.port = int(self.url.rpartition(":")[2])

    def _last_of_log(self) -> str:
        lines = (self._folder / "hub.log").read_text().splitlines()
        return lines[-1] if lines else "it said nothing"

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
            said = fleet.stdout.readline()
            if not said:
                raise RuntimeError("a fleet of agents has ended")
            found: dict[str, Any] = json.loads(said)
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
            with suppress(BrokenPipeError):
                fleet.stdin.close()
        for process in (*self.fleets, self.hub):
            if process is self.hub:
                process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
