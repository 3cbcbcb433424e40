"""The append-only record: leaves, the frontier of their tree, and signed checkpoints."""

from __future__ import annotations

from sqlalchemy import Index, Table

from storage.tables.columns import blob, count, metadata, moment, text

audit_leaves = Table(
    "audit_leaves",
    metadata,
    count("index", primary_key=True, autoincrement=False),
    moment("at"),
    text("kind"),
    text("actor"),
    text("subject"),
    blob("leaf"),
    blob("hash"),
    Index("ix_audit_leaves_subject", "subject", "index"),
)
"""Triggers refuse UPDATE and DELETE (see the first migration)."""

audit_tree = Table(
    "audit_tree",
    metadata,
    count("id", primary_key=True, autoincrement=False),
    count("size"),
    blob("frontier"),
)
"""One row: the size and the hashes of the full subtrees, leftmost first, 32 bytes each."""

audit_checkpoints = Table(
    "audit_checkpoints",
    metadata,
    count("size", primary_key=True, autoincrement=False),
    text("text"),
    moment("at"),
)
