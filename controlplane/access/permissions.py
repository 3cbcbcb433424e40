"""The one policy file of the hub's API: every permission, and which roles hold it.

Pure data and lookups. A permission is `realm` (it can be held in one realm only) or `hub` (it
must be held everywhere, because what it touches belongs to no realm).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final


class Reach(Enum):
    """Where a permission has to be held."""

    REALM = "realm"
    HUB = "hub"


_R, _H = Reach.REALM, Reach.HUB

PERMISSIONS: Final[Mapping[str, Reach]] = {
    "me.read": _R,
    "agents.read": _R,
    "agents.edit": _R,
    "agents.quarantine": _R,
    "agents.revoke": _H,
    "enrolment.read": _R,
    "enrolment.manage": _R,
    "intents.read": _R,
    "intents.submit": _R,
    "intents.represent": _R,
    "intents.cancel": _R,
    "policies.read": _R,
    "policies.write": _R,
    "delegations.read": _R,
    "delegations.write": _H,
    "delegations.sign": _R,
    "approvals.read": _R,
    "approvals.decide": _R,
    "realms.read": _R,
    "realms.write": _H,
    "users.read": _H,
    "users.write": _H,
    "keys.read": _R,
    "keys.write": _R,
    "files.read": _R,
    "files.write": _R,
    "audit.read": _H,
    "settings.read": _H,
    "settings.write": _H,
    "events.read": _R,
    "metrics.read": _H,
}
"""Every permission there is. A route that names another one fails to start."""

_VIEWER: Final = frozenset(
    {
        "me.read",
        "agents.read",
        "intents.read",
        "policies.read",
        "delegations.read",
        "approvals.read",
        "files.read",
        "realms.read",
        "events.read",
        "keys.read",
    }
)
_OPERATOR: Final = _VIEWER | {
    "agents.edit",
    "agents.quarantine",
    "enrolment.read",
    "intents.submit",
    "intents.cancel",
    "approvals.decide",
    "delegations.sign",
    "files.write",
    "keys.write",
}
ROLES: Final[Mapping[str, frozenset[str]]] = {
    "admin": frozenset(PERMISSIONS),
    "realm-admin": _OPERATOR | {"enrolment.manage", "policies.write", "intents.represent"},
    "operator": _OPERATOR,
    "approver": _VIEWER | {"approvals.decide"},
    "viewer": _VIEWER,
    "auditor": _VIEWER | {"audit.read", "enrolment.read", "users.read", "settings.read"},
}
"""Role to permissions. A role is held everywhere, or in one realm as its member."""


def scope_covers(scope: str, permission: str) -> bool:
    """Whether a key's scope reaches a permission: `*`, its name, or its part before the dot."""
    return scope in ("*", permission, permission.partition(".")[0])


def is_scope(text: str) -> bool:
    """Whether some permission is reached by `text` as a scope."""
    return any(scope_covers(text, permission) for permission in PERMISSIONS)
