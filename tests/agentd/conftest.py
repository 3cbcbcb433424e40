from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from agentd.agent import Agent
from agentd.main import run_agent
from agentd.settings import load_settings
from tests.agentd.agent_process import AgentProcess
from tests.agentd.hub_double import HubDouble


@pytest.fixture
async def hub() -> AsyncIterator[HubDouble]:
    async with HubDouble() as double:
        yield double


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "agent"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def agent_process(hub: HubDouble, data_dir: Path) -> Callable[..., AgentProcess]:
    def make(*arguments: str, fault: str | None = None, **env: str) -> AgentProcess:
        return AgentProcess(
            data_dir,
            *("--hub", hub.url, "--root", hub.root.public_key.did),
            *arguments,
            fault=fault,
            **env,
        )

    return make


class AgentHere:
    """The agent as a task of the test: everything but the process is real."""

    def __init__(self, hub: HubDouble, data_dir: Path, /, **flags: Any) -> None:
        self.settings = load_settings(
            {
                "data_dir": data_dir,
                "hub": hub.url,
                "root": hub.root.public_key.did,
                "health_port": -1,
                "reconnect_min_seconds": 0.01,
                "reconnect_max_seconds": 0.05,
                "shutdown_grace_seconds": 0.2,
                "log_level": "debug",
                **flags,
            },
            environment={},
        )
        self.lines: list[dict[str, Any]] = []
        self._changed = asyncio.Condition()
        self._task: asyncio.Task[None] | None = None
        self._notes: set[asyncio.Task[None]] = set()
        self.agent: Agent | None = None

    async def __aenter__(self) -> AgentHere:
        self._task = asyncio.create_task(run_agent(self.settings, self._emit, until=self._until))
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._stop = True
        if not self._task.done():
            os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(20):
            await self._task

    _stop = False

    async def state(self, name: str, seconds: float = 20.0) -> dict[str, Any]:
        return await self.until_line(lambda line: line.get("state") == name, seconds)

    async def until_line(
        self, wanted: Callable[[dict[str, Any]], bool], seconds: float = 20.0
    ) -> dict[str, Any]:
        assert self._task is not None

        def find() -> dict[str, Any] | None:
            return next((line for line in self.lines if wanted(line)), None)

        async def look() -> None:
            async with self._changed:
                await self._changed.wait_for(lambda: find() is not None)

        looking = asyncio.create_task(look())
        async with asyncio.timeout(seconds):
            await asyncio.wait({looking, self._task}, return_when=asyncio.FIRST_COMPLETED)
        looking.cancel()
        if self._task.done():
            await self._task
        found = find()
        assert found is not None, self.lines
        return found

    def _emit(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        note = asyncio.get_running_loop().create_task(self._notify())
        self._notes.add(note)
        note.add_done_callback(self._notes.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _until(self, _condition: str, agent: Agent) -> bool:
        self.agent = agent
        return self._stop


@pytest.fixture
def agent_here(hub: HubDouble, data_dir: Path) -> Callable[..., AgentHere]:
    def make(**flags: Any) -> AgentHere:
        return AgentHere(hub, data_dir, **flags)

    return make
