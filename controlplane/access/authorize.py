"""The one permission check, for REST, sockets, event streams and everything that comes later.

Pure: an `Actor` is all it looks at. What the caller may not see does not exist for them
(`HiddenError`); what they may see but not do is `AccessDeniedError`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from controlplane.access.permissions import PERMISSIONS, ROLES, Reach, scope_covers
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
    """

    kind: str
    id: str
    name: str
    roles: frozenset[str] = frozenset()
    realm_roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    scopes: frozenset[str] | None = None
    realm: str | None = None
    key_id: str | None = None

    @property
    def subject(self) -> str:
        """How the record names them: `user:<uuid>`, `key:<uuid>`, a DID or `hub`."""
        if self.kind in ("hub", "agent"):
            return self.id
        return f"{'user' if self.kind == 'user' else 'key'}:{self.id}"


HUB_ACTOR = Actor(kind="hub", id="hub", name="hub", roles=frozenset({"admin"}))
"""What the hub does by itself, such as expiring an order."""


def realms_with(actor: Actor, permission: str) -> frozenset[str] | None:
    """Return the realms in which `actor` holds `permission`; None for every realm there is."""
    if permission not in PERMISSIONS:
        raise ValueError(f"no such permission: {permission}")
    if actor.scopes is not None and not any(scope_covers(s, permission) for s in actor.scopes):
        return frozenset()
    # A machine key without a role is what its scopes say, and nothing more.
    bare_scopes = actor.kind == "machine" and not actor.roles and actor.scopes is not None
    everywhere = bare_scopes or any(permission in ROLES.get(role, ()) for role in actor.roles)
    if everywhere:
        return None if actor.realm is None else frozenset({actor.realm})
    held = frozenset(
        realm
        for realm, roles in actor.realm_roles.items()
        if any(permission in ROLES.get(role, ()) for role in roles)
    )
    return held if actor.realm is None else held & {actor.realm}


def is_allowed(actor: Actor, permission: str, realm: str | None = None) -> bool:
    """Whether `actor` holds `permission`: in `realm`, or without one in at least one realm.

    A permission that reaches the whole hub must be held everywhere, whatever `realm` says.
    """
    realms = realms_with(actor, permission)
    if realms is None:
        return True
    if PERMISSIONS[permission] is Reach.HUB:
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
    if not _any_realm(actor, see, realms):
        raise HiddenError("not found")
    if not _any_realm(actor, permission, realms):
        raise AccessDeniedError(f"needs {permission}")


def holds_all(actor: Actor, permissions: Iterable[str], realm: str | None) -> bool:
    """Whether `actor` may hand out `permissions`: nobody grants more than they have."""
    for permission in permissions:
        held = realms_with(actor, permission)
        if held is not None and (realm is None or realm not in held):
            return False
    return True


def _any_realm(actor: Actor, permission: str, realms: Collection[str]) -> bool:
    held = realms_with(actor, permission)
    if held is None:
        return True
    if PERMISSIONS[permission] is Reach.HUB:
        return False
    return any(realm in held for realm in realms)
