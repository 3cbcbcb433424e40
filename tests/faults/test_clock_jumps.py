"""Clocks that jump: nothing is done twice, and expiry is judged by the latest time ever seen.

The processes are as users start them; libfaketime stands between them and the clock of the machine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interaction.processes import wait_until
from tests.interaction.system import Agent, System

LIBRARIES = [
    *Path("/usr/lib").glob("*/faketime/libfaketime.so.1"),
    *Path("/usr/local/lib/faketime").glob("libfaketime.so.1"),
]
pytestmark = [
    pytest.mark.skipif(not LIBRARIES, reason="libfaketime is not installed"),
    pytest.mark.timeout(300),
]
HOUR = 3_600


@dataclass
class Time:
    """The clock of one process: what it is away from the machine's."""

    file: Path

    def __post_init__(self) -> None:
        self.jump(0)

    def jump(self, seconds: int) -> None:
        """Set it, while the process runs."""
        aside = self.file.with_suffix(".new")
        aside.write_text(f"{seconds:+d}\n")
        aside.rename(self.file)

    @property
    def env(self) -> dict[str, str]:
        """What its process is started with."""
        return {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }


@dataclass
class Place:
    """A hub and an agent, each with a clock of its own."""

    system: System
    agent: Agent
    hub_time: Time
    agent_time: Time

    def order(self, line: str, **more: int) -> str:
        params = {"path": "lines", "content": f"{line}\n", "append": True}
        return self.system.order_with(self.agent, "files.write", params, **more)

    def online(self) -> None:
        rest = self.system.rest
        wait_until(lambda: rest.items("/agents", status="online"), "the agent", seconds=60)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("clock")
    times = Time(folder / "hub.time"), Time(folder / "agent.time")
    with System(folder, WRIT_HEARTBEAT_SECONDS="2") as system:
        system.hub.start(**times[0].env)
        agent = system.new_agent("worker")
        agent.start(**times[1].env)
        agent.state("pending")
        system.approve(agent)
        agent.state("online")
        yield Place(system, agent, *times)


def test_an_agent_whose_clock_was_ahead_holds_nothing_for_fresh_that_was_over_then(
    place: Place,
) -> None:
    said = place.agent.said
    place.agent_time.jump(2 * HOUR)
    short = place.order("short", expiresInSeconds=HOUR)
    long = place.order("long", expiresInSeconds=24 * HOUR)
    # Too far off: hub and agent do not believe each other's frames, and part.
    place.agent.state("offline", after=said, seconds=60)
    place.agent_time.jump(0)
    place.online()
    ended = place.system.end(short)
    assert ended["state"] == "refused", ended
    assert ended["result"]["error"]["code"] == "expired"
    assert place.system.end(long)["state"] == "succeeded"
    assert place.agent.lines("lines") == ["long"]


@pytest.mark.parametrize("jump", [4 * HOUR, -2 * HOUR], ids=["ahead", "back"])
def test_a_hub_whose_clock_jumps_and_returns_has_every_order_done_once(
    place: Place, jump: int
) -> None:
    before = len(place.agent.lines("lines"))
    first = place.order(f"before {jump}")
    assert place.system.end(first)["state"] == "succeeded"
    said = place.agent.said
    place.hub_time.jump(jump)
    place.agent.state("offline", after=said, seconds=60)
    meanwhile = place.order(f"meanwhile {jump}", expiresInSeconds=24 * HOUR)
    place.hub_time.jump(0)
    place.online()
    after = place.order(f"after {jump}")
    ends = [place.system.end(id)["state"] for id in (meanwhile, after)]
    # A document of hours ahead is no document yet, and the agent that says so ends the order. (It
    # has been two hours ahead itself, and judges by the latest time it has seen.)
    assert ends == ["refused" if jump > 0 else "succeeded", "succeeded"]
    expected = [f"before {jump}", f"meanwhile {jump}", f"after {jump}"]
    lines = place.agent.lines("lines")[before:]
    assert lines == [one for one in expected if jump < 0 or "meanwhile" not in one]


def test_after_all_that_the_record_holds(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "record"
    place.system.writ("audit", "export", str(folder))
    place.system.writ("audit", "verify", str(folder), "--root", place.system.hub.root)
