"""`python -m controlplane.access.roles_page` prints docs/reference/roles.md from the one table."""

from __future__ import annotations

from typing import Final

from controlplane.access.permissions import LADDER, SIDE_ROLES, roles_table

_HEAD: Final = """\
# Roles and permissions

Made from `controlplane/access/permissions.py` by `python -m controlplane.access.roles_page`; a
test fails when this page says something else.

The ladder, highest first: {ladder}. Each holds what those below it hold. Beside it:

{side}

A role is held in one realm, by its members, or everywhere. What reaches the `hub` must be held
everywhere; the rest is held in each realm where one has such a role.

- Nobody gives or takes a role that is not below their own, nor one that permits what they may not
  do themselves. An owner may make another owner: otherwise ownership could never be handed on.
- The last owner of the hub, or of a realm, cannot leave, step down or be removed.
- What you may not see does not exist for you: 404, the same answer as for what is not there.
- A role that holds `intents.submit.any` is also a signed delegation to `user:<uuid>`, which agents
  check by themselves. It is made when the role is given and revoked when the role ends.
- A member orders only what a grant covers (`POST /api/v1/delegations` to `user:<uuid>`); the rest
  is 403 `person_not_granted`. Orders of a person are on their own behalf unless they hold `admin`
  or `owner` everywhere.
- A key narrows its person by `scopes` (a permission, or its part before a dot) and by `realm`. It
  never allows more than who made it may now.

"""


def roles_page() -> str:
    """Return the page."""
    ladder = " > ".join(f"`{role}`" for role in reversed(LADDER))
    side = "\n".join(f"- `{role}`: {what}" for role, what in SIDE_ROLES.items())
    return _HEAD.format(ladder=ladder, side=side) + roles_table() + "\n"


if __name__ == "__main__":
    print(roles_page(), end="")
