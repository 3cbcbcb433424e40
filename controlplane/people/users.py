"""Users: people and service accounts, what they hold everywhere, and how they end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from controlplane import clock
from controlplane.access.authorize import (
    Actor,
    authorize,
    may_grant,
    realms_with,
    rung_in,
    sees_any,
)
from controlplane.access.permissions import LADDER, ROLES, rung_of
from controlplane.audit.personal import erase_person
from controlplane.context import Hub
from controlplane.errors import (
    AccessDeniedError,
    HiddenError,
    InvalidFieldError,
    PreconditionError,
    StateConflictError,
)
from controlplane.people.key_standing import end_keys
from controlplane.people.standing import settle_grants
from storage.errors import ConflictError
from storage.pages import Page
from storage.records import MemberRecord, UserRecord
from storage.unit_of_work import UnitOfWork

PERSON: Final = "person"
SERVICE: Final = "service"
ACTIVE: Final = "active"
DISABLED: Final = "disabled"
OWNER: Final = LADDER[-1]


@dataclass(frozen=True, slots=True)
class UserDetail:
    """A user and where they belong."""

    user: UserRecord
    memberships: tuple[MemberRecord, ...]


@dataclass(frozen=True, slots=True)
class UserChange:
    """What is to be different; None leaves it."""

    name: str | None = None
    email: str | None = None
    roles: Sequence[str] | None = None
    state: str | None = None


async def list_users(
    hub: Hub, actor: Actor, *, q: str | None, kind: str | None, limit: int, cursor: str | None
) -> Page[UserRecord]:
    """Return a page of the users whom the caller may see: those of their realms."""
    realms = realms_with(actor, "users.read")
    return await hub.database.read(
        lambda uow: uow.users.list(realms=realms, q=q, kind=kind, limit=limit, cursor=cursor)
    )


async def load_user(hub: Hub, actor: Actor, name_or_id: str) -> UserDetail:
    """Return one user by id or name; `HiddenError` when the caller may not see them."""
    return await hub.database.read(lambda uow: _detail(uow, actor, name_or_id))


async def add_user(
    hub: Hub, actor: Actor, *, name: str, email: str | None, roles: Sequence[str], kind: str
) -> UserDetail:
    """Add a user who cannot sign in yet: an invitation, a provider or an API key lets them.

    Raises:
        AccessDeniedError: a role that is not below the caller's own.
        InvalidFieldError: no such role, or a taken name.
    """
    authorize(actor, "users.write")
    check_roles(actor, roles, None, pointer="/roles")
    now = clock.now()
    record = UserRecord(
        id=clock.new_id(),
        name=name,
        email=email,
        roles=tuple(dict.fromkeys(roles)),
        kind=kind,
        created_at=now,
        updated_at=now,
        created_by=actor.subject,
    )

    def unit(uow: UnitOfWork) -> tuple[UserDetail, list[str]]:
        if uow.users.get_by_name(name) is not None:
            raise InvalidFieldError("this name is taken", pointer="/name")
        uow.users.add(record)
        uow.audit.append(
            "user.added", actor.subject, record.id, {"roles": list(record.roles), "kind": kind}
        )
        told = settle_grants(uow, hub, record.id, by=actor.subject, now=now)
        return UserDetail(record, ()), told

    return await _done(hub, unit)


async def change_user(
    hub: Hub, actor: Actor, user_id: str, change: UserChange, *, revision: int | None
) -> UserDetail:
    """Change a user; who is disabled is signed out everywhere and their keys stop.

    Anybody may change their own name and e-mail, and step down.

    Raises:
        HiddenError, AccessDeniedError: not theirs to change, or a role they may not give or take.
        StateConflictError: the last owner cannot leave.
        PreconditionError: changed by somebody else.
    """
    now = clock.now()
    fields: dict[str, Any] = {"updated_at": now}

    def unit(uow: UnitOfWork) -> tuple[UserDetail, list[str]]:
        found = _detail(uow, actor, user_id).user
        own = actor.kind == "user" and actor.id == found.id
        if not own:
            authorize(actor, "users.write")
            check_outranks(actor, found.roles, None)
        wanted = found.roles if change.roles is None else tuple(dict.fromkeys(change.roles))
        given = [role for role in wanted if role not in found.roles]
        taken = [role for role in found.roles if role not in wanted]
        check_roles(actor, given, None, pointer="/roles")
        if not own:
            check_roles(actor, taken, None, pointer="/roles")
        leaves = change.state == DISABLED or OWNER in taken
        if OWNER in found.roles and leaves:
            check_not_last_owner(uow, found.id)
        if own and change.state not in (None, found.state):
            raise AccessDeniedError("nobody disables themselves: ask somebody above you")
        for name in ("name", "email", "state"):
            value = getattr(change, name)
            if value is not None:
                fields[name] = value
        fields["roles"] = wanted
        named = None if change.name is None else uow.users.get_by_name(change.name)
        if named is not None and named.id != found.id:
            raise InvalidFieldError("this name is taken", pointer="/name")
        try:
            changed = uow.users.update(found.id, revision=revision, **fields)
        except ConflictError as exc:
            raise PreconditionError("somebody else has changed this user") from exc
        if change.state == DISABLED:
            uow.sessions.revoke_all(found.id)
        uow.audit.append(
            "user.changed",
            actor.subject,
            found.id,
            {"roles": list(wanted), "state": changed.state},
            at=now,
        )
        told = settle_grants(uow, hub, found.id, by=actor.subject, now=now)
        return UserDetail(changed, tuple(uow.realms.memberships(found.id))), told

    return await _done(hub, unit)


async def remove_user(hub: Hub, actor: Actor, user_id: str) -> None:
    """Remove a user for good, with their memberships, sessions, passkeys, keys and grants.

    Raises:
        HiddenError, AccessDeniedError: not theirs to remove.
        StateConflictError: the last owner cannot leave.
    """
    now = clock.now()

    def unit(uow: UnitOfWork) -> tuple[UserDetail, list[str]]:
        detail = _detail(uow, actor, user_id)
        found = detail.user
        authorize(actor, "users.write")
        if actor.id != found.id:
            check_outranks(actor, found.roles, None)
        if OWNER in found.roles:
            check_not_last_owner(uow, found.id)
        told = end_keys(uow, hub, found.id, by=actor.subject, now=now)
        uow.users.delete(found.id)
        erase_person(uow, f"user:{found.id}", by=actor.subject)
        uow.audit.append("user.removed", actor.subject, found.id, {}, at=now)
        return detail, [*told, *settle_grants(uow, hub, found.id, by=actor.subject, now=now)]

    await _done(hub, unit)


def check_roles(actor: Actor, roles: Iterable[str], realm: str | None, *, pointer: str) -> None:
    """Return when the caller may give and take each of `roles`.

    Raises:
        InvalidFieldError: no such role.
        AccessDeniedError: not below the caller's own.
    """
    for index, role in enumerate(roles):
        if role not in ROLES:
            raise InvalidFieldError("no such role", pointer=f"{pointer}/{index}")
        if not may_grant(actor, role, realm):
            raise AccessDeniedError(f"{role} is not below your own role")


def check_outranks(actor: Actor, roles: Iterable[str], realm: str | None) -> None:
    """Return when the caller stands above who holds `roles` (owners: beside); else they may not."""
    own = rung_in(actor, realm)
    theirs = max((rung_of(role) for role in roles), default=-1)
    if theirs >= own and own != LADDER.index(OWNER):
        raise AccessDeniedError("they stand as high as you do")


def is_last_owner(uow: UnitOfWork, user_id: str) -> bool:
    """Whether no other active person owns this hub; this unit decides about it.

    Of two who leave at once, at whatever hubs, the second waits and then finds itself the last.
    """
    uow.alone("owners")
    return all(one.id == user_id for one in uow.users.active_with_role(OWNER))


def check_not_last_owner(uow: UnitOfWork, user_id: str) -> None:
    """Return when some other active person owns this hub; `StateConflictError` otherwise."""
    if is_last_owner(uow, user_id):
        raise StateConflictError("the last owner cannot leave")


def is_seen(uow: UnitOfWork, actor: Actor, user: UserRecord) -> bool:
    """Whether the caller may know of this user: themselves, or somebody of their realms."""
    if actor.kind == "user" and actor.id == user.id:
        return True
    return sees_any(actor, "users.read", [one.realm for one in uow.realms.memberships(user.id)])


def find_user(uow: UnitOfWork, name_or_id: str) -> UserRecord | None:
    """Return the user of that id or name, or None."""
    return uow.users.get(name_or_id) or uow.users.get_by_name(name_or_id)


async def _done(hub: Hub, unit: Any) -> UserDetail:
    detail: UserDetail
    detail, told = await hub.database.write(unit)
    hub.authenticator.forget()
    for did in told:
        hub.dispatcher.wake(did)
    return detail


def _detail(uow: UnitOfWork, actor: Actor, name_or_id: str) -> UserDetail:
    found = find_user(uow, name_or_id)
    if found is None:
        raise HiddenError("no such user")
    if not is_seen(uow, actor, found):
        raise HiddenError("no such user")
    memberships = tuple(uow.realms.memberships(found.id))
    realms = realms_with(actor, "users.read")
    own = actor.kind == "user" and actor.id == found.id
    if realms is not None:
        # What they are elsewhere is nobody's business here.
        memberships = tuple(one for one in memberships if own or one.realm in realms)
    return UserDetail(found, memberships)
