"""The one policy file of the hub: every permission, and which roles hold it.

Pure data and lookups. The check (`authorize`), `/roles`, docs/reference/roles.md and the tests are
all made from the table here. A permission is `realm` (it can be held in one realm only) or `hub`
(it must be held everywhere, because what it touches belongs to no realm); `self` is everybody's
who is signed in, whatever their role.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final, NamedTuple


class Reach(Enum):
    """Where a permission has to be held."""

    SELF = "self"
    REALM = "realm"
    HUB = "hub"


class Permission(NamedTuple):
    """One row of the matrix: the lowest rung that holds it, and the side roles that do."""

    reach: Reach
    least: str
    beside: tuple[str, ...]
    does: str


LADDER: Final = ("member", "operator", "manager", "admin", "owner")
"""Lowest first; each rung holds what those below it hold."""
SIDE_ROLES: Final[Mapping[str, str]] = {
    "approver": "a member who also decides what waits for people",
    "auditor": "a member who also reads the record, users and settings",
}
"""Beside the ladder, for separation of duties: what they are."""
_BOTH: Final = tuple(SIDE_ROLES)
_AUDITOR: Final = ("auditor",)


def _realm(least: str, does: str, *beside: str) -> Permission:
    return Permission(Reach.REALM, least, _BOTH if least == "member" else beside, does)


def _hub(least: str, does: str, *beside: str) -> Permission:
    return Permission(Reach.HUB, least, beside, does)


PERMISSIONS: Final[Mapping[str, Permission]] = {
    "me.read": Permission(Reach.SELF, "member", _BOTH, "see who the hub takes you for"),
    "me.write": Permission(Reach.SELF, "member", _BOTH, "change how you sign in"),
    "agents.read": _realm("member", "see agents"),
    "agents.edit": _realm("operator", "label and rename agents"),
    "agents.quarantine": _realm("operator", "stop an agent"),
    "agents.revoke": _hub("admin", "shut an agent out for good"),
    "enrolment.read": _realm("operator", "see who asks to join", *_AUDITOR),
    "enrolment.manage": _realm("manager", "let agents join"),
    "intents.read": _realm("member", "see orders and results"),
    "intents.submit": _realm("member", "order what a grant covers"),
    "intents.submit.any": _realm("operator", "order anything: the role is the grant"),
    "intents.represent": _realm("manager", "order on behalf of somebody else"),
    "intents.cancel": _realm("member", "cancel one's own orders"),
    "intents.cancel.any": _realm("operator", "cancel orders of others"),
    "policies.read": _realm("member", "see policies"),
    "policies.write": _realm("admin", "set what agents may do"),
    "delegations.read": _realm("member", "see who was lent what"),
    "delegations.sign": _realm("operator", "hand in a signed delegation"),
    "delegations.write": _realm("manager", "grant people what agents of the realm do"),
    "delegations.write.any": _hub("admin", "lend to anybody, and revoke"),
    "approvals.read": _realm("member", "see what waits for people"),
    "approvals.decide": _realm("operator", "decide what waits for people", "approver"),
    "realms.read": _realm("member", "see realms and roles"),
    "realms.edit": _realm("admin", "describe a realm"),
    "realms.write": _hub("admin", "make and remove realms"),
    "members.read": _realm("member", "see who belongs to a realm"),
    "members.write": _realm("manager", "give and take roles below one's own"),
    "invitations.read": _realm("manager", "see invitations"),
    "invitations.write": _realm("manager", "invite people into roles below one's own"),
    "users.read": _realm("member", "see people of one's realms"),
    "users.write": _hub("admin", "add, change, disable and remove people"),
    "keys.read": _realm("member", "see one's API keys"),
    "keys.write": _realm("member", "make and revoke one's API keys"),
    "keys.machine": _realm("operator", "make keys for machines"),
    "tokens.create": _realm("member", "show oneself to other services by short-lived tokens"),
    "files.read": _realm("member", "fetch files"),
    "files.write": _realm("operator", "put and remove files"),
    "audit.read": _realm("admin", "read the record", *_AUDITOR),
    "webhooks.read": _realm("admin", "see webhooks and what was sent to them"),
    "webhooks.write": _realm("admin", "have events sent to an address"),
    "notifications.read": Permission(Reach.SELF, "member", _BOTH, "see what one is told"),
    "notifications.write": Permission(Reach.SELF, "member", _BOTH, "choose what one is told"),
    "audit.witness": _hub("admin", "hand in cosignatures of a witness", *_AUDITOR),
    "settings.read": _hub("admin", "see settings", *_AUDITOR),
    "settings.write": _hub("owner", "change settings"),
    "events.read": _realm("member", "watch what happens"),
    "metrics.read": _hub("admin", "read the numbers", *_AUDITOR),
}
"""Every permission there is. A route that names another one fails to start."""


def _held_by(role: str) -> frozenset[str]:
    rung = LADDER.index(role) if role in LADDER else -1
    return frozenset(
        name
        for name, one in PERMISSIONS.items()
        if role in one.beside or LADDER.index(one.least) <= rung
    )


ROLES: Final[Mapping[str, frozenset[str]]] = {
    role: _held_by(role) for role in (*reversed(LADDER), *SIDE_ROLES)
}
"""Role to permissions. A role is held everywhere, or in one realm as its member."""


def rung_of(role: str) -> int:
    """Return how high a role stands; a side role stands where an operator does, unknown below all.

    So a manager and up may hand out side roles, as far as they hold what those permit.
    """
    if role in LADDER:
        return LADDER.index(role)
    return LADDER.index("operator") if role in SIDE_ROLES else -1


def scope_covers(scope: str, permission: str) -> bool:
    """Whether a key's scope reaches a permission: `*`, its name, or its part before a dot."""
    return scope in ("*", permission) or permission.startswith(f"{scope}.")


def is_scope(text: str) -> bool:
    """Whether some permission is reached by `text` as a scope."""
    return any(scope_covers(text, permission) for permission in PERMISSIONS)


def roles_table() -> str:
    """Return the matrix as a Markdown table: a row per permission, a column per role."""
    roles = (*LADDER, *SIDE_ROLES)
    lines = [
        "| permission | where | lets one | " + " | ".join(roles) + " |",
        "|---|---|---|" + ":-:|" * len(roles),
    ]
    for name, one in PERMISSIONS.items():
        marks = " | ".join("x" if name in ROLES[role] else " " for role in roles)
        lines.append(f"| `{name}` | {one.reach.value} | {one.does} | {marks} |")
    return "\n".join(lines)
