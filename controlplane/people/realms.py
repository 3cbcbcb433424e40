"""Realms, and who belongs to them in which role."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

from controlplane import clock
from controlplane.access.authorize import Actor, authorize, authorize_one, realms_with
from controlplane.context import Hub
from controlplane.errors import (
    HiddenError,
    InvalidFieldError,
    PreconditionError,
    StateConflictError,
)
from controlplane.first_start import DEFAULT_REALM
from controlplane.people.standing import settle_grants
from controlplane.people.users import (
    ACTIVE,
    OWNER,
    check_outranks,
    check_roles,
    find_user,
    is_seen,
)
from protocol.errors import Error
from storage.errors import ConflictError
from storage.pages import Page
from storage.records import MemberRecord, RealmRecord, UserRecord
from storage.unit_of_work import UnitOfWork

Member = tuple[MemberRecord, UserRecord]


async def list_realms(
    hub: Hub, actor: Actor, *, limit: int, cursor: str | None
) -> Page[RealmRecord]:
    """Return a page of the realms the caller may see."""
    realms = realms_with(actor, "realms.read")
    return await hub.database.read(
        lambda uow: uow.realms.list(only=realms, limit=limit, cursor=cursor)
    )


async def load_realm(hub: Hub, actor: Actor, realm: str) -> RealmRecord:
    """Return one realm; `HiddenError` when the caller may not see it."""
    return await hub.database.read(lambda uow: _visible(uow, actor, realm))


async def add_realm(
    hub: Hub,
    actor: Actor,
    *,
    realm: str,
    description: str,
    owner: str | None,
    audiences: Sequence[str] = (),
) -> RealmRecord:
    """Make a realm, owned by `owner` (a user's id or name) when one is named.

    Raises:
        InvalidFieldError: a taken id, or no such user.
    """
    authorize(actor, "realms.write")
    now = clock.now()

    def unit(uow: UnitOfWork) -> tuple[RealmRecord, list[str]]:
        if uow.realms.get(realm) is not None:
            raise InvalidFieldError("this realm exists", pointer="/id")
        made = RealmRecord(
            realm,
            now,
            now,
            description=description,
            created_by=actor.subject,
            audiences=tuple(dict.fromkeys(audiences)),
        )
        uow.realms.add(made)
        noted = {"audiences": list(made.audiences)} if made.audiences else {}
        uow.audit.append(
            "realm.created",
            actor.subject,
            realm,
            noted,
            realms=(realm,),
            personal={"description": description},
            at=now,
        )
        if owner is None:
            return made, []
        check_roles(actor, [OWNER], realm, pointer="/owner")
        user = find_user(uow, owner)
        if user is None:
            raise InvalidFieldError("no such user", pointer="/owner")
        return made, _set(uow, hub, actor, realm, user, OWNER)

    try:
        record: RealmRecord = await _done(hub, unit)
    except ConflictError as exc:
        raise InvalidFieldError("this realm exists", pointer="/id") from exc
    # Only so that every process knows its data key early: whoever seals sees to it again.
    with contextlib.suppress(Error):
        await hub.secrets.prepare(realm)
    return record


async def change_realm(
    hub: Hub,
    actor: Actor,
    realm: str,
    *,
    description: str | None,
    audiences: Sequence[str] | None,
    revision: int | None,
) -> RealmRecord:
    """Describe a realm anew, and say for which services tokens are made in it; None leaves it.

    Raises:
        HiddenError, AccessDeniedError: not theirs to describe.
        PreconditionError: changed by somebody else.
    """
    fields: dict[str, Any] = {} if description is None else {"description": description}
    if audiences is not None:
        fields["audiences"] = list(dict.fromkeys(audiences))

    def unit(uow: UnitOfWork) -> RealmRecord:
        _visible(uow, actor, realm)
        authorize_one(actor, "realms.edit", (realm,), see="realms.read")
        try:
            changed = uow.realms.update(realm, revision=revision, updated_at=uow.now, **fields)
        except ConflictError as exc:
            raise PreconditionError("somebody else has changed this realm") from exc
        uow.audit.append(
            "realm.changed",
            actor.subject,
            realm,
            {} if audiences is None else {"audiences": fields["audiences"]},
            realms=(realm,),
            personal={"description": description},
        )
        return changed

    return await hub.database.write(unit)


async def remove_realm(hub: Hub, actor: Actor, realm: str) -> None:
    """Remove a realm in which no agent is; its members lose their roles in it.

    Its data keys are destroyed with it: what was sealed for the realm opens nowhere any more.

    Raises:
        StateConflictError: the default realm, or one with agents.
    """
    authorize(actor, "realms.write")
    now = clock.now()

    def unit(uow: UnitOfWork) -> tuple[None, list[str]]:
        if uow.realms.get(realm) is None:
            raise HiddenError("no such realm")
        if realm == DEFAULT_REALM:
            raise StateConflictError("the default realm stays")
        if uow.agents.matching(realm=realm, limit=1):
            raise StateConflictError("there are agents in this realm")
        members = uow.realms.members(realm)
        uow.data_keys.destroy_realm(realm)
        uow.realms.delete(realm)
        uow.audit.append("realm.removed", actor.subject, realm, {}, realms=(realm,), at=now)
        told: list[str] = []
        for one in members:
            told += settle_grants(uow, hub, one.user_id, by=actor.subject, now=now)
        return None, told

    await _done(hub, unit)
    await hub.secrets.refresh()


async def list_members(hub: Hub, actor: Actor, realm: str) -> Sequence[Member]:
    """Return who belongs to a realm, by name."""

    def unit(uow: UnitOfWork) -> Sequence[Member]:
        _visible(uow, actor, realm)
        authorize_one(actor, "members.read", (realm,), see="realms.read")
        members = {one.user_id: one for one in uow.realms.members(realm)}
        return [(members[user.id], user) for user in uow.users.get_many(members)]

    return await hub.database.read(unit)


async def set_member(hub: Hub, actor: Actor, realm: str, user: str, role: str) -> Member:
    """Give a user (by id or name) a role in a realm, instead of the one they had.

    Raises:
        HiddenError: no such realm, as far as the caller may know.
        AccessDeniedError: the new or the old role is not below the caller's own.
        InvalidFieldError: no such user or role. Who is in none of the caller's realms is invited.
        StateConflictError: the last owner of the realm would be none any more.
    """
    now = clock.now()

    def unit(uow: UnitOfWork) -> tuple[Member, list[str]]:
        _visible(uow, actor, realm)
        authorize_one(actor, "members.write", (realm,), see="realms.read")
        check_roles(actor, [role], realm, pointer="/role")
        found = find_user(uow, user)
        if found is None or not is_seen(uow, actor, found):
            raise InvalidFieldError("no such user", pointer="/user")
        held = uow.realms.member(realm, found.id)
        if held is not None and held.role != role:
            _check_takes(uow, actor, held)
        told = _set(uow, hub, actor, realm, found, role)
        return (MemberRecord(realm, found.id, role, held.created_at if held else now), found), told

    return await _done(hub, unit)  # type: ignore[no-any-return]


async def remove_member(hub: Hub, actor: Actor, realm: str, user: str) -> None:
    """End a membership; anybody may leave, except the last owner of the realm.

    Raises:
        HiddenError: no such realm or member, as far as the caller may know.
        AccessDeniedError: a role that is not below the caller's own.
        StateConflictError: the last owner cannot leave.
    """
    now = clock.now()

    def unit(uow: UnitOfWork) -> tuple[None, list[str]]:
        _visible(uow, actor, realm)
        found = find_user(uow, user)
        held = None if found is None else uow.realms.member(realm, found.id)
        if found is None or held is None:
            raise HiddenError("no such member")
        if not (actor.kind == "user" and actor.id == found.id):
            authorize_one(actor, "members.write", (realm,), see="realms.read")
        _check_takes(uow, actor, held)
        uow.realms.remove_member(realm, found.id)
        uow.audit.append(
            "member.removed",
            actor.subject,
            realm,
            {"user": found.id, "role": held.role},
            realms=(realm,),
            at=now,
        )
        return None, settle_grants(uow, hub, found.id, by=actor.subject, now=now)

    await _done(hub, unit)


def enter_realm(
    uow: UnitOfWork, hub: Hub, *, realm: str, user: UserRecord, role: str, by: str
) -> list[str]:
    """Give a user a role in a realm in this unit, unless they stand higher; return whom to wake."""
    now = uow.now
    uow.realms.set_member(MemberRecord(realm, user.id, role, now))
    uow.audit.append("member.set", by, realm, {"user": user.id, "role": role}, realms=(realm,))
    return settle_grants(uow, hub, user.id, by=by, now=now)


def _set(
    uow: UnitOfWork, hub: Hub, actor: Actor, realm: str, user: UserRecord, role: str
) -> list[str]:
    return enter_realm(uow, hub, realm=realm, user=user, role=role, by=actor.subject)


def _check_takes(uow: UnitOfWork, actor: Actor, held: MemberRecord) -> None:
    if not (actor.kind == "user" and actor.id == held.user_id):
        check_outranks(actor, [held.role], held.realm)
    if held.role != OWNER:
        return
    if is_last_owner_of(uow, held.realm, held.user_id):
        raise StateConflictError("the last owner cannot leave")


def is_last_owner_of(uow: UnitOfWork, realm: str, user_id: str) -> bool:
    """Whether nobody else owns this realm; this unit decides about it, as `is_last_owner` does."""
    uow.alone(f"owners of {realm}")
    members = uow.realms.members(realm)
    others = [one.user_id for one in members if one.role == OWNER and one.user_id != user_id]
    return not any(one.state == ACTIVE for one in uow.users.get_many(others))


def _visible(uow: UnitOfWork, actor: Actor, realm: str) -> RealmRecord:
    found = uow.realms.get(realm)
    if found is None:
        raise HiddenError("no such realm")
    authorize_one(actor, "realms.read", (realm,), see="realms.read")
    return found


async def _done(hub: Hub, unit: Any) -> Any:
    value, told = await hub.database.write(unit)
    hub.authenticator.forget()
    for did in told:
        hub.dispatcher.wake(did)
    return value
