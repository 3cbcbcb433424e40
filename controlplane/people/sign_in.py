"""Signing in and out: sessions that live in the database and die with the person's rights."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from controlplane import clock
from controlplane.access.attempts import address_group, bound_by, count_attempt
from controlplane.access.authorize import Actor
from controlplane.access.passwords import MIN_CHARS
from controlplane.access.session_tokens import new_session_token, secret_hash
from controlplane.context import Hub
from controlplane.errors import (
    AccessDeniedError,
    HiddenError,
    InvalidFieldError,
    SignInError,
    StateConflictError,
)
from protocol.audit_leaf import Assurance
from storage.pages import Page
from storage.records import SessionRecord, UserRecord

if TYPE_CHECKING:
    from storage.unit_of_work import UnitOfWork

BY_PASSWORD: Final = "password"  # noqa: S105
_MAX_CLIENT_CHARS: Final = 200


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where somebody signs in from, for the list of their sessions."""

    address: str
    client: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session; the token is nowhere else."""

    user: UserRecord
    session: SessionRecord
    token: str


def start_session(
    uow: UnitOfWork,
    hub: Hub,
    user: UserRecord,
    *,
    method: str,
    visitor: Visitor,
    now: datetime,
    assurance: Assurance | None = None,
) -> SignedIn:
    """Keep a session of `user`, who has just proved who they are.

    Raises:
        SignInError: they may not sign in any more, or are no person.
    """
    current = uow.users.get(user.id)
    if current is None or current.state != "active" or current.kind != "person":
        raise SignInError
    token = new_session_token()
    session = SessionRecord(
        id=clock.new_id(),
        hash=secret_hash(token),
        user_id=current.id,
        method=method,
        created_at=now,
        authenticated_at=now,
        last_seen_at=now,
        expires_at=now + timedelta(seconds=hub.settings.session_seconds),
        address=visitor.address,
        client=visitor.client[:_MAX_CLIENT_CHARS],
    )
    uow.sessions.add(session)
    data = {"session": session.id, "method": method}
    uow.audit.append(
        "session.started",
        f"user:{current.id}",
        current.id,
        data,
        assurance=assurance,
        at=now,
    )
    return SignedIn(current, session, token)


async def sign_in_with_password(
    hub: Hub, *, name: str, password: str, visitor: Visitor
) -> SignedIn:
    """Return a new session.

    Raises:
        SignInError: unknown name or wrong password: same words, same time.
        TooManyAttemptsError: tried too often, from there or under that name.
    """
    await count_sign_in(hub, visitor.address, name)
    user = await hub.database.read(lambda uow: uow.users.get_by_name(name))
    kept = None if user is None else user.password_hash
    fits = await hub.passwords.fits(kept, password)
    if user is None or not fits:
        raise SignInError
    now = clock.now()
    return await hub.database.write(
        lambda uow: start_session(uow, hub, user, method=BY_PASSWORD, visitor=visitor, now=now)
    )


async def count_sign_in(hub: Hub, address: str, name: str) -> None:
    """Count one attempt to sign in; `TooManyAttemptsError` when it is one too many.

    A name is bounded from one place more tightly than from everywhere, so that a stranger cannot
    lock somebody out.
    """
    settings, group = hub.settings, address_group(address)
    bounds = [
        bound_by("sign-in-address", group, most=settings.sign_in_attempts_per_address),
        bound_by("sign-in", group, name, most=settings.sign_in_attempts_per_name),
        bound_by("sign-in-name", name, most=20 * settings.sign_in_attempts_per_name),
    ]
    await count_attempt(hub.database, bounds if name else bounds[:1])


async def set_password(hub: Hub, actor: Actor, *, password: str, current: str | None) -> None:
    """Give the caller another password; every other session of theirs ends.

    A first password needs a fresh session. The first-run owner has neither password nor passkey
    and may set one with their first API key.

    Raises:
        AccessDeniedError: by an API key, once there is any other way to sign in; or no person.
        SignInError: the current password is wrong.
        InvalidFieldError: too short.
    """
    if len(password) < MIN_CHARS:
        raise InvalidFieldError(f"at least {MIN_CHARS} characters", pointer="/password")
    if actor.kind != "user":
        raise AccessDeniedError("only people have passwords")
    user = await hub.database.read(lambda uow: uow.users.get(actor.id))
    if user is None or user.kind != "person":
        raise AccessDeniedError("only people have passwords")
    if user.password_hash is not None:
        await count_attempt(
            hub.database,
            [bound_by("password", user.id, most=hub.settings.sign_in_attempts_per_name)],
        )
        if current is None or not await hub.passwords.fits(user.password_hash, current):
            raise SignInError
    made = await hub.passwords.hash(password)
    now = clock.now()

    def unit(uow: UnitOfWork) -> None:
        found = uow.users.get(actor.id)
        if found is None or found.password_hash != user.password_hash:
            raise StateConflictError("changed in the meantime")
        if actor.session_id is None and (actor.scopes is not None or can_sign_in(uow, found)):
            raise AccessDeniedError("sign in first: a key does not change how you sign in")
        uow.users.update(found.id, password_hash=made, updated_at=now)
        uow.sessions.revoke_all(found.id, but=actor.session_id)
        uow.audit.append("user.password_set", actor.subject, found.id, {}, at=now)

    await hub.database.write(unit)
    hub.authenticator.forget()


async def sign_out(hub: Hub, actor: Actor) -> None:
    """End the session that was shown; without one nothing happens."""
    if actor.session_id is not None:
        await end_session(hub, actor, actor.session_id)


async def end_session(hub: Hub, actor: Actor, session_id: str) -> None:
    """End one of the caller's sessions; again is harmless.

    Raises:
        HiddenError: they have no such session.
    """

    def unit(uow: UnitOfWork) -> None:
        found = uow.sessions.get(session_id)
        if found is None or actor.kind != "user" or found.user_id != actor.id:
            raise HiddenError("no such session")
        if uow.sessions.revoke(session_id):
            uow.audit.append("session.ended", actor.subject, actor.id, {"session": session_id})

    await hub.database.write(unit)
    hub.authenticator.forget()


async def end_other_sessions(hub: Hub, actor: Actor) -> int:
    """End every session of the caller but the one that asks; return how many."""

    def unit(uow: UnitOfWork) -> int:
        if actor.kind != "user":
            return 0
        ended = uow.sessions.revoke_all(actor.id, but=actor.session_id)
        if ended:
            uow.audit.append("session.ended", actor.subject, actor.id, {"others": ended})
        return ended

    ended = await hub.database.write(unit)
    hub.authenticator.forget()
    return ended


async def list_sessions(
    hub: Hub, actor: Actor, *, limit: int, cursor: str | None
) -> Page[SessionRecord]:
    """Return a page of the caller's sessions, newest first, ended ones too."""
    if actor.kind != "user":
        return Page(())
    return await hub.database.read(
        lambda uow: uow.sessions.list(actor.id, limit=limit, cursor=cursor)
    )


def can_sign_in(uow: UnitOfWork, user: UserRecord) -> bool:
    """Whether a user has any way to sign in by themselves."""
    return bool(
        user.password_hash or uow.passkeys.for_user(user.id) or uow.identities.for_user(user.id)
    )
