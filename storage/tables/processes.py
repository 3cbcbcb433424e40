"""The processes of one hub that share this database, and which of them does what is done once."""

from __future__ import annotations

from sqlalchemy import Index, Table

from storage.tables.columns import count, metadata, moment, text

hub_processes = Table(
    "hub_processes",
    metadata,
    text("id", primary_key=True),
    text("version"),
    moment("started_at"),
    moment("seen_at"),
    Index("ix_hub_processes_seen_at", "seen_at"),
)

leases = Table(
    "leases",
    metadata,
    text("name", primary_key=True),
    text("holder"),
    count("fence"),
    moment("expires_at"),
)
"""`fence` grows with every new holder: what an earlier one does late is told apart by it."""

schema_floor = Table("schema_floor", metadata, text("revision", primary_key=True))
"""One row: the oldest revision whose code can work with this schema (docs/adr/0010)."""
