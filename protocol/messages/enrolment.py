"""Becoming and staying an agent of a hub: registration and key rotation (SPEC sections 4 and 5)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from protocol.messages.fields import (
    Action,
    Checkpoint,
    ControlPayload,
    Count,
    Did,
    Digest,
    DocumentPayload,
    Embedded,
    Id,
    JsonObject,
    Labels,
    Left,
    Many,
    Multikey,
    Name,
    Reason,
    Signature,
)

MAX_HELD_INTENTS = 800
"""A `holds.intents` this long may be incomplete: the hub concludes nothing from what it lacks."""
MAX_HELD_DELEGATIONS = 400


class ActionDeclaration(ControlPayload):
    """One action an agent can do, and what its params must look like (JSON Schema)."""

    name: Action
    capability: Name
    description: Annotated[str, Field(max_length=1_000)]
    params_schema: JsonObject
    idempotent: bool


class Join(ControlPayload):
    """Possession of a join token, proved without sending its secret."""

    token_id: Id
    proof: Digest


class Holds(ControlPayload):
    """What the agent has on disk, so that the hub sends only what is missing; 0 or null is none."""

    policy_version: Count | None
    revocation_epoch: Count | None
    delegations: Annotated[Many[Id], Field(max_length=MAX_HELD_DELEGATIONS)]
    checkpoint: Checkpoint | None
    intents: Annotated[Many[Id], Field(max_length=MAX_HELD_INTENTS)]


class Register(ControlPayload):
    """The agent's first frame: it proves its key by signing the echoed challenge."""

    challenge: Digest
    name: Name
    version: Annotated[str, Field(min_length=1, max_length=64)]
    capabilities: Annotated[Many[Name], Field(max_length=64)]
    actions: Annotated[Many[ActionDeclaration], Field(max_length=256)]
    labels: Labels
    llm: Left[JsonObject] = None
    host: JsonObject
    join: Left[Join] = None
    holds: Holds


class RegistrationPending(ControlPayload):
    """An admin must decide; the id stays the same until one has."""

    registration_id: Id
    fingerprint: Annotated[
        str, Field(max_length=19, pattern="^[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){3}$")
    ]


class RegistrationRejected(ControlPayload):
    """An admin said no; the connection closes 4403."""

    reason: Reason


class RegisterAck(ControlPayload):
    """The agent is online; the documents are taken in the order of the fields, null is nothing new.

    `log` is the delegation from the root to the log key with the action `writ.log`.
    """

    agent_id: Did
    name: Name
    delegations: Annotated[Many[Embedded], Field(max_length=1_000)]
    revocations: Embedded | None
    policy: Embedded | None
    log: Embedded | None
    checkpoint: Checkpoint | None


class KeyRotation(DocumentPayload):
    """The old key names the new one, and the new key agrees (`protocol.key_rotation`)."""

    new_key: Multikey
    proof: Signature
