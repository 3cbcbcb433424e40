from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

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
