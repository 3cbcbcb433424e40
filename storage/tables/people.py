"""Users, realms, who belongs where, API keys and settings."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, PrimaryKeyConstraint, Table

from storage.tables.columns import count, metadata, moment, names, structure, text

users = Table(
    "users",
    metadata,
    text("id", primary_key=True),
    text("name", unique=True),
    text("email", null=True),
    names("roles"),
    text("state"),
    text("password_hash", null=True),
    text("operator_did", null=True, unique=True),
    moment("created_at"),
    moment("updated_at"),
    count("revision"),
    text("kind", server_default="person"),  # or `service`
    text("created_by", null=True),
)

realms = Table(
    "realms",
    metadata,
    text("id", primary_key=True),
    text("description"),
    moment("created_at"),
    text("created_by", null=True),
    moment("updated_at"),
    count("revision"),
    names("audiences", server_default="[]"),
)
"""`audiences` are the services that tokens may be made for in this realm."""

realm_members = Table(
    "realm_members",
    metadata,
    text("realm", ForeignKey("realms.id", ondelete="CASCADE")),
    text("user_id", ForeignKey("users.id", ondelete="CASCADE")),
    text("role"),
    moment("created_at"),
    PrimaryKeyConstraint("realm", "user_id"),
    Index("ix_realm_members_user_id", "user_id"),
)

api_keys = Table(
    "api_keys",
    metadata,
    text("id", primary_key=True),
    text("name"),
    text("hash", unique=True),
    text("prefix"),
    text("user_id", null=True),
    names("roles"),
    names("scopes"),
    text("realm", null=True),
    text("created_by"),
    moment("created_at"),
    moment("expires_at", null=True),
    moment("last_used_at", null=True),
    moment("revoked_at", null=True),
    text("issuer_id", null=True),
    Index("ix_api_keys_user_id", "user_id", "id"),
)
"""`hash` is the hex SHA-256 of the key; the key itself is nowhere. `issuer_id` is who made it."""

settings = Table(
    "settings",
    metadata,
    text("key", primary_key=True),
    structure("value"),
    moment("updated_at"),
    text("updated_by", null=True),
    count("revision"),
)
