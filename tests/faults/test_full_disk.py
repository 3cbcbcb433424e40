"""A disk that is full: what is not on it was never promised, and all goes on when there is room."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.faults.disk import SmallDisk
from tests.interaction.processes import wait_until
from tests.interaction.system import Agent, System


@dataclass
class Place:
    """A hub and an agent, each on a disk of its own."""

    system: System
    agent: Agent
    hub_disk: SmallDisk
    agent_disk: SmallDisk

    @property
    def hub_pid(self) -> int:
        assert self.system.hub.process is not None
        return self.system.hub.process.pid

    @property
    def agent_pid(self) -> int:
        assert self.agent.process is not None
        return self.agent.process.pid


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("disk")
    disks = [SmallDisk(folder / "hub"), SmallDisk(folder / "worker")]
    try:
        with System(folder) as system:
            system.hub.start()
            yield Place(system, system.agent("worker"), *disks)
    finally:
        for disk in disks:
            disk.remove()


def test_a_hub_without_room_says_so_and_keeps_what_it_has_promised(place: Place) -> None:
    system, agent = place.system, place.agent
    script = "echo begun >> marks; until test -e go; do sleep 0.05; done; echo done >> marks"
    running = system.order(agent, "shell.exec", argv=["sh", "-c", script])
    wait_until(lambda: agent.lines("marks"), "the work to begin")
    place.hub_disk.fill(place.hub_pid)
    try:
        refused = system.submit(agent, "echo", {"n": 1})
        assert (refused.status, refused.code) == (503, "unavailable"), refused
        assert refused.headers["retry-after"]
        # It can still be asked, and what it was told before is still there.
        assert system.intent(running)["state"] in ("dispatched", "accepted", "running")
        (agent.workspace / "go").touch()
        wait_until(lambda: agent.lines("marks") == ["begun", "done"], "the work to end")
        # The result comes, finds no room, and is not acknowledged.
        assert system.intent(running)["result"] is None
    finally:
        place.hub_disk.free(place.hub_pid)
    assert system.end(running)["state"] == "succeeded"
    assert agent.lines("marks") == ["begun", "done"]
    assert system.run(agent, "echo", n=2)["state"] == "succeeded"
    orders = system.rest.items("/intents")
    assert len(orders) == 2, "what was refused with 503 was never an order"


def test_an_agent_without_room_takes_no_order_in_and_does_each_once_when_there_is(
    place: Place,
) -> None:
    system, agent = place.system, place.agent
    place.agent_disk.fill(place.agent_pid)
    try:
        given = [
            system.order(agent, "files.write", path="lines", content=f"{n}\n", append=True)
            for n in range(5)
        ]
        wait_until(
            lambda: b"cannot write" in agent.log.read_bytes(), "the agent to notice its disk"
        )
        # Sent, and not acknowledged: it is not on the agent's disk.
        assert {system.intent(id)["state"] for id in given} <= {"queued", "dispatched"}
        assert agent.lines("lines") == []
    finally:
        place.agent_disk.free(place.agent_pid)
    assert [system.end(id)["state"] for id in given] == ["succeeded"] * 5
    assert sorted(agent.lines("lines")) == [str(n) for n in range(5)]
    assert place.agent_pid == agent.process.pid if agent.process else False
