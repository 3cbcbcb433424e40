"""One simulated life of a hub and an agent: orders, faults, calm, and what must hold afterwards."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest

from agentd.log import configure_log
from controlplane.access.authorize import HUB_ACTOR
from controlplane.app import RunningHub
from controlplane.fleet.join_tokens import create_join_token
from controlplane.intents.cancellation import cancel_intent
from controlplane.intents.submission import Order, submit_orders
from controlplane.intents.targets import Target
from controlplane.telemetry import configure_logging
from protocol.errors import Error
from protocol.lifecycle import TERMINAL
from storage.records import AuditFilter, AuditLeaf, IntentRecord
from storage.unit_of_work import UnitOfWork
from tests.simulator.loop import made_up_world, run_in
from tests.simulator.network import Network
from tests.simulator.nodes import AGAIN, ONCE, AgentNode, HubNode

LIFE_SECONDS: Final = 40.0
CALM_SECONDS: Final = 400.0
"""Longer than every time after which something is sent again."""
_FAULTS: Final = ("cut", "down", "slow", "hub", "agent", "both")


class BrokenPromiseError(AssertionError):
    """What must never be so is so."""


@dataclass(slots=True)
class Lived:
    """What happened in one life."""

    seed: int
    orders: int = 0
    ends: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    simulated_seconds: float = 0.0
    trace: str = ""
    """A digest of everything that was counted and when: equal for equal seeds."""


class World:
    """Everything of one life."""

    def __init__(self, folder: Path, rng: random.Random, patch: pytest.MonkeyPatch) -> None:
        self._folder, self._rng, self._patch = folder, rng, patch
        self.network = Network(rng)
        self.starts: Counter[int] = Counter()
        self.hub = HubNode(folder / "hub", self.network, rng)
        self.agent: AgentNode
        self.acknowledged: dict[int, str] = {}
        self.given = 0
        self.faults: Counter[str] = Counter()
        self.trace = hashlib.sha256()
        patch.setattr("agentd.connection.connect", self.network.connect)

    async def begin(self) -> None:
        """Make the hub, and an agent that joins by a token."""
        running = await self.hub.start(self._patch)
        token = await create_join_token(
            running.hub,
            HUB_ACTOR,
            hub_url="ws://127.0.0.1:1/ws/agent",
            realm=None,
            name=None,
            auto_approve=True,
            expires_in_seconds=None,
            capabilities=["*"],
        )
        root = running.hub.identity.root
        self.agent = AgentNode(self._folder / "agent", token.token, root, self.starts, self._rng)
        await self.agent.start()
        await asyncio.wait_for(self.agent.online.wait(), 60)

    async def order_for(self, seconds: float) -> None:
        """Order now and then, and take some of it back."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until:
            await asyncio.sleep(self._rng.expovariate(1.5))
            running = self.hub.running
            if running is None:
                continue
            await self._order(running)

    async def _order(self, running: RunningHub) -> None:
        number = self.given = self.given + 1
        order = Order(
            target=Target(agent=self.agent.did),
            action=self._rng.choice((ONCE, ONCE, AGAIN)),
            params={"number": number},
            expires_in_seconds=self._rng.choice((3, 30, 3_600)),
        )
        takes_back = self._rng.random() < 0.1
        try:
            batch = await submit_orders(running.hub, HUB_ACTOR, [order])
            self.acknowledged[number] = batch.intents[0].id
            if takes_back:
                await asyncio.sleep(self._rng.uniform(0, 1))
                await cancel_intent(running.hub, HUB_ACTOR, batch.intents[0].id, "")
        except Error as error:
            self.note("refused", error.code)

    async def break_for(self, seconds: float) -> None:
        """Break one thing after the other, and start again what was killed."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until:
            await asyncio.sleep(self._rng.uniform(0.2, 6))
            fault = self._rng.choice(_FAULTS)
            self.faults[fault] += 1
            self.note("fault", fault)
            await self._break(fault)

    async def _break(self, fault: str) -> None:
        if fault == "cut":
            self.network.cut()
        elif fault == "down":
            self.network.is_down = True
            self.network.cut()
            await asyncio.sleep(self._rng.uniform(0, 5))
            self.network.is_down = False
        elif fault == "slow":
            self.network.latency_seconds = 0.5
            await asyncio.sleep(self._rng.uniform(0, 5))
            self.network.latency_seconds = 0.01
        if fault in ("hub", "both"):
            self.hub.kill()
        if fault in ("agent", "both"):
            self.agent.kill(self.network)
        if fault in ("hub", "agent", "both"):
            await asyncio.sleep(self._rng.uniform(0, 5))
        if fault in ("hub", "both"):
            await self.hub.start(self._patch)
        if fault in ("agent", "both"):
            await self.agent.start()

    async def settle(self) -> list[IntentRecord]:
        """Let everything end in peace, and return every order."""
        loop = asyncio.get_running_loop()
        until = loop.time() + CALM_SECONDS
        while loop.time() < until:
            await asyncio.sleep(1)
            records = await self.records()
            if all(one.state in TERMINAL for one in records):
                break
        # What was sent late must change nothing any more.
        await asyncio.sleep(40)
        return await self.records()

    async def records(self) -> list[IntentRecord]:
        """Every order the hub has."""
        running = self.hub.running
        assert running is not None
        found = await running.hub.database.read(lambda uow: uow.intents.list(limit=200))
        return list(found.items)

    async def judge(self, records: list[IntentRecord]) -> None:
        """Hold what is on the hub's disk against what an onlooker saw.

        Raises:
            BrokenPromiseError: with the promise.
        """
        by_number = {int(one.params["number"]): one for one in records}
        for number, id in self.acknowledged.items():
            _must(by_number.get(number) is not None, f"{number}: acknowledged as {id} and lost")
        running = self.hub.running
        assert running is not None
        for number, one in by_number.items():
            starts, what = self.starts[number], f"{number} ({one.action}, {one.state})"
            _must(one.state in TERMINAL, f"{what} is stuck")
            _must(one.action == AGAIN or starts <= 1, f"{what} was started {starts} times")
            _must(one.state != "succeeded" or starts >= 1, f"{what} was never done")
            _must(one.state != "expired" or not starts, f"{what} was started")
            _must(
                one.state != "interrupted" or one.action == ONCE, f"{what} was given up needlessly"
            )
            about = AuditFilter(subject=one.id, kind="intent.finished")
            leaves = await running.hub.database.read(_listing(about))
            _must(len(leaves) == 1, f"{what} ended {len(leaves)} times on record")

    def note(self, kind: str, what: str) -> None:
        """Keep that this happened now, for the trace."""
        at = asyncio.get_running_loop().time()
        self.trace.update(f"{at:.6f} {kind} {what}\n".encode())


def live(folder: Path, seed: int, *, seconds: float = LIFE_SECONDS) -> Lived:
    """Live one life and judge it.

    Raises:
        BrokenPromiseError: a promise does not hold.
    """
    configure_logging("critical")
    configure_log(level="error", form="text")
    with made_up_world(seed) as (loop, rng), pytest.MonkeyPatch.context() as patch:

        async def life() -> Lived:
            world = World(folder, rng, patch)
            await world.begin()
            await asyncio.gather(world.order_for(seconds), world.break_for(seconds))
            records = await world.settle()
            await world.judge(records)
            for one in sorted(records, key=lambda record: int(record.params["number"])):
                world.note("end", f"{one.params['number']} {one.state} {one.finished_at}")
            return Lived(
                seed=seed,
                orders=len(records),
                ends=Counter(str(one.state) for one in records),
                faults=world.faults,
                frames=world.network.frames,
                simulated_seconds=loop.time(),
                trace=world.trace.hexdigest(),
            )

        lived: Any = run_in(loop, life)
    assert isinstance(lived, Lived)
    return lived


def _listing(about: AuditFilter) -> Callable[[UnitOfWork], Sequence[AuditLeaf]]:
    return lambda uow: uow.audit.list(about).items


def _must(holds: bool, broken: str) -> None:
    if not holds:
        raise BrokenPromiseError(broken)
