"""People beside the first admin: put into the hub's database, as signing in would."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from controlplane import clock
from controlplane.access.api_keys import new_api_key
from controlplane.first_start import key_record
from controlplane.key_files import save_private_key
from protocol.keys import SigningKey
from protocol.timestamps import format_timestamp
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


@dataclass(frozen=True)
class Approver:
    """Somebody with a key of their own, to whom the root has lent `writ.approve`."""

    key: SigningKey
    key_file: Path
    proof: list[str]

    @property
    def did(self) -> str:
        """How agents know them."""
        return self.key.public_key.did


def new_approver(system: System, name: str, *, realms: list[str] | None = None) -> Approver:
    """Return a person who may approve, and is nobody the hub knows otherwise."""
    key = SigningKey.from_seed(secrets.token_bytes(32))
    folder = system.folder / "people" / name
    folder.mkdir(parents=True, mode=0o700)
    path = folder / "key.pem"
    save_private_key(path, key)
    capability: dict[str, Any] = {"action": "writ.approve"}
    if realms is not None:
        capability["realms"] = realms
    link = system.seal(
        "delegation",
        "*",
        {
            "subject": key.public_key.did,
            "capabilities": [capability],
            "conditions": [],
            "notBefore": format_timestamp(clock.now() - timedelta(minutes=1)),
            "maxDepth": 0,
            "parent": None,
        },
        key="root",
        lifetime_seconds=7_200,  # longer than any file of tests on a busy machine
    )
    system.rest.post("/delegations/signed", {"document": link.wire.decode()})
    return Approver(key, path, [link.id])


def new_person(system: System, name: str, *, realms: list[str] | None = None) -> tuple[str, str]:
    """A person with a key of their own who may approve: their DID and key file."""
    made = new_approver(system, name, realms=realms)
    return made.did, str(made.key_file)


def invite_person(system: System, name: str, role: str, password: str) -> Rest:
    """Return the session of somebody new who came into the realm `default` by an invitation."""
    link = system.owner.post("/invitations", {"role": role, "realm": "default"})["link"]
    token = link.partition("#")[2]
    body = {"token": token, "name": name, "password": password, "bearer": True}
    return Rest(system.hub.url, Rest(system.hub.url).post("/invitations/accept", body)["token"])
