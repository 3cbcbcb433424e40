"""One stage per database, shared by the tests of a file: what survives a kill is killed again."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.faults.stage import Stage
from tests.interaction.system import System

ROUNDS = int(os.environ.get("WRIT_FAULT_ROUNDS", "0"))
# In the environment, so that the workers of a parallel run draw from the same seed.
SEED = int(os.environ.setdefault("WRIT_FAULT_SEED", str(random.SystemRandom().randrange(1, 2**31))))


DATABASES = ["sqlite", "postgres"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out, except in `make faults`, every named point on one of the databases, in turns."""
    if ROUNDS:
        return
    played = [one for one in items if {"stage", "point"} <= _params(one).keys()]
    points = sorted({str(_params(one)["point"]) for one in played})
    left_out = {
        one
        for one in played
        if _params(one)["stage"] != DATABASES[points.index(_params(one)["point"]) % 2]
    }
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [one for one in items if one not in left_out]


def _params(item: pytest.Item) -> dict[str, Any]:
    return dict(getattr(getattr(item, "callspec", None), "params", {}))


@pytest.fixture(scope="module", params=DATABASES)
def stage(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """A running system on a real database, with one agent online."""
    url = None
    if request.param == "postgres":
        server = request.getfixturevalue("postgres_server")
        url = server.url(server.create())
    with System(tmp_path_factory.mktemp(f"faults-{request.param}"), database_url=url) as system:
        system.hub.start()
        yield Stage(system)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which seed drew the random rounds, so that a failure can be had again."""
    if ROUNDS:
        terminalreporter.write_line(f"WRIT_FAULT_ROUNDS={ROUNDS} WRIT_FAULT_SEED={SEED}")
