"""The short form of `make simulate`, and that it can fail."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.simulator.run import BrokenPromiseError, live


def test_whatever_dies_and_whatever_is_lost_every_promise_holds(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(2**31)
    print(f"again: python -m tests.simulator --seeds 1 --seed {seed}")
    lived = live(tmp_path, seed, seconds=25)
    assert lived.orders == sum(lived.ends.values()) > 10


def test_a_seed_is_a_life_and_the_same_each_time(tmp_path: Path) -> None:
    first, second = (live(tmp_path / name, 7, seconds=6) for name in ("first", "second"))
    assert first == second
    assert first.trace == second.trace


def test_a_start_that_is_not_on_disk_first_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agentd.dispatch.Dispatch._is_idempotent", lambda _self, _order: True)

    def lives() -> None:
        for seed in range(8):
            live(tmp_path / str(seed), seed, seconds=25)

    with pytest.raises(BrokenPromiseError, match="was started"):
        lives()
