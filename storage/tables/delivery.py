"""What still has to be sent, which request was answered how, and which files there are."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, PrimaryKeyConstraint, Table

from storage.tables.columns import blob, count, metadata, moment, text

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), Identity(), primary_key=True),
    text("agent_did"),
    text("kind"),
    text("ref_id"),
    text("signer", null=True),
    blob("wire", null=True),
    moment("not_before", null=True),
    moment("sent_at", null=True),
    count("attempts"),
    Index("ix_outbox_agent_did", "agent_did", "id"),
    Index("ix_outbox_ref_id", "ref_id"),
)
"""One row per thing to send; without `wire` the bytes are the document (`ref_id`, `signer`)."""

idempotency = Table(
    "idempotency",
    metadata,
    text("scope"),
    text("key"),
    text("body_hash"),
    moment("started_at"),
    count("status", null=True),
    blob("body", null=True),
    PrimaryKeyConstraint("scope", "key"),
    Index("ix_idempotency_started_at", "started_at"),
)

files = Table(
    "files",
    metadata,
    text("id", primary_key=True),
    text("realm"),
    text("name"),
    text("key", unique=True),
    count("bytes"),
    text("sha256"),
    text("content_type"),
    text("created_by"),
    moment("created_at"),
    moment("expires_at", null=True),
    text("intent_id", null=True),
    text("state"),
    Index("ix_files_realm", "realm", "id"),
    Index("ix_files_intent_id", "intent_id"),
)
