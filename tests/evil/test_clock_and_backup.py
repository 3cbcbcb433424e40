"""The agent's clock is set back, and its memory is put back to an older copy.

What protects whom: the highest clock seen is on disk, so what has expired stays expired. A state
from before an order makes that order look new; then its own `expires` and the hub's record (it is
finished: an honest hub sends it never again) are what is left, and an evil hub that kept the
operator's bytes can have it done once more until it expires. `test_the_limit...` shows just that.
"""

from __future__ import annotations

import shutil
from datetime import timedelta
from pathlib import Path

import pytest

import agentd.clock
from tests.agentd.hub_double import now, seal
from tests.evil.stage import Stage


def shift_clock(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    """Set the agent's wall clock off by so much; the hub's stays right."""
    true_clock = agentd.clock.wall_now

    def shifted() -> object:
        return true_clock() + by

    monkeypatch.setattr(agentd.clock, "wall_now", shifted)


def save(stage: Stage, folder: Path) -> None:
    shutil.copytree(stage.data_dir, folder, ignore=shutil.ignore_patterns("workspace", "lock*"))


def restore(stage: Stage, folder: Path) -> None:
    """Put the agent's memory back; its workspace keeps what was done."""
    for path in stage.data_dir.glob("state.db*"):
        path.unlink()
    for path in folder.glob("state.db*"):
        shutil.copy2(path, stage.data_dir / path.name)


async def test_a_clock_set_back_brings_no_expired_order_to_life(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        await stage.truth()
        expired = stage.wish(
            "evil", timestamp=now() - timedelta(hours=2), expires=now() - timedelta(hours=1)
        )
        assert agent.agent is not None
        shift_clock(monkeypatch, -timedelta(hours=1, minutes=30))
        assert agent.agent.clock.now() < now() - timedelta(hours=1)
        answer = agent.agent.verifier
        with pytest.raises(Exception, match=r".") as caught:
            answer.verify(expired)
        assert getattr(caught.value, "code", None) == "expired"
    assert stage.witness == ["truth"]


async def test_a_clock_set_back_a_day_between_two_runs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The high-water mark is on disk: the next process starts from it."""
    async with stage.agent() as agent:
        await agent.state("online")
        await stage.truth()
    shift_clock(monkeypatch, -timedelta(days=1))
    async with stage.agent() as agent:
        await agent.state("connecting")
        assert agent.agent is not None
        assert agent.agent.clock.now() < now() - timedelta(hours=23)
        assert agent.agent.clock.later() > now() - timedelta(minutes=1)
        minute_ago = now() - timedelta(minutes=1)
        old = stage.wish("evil", timestamp=now() - timedelta(days=1), expires=minute_ago)
        with pytest.raises(Exception, match=r".") as caught:
            agent.agent.verifier.verify(old)
        assert getattr(caught.value, "code", None) == "expired"
        # A hub that is on time is not believed at all by such a clock: nothing can be ordered.
        await agent.state("refused")
    assert stage.witness == ["truth"]


async def test_a_policy_that_expired_stays_expired_on_a_clock_set_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        assert agent.agent is not None
        policy = stage.policy(2, expires=now() + timedelta(seconds=2))
        assert await stage.code_of(policy) == "accepted"
        await stage.truth()
        await stage.hub.until(lambda: True)
        shift_clock(monkeypatch, timedelta(seconds=5))
        agent.agent.clock.now()
        monkeypatch.undo()
        assert await stage.code_of(stage.wish("evil")) == "policy_expired"
    assert stage.witness == ["truth"]


async def test_a_state_from_after_the_order_remembers_it(stage: Stage, tmp_path: Path) -> None:
    order = None
    async with stage.agent() as agent:
        await agent.state("online")
        order = stage.wish("once")
        assert await stage.code_of(order) == "succeeded"
    save(stage, tmp_path / "copy")
    async with stage.agent() as agent:
        await agent.state("online")
        await stage.truth()
    restore(stage, tmp_path / "copy")
    async with stage.agent() as agent:
        await agent.state("online")
        await stage.send(order)
        await stage.hub.until(lambda: len(stage.hub.results_of(order)) >= 2)
    assert stage.witness == ["once", "truth"]


async def test_a_state_from_before_does_not_bring_expired_orders_or_policies_back(
    stage: Stage, tmp_path: Path
) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        await stage.truth()
    save(stage, tmp_path / "copy")
    async with stage.agent() as agent:
        await agent.state("online")
        order = stage.wish("once", expires=now() + timedelta(seconds=2))
        assert await stage.code_of(order) == "succeeded"
    restore(stage, tmp_path / "copy")
    stage.hub.received.results.clear()
    async with stage.agent() as agent:
        await agent.state("online")
        while now() < order.expires:  # type: ignore[operator]
            await stage.truth("t")
        await stage.send(order)
        await stage.truth("t")
        from protocol.messages import ErrorMessage

        assert [e.code for e in stage.hub.received.of(ErrorMessage)][-1] == "expired"
    assert stage.witness.count("once") == 1


async def test_the_limit_of_a_state_from_before_an_order(stage: Stage, tmp_path: Path) -> None:
    """Not a promise but its border: an evil hub and an older copy do an unexpired order again.

    The result then says so: two results of one intent, both signed by the agent.
    """
    async with stage.agent() as agent:
        await agent.state("online")
        await stage.truth()
    save(stage, tmp_path / "copy")
    async with stage.agent() as agent:
        await agent.state("online")
        order = stage.wish("once")
        assert await stage.code_of(order) == "succeeded"
    restore(stage, tmp_path / "copy")
    async with stage.agent() as agent:
        await agent.state("online")
        await stage.send(order)
        await stage.hub.until(lambda: len(stage.hub.results_of(order)) == 2)
    assert len({one.id for one in stage.hub.results_of(order)}) == 2
    assert stage.witness == ["truth", "once", "once"]


async def test_a_missing_state_is_never_taken_for_an_empty_one(stage: Stage) -> None:
    async with stage.agent() as agent:
        await agent.state("online")
        await stage.truth()
    for path in stage.data_dir.glob("state.db*"):
        path.unlink()
    from agentd.errors import StateError

    with pytest.raises(StateError):
        async with stage.agent() as agent:
            await agent.state("connecting")


async def test_a_quarantine_is_lost_with_an_older_state_and_set_again_by_the_hub(
    stage: Stage, tmp_path: Path
) -> None:
    """Epochs fall back with the state; what the hub sends again is taken again."""
    async with stage.agent() as agent:
        await agent.state("online")
        await stage.truth()
    save(stage, tmp_path / "copy")
    payload = {"epoch": 1, "active": True, "reason": "stop", "proof": [stage.grant.id]}
    stop = seal("quarantine", stage.operator, stage.hub.agent_did or "", payload)
    async with stage.agent() as agent:
        await agent.state("online")
        assert await stage.code_of(stop) == "accepted"
    restore(stage, tmp_path / "copy")
    async with stage.agent() as agent:
        await agent.state("online")
        assert await stage.code_of(stop) == "accepted"
        assert await stage.code_of(stage.wish("evil")) == "quarantined"
    assert stage.witness == ["truth"]
