"""The table of every REST operation; orders first, because they come most often."""

from __future__ import annotations

from functools import lru_cache

import orjson

from controlplane.api import (
    agents,
    approvals,
    audit,
    delegations,
    device_logins,
    enrolment,
    files,
    intents,
    invitations,
    notifications,
    oidc,
    overview,
    own_keys,
    passkeys,
    people,
    policies,
    realms,
    sign_in,
    storage,
    system,
    tokens,
    users,
    webhooks,
)
from controlplane.api.openapi import describe
from controlplane.api.operation import Operation

OPERATIONS: tuple[Operation, ...] = (
    *intents.OPERATIONS,
    *agents.OPERATIONS,
    *enrolment.OPERATIONS,
    *policies.OPERATIONS,
    *delegations.OPERATIONS,
    *approvals.OPERATIONS,
    *people.OPERATIONS,
    *files.OPERATIONS,
    *sign_in.OPERATIONS,
    *device_logins.OPERATIONS,
    *own_keys.OPERATIONS,
    *passkeys.OPERATIONS,
    *oidc.OPERATIONS,
    *invitations.OPERATIONS,
    *users.OPERATIONS,
    *realms.OPERATIONS,
    *tokens.OPERATIONS,
    *audit.OPERATIONS,
    *storage.OPERATIONS,
    *webhooks.OPERATIONS,
    *notifications.OPERATIONS,
    *overview.OPERATIONS,
    *system.OPERATIONS,
)


@lru_cache(maxsize=1)
def openapi_json() -> bytes:
    """Return the OpenAPI document of the table, as bytes."""
    return orjson.dumps(describe(OPERATIONS))
