"""Policies, delegations, revocations and approvals."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class PolicyRecord:
    """A policy as people edit it: for `agents` (DIDs) and `realms`."""

    id: str
    realms: tuple[str, ...]
    rules: list[dict[str, Any]]
    created_by: str
    created_at: datetime
    updated_at: datetime
    limits: dict[str, Any] = field(default_factory=dict)
    agents: tuple[str, ...] = ()
    name: str | None = None
    revision: int = 1


@dataclass(frozen=True, slots=True)
class AgentPolicyRecord:
    """The `policy_update` document in force at one agent."""

    agent_did: str
    policy_id: str
    version: int
    document_id: str
    digest: str
    wire: bytes
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class PolicyLayerRecord:
    """What narrows every agent (`fleet`) or those of a realm (`realm:<name>`).

    `policy_id` is None once it was taken away; `version` goes on counting.
    """

    layer: str
    policy_id: str | None
    version: int
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class DelegationRecord:
    """A delegation. `source` says what it stands for, such as operator, role or grant."""

    id: str
    issuer: str
    subject: str
    digest: str
    wire: bytes
    capabilities: list[dict[str, Any]]
    not_before: datetime
    expires_at: datetime
    created_by: str
    created_at: datetime
    parent_digest: str | None = None
    conditions: tuple[str, ...] = ()
    max_depth: int = 0
    budget: dict[str, Any] | None = None
    source: str = "grant"
    revoked_at: datetime | None = None
    revoked_by: str | None = None

    @property
    def realms_named(self) -> tuple[str, ...]:
        """The realms it is about; none when it reaches beyond named ones."""
        named: set[str] = set()
        for one in self.capabilities:
            if one.get("realms") is None:
                return ()
            named.update(one["realms"])
        return tuple(sorted(named))


@dataclass(frozen=True, slots=True)
class RevocationsRecord:
    """The full list of one epoch: DIDs of keys and ids of delegations."""

    epoch: int
    keys: tuple[str, ...]
    delegations: tuple[str, ...]
    document_id: str
    digest: str
    wire: bytes
    created_by: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ApprovalRecord:
    """A call that waits for people. `state` is pending, approved, denied or expired.

    `demand` is the `approval` of the policy's rule when it was asked; None where nobody knows.
    """

    id: str
    intent_id: str
    agent_did: str
    realm: str
    tool: str
    arguments: Any
    call_digest: str
    rule: str
    people: int
    requested_at: datetime
    expires_at: datetime
    state: str = "pending"
    decided_at: datetime | None = None
    demand: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class ApprovalDecisionRecord:
    """One person's decision: `wire` is the signed document, `id` its id."""

    id: str
    approval_id: str
    approver: str
    signer: str
    approved: bool
    wire: bytes
    at: datetime
    reason: str | None = None
