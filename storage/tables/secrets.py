"""Keys of secrets at rest: which keys wrap, and the data keys they have wrapped.

No key is here as it is: a data key is wrapped, and the key that wraps it lies outside the database.
"""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Table

from storage.tables.columns import blob, metadata, moment, text

wrapping_keys = Table(
    "wrapping_keys",
    metadata,
    text("id", primary_key=True),
    moment("created_at"),
)
"""By id only. A row cannot go while a data key is wrapped by it: the schema sees to that."""

data_keys = Table(
    "data_keys",
    metadata,
    text("id", primary_key=True),
    text("realm", ForeignKey("realms.id", ondelete="CASCADE"), null=True),
    text("wrapping_key", ForeignKey("wrapping_keys.id")),
    blob("wrapped"),
    moment("created_at"),
    moment("retired_at", null=True),
    Index("ix_data_keys_realm", "realm"),
    Index("ix_data_keys_wrapping_key", "wrapping_key"),
)
"""Without a realm it is the hub's own. A realm that goes takes its keys with it."""

token_keys = Table(
    "token_keys",
    metadata,
    text("id", primary_key=True),
    text("public_key"),
    blob("sealed_key"),
    moment("created_at"),
    moment("active_at"),
    Index("ix_token_keys_active_at", "active_at"),
)
"""Keys that sign tokens for other services; `public_key` is base64url without padding."""
