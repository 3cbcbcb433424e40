"""This process among those of its hub: it says that it lives, and one of them leads.

What is to be done once, whoever does it, is done under the leader's lease. Time only decides who
may try; that nobody acts who has lost the lease, the database decides: every write begins with the
number of the tenure, and is refused when another has begun. So a process that was paused for an
hour wakes up, writes nothing, and leads no more.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import structlog

from protocol import __version__
from protocol.errors import Error

if TYPE_CHECKING:
    from storage.database import Database
    from storage.unit_of_work import UnitOfWork

log = structlog.get_logger(__name__)

LEADER: Final = "leader"
BEAT_SECONDS: Final = 2.0
ALIVE_FOR: Final = timedelta(seconds=12)
"""How long a process counts as alive after it last said so."""
LEASE_FOR: Final = timedelta(seconds=10)
FORGOTTEN_AFTER: Final = timedelta(days=1)


class Membership:
    """A process's place in its hub.

    Args:
        database: of the hub.
        id: of this process; None when it is the whole hub, and so always leads.
    """

    def __init__(self, database: Database, id: str | None) -> None:
        self.id = id
        self._database = database
        self._fence: int | None = None
        self._led_until = float("-inf")

    @property
    def leads(self) -> bool:
        """Whether this process may try to do what is done once."""
        return self.id is None or time.monotonic() < self._led_until

    def leader_database(self) -> Database:
        """Return the database on which only the leader can write."""
        return self._database if self.id is None else self._database.guarded(self._guard)

    def _guard(self, uow: UnitOfWork) -> None:
        assert self.id is not None
        uow.leases.check(LEADER, self.id, self._fence or 0)

    async def beat(self) -> None:
        """Say that this process lives, and lead when nobody else does."""
        if self.id is None:
            return
        id, began = self.id, time.monotonic()
        may = await self._database.read(lambda uow: uow.leases.is_free_for(LEADER, id))

        def unit(uow: UnitOfWork) -> int | None:
            uow.hub_processes.beat(id, __version__)
            return uow.leases.take(LEADER, id, LEASE_FOR) if may else None

        fence = await self._database.write(unit)
        if fence is not None and fence != self._fence:
            log.info("leading", fence=fence)
        self._fence = fence
        # Counted from before it was taken: this process stops before another may begin.
        self._led_until = began + LEASE_FOR.total_seconds() if fence is not None else float("-inf")

    async def leave(self) -> None:
        """Let others lead and know at once that this process has ended."""
        if self.id is None:
            return
        id = self.id

        def unit(uow: UnitOfWork) -> None:
            uow.leases.release(LEADER, id)
            uow.hub_processes.leave(id)

        self._led_until = float("-inf")
        try:
            await self._database.write(unit)
        except Error as error:
            log.warning("departure_unwritten", code=error.code)


@asynccontextmanager
async def run_membership(membership: Membership) -> AsyncIterator[None]:
    """Be a member inside the block."""
    await membership.beat()
    task = asyncio.create_task(_keep_beating(membership), name="membership")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await membership.leave()


async def _keep_beating(membership: Membership) -> None:
    while True:
        await asyncio.sleep(BEAT_SECONDS)
        try:
            await membership.beat()
        except Error as error:
            log.warning("beat_unwritten", code=error.code)
