"""Intents, what they reported while they ran, and the signed documents they came and ended as."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, PrimaryKeyConstraint, Table
from sqlalchemy import text as sql

from protocol.messages.intents import IntentState
from storage.tables.columns import (
    Codec,
    blob,
    coded,
    count,
    flag,
    metadata,
    moment,
    names,
    structure,
    text,
)

_OPEN = sql("finished_at IS NULL")
_POLICIES = sql("type = 'policy_update'")
STATE = Codec(str, IntentState)

intents = Table(
    "intents",
    metadata,
    text("id", primary_key=True),
    text("batch_id"),
    text("agent_did"),
    text("agent_name"),
    text("action"),
    structure("params"),
    text("realm"),
    coded("state", STATE),
    text("submitted_by"),
    text("signer"),
    text("digest"),
    moment("created_at"),
    moment("expires_at"),
    count("timeout_seconds"),
    text("on_behalf_of", null=True),
    moment("not_before", null=True),
    text("source", null=True),
    flag("cancel_requested"),
    flag("unconfirmed"),
    count("attempts"),
    moment("dispatched_at", null=True),
    moment("accepted_at", null=True),
    moment("started_at", null=True),
    moment("finished_at", null=True),
    structure("result", null=True),
    text("result_document_id", null=True),
    count("tokens", null=True),
    count("millicents", null=True),
    text("cancel_document_id", null=True),
    names("delegation_ids"),
    names("approval_ids"),
    Index("ix_intents_batch_id", "batch_id"),
    Index("ix_intents_agent", "agent_did", "id"),
    Index("ix_intents_open", "agent_did", "id", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index("ix_intents_due", "expires_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
    Index(
        "ix_intents_source",
        "source",
        sqlite_where=sql("source IS NOT NULL"),
        postgresql_where=sql("source IS NOT NULL"),
    ),
)

intent_progress = Table(
    "intent_progress",
    metadata,
    text("intent_id", ForeignKey("intents.id", ondelete="CASCADE")),
    count("index"),
    text("kind"),
    structure("data"),
    moment("at"),
    PrimaryKeyConstraint("intent_id", "index"),
)

documents = Table(
    "documents",
    metadata,
    text("id"),
    text("signer"),
    text("type"),
    text("digest"),
    blob("wire"),
    text("audience"),
    moment("expires_at"),
    moment("created_at"),
    PrimaryKeyConstraint("id", "signer"),
    Index(
        "ix_documents_policies",
        "audience",
        "id",
        sqlite_where=_POLICIES,
        postgresql_where=_POLICIES,
    ),
)
"""Exact bytes; the key is also the memory of replays, kept until `expires_at` at least."""

document_acks = Table(
    "document_acks",
    metadata,
    text("agent_did"),
    text("document_id"),
    text("digest"),
    text("state"),
    text("code", null=True),
    moment("at"),
    PrimaryKeyConstraint("agent_did", "document_id"),
)
"""What an agent said to a document that is not an intent."""
