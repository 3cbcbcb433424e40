"""Policies, delegations, revocations and approvals."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, PrimaryKeyConstraint, Table, UniqueConstraint

from storage.tables.columns import blob, count, flag, metadata, moment, names, structure, text

policies = Table(
    "policies",
    metadata,
    text("id", primary_key=True),
    text("name", null=True),
    names("realms"),
    names("agents"),
    structure("rules"),
    structure("limits"),
    text("created_by"),
    moment("created_at"),
    moment("updated_at"),
    count("revision"),
)

agent_policies = Table(
    "agent_policies",
    metadata,
    text("agent_did", primary_key=True),
    text("policy_id"),
    count("version"),
    text("document_id"),
    text("digest"),
    blob("wire"),
    moment("created_at"),
    moment("expires_at"),
    Index("ix_agent_policies_policy_id", "policy_id"),
    Index("ix_agent_policies_expires_at", "expires_at"),
)
"""The policy document in force at each agent; its version only goes up."""

policy_layers = Table(
    "policy_layers",
    metadata,
    text("layer", primary_key=True),
    text("policy_id", null=True),
    count("version"),
    moment("updated_at"),
)
"""The policy of the fleet and of each realm; its version only goes up."""

delegations = Table(
    "delegations",
    metadata,
    text("id", primary_key=True),
    text("issuer"),
    text("subject"),
    text("digest", unique=True),
    text("parent_digest", null=True),
    structure("capabilities"),
    names("conditions"),
    count("max_depth"),
    structure("budget", null=True),
    moment("not_before"),
    moment("expires_at"),
    blob("wire"),
    text("source"),
    text("created_by"),
    moment("created_at"),
    moment("revoked_at", null=True),
    text("revoked_by", null=True),
    Index("ix_delegations_subject", "subject", "id"),
    Index("ix_delegations_issuer", "issuer", "id"),
    Index("ix_delegations_parent_digest", "parent_digest"),
)

delegation_agents = Table(
    "delegation_agents",
    metadata,
    text("delegation_id", ForeignKey("delegations.id", ondelete="CASCADE")),
    text("agent_did"),  # or * for all
    PrimaryKeyConstraint("delegation_id", "agent_did"),
    Index("ix_delegation_agents_agent_did", "agent_did", "delegation_id"),
)
"""Which agents some capability of a delegation reaches."""

revocations = Table(
    "revocations",
    metadata,
    count("epoch", primary_key=True, autoincrement=False),
    names("keys"),
    names("delegations"),
    text("document_id"),
    text("digest"),
    blob("wire"),
    text("created_by"),
    moment("created_at"),
)
"""Each row is the full list as it was signed; the highest epoch is in force."""

approvals = Table(
    "approvals",
    metadata,
    text("id", primary_key=True),
    text("intent_id"),
    text("agent_did"),
    text("realm"),
    text("tool"),
    structure("arguments"),
    text("call_digest"),
    text("rule"),
    count("people"),
    text("state"),
    moment("requested_at"),
    moment("expires_at"),
    moment("decided_at", null=True),
    structure("demand", null=True),
    Index("ix_approvals_state", "state", "id"),
    Index("ix_approvals_intent_id", "intent_id"),
)

approval_decisions = Table(
    "approval_decisions",
    metadata,
    text("id", primary_key=True),
    text("approval_id", ForeignKey("approvals.id", ondelete="CASCADE")),
    text("approver"),
    text("signer"),
    flag("approved"),
    text("reason", null=True),
    blob("wire"),
    moment("at"),
    UniqueConstraint("approval_id", "approver"),
)
