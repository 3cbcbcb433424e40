"""Agents, those who wish to become agents, and the tokens that let them."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, PrimaryKeyConstraint, Table
from sqlalchemy import text as sql

from storage.tables.columns import blob, count, flag, metadata, moment, names, structure, text

agents = Table(
    "agents",
    metadata,
    text("did", primary_key=True),
    text("public_key"),
    text("name", unique=True),
    text("state"),
    names("realms"),
    text("version"),
    names("capabilities"),
    structure("actions"),
    structure("labels"),
    structure("host"),
    structure("llm", null=True),
    text("fingerprint"),
    flag("online"),
    text("session", null=True),
    text("hub", null=True),
    moment("online_changed_at", null=True),
    moment("last_seen_at", null=True),
    structure("heartbeat", null=True),
    count("limit_permille", null=True),  # of the limit it is nearest to, as it says itself
    structure("quarantine", null=True),
    moment("enrolled_at"),
    text("enrolled_by", null=True),
    moment("updated_at"),
    count("revision"),
    Index("ix_agents_hub", "hub"),
)

agent_tags = Table(
    "agent_tags",
    metadata,
    text("agent_did", ForeignKey("agents.did", ondelete="CASCADE")),
    text("kind"),  # realm, capability or label
    text("key"),
    text("value"),  # of a label; empty otherwise
    PrimaryKeyConstraint("agent_did", "kind", "key"),
    Index("ix_agent_tags_lookup", "kind", "key", "value", "agent_did"),
)
"""What agents are found by, one row each, so that both databases can index it."""

registrations = Table(
    "registrations",
    metadata,
    text("id", primary_key=True),
    text("state"),
    text("public_key"),
    text("did"),
    text("name"),
    text("fingerprint"),
    text("realm", null=True),
    text("version"),
    names("capabilities"),
    structure("actions"),
    structure("labels"),
    structure("host"),
    structure("llm", null=True),
    text("address"),
    text("join_token_id", null=True),
    moment("requested_at"),
    moment("updated_at"),
    moment("expires_at"),
    moment("decided_at", null=True),
    text("decided_by", null=True),
    text("reason", null=True),
    Index("ix_registrations_public_key", "public_key", "id"),
    Index("ix_registrations_state", "state", "id"),
    Index(
        "uq_registrations_pending_key",
        "public_key",
        unique=True,
        sqlite_where=sql("state = 'pending'"),
        postgresql_where=sql("state = 'pending'"),
    ),
)

join_tokens = Table(
    "join_tokens",
    metadata,
    text("id", primary_key=True),
    blob("sealed_secret"),
    text("realm", null=True),
    text("name_pattern"),
    flag("auto_approve"),
    names("capabilities", null=True),
    text("created_by"),
    moment("created_at"),
    moment("expires_at"),
    moment("used_at", null=True),
    text("used_by", null=True),
    moment("revoked_at", null=True),
)
