"""Which agents there are, remembered for a while: one look-up per order would cost a query each.

What changes here is forgotten at once, and at the other processes as soon as they are told; when
nobody can tell them, within a second. A database that only this process writes needs no such
second. An order for an agent that was revoked in it is taken in and never sent.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from controlplane import clock

if TYPE_CHECKING:
    from storage.database import Database
    from storage.records import AgentRecord

REMEMBERED_FOR: Final = timedelta(seconds=1)
REMEMBERED_ALONE_FOR: Final = timedelta(minutes=1)
_MAX_REMEMBERED: Final = 4_096


class AgentDirectory:
    """Agents by DID or name."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._remembered_for = REMEMBERED_FOR if database.is_shared else REMEMBERED_ALONE_FOR
        self.changed: Callable[[], None] = lambda: None
        """Called by `forget`, so that other processes of this hub forget as well."""
        self._remembered: OrderedDict[str, tuple[datetime, AgentRecord]] = OrderedDict()

    async def find(self, name_or_did: str) -> AgentRecord | None:
        """Return the agent with this DID or exact name, or None."""
        now = clock.now()
        known = self._remembered.get(name_or_did)
        if known is not None and now < known[0]:
            return known[1]
        if name_or_did.startswith("did:"):
            found = await self._database.read(lambda uow: uow.agents.get(name_or_did))
        else:
            found = await self._database.read(lambda uow: uow.agents.get_by_name(name_or_did))
        if found is not None:
            self._remembered[name_or_did] = (now + self._remembered_for, found)
            while len(self._remembered) > _MAX_REMEMBERED:
                self._remembered.popitem(last=False)
        return found

    def forget(self) -> None:
        """Look every agent up again; called when one of them was changed here."""
        self.forget_here()
        self.changed()

    def forget_here(self) -> None:
        """Look every agent up again, at this process alone."""
        self._remembered.clear()
