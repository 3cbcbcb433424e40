"""Signing in by a link that works once, made by whoever holds the hub's data folder.

For the first-run owner, who has neither passkey nor password yet, and for an owner who has lost
both: the folder holds the hub's keys, so who reads it is above every password here already.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from controlplane import clock
from controlplane.access.session_tokens import new_session_token, secret_hash
from controlplane.context import Hub
from controlplane.errors import HiddenError, SignInError
from controlplane.first_start import FIRST_ADMIN
from controlplane.identity import HubIdentity
from controlplane.people.sign_in import SignedIn, Visitor, can_sign_in, count_sign_in, start_session
from controlplane.settings import HubSettings
from storage.database import Database
from storage.records import CeremonyRecord
from storage.unit_of_work import UnitOfWork

BY_LINK: Final = "link"
LIFETIME: Final = timedelta(hours=1)
_KIND: Final = "sign_in.link"
_PREFIX: Final = "writl_"


@dataclass(frozen=True, slots=True)
class SignInLink:
    """A new link, as the path below the hub's address; it is nowhere else."""

    path: str
    user: str
    expires_at: datetime


async def make_sign_in_link(settings: HubSettings, name: str = FIRST_ADMIN) -> SignInLink:
    """Return a new link for a user of the hub whose data folder this process can read.

    Raises:
        NotInitialisedError, HalfInitialisedError: there is no finished hub.
        HiddenError: no such person, or they may not sign in.
    """
    HubIdentity.load(settings)
    database = await Database.open(settings.effective_database_url, now=clock.now)
    try:
        return await write_sign_in_link(database, name)
    finally:
        await database.close()


async def write_sign_in_link(database: Database, name: str = FIRST_ADMIN) -> SignInLink:
    """The same on an open database."""
    token = _PREFIX + new_session_token().partition("_")[2]
    now = clock.now()
    expires_at = now + LIFETIME

    def unit(uow: UnitOfWork) -> None:
        user = uow.users.get_by_name(name)
        if user is None or user.state != "active" or user.kind != "person":
            raise HiddenError(f"no person {name} who may sign in")
        data = {"user": user.id}
        uow.ceremonies.add(CeremonyRecord(secret_hash(token), _KIND, data, now, expires_at))
        uow.audit.append("sign_in_link.created", "console", user.id, {}, at=now)

    await database.write(unit)
    # In the fragment, which browsers send nowhere and no proxy writes down.
    return SignInLink(f"/enter#{token}", name, expires_at)


async def first_owner_waits(database: Database) -> bool:
    """Whether the first-run owner has no way to sign in yet."""

    def unit(uow: UnitOfWork) -> bool:
        owner = uow.users.get_by_name(FIRST_ADMIN)
        return owner is not None and owner.state == "active" and not can_sign_in(uow, owner)

    return await database.read(unit)


async def sign_in_with_link(hub: Hub, *, token: str, visitor: Visitor) -> SignedIn:
    """Return a new session of whom the link is for; the link is used up.

    Raises:
        SignInError: an unknown, used or expired link.
        TooManyAttemptsError: tried too often from there.
    """
    await count_sign_in(hub, visitor.address, "")
    now = clock.now()

    def unit(uow: UnitOfWork) -> SignedIn:
        found = uow.ceremonies.take(secret_hash(token), _KIND)
        user = None if found is None else uow.users.get(str(found.data["user"]))
        if user is None:
            raise SignInError
        return start_session(uow, hub, user, method=BY_LINK, visitor=visitor, now=now)

    return await hub.database.write(unit)
