"""SPEC section 8 over a network that cuts, delays, stalls, garbles and repeats what is said."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.faults.conftest import ROUNDS, SEED
from tests.faults.wire import Weather, Wire
from tests.interaction.processes import wait_until
from tests.interaction.system import Agent, System
from tests.soak.figures import look

LINES = "lines"
# What a half-open connection is noticed by: soon here, and not so soon that a busy machine's own
# pauses count as one.
HUB = {"WRIT_HEARTBEAT_SECONDS": "2", "WRIT_PING_SECONDS": "2", "WRIT_LOG_LEVEL": "warning"}
BAD = [weather for weather in Weather if weather is not Weather.CALM]


@dataclass
class Place:
    """A hub, one agent, and the wire between them."""

    system: System
    wire: Wire
    agent: Agent
    given: int = 0

    def order(self, count: int, *, pad: str = "") -> list[tuple[str, str]]:
        """Give orders that leave a line each; return id and line."""
        made = []
        for _ in range(count):
            self.given += 1
            line = f"{self.given}{pad}"
            params = {"path": LINES, "content": f"{line}\n", "append": True}
            made.append((self.system.order(self.agent, "files.write", **params), line))
        return made

    def judge(self, made: list[tuple[str, str]]) -> None:
        """Every order has succeeded, and left its line once."""
        for id, _ in made:
            assert self.system.end(id, seconds=120)["state"] == "succeeded"
        lines = Counter(self.agent.lines(LINES))
        assert [lines[line] for _, line in made] == [1] * len(made)

    def is_online(self) -> bool:
        """Whether the hub sees the agent."""
        return len(self.system.rest.items("/agents", status="online")) == 1


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with System(tmp_path_factory.mktemp("network"), **HUB) as system:
        system.hub.start()
        with Wire(system.hub.url, random.Random(SEED)) as wire:
            agent = system.new_agent("worker", WRIT_AGENT_PING_SECONDS="2")
            agent.point("--hub", wire.url, "--root", system.hub.root)
            agent.start()
            agent.state("pending")
            system.approve(agent)
            agent.state("online")
            yield Place(system, wire, agent)


def go_through(place: Place, weather: Weather) -> None:
    """Order while the weather is bad, and judge when it is over."""
    before = place.wire.hits[weather]
    place.wire.turn(weather)
    made = place.order(6)

    def has_struck() -> bool:
        return place.wire.hits[weather] > before

    wait_until(has_struck, f"the weather {weather}", seconds=60)
    made += place.order(4)
    if weather in (Weather.STALL, Weather.CUT):
        # It has to be noticed, and the next connection meets the same.
        wait_until(lambda: place.wire.hits[weather] > before + 1, "another try", seconds=60)
    place.wire.calm()
    place.judge(made)
    wait_until(place.is_online, "the agent to be online again", seconds=60)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("weather", [one for one in BAD if one is not Weather.SLOW])
def test_every_order_is_done_once_whatever_the_network_does(place: Place, weather: Weather) -> None:
    go_through(place, weather)


def test_who_repeats_an_agents_words_is_told_nothing_and_takes_nothing_from_it(
    place: Place,
) -> None:
    place.wire.replays.clear()
    place.wire.turn(Weather.REPLAY)
    made = place.order(3)
    wait_until(lambda: place.wire.replays, "the hub's answer to the repetition", seconds=60)
    place.judge(made)
    answer = place.wire.replays[0]
    # A fresh hello, then either nothing that was said before proves anything, or silence.
    assert b'"hello"' in answer
    assert b"register_ack" not in answer
    assert b"intent" not in answer.replace(b"intents", b"")
    assert not place.system.rest.items("/audit", kind="key_conflict")
    place.wire.calm()


@pytest.mark.timeout(300)
def test_a_reader_of_a_few_kilobytes_a_second_costs_the_hub_no_memory_and_loses_nothing(
    place: Place,
) -> None:
    process = place.system.hub.process
    assert process is not None
    before = look(process.pid, 0.0).memory_mb
    place.wire.turn(Weather.SLOW)
    made = place.order(150, pad="x" * 60_000)  # nine megabytes: more than a connection may queue
    grown = look(process.pid, 0.0).memory_mb - before
    assert grown < 60, f"{grown:.0f} MB"
    place.wire.calm()
    place.judge(made)


@pytest.mark.skipif(ROUNDS == 0, reason="random weather: `make faults` or WRIT_FAULT_ROUNDS=n")
@pytest.mark.parametrize("number", range(max(ROUNDS, 1)))
def test_random_weather(place: Place, number: int) -> None:
    rng = random.Random(f"{SEED} weather {number}")
    for weather in rng.choices(BAD, k=4):
        print(f"seed {SEED}, round {number}: {weather}")
        place.wire.turn(weather)
        made = place.order(rng.randrange(1, 12))
        if rng.random() < 0.3:
            place.agent.kill()
            place.agent.start()
        if rng.random() < 0.2:
            place.system.hub.kill()
            place.system.hub.start()
    place.wire.calm()
    for id, _ in made:
        assert place.system.end(id, seconds=120)["state"] in ("succeeded", "interrupted")
    assert all(count == 1 for count in Counter(place.agent.lines(LINES)).values())


def test_after_all_that_the_record_holds(place: Place, tmp_path: Path) -> None:
    folder = tmp_path / "record"
    place.system.writ("audit", "export", str(folder))
    place.system.writ("audit", "verify", str(folder), "--root", place.system.hub.root)
