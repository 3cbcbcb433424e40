"""The one permission check, for REST, sockets, event streams and everything that comes later.

Pure: an `Actor` is all it looks at. What the caller may not see does not exist for them
(`HiddenError`); what they may see but not do is `AccessDeniedError`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from controlplane.access.permissions import (
    LADDER,
    PERMISSIONS,
    ROLES,
    Reach,
    rung_of,
    scope_covers,
)
from controlplane.errors import AccessDeniedError, HiddenError


@dataclass(frozen=True, slots=True)
class Actor:
    """Somebody who proved who they are.

    Attributes:
        kind: `user`, `machine` (a key without a person), `agent`, or `hub` (this hub itself).
        id: the user's or the key's UUID, or the agent's DID.
        name: for people.
        roles: held everywhere.
        realm_roles: roles by realm, for members.
        scopes: what the key narrows them to; None for everything they may.
        realm: the one realm the key is bound to; None for all of theirs.
        key_id: the API key that was shown.
        session_id: the session that was shown instead.
        authenticated_at: when the person of that session last proved who they are.
        issuer: who made the key; it never allows more than they may now.
        service: a `user` that is a service account, and nobody who could sign in.
    """

    kind: str
    id: str
    name: str
    roles: frozenset[str] = frozenset()
    realm_roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    scopes: frozenset[str] | None = None
    realm: str | None = None
    key_id: str | None = None
    session_id: str | None = None
    authenticated_at: datetime | None = None
    issuer: Actor | None = None
    service: bool = False

    @property
    def is_global_admin(self) -> bool:
        """Whether they hold `admin` or `owner` everywhere."""
        return bool(self.roles & {"admin", "owner"})

    @property
    def subject(self) -> str:
        """How the record names them: `user:<uuid>`, `key:<uuid>`, a DID or `hub`."""
        if self.kind in ("hub", "agent"):
            return self.id
        return f"{'user' if self.kind == 'user' else 'key'}:{self.id}"


HUB_ACTOR = Actor(kind="hub", id="hub", name="hub", roles=frozenset({"owner"}))
"""What the hub does by itself, such as expiring an order."""


def realms_with(actor: Actor, permission: str) -> frozenset[str] | None:
    """Return the realms in which `actor` holds `permission`; None for every realm there is."""
    if permission not in PERMISSIONS:
        raise ValueError(f"no such permission: {permission}")
    if actor.scopes is not None and not any(scope_covers(s, permission) for s in actor.scopes):
        return frozenset()
    held = _held(actor, permission)
    if actor.issuer is not None:
        held = _both(held, realms_with(actor.issuer, permission))
    return held if actor.realm is None else _both(held, frozenset({actor.realm}))


def _held(actor: Actor, permission: str) -> frozenset[str] | None:
    if PERMISSIONS[permission].reach is Reach.SELF:
        return None
    # A machine key without a role is what its scopes say, and nothing more.
    bare_scopes = actor.kind == "machine" and not actor.roles and actor.scopes is not None
    if bare_scopes or _grant(actor.roles, permission):
        return None
    return frozenset(
        realm for realm, roles in actor.realm_roles.items() if _grant(roles, permission)
    )


def _grant(roles: Iterable[str], permission: str) -> bool:
    for role in roles:  # noqa: SIM110 - asked several times for every order
        if permission in ROLES.get(role, ()):
            return True
    return False


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    if one is None:
        return other
    return one if other is None else one & other


def rung_in(actor: Actor, realm: str | None) -> int:
    """Return how high `actor` stands in `realm` (None: everywhere); -1 for nowhere."""
    if actor.realm is not None and realm != actor.realm:
        return -1
    roles = set(actor.roles)
    if realm is not None:
        roles |= actor.realm_roles.get(realm, frozenset())
    highest = max((rung_of(role) for role in roles), default=-1)
    return highest if actor.issuer is None else min(highest, rung_in(actor.issuer, realm))


def may_grant(actor: Actor, role: str, realm: str | None) -> bool:
    """Whether `actor` may give (or take) `role` in `realm`, or everywhere.

    Only what is below their own rung, and nothing they may not do themselves. An owner is the one
    exception: they may make another owner, or ownership could never be handed on.
    """
    own = rung_in(actor, realm)
    owner = LADDER.index("owner")
    below = rung_of(role) < own or (own == owner and role == "owner")
    held = ROLES[role] if realm is None else _reaching_realm(ROLES[role])
    return below and holds_all(actor, held, realm)


def _reaching_realm(permissions: Iterable[str]) -> list[str]:
    return [one for one in permissions if PERMISSIONS[one].reach is Reach.REALM]


def is_allowed(actor: Actor, permission: str, realm: str | None = None) -> bool:
    """Whether `actor` holds `permission`: in `realm`, or without one in at least one realm.

    A permission that reaches the whole hub must be held everywhere, whatever `realm` says.
    """
    realms = realms_with(actor, permission)
    if realms is None:
        return True
    if PERMISSIONS[permission].reach is Reach.HUB:
        return False
    return bool(realms) if realm is None else realm in realms


def authorize(actor: Actor, permission: str, *, realm: str | None = None) -> None:
    """Return when `actor` may.

    Raises:
        AccessDeniedError: they may not.
    """
    if not is_allowed(actor, permission, realm):
        raise AccessDeniedError(f"needs {permission}" + (f" in realm {realm}" if realm else ""))


def authorize_one(actor: Actor, permission: str, realms: Collection[str], *, see: str) -> None:
    """Return when `actor` may do `permission` to a thing that lies in `realms`.

    Args:
        see: the permission that lets one know the thing exists.

    Raises:
        HiddenError: they may not even know of it.
        AccessDeniedError: they may see it, but not do this.
    """
    if not sees_any(actor, see, realms):
        # In the words for what is not there: the permissions are named after the things.
        raise HiddenError(f"no such {see.partition('.')[0].removesuffix('s')}")
    if not sees_any(actor, permission, realms):
        raise AccessDeniedError(f"needs {permission}")


def holds_all(actor: Actor, permissions: Iterable[str], realm: str | None) -> bool:
    """Whether `actor` may hand out `permissions`: nobody grants more than they have."""
    for permission in permissions:
        held = realms_with(actor, permission)
        if held is not None and (realm is None or realm not in held):
            return False
    return True


def sees_any(actor: Actor, permission: str, realms: Collection[str]) -> bool:
    """Whether `actor` holds `permission` in one of these realms."""
    held = realms_with(actor, permission)
    if held is None:
        return True
    if PERMISSIONS[permission].reach is Reach.HUB:
        return False
    return any(realm in held for realm in realms)
