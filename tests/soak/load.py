"""A steady day at a hub: orders at a fixed rate, and people and strangers who come and go.

Orders are due by the clock, whether or not those before have ended, and their time counts from
when they were due. Visitors look at lists, follow events for a while, and knock as an agent would
without ever showing a key: what is made for each of them has to be gone after they left.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from typing import Any, Final
from urllib.parse import urlsplit

from tests.interaction.system import System

_VISIT_SECONDS: Final = 5.0
_ORDER_SECONDS: Final = 60.0
_AT_ONCE: Final = 200
_LISTS: Final = ("/agents", "/intents?limit=50", "/audit?limit=50", "/me", "/overview")


class Load:
    """Drives a system from one event loop.

    Args:
        system: online, with its agents.
        per_second: orders.
    """

    def __init__(self, system: System, *, per_second: float) -> None:
        parts = urlsplit(system.hub.url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._key = system.hub.made["apiKey"]
        self._dids = [agent.did for agent in system.agents]
        self._per_second = per_second
        self._room = asyncio.Semaphore(_AT_ONCE)
        self.latencies: list[tuple[float, float]] = []
        self.ends: dict[str, int] = {}
        self.failures = 0
        self.visits = 0

    async def run(self, seconds: float) -> None:
        """Go on for that long, and wait for what is still open."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            visiting = tasks.create_task(self._visit(began + seconds))
            for number in range(int(seconds * self._per_second)):
                due = number / self._per_second
                if (wait := began + due - time.monotonic()) > 0:
                    await asyncio.sleep(wait)
                await self._room.acquire()
                tasks.create_task(self._order(number, began, due))
            await asyncio.sleep(max(0, began + seconds - time.monotonic()))
            visiting.cancel()

    async def _order(self, number: int, began: float, due: float) -> None:
        try:
            action, params = _work(number)
            body = {
                "target": {"agent": self._dids[number % len(self._dids)]},
                "action": action,
                "params": params,
            }
            status, answer = await self._ask("POST", "/intents?wait=50", body)
            state = answer["intents"][0]["state"] if status == 202 else f"{status}"
            self.ends[state] = self.ends.get(state, 0) + 1
            self.latencies.append((due, time.monotonic() - began - due))
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            self.failures += 1
        finally:
            self._room.release()

    async def _visit(self, until: float) -> None:
        while time.monotonic() < until:
            await asyncio.sleep(_VISIT_SECONDS)
            with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                for path in _LISTS:
                    await self._ask("GET", path)
                await self._leave_after("/api/v1/events", _VISIT_SECONDS / 2)
                await self._leave_after("/ws/agent", 0.2, upgrade=True)
                self.visits += 1

    async def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        data = b"" if body is None else json.dumps(body).encode()
        async with asyncio.timeout(_ORDER_SECONDS):
            reader, writer = await asyncio.open_connection(self._host, self._port)
            try:
                writer.write(self._head(method, f"/api/v1{path}", len(data)) + data)
                head = await reader.readuntil(b"\r\n\r\n")
                raw = await reader.read()
            finally:
                writer.close()
        return int(head[9:12]), json.loads(raw) if raw.startswith((b"{", b"[")) else None

    async def _leave_after(self, path: str, seconds: float, *, upgrade: bool = False) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port)
        try:
            writer.write(self._head("GET", path, 0, upgrade=upgrade))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while await reader.read(65_536):
                        pass
        finally:
            writer.transport.abort()

    def _head(self, method: str, path: str, size: int, *, upgrade: bool = False) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}"]
        if upgrade:
            lines += ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"]
            lines += [
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
                "Sec-WebSocket-Protocol: writ.v1",
            ]
        else:
            lines += ["Connection: close", f"Authorization: Bearer {self._key}"]
            lines += ["Content-Type: application/json", f"Content-Length: {size}"]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _work(number: int) -> tuple[str, dict[str, Any]]:
    if number % 10 == 0:
        path, content = f"file-{number % 100}", "x" * 500
        return "files.write", {"path": path, "content": content}
    return "echo", {"number": number, "pad": "x" * 500}
