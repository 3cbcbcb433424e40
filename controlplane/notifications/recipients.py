"""Who is told a fact: people who may know of it, and whom it concerns."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from controlplane.access.authenticate import user_actor
from controlplane.access.authorize import Actor, is_allowed, realms_with
from controlplane.access.permissions import ROLES
from storage.records import UserRecord
from storage.unit_of_work import UnitOfWork

MAX_RECIPIENTS: Final = 500
"""People who are told one fact; a hub with more who may decide has other ways to wake them."""


def may_know(actor: Actor, permission: str, realms: Collection[str]) -> bool:
    """Whether somebody may know of what lies in any of `realms`; of the hub's own without one."""
    if not realms:
        return realms_with(actor, permission) is None
    return any(is_allowed(actor, permission, realm) for realm in realms)


def people_with(
    uow: UnitOfWork, permission: str, realms: Collection[str]
) -> Sequence[tuple[UserRecord, Actor]]:
    """Return the people who may know of something, bounded, those of its realms first."""
    holding = {role for role, permissions in ROLES.items() if permission in permissions}
    ids = [
        member.user_id
        for realm in sorted(realms)
        for member in uow.realms.members(realm)
        if member.role in holding
    ]
    ids += [one.id for one in uow.users.active_people() if holding & set(one.roles)]
    found = []
    for id in dict.fromkeys(ids):
        user, actor = uow.users.get(id), user_actor(uow, id)
        if user is None or actor is None or user.kind != "person":
            continue
        if may_know(actor, permission, realms):
            found.append((user, actor))
        if len(found) >= MAX_RECIPIENTS:
            break
    return found
