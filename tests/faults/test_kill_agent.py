"""SPEC section 8 with kill -9 of the agent at every named point, with a real hub behind it."""

from __future__ import annotations

import random

import pytest

from agentd.faults import POINTS
from tests.faults.conftest import ROUNDS, SEED
from tests.faults.stage import Stage
from tests.interaction.processes import wait_until

# the change of roots is another story: tests/interaction/test_key_changes.py cuts it there
ROOT_CHANGE = frozenset({"rotation_root_pinned"})
ROTATION = frozenset(one for one in POINTS if one.startswith("rotation_")) - ROOT_CHANGE
ORDERS = sorted(POINTS - ROTATION - ROOT_CHANGE)


@pytest.mark.parametrize("point", ORDERS)
def test_every_order_ends_once_whatever_the_agent_was_doing(stage: Stage, point: str) -> None:
    stage.arm_agent(point)
    with stage.revived(stage.agent):
        given = stage.work()
    stage.judge(given, agent_died=True)


@pytest.mark.parametrize("point", sorted(ROTATION))
def test_an_agent_that_dies_while_it_goes_over_to_a_new_key_stays_the_same_agent(
    stage: Stage, point: str
) -> None:
    system, agent = stage.system, stage.agent
    old = agent.did
    stage.arm_agent(point)
    agent.state("online")
    with stage.revived(agent):
        system.writ("agent", "rotate-key", "--data-dir", str(agent.folder))
    shown = wait_until(
        lambda: next(
            (one for one in [system.rest.get("/agents/worker")] if one["did"] != old), None
        ),
        "the hub to know the agent under its new key",
    )
    agent.did = shown["did"]
    stage.judge(stage.work())


@pytest.mark.skipif(ROUNDS == 0, reason="random rounds: `make faults` or WRIT_FAULT_ROUNDS=n")
@pytest.mark.parametrize("number", range(max(ROUNDS, 1)))
def test_random_work_and_random_points(stage: Stage, number: int) -> None:
    rng = random.Random(f"{SEED} agent {number}")
    point = rng.choice(ORDERS)
    print(f"seed {SEED}, round {number}: {point}")
    stage.arm_agent(point, passes=rng.randrange(1, 3))
    given = []
    with stage.revived(stage.agent) as codes:
        while not codes:
            given += stage.work(rng)
    stage.judge(given, agent_died=True)


def test_after_all_that_nothing_is_open_and_the_record_holds(stage: Stage) -> None:
    stage.judge_everything()
