"""Two hub processes and their agents as users start them, on real Postgres and NATS.

Clients do what careful clients do: they try the other process when one is gone, with the same
idempotency key, until somebody has taken their order in.
"""

from __future__ import annotations

import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.cluster.hubs import give_keys
from tests.interaction.processes import wait_until
from tests.interaction.rest import HubGoneError, Rest
from tests.interaction.system import TERMINAL, Agent, Hub, System

WITNESS: Final = "witness"
AGENTS: Final = 2


@dataclass
class Cluster:
    """One hub of two processes, and agents that know the addresses of both."""

    system: System
    hubs: tuple[Hub, Hub]
    agents: list[Agent] = field(default_factory=list)

    def rest(self, number: int) -> Rest:
        """The first admin at one of the processes."""
        return Rest(self.hubs[number % 2].url, self.system.hub.made["apiKey"])

    @property
    def urls(self) -> str:
        """What agents are told: where both are."""
        return ",".join(hub.url.replace("http", "ws", 1) for hub in self.hubs)

    def enrol(self, name: str) -> Agent:
        """Return an agent that is online, at whichever process it chose."""
        agent = self.system.new_agent(name)
        agent.point("--hub", self.urls, "--root", self.system.hub.root)
        agent.start()
        agent.state("pending")
        self.system.approve(agent)
        agent.state("online")
        self.agents.append(agent)
        return agent

    def order(self, line: str, agent: Agent, first: int, *, seconds: float = 60.0) -> str:
        """Have `line` written once; return the order's id as soon as one process has taken it."""
        body = {
            "target": {"agent": agent.did},
            "action": "files.write",
            "params": {"path": WITNESS, "content": f"{line}\n", "append": True},
        }
        pause, deadline, turn = threading.Event(), time.monotonic() + seconds, first
        while True:
            try:
                answer = self.rest(turn).send(
                    "POST", "/intents", body, headers={"Idempotency-Key": line}, seconds=10
                )
                if answer.status == 202:
                    return str(answer.value["intents"][0]["id"])
                assert answer.status in (409, 429, 500, 503), answer
            except HubGoneError:
                pass
            assert time.monotonic() < deadline, f"nobody takes {line}"
            turn += 1
            pause.wait(0.05)

    def judge(self, given: dict[str, tuple[str, Agent]], *, seconds: float = 90.0) -> None:
        """Every order has ended once, by one result, and left its line once; the record holds."""
        listed: dict[str, str] = {}

        def ended() -> bool:
            items = self.rest(0).items("/intents", limit=200)
            listed.update((one["id"], one["state"]) for one in items)
            return all(state in TERMINAL for state in listed.values())

        wait_until(ended, "every order to end", seconds=seconds, pause_seconds=0.5)
        assert listed.keys() == {id for id, _ in given.values()}, "one was taken in twice, or lost"
        assert Counter(listed.values()) == {"succeeded": len(given)}
        for agent in self.agents:
            lines = Counter(agent.lines(WITNESS))
            assert lines == Counter(line for line, (_, to) in given.items() if to is agent)
        folder = self.system.folder / "record"
        self.system.writ("audit", "export", str(folder))
        self.system.writ("audit", "verify", str(folder), "--root", self.system.hub.root)
        leaves = [json.loads(one) for one in (folder / "leaves.jsonl").read_text().splitlines()]
        for kind in ("intent.submitted", "intent.finished"):
            about = Counter(one["subject"] for one in leaves if one["kind"] == kind)
            assert about == Counter(listed.keys()), kind

    def online(self) -> int:
        """How many agents are online, at whichever process."""
        return len(self.rest(0).items("/agents", status="online"))

    def pause(self, number: int, seconds: float) -> None:
        """Stop one process in its tracks for a while: it sleeps, and does not know it."""
        process = self.hubs[number].process
        assert process is not None
        process._send(signal.SIGSTOP)
        threading.Event().wait(seconds)
        process._send(signal.SIGCONT)


@contextmanager
def cluster(folder: Path, database_url: str, bus_url: str, **env: str) -> Iterator[Cluster]:
    """Run both processes and the agents inside the block."""
    shared = {"WRIT_BUS_URL": bus_url, "WRIT_FILES_URL": str(folder / "files"), **env}
    with System(folder, database_url=database_url, **shared) as system:
        give_keys(folder / "hub", folder / "hub-2")
        second = Hub(folder / "hub-2", database_url=database_url, **shared)
        made = Cluster(system, (system.hub, second))
        try:
            for hub in made.hubs:
                hub.start()
            for number in range(AGENTS):
                made.enrol(f"worker-{number}")
            yield made
        finally:
            if second.process is not None and second.process.running:
                second.process.kill()


def ready(hub: Hub) -> dict[str, Any]:
    """Wait until a process says it is ready, its bus too."""

    def probe() -> dict[str, Any] | None:
        try:
            answer = Rest(hub.url).send("GET", "/readyz", seconds=5)
        except HubGoneError:
            return None
        return answer.value if answer.value["status"] == "ok" else None

    found: dict[str, Any] = wait_until(probe, "a process to be ready", seconds=30)
    return found
