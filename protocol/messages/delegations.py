"""Authority given and taken back (SPEC sections 6 and 7)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from protocol.limits import MAX_CONDITIONS
from protocol.messages.fields import (
    Absent,
    ActionPattern,
    Condition,
    ControlPayload,
    Did,
    Digest,
    DocumentPayload,
    Embedded,
    Id,
    Many,
    Name,
    Party,
    Proof,
    Reason,
    Version,
)
from protocol.messages.policies import PolicyLimits
from protocol.timestamps import Timestamp

MAX_REVOKED = 4_000
"""Keys, and as many delegations: the full list must fit the 10,000 values of one text."""


class Capability(DocumentPayload):
    """One thing a subject may order; absent `realms` or `agents` means all, empty means none."""

    action: ActionPattern
    realms: Absent[Annotated[Many[Name], Field(max_length=64)]] = None
    agents: Absent[Annotated[Many[Did], Field(max_length=1_000)]] = None


class Delegation(DocumentPayload):
    """The signer lets `subject` do what `capabilities` name; `parent` is null straight from root.

    `budget` has the form of a policy's limits.
    """

    subject: Party
    capabilities: Annotated[Many[Capability], Field(max_length=64)]
    conditions: Annotated[Many[Condition], Field(max_length=MAX_CONDITIONS)]
    not_before: Timestamp
    max_depth: Annotated[int, Field(ge=0, le=16)]
    parent: Digest | None
    budget: Absent[PolicyLimits] = None


class DelegationUpdate(ControlPayload):
    """Delegations to hold, and ids the agent may forget."""

    added: Annotated[Many[Embedded], Field(max_length=1_000)]
    removed: Annotated[Many[Id], Field(max_length=1_000)]


class Revocations(DocumentPayload):
    """The full list of what is revoked."""

    epoch: Version
    keys: Annotated[Many[Did], Field(max_length=MAX_REVOKED)]
    delegations: Annotated[Many[Id], Field(max_length=MAX_REVOKED)]
    proof: Absent[Proof] = None


class Quarantine(DocumentPayload):
    """The agent takes no orders while `active`."""

    epoch: Version
    active: bool
    reason: Reason
    proof: Absent[Proof] = None
