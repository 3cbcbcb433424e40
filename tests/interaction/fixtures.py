"""Fixtures of whole systems, and their logs in the report of a test that failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.interaction.system import LIVE, Agent, System

POLICY: dict[str, Any] = {
    "rules": [
        {
            "id": "no-secrets",
            "effect": "deny",
            "actions": ["files.*"],
            "when": 'params.path.startsWith("secrets")',
        },
        {
            "id": "anyone-approves",
            "effect": "allow",
            "actions": ["shell.exec"],
            "when": 'params.argv[0] == "uname"',
            "approval": {"people": 1, "from": ["*"], "withinSeconds": 600},
        },
        {
            "id": "an-approver-approves",
            "effect": "allow",
            "actions": ["shell.exec"],
            "when": 'params.argv[0] == "id"',
            "approval": {"people": 1, "from": ["approver"], "withinSeconds": 600},
        },
        {
            "id": "two-approve",
            "effect": "allow",
            "actions": ["shell.exec"],
            "when": 'params.argv[0] == "whoami"',
            "approval": {"people": 2, "from": ["*", "approver"], "withinSeconds": 600},
        },
        {
            "id": "approve-at-once",
            "effect": "allow",
            "actions": ["shell.exec"],
            "when": 'params.argv[0] == "true"',
            "approval": {"people": 1, "from": ["*"], "withinSeconds": 1},
        },
        {"id": "work", "effect": "allow", "actions": ["files.*", "echo", "shell.exec"]},
        {"id": "web", "effect": "allow", "actions": ["http.get"], "domains": ["localhost"]},
    ],
    "limits": {},
}
"""What the workers of the shared fleet may do; rule ids are what tests look for."""


QUICK_WEBHOOKS = {
    "WRIT_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.1/32",
    "WRIT_WEBHOOK_ATTEMPTS": "2",
    "WRIT_WEBHOOK_FIRST_RETRY_SECONDS": "0.3",
    "WRIT_WEBHOOK_TIMEOUT_SECONDS": "5",
}
"""The shared fleet's webhooks may reach this machine, and soon give up."""


@dataclass(frozen=True)
class Fleet:
    """One system that several tests share: they leave its agents online and under `POLICY`."""

    system: System
    worker: Agent
    helper: Agent


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A hub with two agents online, made once: `worker` (site=here) and `helper` (site=there)."""
    folder = tmp_path_factory.mktemp("fleet")
    config = folder / "worker.toml"
    config.write_text('[executors]\nhttp_allow_private = ["127.0.0.0/8"]\n')
    with System(folder, **QUICK_WEBHOOKS) as system:
        system.hub.start()
        worker = system.agent(
            "worker", "--config", str(config), "--label", "site=here", policy=POLICY
        )
        helper = system.agent("helper", "--label", "site=there", allow=["echo", "files.read"])
        yield Fleet(system, worker, helper)


@pytest.fixture
def make_system(tmp_path: Path) -> Iterator[Callable[..., System]]:
    """Make a system of this test's own, with its hub running."""
    made: list[System] = []

    def make(**options: Any) -> System:
        folder = tmp_path / f"system-{len(made)}"
        folder.mkdir()
        system = System(folder, **options)
        system.__enter__()
        made.append(system)
        system.hub.start()
        return system

    yield make
    for system in made:
        system.__exit__(None, None, None)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Show what every process said when a test with a system fails."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.failed and call.when == "call":
        for system in LIVE:
            report.sections.append((f"processes in {system.folder.name}", system.show()))
