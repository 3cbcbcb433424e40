"""The append-only record: leaves, the frontier of their tree, checkpoints, and what lies beside."""

from __future__ import annotations

from sqlalchemy import Index, PrimaryKeyConstraint, Table

from storage.tables.columns import blob, count, metadata, moment, structure, text

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

audit_leaf_realms = Table(
    "audit_leaf_realms",
    metadata,
    text("realm"),
    count("index"),
    PrimaryKeyConstraint("realm", "index"),
    sqlite_with_rowid=False,
)
"""Whose readers may read a leaf, as the leaf itself says; append-only like it."""

audit_personal = Table(
    "audit_personal",
    metadata,
    count("index"),
    text("field"),
    blob("salt"),
    structure("value"),
    text("person"),
    moment("at"),
    PrimaryKeyConstraint("index", "field"),
    Index("ix_audit_personal_person", "person"),
    Index("ix_audit_personal_at", "at"),
)
"""What leaves keep only a salted hash of; rows are deleted to forget. `person`: whose it is."""

audit_witnesses = Table(
    "audit_witnesses",
    metadata,
    text("key", primary_key=True),
    text("name"),
    count("size"),
    text("checkpoint"),
    text("line"),
    moment("at"),
)
"""The newest cosignature of each witness, a line of a signed note, and the checkpoint it is on."""

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
