"""What the fleet looks like right now, counted: for whoever opens the first page of the dashboard.

Every open page asks again as things happen, so an answer is kept for a moment, for each set of
realms that somebody may see.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from controlplane import clock
from controlplane.access.authorize import Actor, realms_with
from controlplane.spending import NEAR_PERMILLE
from storage.repositories.tallies import AgentNearLimit, IntentTally

if TYPE_CHECKING:
    from storage.database import Database
    from storage.unit_of_work import UnitOfWork

KEPT_SECONDS: Final = 2.0
_MOST_KEPT: Final = 64
_STRETCHES: Final = 48
_MOST_NEAR: Final = 5
_Realms = frozenset[str] | None


@dataclass(frozen=True, slots=True)
class Overview:
    """Counts at one moment. None stands for what the reader may not see anywhere."""

    agents: Mapping[str, int]
    open_intents: int
    intents: tuple[IntentTally, ...]
    near_limits: int
    nearest_limits: tuple[AgentNearLimit, ...]
    since: datetime
    stretch: timedelta
    approvals: int | None
    registrations: int | None


@dataclass(frozen=True, slots=True)
class _Reach:
    agents: _Realms
    intents: _Realms
    approvals: _Realms
    registrations: _Realms
    hours: int


class Overviews:
    """The newest counts, at most two seconds old."""

    def __init__(self) -> None:
        self._kept: OrderedDict[_Reach, tuple[float, Overview]] = OrderedDict()

    async def look(self, database: Database, actor: Actor, hours: int) -> Overview:
        """Return the counts of what `actor` may see, with orders of so many hours."""
        reach = _Reach(
            agents=realms_with(actor, "agents.read"),
            intents=realms_with(actor, "intents.read"),
            approvals=realms_with(actor, "approvals.read"),
            registrations=realms_with(actor, "enrolment.read"),
            hours=hours,
        )
        kept = self._kept.get(reach)
        if kept is not None and time.monotonic() - kept[0] < KEPT_SECONDS:
            return kept[1]
        now = clock.now()
        made = await database.read(lambda uow: _count(uow, reach, now))
        self._kept[reach] = (time.monotonic(), made)
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)
        return made


def _count(uow: UnitOfWork, reach: _Reach, now: datetime) -> Overview:
    stretch = timedelta(hours=reach.hours) / _STRETCHES
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    # Whole stretches, the last of which has only begun.
    since = epoch + ((now - epoch) // stretch - _STRETCHES + 1) * stretch
    tallies = uow.tallies
    nowhere: frozenset[str] = frozenset()
    near_limits, nearest_limits = tallies.near_limits(
        reach.agents, at_least=NEAR_PERMILLE, limit=_MOST_NEAR
    )
    return Overview(
        agents=tallies.agents(reach.agents),
        open_intents=tallies.open_intents(reach.intents),
        near_limits=near_limits,
        nearest_limits=tuple(nearest_limits),
        intents=tuple(tallies.intents(since, stretch, reach.intents)),
        since=since,
        stretch=stretch,
        approvals=None
        if reach.approvals == nowhere
        else tallies.waiting_approvals(reach.approvals, now),
        registrations=None
        if reach.registrations == nowhere
        else tallies.waiting_registrations(reach.registrations, now),
    )
