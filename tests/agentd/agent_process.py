"""The real agent as its own process, for tests that kill it."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]


class AgentProcess:
    """`writ --json agent run ...` with its lines of state."""

    def __init__(
        self, data_dir: Path, *arguments: str, fault: str | None = None, **env: str
    ) -> None:
        self.data_dir = data_dir
        self._arguments = arguments
        self._environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(CHECKOUT),
            "WRIT_AGENT_RECONNECT_MAX_SECONDS": "0.6",
            "WRIT_AGENT_LOG_LEVEL": "debug",
            **({"WRIT_FAULT": fault} if fault else {}),
            **env,
        }
        self.lines: list[dict[str, Any]] = []
        self.log = ""
        self._process: asyncio.subprocess.Process | None = None
        self._readers: list[asyncio.Task[None]] = []
        self._changed = asyncio.Condition()

    async def __aenter__(self) -> AgentProcess:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "controlplane.cli.main", "--json", "agent", "run"),
            *("--data-dir", str(self.data_dir)),
            *self._arguments,
            env=self._environment,
            cwd=CHECKOUT,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        self._readers = [
            asyncio.create_task(self._read_out()),
            asyncio.create_task(self._read_err()),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self.process.returncode is None:
            self.process.kill()
        await self.ended()

    @property
    def process(self) -> asyncio.subprocess.Process:
        assert self._process is not None
        return self._process

    async def ended(self, seconds: float = 30.0) -> int:
        """Wait for its end and return the exit code (negative: the signal)."""
        async with asyncio.timeout(seconds):
            code = await self.process.wait()
            await asyncio.gather(*self._readers)
        return code

    async def state(self, name: str, seconds: float = 20.0) -> dict[str, Any]:
        """Wait for a state and return its line."""

        def find() -> dict[str, Any] | None:
            return next((line for line in self.lines if line.get("state") == name), None)

        async with asyncio.timeout(seconds), self._changed:
            await self._changed.wait_for(lambda: find() is not None)
        found = find()
        assert found is not None
        return found

    async def _read_out(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            async with self._changed:
                self.lines.append(json.loads(line))
                self._changed.notify_all()

    async def _read_err(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.log += line.decode()
