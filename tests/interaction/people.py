"""People beside the first admin: put into the hub's database, as signing in would."""

from __future__ import annotations

import asyncio

from controlplane import clock
from controlplane.access.api_keys import new_api_key
from controlplane.first_start import key_record
from storage.database import Database
from storage.records import UserRecord
from storage.unit_of_work import UnitOfWork
from tests.interaction.rest import Rest
from tests.interaction.system import System


def add_person(system: System, name: str, *roles: str) -> Rest:
    """Return REST with the key of a new person of these roles, who may order anything."""
    api_key, now = new_api_key(), clock.now()
    person = UserRecord(id=clock.new_id(), name=name, created_at=now, updated_at=now, roles=roles)

    def unit(uow: UnitOfWork) -> None:
        uow.users.add(person)
        uow.api_keys.add(key_record(api_key, f"key of {name}", person.id, "hub", now))

    async def write() -> None:
        url = f"sqlite+aiosqlite:///{system.hub.folder / 'hub.db'}"
        database = await Database.open(url, create=False)
        try:
            await database.write(unit)
        finally:
            await database.close()

    asyncio.run(write())
    grant = {"subject": f"user:{person.id}", "capabilities": [{"action": "*"}]}
    system.rest.post("/delegations", grant)
    return Rest(system.hub.url, api_key)
