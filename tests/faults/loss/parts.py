"""Everything of a hub with its agents that can be killed, and who kills it and starts it again.

All of it real processes: hubs, agents, Postgres, NATS. Knows nothing of orders. What dies when is
drawn from the seed; what it was doing at that moment is the machine's.
"""

from __future__ import annotations

import random
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster.hubs import give_keys
from tests.interaction.rest import Rest
from tests.interaction.system import Agent, Hub, System
from tests.servers.nats import NatsServer
from tests.servers.postgres import PostgresServer

WEIGHTS: Final = {"hub": 4.0, "agent": 4.0, "postgres": 1.0, "nats": 1.0}
"""How often each kind dies, against the others."""
_AT_ONCE: Final = (1, 1, 1, 2, 3)
"""How many die together, drawn from these."""
_HUB: Final = {"WRIT_LOG_LEVEL": "warning", "WRIT_INTENT_RESEND_SECONDS": "10"}
_AGENT: Final = {"WRIT_AGENT_LOG_LEVEL": "warning", "WRIT_AGENT_RESULT_RESEND_SECONDS": "10"}
# Longer than in other tests: here a machine may be so busy that what is sent again each second
# keeps it from ever getting to the rest.
_START_SECONDS: Final = 600.0
"""A machine that is much too busy takes minutes to start a hub."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that dies and comes back; `start` returns when it serves."""

    kind: str
    name: str
    kill: Callable[[], None]
    start: Callable[[], None]


@dataclass(slots=True)
class World:
    """A hub of one or two processes, its agents, and the servers below."""

    system: System
    hubs: list[Hub]
    parts: list[Part]

    @property
    def agents(self) -> list[Agent]:
        """Every agent, enrolled once, with its workspace."""
        return self.system.agents

    def rest(self, number: int) -> Rest:
        """The first admin at one of the hub's processes."""
        hub = self.hubs[number % len(self.hubs)]
        return Rest(hub.url, self.system.hub.made["apiKey"])


@contextmanager
def world(folder: Path, *, agents: int, on_sqlite: bool = False) -> Iterator[World]:
    """Run everything inside the block: two hubs on Postgres and NATS, else one on SQLite."""
    with ExitStack() as stack:
        shared = dict(_HUB)
        url: str | None = None
        parts: list[Part] = []
        if not on_sqlite:
            postgres, nats = PostgresServer(), NatsServer()
            stack.callback(postgres.remove)
            stack.callback(nats.remove)
            url = postgres.url(postgres.create())
            shared |= {"WRIT_BUS_URL": nats.url, "WRIT_FILES_URL": str(folder / "files")}
            parts.append(Part("postgres", "postgres", postgres.kill, postgres.start))
            parts.append(Part("nats", "nats", nats.kill, nats.start))
        system = stack.enter_context(System(folder, database_url=url, **shared))
        made = World(system, [system.hub], parts)
        if not on_sqlite:
            give_keys(folder / "hub", folder / "hub-2")
            made.hubs.append(Hub(folder / "hub-2", database_url=url, **shared))
            stack.callback(lambda: _end(made.hubs[1]))
        for number, hub in enumerate(made.hubs, start=1):
            parts.append(Part("hub", f"hub-{number}", hub.kill, _starter(hub)))
            start_patiently(parts[-1])
        urls = ",".join(hub.url.replace("http", "ws", 1) for hub in made.hubs)
        for number in range(1, agents + 1):
            agent = system.new_agent(f"worker-{number}")
            agent.point("--hub", urls, "--root", system.hub.root)
            agent.start(**_AGENT)
            agent.state("pending")
            system.approve(agent)
            agent.state("online")
            parts.append(Part("agent", agent.name, agent.kill, _starter(agent, **_AGENT)))
        yield made


def _starter(one: Hub | Agent, **env: str) -> Callable[[], None]:
    def start() -> None:
        # A hub without its database ends at once: like any service it is started until it stays.
        _end(one)
        one.start(**env)

    return start


def _end(one: Hub | Agent) -> None:
    if one.process is not None and one.process.running:
        one.process.kill()


def start_patiently(part: Part) -> None:
    """Start it until it serves, as what looks after services does."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            part.start()
            return
        except (AssertionError, RuntimeError, OSError, subprocess.SubprocessError):
            if time.monotonic() > deadline:
                raise
            threading.Event().wait(0.2)


class Killer(threading.Thread):
    """Kills one part or several at once, waits until they serve again, and goes on until stopped.

    Args:
        parts: what may die.
        rng: draws what, when, and how long it stays dead.
        pause_seconds: at most, with everything up, before the next kill; uniform from 0.
        dead_seconds: at most, before what died is started again.
    """

    def __init__(
        self,
        parts: list[Part],
        rng: random.Random,
        *,
        pause_seconds: float,
        dead_seconds: float = 1.5,
    ) -> None:
        super().__init__(name="killer", daemon=True)
        self.kills: Counter[str] = Counter()
        self.failed: BaseException | None = None
        self._parts, self._rng = parts, rng
        self._pause_seconds, self._dead_seconds = pause_seconds, dead_seconds
        self._over = threading.Event()
        # Each kind once before chance decides, so that no run leaves one out.
        self._kinds = list(dict.fromkeys(part.kind for part in parts))
        self._first = rng.sample(self._kinds, len(self._kinds))

    @property
    def spared(self) -> list[str]:
        """Kinds that have not died yet."""
        return [kind for kind in WEIGHTS if kind not in self.kills and kind in self._kinds]

    def run(self) -> None:
        """Kill; whatever goes wrong with it ends the run."""
        try:
            while not self._over.wait(self._rng.uniform(0, self._pause_seconds)):
                self._round()
        except BaseException as exc:
            self.failed = exc

    def stop(self) -> None:
        """Kill no more, and return when everything serves again."""
        self._over.set()
        if self.ident is not None:
            self.join(2 * _START_SECONDS)
        if self.failed is not None:
            raise self.failed

    def _round(self) -> None:
        revived = []
        for part in self._draw(self._rng.choice(_AT_ONCE)):
            self._over.wait(self._rng.uniform(0, 0.3))
            part.kill()
            self.kills[part.kind] += 1
            dead_seconds = self._rng.uniform(0, self._dead_seconds)
            thread = threading.Thread(target=self._revive, args=(part, dead_seconds), daemon=True)
            thread.start()
            revived.append(thread)
        for thread in revived:
            thread.join(2 * _START_SECONDS)

    def _draw(self, count: int) -> list[Part]:
        many = Counter(part.kind for part in self._parts)
        drawn: list[Part] = []
        for _ in range(count):
            kind = self._first.pop() if self._first else None
            left = [part for part in self._parts if part not in drawn]
            left = [part for part in left if kind is None or part.kind == kind]
            weights = [WEIGHTS[part.kind] / many[part.kind] for part in left]
            drawn += self._rng.choices(left, weights)
        return drawn

    def _revive(self, part: Part, dead_seconds: float) -> None:
        threading.Event().wait(dead_seconds)
        try:
            start_patiently(part)
        except BaseException as exc:
            self.failed = exc
