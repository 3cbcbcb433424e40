"""Roles as delegations to people's own keys: what a person may decide and order, signed by them.

The hub lends it out of its own rights, so such a chain passes through the hub's key: it counts
nowhere that asks for an operator's signature. Ends with the role, the key or the person.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from controlplane.access.permissions import ROLES
from controlplane.context import Hub
from controlplane.delegations.revocations import add_revocations
from controlplane.delegations.service import load_hub_link, seal_under, store_delegation
from protocol.links import Link, verify_link
from storage.records import DelegationRecord
from storage.unit_of_work import UnitOfWork

KEY_STANDING: Final = "role.key"
"""Source of a delegation that stands for the roles of a key's owner."""
_LIFETIME: Final = timedelta(days=10 * 365)  # ends with the hub's own delegation, which is sooner
_RENEW_BEFORE: Final = timedelta(days=7)
_LENT: Final = {
    "*": "intents.submit.any",
    "writ.approve": "approvals.decide",
    "writ.cancel": "intents.cancel.any",
}
"""Action lent, and the permission that has it lent."""


def settle_keys(uow: UnitOfWork, hub: Hub, user_id: str, *, by: str, now: datetime) -> list[str]:
    """Leave each key of a user with one delegation of what roles allow; return whom to wake."""
    plan = _plan(uow, hub, user_id, now)
    told: list[str] = []
    for did in plan.lacking:
        told += _issue(uow, hub, did, plan.wanted, by=by, now=now)
    for one in plan.gone:
        uow.delegations.revoke(one.id, by, now)
        why = {"why": "the roles have changed", "subject": one.subject}
        realms = one.realms_named
        uow.audit.append("delegation.revoked", by, one.id, why, realms=realms, at=now)
    if plan.gone:
        ids = tuple(one.id for one in plan.gone)
        told += add_revocations(uow, hub, by, keys=(), delegations=ids, now=now)
    return list(dict.fromkeys(told))


def are_keys_settled(uow: UnitOfWork, hub: Hub, user_id: str, now: datetime) -> bool:
    """Whether `settle_keys` would change nothing."""
    plan = _plan(uow, hub, user_id, now)
    return not plan.lacking and not plan.gone


def end_keys(uow: UnitOfWork, hub: Hub, user_id: str, *, by: str, now: datetime) -> list[str]:
    """End every key of a user who leaves; return whom to wake."""
    keys = [one for one in uow.person_keys.for_user(user_id) if one.revoked_at is None]
    for one in keys:
        uow.person_keys.revoke(one.id, user_id, now)
    return revoke_keys(uow, hub, [one.did for one in keys], by=by, now=now)


def revoke_keys(uow: UnitOfWork, hub: Hub, dids: list[str], *, by: str, now: datetime) -> list[str]:
    """Put keys on the list of revocations, with what was lent to them; return whom to wake."""
    if not dids:
        return []
    for did in dids:
        for one in uow.delegations.for_subject(did, now):
            uow.delegations.revoke(one.id, by, now)
        uow.audit.append("key.revoked", by, did, {}, at=now)
    return add_revocations(uow, hub, by, keys=tuple(dids), delegations=(), now=now)


class _Plan(NamedTuple):
    """What each key should be lent, the keys that lack it, and what was lent in vain."""

    wanted: list[dict[str, Any]]
    lacking: list[str]
    gone: list[DelegationRecord]


def _plan(uow: UnitOfWork, hub: Hub, user_id: str, now: datetime) -> _Plan:
    keys = [one for one in uow.person_keys.for_user(user_id) if one.revoked_at is None]
    wanted = _capabilities(uow, user_id) if keys else []
    own = load_hub_link(hub)
    lacking: list[str] = []
    gone: list[DelegationRecord] = []
    for key in keys:
        lent = uow.delegations.for_subject(key.did, now)
        held = [one for one in lent if one.source == KEY_STANDING]
        good = [one for one in held if wanted and _serves(one, wanted, own, now)][:1]
        gone += [one for one in held if one not in good]
        if wanted and not good:
            lacking.append(key.did)
    return _Plan(wanted, lacking, gone)


def _serves(held: DelegationRecord, wanted: list[dict[str, Any]], own: Link, now: datetime) -> bool:
    lasts = held.expires_at - now > _RENEW_BEFORE or held.expires_at >= own.expires
    return lasts and list(held.capabilities) == wanted and held.issuer == own.delegation.subject


def _capabilities(uow: UnitOfWork, user_id: str) -> list[dict[str, Any]]:
    """Return what a user's roles have lent to their keys, in one order; nothing: an empty list."""
    user = uow.users.get(user_id)
    if user is None or user.state != "active":
        return []
    everywhere = frozenset().union(*(ROLES.get(role, frozenset()) for role in user.roles))
    members = uow.realms.memberships(user_id)
    found: list[dict[str, Any]] = []
    for action, permission in _LENT.items():
        realms = sorted(one.realm for one in members if permission in ROLES.get(one.role, ()))
        if permission in everywhere:
            found.append({"action": action})
        elif realms:
            found.append({"action": action, "realms": realms})
    return found


def _issue(
    uow: UnitOfWork,
    hub: Hub,
    did: str,
    capabilities: list[dict[str, Any]],
    *,
    by: str,
    now: datetime,
) -> list[str]:
    envelope = seal_under(
        load_hub_link(hub),
        hub.identity.hub_key,
        {"subject": did, "capabilities": capabilities, "conditions": [], "maxDepth": 0},
        expires=now + _LIFETIME,
        now=now,
    )
    link = verify_link(envelope)
    _, told = store_delegation(uow, hub, link, source=KEY_STANDING, by=by, now=now)
    return told
