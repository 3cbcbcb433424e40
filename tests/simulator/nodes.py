"""The real hub and the real agent as things that can be started and killed.

A kill is the end of what the process could still do: its disk takes nothing more, its connections
are gone, and what it was about to do is cancelled. Each comes back on the same disk.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from pydantic import BaseModel, JsonValue, SecretStr

from agentd.agent import Agent
from agentd.executors.base import Params, Work
from agentd.main import _Runner, open_identity
from agentd.settings import AgentSettings
from agentd.state import StateDatabase
from agentd.supervisor import keep_connected
from controlplane.app import RunningHub, open_hub
from controlplane.hub.endpoint import AgentEndpoint
from controlplane.settings import HubSettings
from protocol.join_tokens import parse_join_token
from protocol.keys import PublicKey
from storage.errors import UnavailableError
from storage.groups import settle
from storage.sqlite_engine import SqliteEngine
from storage.unit_of_work import UnitOfWork
from tests.simulator.network import Network

T = TypeVar("T")
ONCE, AGAIN = "mark.once", "mark.again"
_LONGEST_COMMIT: Final = 0.03


class SimulatedDisk:
    """What commits of one hub process go through: slow by chance, and gone with the process."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.is_gone = False


def engine_on(disk: SimulatedDisk) -> type[SqliteEngine]:
    """Return the product's SQLite engine without its threads, on a disk that can be lost."""

    class Engine(SqliteEngine):
        async def start(self, *, create: bool) -> None:
            self._turn = asyncio.Lock()
            self._prepare(create)

        async def write(self, unit: Callable[[UnitOfWork], T]) -> T:
            async with self._turn:
                await asyncio.sleep(disk.rng.uniform(0, _LONGEST_COMMIT))
                self._check_there()
                outcome = settle([unit], self._attempt)[0]
                # On the disk; whether anybody hears of it is another matter.
                await asyncio.sleep(disk.rng.uniform(0, _LONGEST_COMMIT))
                self._check_there()
            if outcome.error is not None:
                raise outcome.error
            value: T = outcome.value
            return value

        async def read(self, unit: Callable[[UnitOfWork], T]) -> T:
            await asyncio.sleep(disk.rng.uniform(0, _LONGEST_COMMIT / 3))
            self._check_there()
            return self._read(unit)

        async def close(self) -> None:
            self._closed = True
            self._disconnect()
            self._reader_engine.dispose()

        def _check_there(self) -> None:
            if disk.is_gone or self._closed:
                raise UnavailableError("the process is dead")

    return Engine


class HubNode:
    """The hub: its folder outlives its processes."""

    def __init__(self, folder: Path, network: Network, rng: random.Random) -> None:
        self._settings = HubSettings(data_dir=folder, shutdown_seconds=1)
        self._network, self._rng = network, rng
        self._disk = SimulatedDisk(rng)
        self._task: asyncio.Task[None] | None = None
        self.running: RunningHub | None = None
        self.old: list[asyncio.Task[None]] = []

    async def start(self, patch: Any) -> RunningHub:
        """Open it; agents can come from now on."""
        self._disk = SimulatedDisk(self._rng)
        patch.setattr("storage.database.SqliteEngine", engine_on(self._disk))
        up: asyncio.Future[RunningHub] = asyncio.get_running_loop().create_future()

        async def live() -> None:
            async with open_hub(self._settings) as running:
                up.set_result(running)
                await asyncio.Event().wait()

        self._task = asyncio.ensure_future(live())
        waiting: set[asyncio.Future[Any]] = {up, self._task}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not up.done():
            self._task.result()
        self.running = up.result()
        self._network.endpoint = AgentEndpoint(self.running.live)
        return self.running

    def kill(self) -> None:
        """End it: nothing of it reaches disk or network any more."""
        self._disk.is_gone = True
        self._network.endpoint = None
        self._network.cut()
        self.running = None
        if self._task is not None:
            self._task.cancel()
            self.old.append(self._task)


class Mark:
    """Work that an onlooker counts, and that takes its time."""

    capability = "mark"
    description = "Count."

    class Model(Params):
        number: int

    params_model: type[BaseModel] = Model

    def __init__(self, starts: Counter[int], rng: random.Random, *, idempotent: bool) -> None:
        self.name = AGAIN if idempotent else ONCE
        self.idempotent = idempotent
        self._starts, self._rng = starts, rng

    async def execute(self, work: Work) -> JsonValue:
        """Count the start, and go on for a while."""
        number = work.params_as(self.Model).number
        self._starts[number] += 1
        await asyncio.sleep(self._rng.expovariate(2))
        return number


class AgentNode:
    """An agent: its folder, with its key and state, outlives its processes."""

    def __init__(
        self, folder: Path, join: str, root: PublicKey, starts: Counter[int], rng: random.Random
    ) -> None:
        self._settings = AgentSettings(
            data_dir=folder,
            hub="ws://127.0.0.1:1",
            join=SecretStr(join),
            name="worker",
            workspace=folder / "workspace",
            health_port=-1,
        )
        self._root, self._starts, self._rng = root, starts, rng
        self._state: StateDatabase | None = None
        self._task: asyncio.Task[None] | None = None
        self._beside: list[asyncio.Task[None]] = []
        self.did = ""
        self.online = asyncio.Event()
        self.old: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Run it; it connects by itself."""
        identity, state = open_identity(self._settings)
        self.did, self._state = identity.did, state
        marks = [Mark(self._starts, self._rng, idempotent=which) for which in (False, True)]

        def announce(condition: str, **_: object) -> None:
            if condition == "online":
                self.online.set()

        assert self._settings.join is not None
        agent = Agent(
            self._settings,
            identity,
            state,
            root=self._root,
            hub_url=self._settings.hub,
            join=parse_join_token(self._settings.join.get_secret_value()),
            announce=announce,
            executors={one.name: one for one in marks},
        )
        self._agent = agent
        await agent.restore()
        stopping = asyncio.Event()
        runner = _Runner(self._settings, agent, (self._settings.hub,), stopping)
        connected = keep_connected(
            runner.attempt, settings=self._settings, announce=announce, stopping=stopping
        )
        self._beside = [
            asyncio.ensure_future(agent.keep_house()),
            asyncio.ensure_future(connected),
        ]

    def kill(self, network: Network) -> None:
        """End it: what was queued for its disk is not on it, and nothing goes on."""
        state = self._state
        assert state is not None
        state._jobs.clear()
        state._closed = True
        with suppress(Exception):
            state._writer.close()
        network.cut()
        orders = [one.task for one in self._agent.dispatch.orders.values() if one.task is not None]
        for task in (*self._beside, *orders):
            task.cancel()
            self.old.append(task)
        self.online.clear()
