"""How people prove who they are: sessions, passkeys, identities elsewhere, and half-done attempts.

No secret is kept as it is: what a browser or a person holds is here as its SHA-256.
"""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, PrimaryKeyConstraint, Table

from storage.tables.columns import blob, count, flag, metadata, moment, names, structure, text

sessions = Table(
    "sessions",
    metadata,
    text("id", primary_key=True),
    text("hash", unique=True),
    text("user_id", ForeignKey("users.id", ondelete="CASCADE")),
    text("method"),
    moment("created_at"),
    moment("authenticated_at"),
    moment("last_seen_at"),
    moment("expires_at"),
    text("address"),
    text("client"),
    moment("revoked_at", null=True),
    Index("ix_sessions_user_id", "user_id", "id"),
    Index("ix_sessions_expires_at", "expires_at"),
)

invitations = Table(
    "invitations",
    metadata,
    text("id", primary_key=True),
    text("hash", unique=True),
    text("email", null=True),
    text("realm", ForeignKey("realms.id", ondelete="CASCADE"), null=True),
    text("role"),
    text("created_by"),
    text("issuer_id"),
    moment("created_at"),
    moment("expires_at"),
    moment("used_at", null=True),
    text("used_by", null=True),
    moment("revoked_at", null=True),
    Index("ix_invitations_realm", "realm", "id"),
)
"""Without a realm the role is held everywhere."""

device_logins = Table(
    "device_logins",
    metadata,
    text("id", primary_key=True),
    text("device_hash", unique=True),
    text("user_hash", unique=True),
    text("client"),
    text("address"),
    text("state"),  # pending, approved, denied or used
    text("user_id", ForeignKey("users.id", ondelete="CASCADE"), null=True),
    moment("created_at"),
    moment("expires_at"),
    moment("polled_at", null=True),
    Index("ix_device_logins_expires_at", "expires_at"),
)

passkeys = Table(
    "passkeys",
    metadata,
    text("id", primary_key=True),
    text("credential_id", unique=True),
    text("user_id", ForeignKey("users.id", ondelete="CASCADE")),
    text("name"),
    blob("public_key"),
    count("sign_count"),
    flag("backed_up"),
    names("transports"),
    moment("created_at"),
    moment("last_used_at", null=True),
    Index("ix_passkeys_user_id", "user_id", "id"),
)
"""`credential_id` is base64url without padding; `public_key` is COSE."""

person_keys = Table(
    "person_keys",
    metadata,
    text("id", primary_key=True),
    text("did", unique=True),
    text("user_id", ForeignKey("users.id", ondelete="CASCADE")),
    text("name"),
    moment("created_at"),
    moment("revoked_at", null=True),
    Index("ix_person_keys_user_id", "user_id", "id"),
)
"""Keys that people sign with themselves; the private half never leaves where it was made."""

identities = Table(
    "identities",
    metadata,
    text("issuer"),
    text("subject"),
    text("user_id", ForeignKey("users.id", ondelete="CASCADE")),
    moment("created_at"),
    PrimaryKeyConstraint("issuer", "subject"),
    Index("ix_identities_user_id", "user_id"),
)
"""Who somebody is at an OpenID provider: never by e-mail, always by issuer and subject."""

ceremonies = Table(
    "ceremonies",
    metadata,
    text("hash", primary_key=True),
    text("kind"),
    structure("data"),
    moment("created_at"),
    moment("expires_at"),
    Index("ix_ceremonies_expires_at", "expires_at"),
)
"""Sign-ins that have begun: a challenge, or the state of a redirect. Taken once."""

rate_windows = Table(
    "rate_windows",
    metadata,
    text("key"),
    moment("starts_at"),
    count("hits"),
    PrimaryKeyConstraint("key", "starts_at"),
    Index("ix_rate_windows_starts_at", "starts_at"),
)
"""Attempts by whom or whence, counted where every hub sees them."""
