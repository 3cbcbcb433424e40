"""SPEC section 8 with kill -9 of the hub at every named point, on every database."""

from __future__ import annotations

import random

import pytest

from controlplane.faults import POINTS
from tests.faults.conftest import ROUNDS, SEED
from tests.faults.stage import Stage


@pytest.mark.parametrize("point", sorted(POINTS))
def test_every_order_ends_once_whatever_the_hub_was_doing(stage: Stage, point: str) -> None:
    stage.arm_hub(point)
    with stage.revived(stage.system.hub):
        given = stage.work()
    states = stage.judge(given)
    assert set(states.values()) == {"succeeded"}


@pytest.mark.skipif(ROUNDS == 0, reason="random rounds: `make faults` or WRIT_FAULT_ROUNDS=n")
@pytest.mark.parametrize("number", range(max(ROUNDS, 1)))
def test_random_work_and_random_points(stage: Stage, number: int) -> None:
    rng = random.Random(f"{SEED} hub {number}")
    point = rng.choice(sorted(POINTS - {"register_before_commit", "register_committed"}))
    print(f"seed {SEED}, round {number}: {point}")
    stage.arm_hub(point, passes=rng.randrange(1, 3))
    given = []
    with stage.revived(stage.system.hub) as codes:
        while not codes:
            given += stage.work(rng)
    stage.judge(given)


def test_after_all_that_nothing_is_open_and_the_record_holds(stage: Stage) -> None:
    stage.judge_everything()
