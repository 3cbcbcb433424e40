"""From a credential to an `Actor`: API keys and sessions, looked up by their hash.

Looked-up keys are remembered for two seconds, so that a busy client costs no query per request
and a revoked key stops working everywhere within those two seconds; here at once, and at the other
processes of this hub as soon as they are told.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from controlplane import clock
from controlplane.access.api_keys import KEY_CHARS, api_key_hash, is_api_key
from controlplane.access.authorize import Actor
from controlplane.access.session_tokens import is_session_token, secret_hash
from controlplane.errors import UnauthenticatedError
from storage.errors import UnavailableError

if TYPE_CHECKING:
    from storage.database import Database
    from storage.records import ApiKeyRecord, SessionRecord
    from storage.unit_of_work import UnitOfWork

REMEMBERED_FOR: Final = timedelta(seconds=2)
_MAX_REMEMBERED: Final = 4_096
_TOUCH_AFTER: Final = timedelta(minutes=1)


class Authenticator:
    """Tells who shows a credential."""

    def __init__(self, database: Database, *, idle: timedelta = timedelta(days=1)) -> None:
        self._database = database
        self.changed: Callable[[], None] = lambda: None
        """Called by `forget`, so that other processes of this hub forget as well."""
        self._idle = idle
        self._remembered: OrderedDict[str, tuple[datetime, Actor]] = OrderedDict()

    async def authenticate(self, authorization: str | None) -> Actor:
        """Return who shows this `Authorization` header.

        Raises:
            UnauthenticatedError: none, malformed, unknown, expired or revoked; all the same.
            UnavailableError: the database cannot be asked, so nobody is let in.
        """
        scheme, _, key = (authorization or "").partition(" ")
        key = key.strip()
        if scheme.lower() == "bearer" and is_session_token(key):
            return await self.authenticate_session(key)
        if scheme.lower() != "bearer" or len(key) != KEY_CHARS:
            raise UnauthenticatedError("an API key is needed: Authorization: Bearer writ_...")
        now = clock.now()
        digest = api_key_hash(key)
        known = self._remembered.get(digest)
        if known is not None and now < known[0]:
            return known[1]
        if not is_api_key(key):
            raise UnauthenticatedError("this is no API key: its checksum does not hold")
        actor = await self._look_up(digest, now)
        self._remember(digest, now, actor)
        return actor

    async def authenticate_session(self, token: str) -> Actor:
        """Return whose session this token is.

        Raises:
            UnauthenticatedError: malformed, unknown, ended, idle for too long, or of somebody who
                may not sign in any more; all the same.
            UnavailableError: the database cannot be asked, so nobody is let in.
        """
        if not is_session_token(token):
            raise UnauthenticatedError("this session is not valid")
        now = clock.now()
        digest = secret_hash(token)
        known = self._remembered.get(digest)
        if known is not None and now < known[0]:
            return known[1]

        def unit(uow: UnitOfWork) -> tuple[SessionRecord, Actor] | None:
            record = uow.sessions.get_by_hash(digest)
            if record is None or record.revoked_at is not None or record.expires_at <= now:
                return None
            if now - record.last_seen_at > self._idle:
                return None
            person = user_actor(uow, record.user_id)
            if person is None:
                return None
            return record, replace(
                person, session_id=record.id, authenticated_at=record.authenticated_at
            )

        found = await self._database.read(unit)
        if found is None:
            raise UnauthenticatedError("this session is not valid")
        record, actor = found
        if now - record.last_seen_at > _TOUCH_AFTER:
            with contextlib.suppress(UnavailableError):
                await self._database.write(lambda uow: uow.sessions.touch(record.id, now))
        self._remember(digest, now, actor)
        return actor

    def _remember(self, digest: str, now: datetime, actor: Actor) -> None:
        self._remembered[digest] = (now + REMEMBERED_FOR, actor)
        while len(self._remembered) > _MAX_REMEMBERED:
            self._remembered.popitem(last=False)

    def forget(self) -> None:
        """Look every key up again from now on; called when a key, a user or a role changes."""
        self.forget_here()
        self.changed()

    def forget_here(self) -> None:
        """Look every key up again, at this process alone."""
        self._remembered.clear()

    async def _look_up(self, digest: str, now: datetime) -> Actor:
        def unit(uow: UnitOfWork) -> tuple[ApiKeyRecord, Actor] | None:
            record = uow.api_keys.get_by_hash(digest)
            if record is None:
                return None
            actor = _actor_of(uow, record, now)
            return None if actor is None else (record, actor)

        found = await self._database.read(unit)
        if found is None:
            raise UnauthenticatedError("this API key is not valid")
        record, actor = found
        if record.last_used_at is None or now - record.last_used_at > _TOUCH_AFTER:
            # Only a note for people: a busy database must not turn a valid key away.
            with contextlib.suppress(UnavailableError):
                await self._database.write(
                    lambda uow: uow.api_keys.touch(record.id, now, unless_since=now - _TOUCH_AFTER)
                )
        return actor


def _actor_of(uow: UnitOfWork, record: ApiKeyRecord, now: datetime) -> Actor | None:
    if record.revoked_at is not None:
        return None
    if record.expires_at is not None and record.expires_at <= now:
        return None
    scopes = frozenset(record.scopes) if record.scopes else None
    issuer: Actor | None = None
    if record.issuer_id is not None and record.issuer_id != record.user_id:
        issuer = user_actor(uow, record.issuer_id)
        if issuer is None:
            return None
    if record.user_id is None:
        return Actor(
            kind="machine",
            id=record.id,
            name=record.name,
            roles=frozenset(record.roles),
            scopes=scopes,
            realm=record.realm,
            key_id=record.id,
            issuer=issuer,
        )
    person = user_actor(uow, record.user_id)
    if person is None:
        return None
    return replace(person, scopes=scopes, realm=record.realm, key_id=record.id, issuer=issuer)


def user_actor(uow: UnitOfWork, user_id: str) -> Actor | None:
    """Return what a user may right now; None when they are unknown or disabled."""
    user = uow.users.get(user_id)
    if user is None or user.state != "active":
        return None
    realm_roles: dict[str, frozenset[str]] = {}
    for member in uow.realms.memberships(user.id):
        realm_roles[member.realm] = realm_roles.get(member.realm, frozenset()) | {member.role}
    return Actor(
        kind="user",
        id=user.id,
        name=user.name,
        roles=frozenset(user.roles),
        realm_roles=realm_roles,
        service=user.kind == "service",
    )
