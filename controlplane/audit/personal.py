"""Forgetting: personal values beside the record are erased, by age or with their person.

The leaves stay as they are, and so does every proof: they only ever held salted hashes. That
something was erased, and by whom, is a leaf itself.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from controlplane import clock
from controlplane.context import Hub
from protocol.timestamps import format_timestamp
from storage.unit_of_work import UnitOfWork

_AT_A_TIME: Final = 1_000


def erase_person(uow: UnitOfWork, person: str, *, by: str) -> int:
    """Erase what is kept of somebody beside the record; return how many values that were."""
    erased = uow.audit.erase_person(person)
    if erased:
        uow.audit.append("audit.erased", by, person, {"values": erased})
    return erased


async def erase_aged(hub: Hub) -> int:
    """Erase every value older than `audit_personal_seconds`; return how many."""
    before = clock.now() - timedelta(seconds=hub.settings.audit_personal_seconds)

    def unit(uow: UnitOfWork) -> int:
        erased = uow.audit.erase_before(before, _AT_A_TIME)
        if erased:
            data = {"values": erased, "before": format_timestamp(before)}
            uow.audit.append("audit.erased", "hub", "audit", data)
        return erased

    total = 0
    while erased := await hub.database.write(unit):
        total += erased
    return total
