"""What the live side shares: the hub's parts, the newest facts for `pong`, tasks, heartbeats.

Handlers are handed one `Live`. It knows no message: it is what conversations have in common.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import structlog

from controlplane import clock
from controlplane.context import Hub
from controlplane.hub.admission import SocketCounter, Turns
from controlplane.hub.registry import Registry
from controlplane.spending import permille_of, read_nearest_limit
from protocol.errors import Error
from storage.unit_of_work import UnitOfWork

if TYPE_CHECKING:
    from controlplane.hub.dispatcher import Dispatcher

log = structlog.get_logger(__name__)

NEWEST_SECONDS = 1.0
"""How old the checkpoint and epoch in a `pong` may be."""
STOP_SECONDS = 5.0
"""How long tasks may take to end after they were told to."""


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest checkpoint (C2SP text) and revocation epoch that are on disk."""

    checkpoint: str | None = None
    revocation_epoch: int | None = None


class Live:
    """One process's live side; made once, after the parts it points to."""

    def __init__(self, hub: Hub, registry: Registry, dispatcher: Dispatcher) -> None:
        self.hub = hub
        self.registry = registry
        self.dispatcher = dispatcher
        self.draining = False
        self.woken_at = float("-inf")
        self.was_linked = True
        self.missing: dict[str, str] = {}
        """Agents, with sessions, that the database places here and that were not found."""
        settings = hub.settings
        self.unregistered = SocketCounter(
            settings.max_unregistered_per_address, settings.max_unregistered
        )
        self.turns = Turns(settings.arrivals_per_second)
        self._newest = Newest()
        self._newest_at = float("-inf")
        self._newest_read: asyncio.Task[Newest] | None = None
        self._heartbeats: dict[str, tuple[datetime, dict[str, Any]]] = {}
        self._tasks: set[asyncio.Task[Any]] = set()

    # --- tasks -----------------------------------------------------------------------------

    def start(self, work: Coroutine[Any, Any, None], *, name: str) -> asyncio.Task[None]:
        """Run `work` beside everything else; `stop` ends it, and its errors are logged."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("live_task_failed", task=task.get_name(), exc_info=task.exception())

    @property
    def tasks(self) -> int:
        """How many started tasks have not ended."""
        return len(self._tasks)

    async def stop(self) -> None:
        """Cancel every started task and wait, for a bounded time, until they have ended."""
        tasks = [*self._tasks]
        if self._newest_read is not None:
            tasks.append(self._newest_read)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_SECONDS)

    # --- facts for pong --------------------------------------------------------------------

    async def newest(self) -> Newest:
        """Return the newest checkpoint and epoch, at most `NEWEST_SECONDS` old.

        However many agents ask at once, the database is asked once. When it cannot answer, the
        last known facts stand: both only ever grow.
        """
        if time.monotonic() - self._newest_at < NEWEST_SECONDS:
            return self._newest
        if self._newest_read is None:
            self._newest_read = asyncio.get_running_loop().create_task(self._read_newest())
        return await asyncio.shield(self._newest_read)

    def saw_checkpoint(self, text: str | None) -> None:
        """Never show a smaller record than this one.

        An agent may have seen it at another process of the hub, and a record that shrinks is a
        fork to it.
        """
        if text is not None and _size(text) > _size(self._newest.checkpoint):
            self._newest = replace(self._newest, checkpoint=text)

    async def _read_newest(self) -> Newest:
        try:
            found = await self.hub.database.read(load_newest)
            self.saw_checkpoint(found.checkpoint)
            self._newest = replace(found, checkpoint=self._newest.checkpoint)
            self._newest_at = time.monotonic()
        except Error as error:
            log.warning("newest_unavailable", code=error.code)
        finally:
            self._newest_read = None
        return self._newest

    # --- heartbeats ------------------------------------------------------------------------

    def note_heartbeat(self, did: str, heartbeat: dict[str, Any]) -> None:
        """Remember an agent's last heartbeat until `flush_heartbeats` writes it."""
        self._heartbeats[did] = (clock.now(), heartbeat)

    async def flush_heartbeats(self) -> None:
        """Write what `note_heartbeat` has gathered, all in one unit."""
        if not self._heartbeats:
            return
        gathered, self._heartbeats = self._heartbeats, {}

        def unit(uow: UnitOfWork) -> None:
            for did, (at, heartbeat) in gathered.items():
                nearest = read_nearest_limit(heartbeat)
                permille = None if nearest is None else permille_of(nearest)
                uow.agents.touch(did, heartbeat, at, limit_permille=permille)

        await self.hub.database.write(unit)


def _size(checkpoint: str | None) -> int:
    """Return how many leaves a checkpoint of this hub covers: its second line."""
    return -1 if checkpoint is None else int(checkpoint.split("\n", 2)[1])


def load_newest(uow: UnitOfWork) -> Newest:
    """Return the newest checkpoint and revocation epoch on disk."""
    checkpoint = uow.audit.latest_checkpoint()
    revocations = uow.revocations.latest()
    return Newest(
        checkpoint=checkpoint.text if checkpoint else None,
        revocation_epoch=revocations.epoch if revocations else None,
    )
