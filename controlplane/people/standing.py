"""Roles as delegations: who may order anything somewhere holds a standing grant from the hub.

Agents know no roles. An order on behalf of a person needs a delegation to `user:<uuid>` (SPEC
section 7, step 4), so each role that lets one order anything is one, and ends with the role.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from controlplane import clock
from controlplane.access.permissions import ROLES
from controlplane.context import Hub
from controlplane.delegations.revocations import add_revocations
from controlplane.delegations.service import load_hub_link, seal_under, store_delegation
from controlplane.people.key_standing import are_keys_settled, settle_keys
from protocol.links import Link, verify_link
from storage.records import DelegationRecord
from storage.unit_of_work import UnitOfWork

STANDING: Final = "role"
"""Source of a delegation that stands for a role."""
_LIFETIME: Final = timedelta(days=10 * 365)  # ends with the hub's own delegation, which is sooner
_RENEW_BEFORE: Final = timedelta(days=7)


def settle_grants(uow: UnitOfWork, hub: Hub, user_id: str, *, by: str, now: datetime) -> list[str]:
    """Leave a user with one standing grant per role that is one; return whom to wake.

    Grants that somebody made are taken back when the user is gone, or belongs to none of the
    realms they are for any more.
    """
    wanted, own = _wanted(uow, user_id), load_hub_link(hub)
    told: list[str] = []
    gone: list[DelegationRecord] = []
    for held in uow.delegations.for_subject(f"user:{user_id}", now):
        realm = _realm_of(held)
        if held.source == STANDING:
            if realm in wanted and _lasts(held, own, now):
                wanted.discard(realm)
            elif realm not in wanted:
                gone.append(held)
        elif not _still_reachable(uow, user_id, held):
            gone.append(held)
    for realm in sorted(wanted, key=str):
        told += _issue(uow, hub, user_id, realm, by=by, now=now)
    if gone:
        for one in gone:
            uow.delegations.revoke(one.id, by, now)
            uow.audit.append(
                "delegation.revoked",
                by,
                one.id,
                {"why": "the role has ended", "subject": one.subject},
                realms=one.realms_named,
                at=now,
            )
        told += add_revocations(
            uow, hub, by, keys=(), delegations=tuple(one.id for one in gone), now=now
        )
    told += settle_keys(uow, hub, user_id, by=by, now=now)
    return list(dict.fromkeys(told))


async def settle_everybody(hub: Hub) -> None:
    """Settle the grants of every user: those of roles given before, and those that run out."""
    cursor: str | None = None
    while True:
        page = await hub.database.read(lambda uow: uow.users.list(limit=200, cursor=cursor))  # noqa: B023
        for user in page.items:
            now = clock.now()
            if not await hub.database.read(lambda uow: _is_settled(uow, hub, user.id, now)):  # noqa: B023
                told = await hub.database.write(
                    lambda uow: settle_grants(uow, hub, user.id, by="hub", now=now)  # noqa: B023
                )
                for did in told:
                    hub.dispatcher.wake(did)
        cursor = page.next_cursor
        if cursor is None:
            return


def _is_settled(uow: UnitOfWork, hub: Hub, user_id: str, now: datetime) -> bool:
    own = load_hub_link(hub)
    held = {
        _realm_of(one)
        for one in uow.delegations.for_subject(f"user:{user_id}", now)
        if one.source == STANDING and _lasts(one, own, now)
    }
    return _wanted(uow, user_id) <= held and are_keys_settled(uow, hub, user_id, now)


def _lasts(held: DelegationRecord, own: Link, now: datetime) -> bool:
    return held.expires_at - now > _RENEW_BEFORE or held.expires_at >= own.expires


def _wanted(uow: UnitOfWork, user_id: str) -> set[str | None]:
    """Return the realms in which a role is a grant for anything; None stands for all of them."""
    user = uow.users.get(user_id)
    if user is None or user.state != "active":
        return set()
    if _is_grant(user.roles):
        return {None}
    return {one.realm for one in uow.realms.memberships(user_id) if _is_grant((one.role,))}


def _is_grant(roles: tuple[str, ...]) -> bool:
    return any("intents.submit.any" in ROLES.get(role, ()) for role in roles)


def _realm_of(held: DelegationRecord) -> str | None:
    realms = held.capabilities[0].get("realms") if held.capabilities else None
    return str(realms[0]) if realms else None


def _still_reachable(uow: UnitOfWork, user_id: str, held: DelegationRecord) -> bool:
    user = uow.users.get(user_id)
    if user is None or user.state != "active":
        return False
    if user.roles:
        return True
    belongs = {one.realm for one in uow.realms.memberships(user_id)}
    return any(
        one.get("realms") is None or belongs & set(one["realms"]) for one in held.capabilities
    )


def _issue(
    uow: UnitOfWork, hub: Hub, user_id: str, realm: str | None, *, by: str, now: datetime
) -> list[str]:
    capability: dict[str, Any] = {"action": "*"}
    if realm is not None:
        capability["realms"] = [realm]
    envelope = seal_under(
        load_hub_link(hub),
        hub.identity.hub_key,
        {
            "subject": f"user:{user_id}",
            "capabilities": [capability],
            "conditions": [],
            "maxDepth": 0,
        },
        expires=now + _LIFETIME,
        now=now,
    )
    _, told = store_delegation(uow, hub, verify_link(envelope), source=STANDING, by=by, now=now)
    return told
