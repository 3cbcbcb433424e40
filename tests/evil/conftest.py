"""An evil hub with its real keys, an honest operator it cannot sign for, and a witness of work."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from tests.agentd.conftest import AgentHere
from tests.agentd.hub_double import HubDouble
from tests.evil.stage import Stage


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
def stage(hub: HubDouble, data_dir: Path) -> Stage:
    return Stage(hub, data_dir)


@pytest.fixture
def agent_here(hub: HubDouble, data_dir: Path) -> Callable[..., AgentHere]:
    def make(**flags: object) -> AgentHere:
        return AgentHere(hub, data_dir, **flags)

    return make
