from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import JsonValue

from agentd.executors.base import Executor, Work, parse_params
from agentd.sandbox import Sandbox
from agentd.workspace import Workspace

Run = Callable[..., Any]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "workspace")


@pytest.fixture
def run(workspace: Workspace) -> Run:
    """Run one executor on params as they come off the wire, and return its output."""

    async def run_one(
        executor: Executor,
        params: dict[str, JsonValue],
        *,
        sandbox: Sandbox | None = None,
        domains: tuple[str, ...] | None = None,
        seconds: float = 30,
        **more: Any,
    ) -> Any:
        work = Work(
            grant=None,  # type: ignore[arg-type]  # built-in executors have no use for the proof
            params=parse_params(executor, params),
            workspace=workspace,
            sandbox=sandbox or Sandbox(),
            deadline=time.monotonic() + seconds,
            domains=domains,
            **more,
        )
        return await executor.execute(work)

    return run_one
