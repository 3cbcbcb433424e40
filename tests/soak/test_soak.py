"""The short form of `make soak`, and that its judgement can fail."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.soak.figures import Look, decide_growth, latency_parts, look
from tests.soak.plot import draw_memory
from tests.soak.run import Plan, run


def an_hour(*, mb_per_hour: float, handles_at_end: int = 20) -> list[Look]:
    """A process that settles for ten minutes, then grows, with noise and one sudden peak."""
    rng = random.Random(7)
    looks = []
    for at in range(0, 3600, 10):
        settling = 20 * min(1.0, at / 600)
        peak = 30 if at == 2_000 else 0
        memory = 80 + settling + peak + mb_per_hour * at / 3600 + rng.gauss(0, 0.3)
        looks.append(Look(float(at), memory, handles_at_end if at > 3_000 else 20, 7))
    return looks


def test_noise_and_a_warm_up_are_no_growth_and_a_slow_leak_is() -> None:
    assert decide_growth(an_hour(mb_per_hour=0)).holds
    leaking = decide_growth(an_hour(mb_per_hour=2))
    assert not leaking.holds
    assert leaking.mb_per_hour == pytest.approx(2, abs=0.5)


def test_handles_that_are_not_given_back_are_growth() -> None:
    assert not decide_growth(an_hour(mb_per_hour=0, handles_at_end=60)).holds


def test_latency_is_told_of_the_beginning_and_of_the_end() -> None:
    slower = [(float(at), 0.001 if at < 800 else 0.004) for at in range(1_000)]
    told = latency_parts(slower, 1_000)
    assert (told["first"]["p50ms"], told["last"]["p50ms"]) == (1.0, 4.0)


def test_a_short_soak_ends_every_order_and_tells_of_hub_and_agent(tmp_path: Path) -> None:
    plan = Plan(seconds=6, per_second=10, agents=1, look_every_seconds=1)
    done = run(tmp_path, plan, say=print)
    assert done.report["ends"] == {"succeeded": 60}, done.report
    assert done.report["noAnswer"] == 0
    assert done.looks["hub"][-1].memory_mb > 20
    assert done.report["hub"]["handles"][1] < 100
    assert draw_memory(done.looks).count("<polyline") == 2


def test_a_process_that_has_ended_cannot_be_looked_at() -> None:
    with pytest.raises(OSError, match="proc"):
        look(2**22 + 1, 0.0)
