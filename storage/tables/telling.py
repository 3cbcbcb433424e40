"""What is told to others: webhooks with their deliveries, and notifications to people.

Both are made from the record's leaves: whoever follows it keeps here how far it has read.
"""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, Table, UniqueConstraint

from storage.tables.columns import blob, count, metadata, moment, names, structure, text

webhooks = Table(
    "webhooks",
    metadata,
    text("id", primary_key=True),
    text("realm", ForeignKey("realms.id", ondelete="CASCADE"), null=True),
    text("url"),
    blob("sealed_url", null=True),
    text("description"),
    names("events"),
    text("state"),  # enabled or disabled
    text("disabled_reason", null=True),
    blob("sealed_secret"),
    blob("sealed_previous", null=True),
    moment("previous_until", null=True),
    count("next_index"),
    moment("failing_since", null=True),
    moment("paused_until", null=True),
    text("created_by"),
    moment("created_at"),
    moment("updated_at"),
    count("revision"),
    Index("ix_webhooks_realm", "realm", "id"),
)
"""Secrets are sealed, and so is the address: `url` is what may be shown of it, except where
`sealed_url` is missing. `next_index` is the first leaf that has not been looked at for it."""

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    text("id", primary_key=True),
    text("webhook_id", ForeignKey("webhooks.id", ondelete="CASCADE")),
    count("leaf_index", null=True),
    text("type"),
    text("body"),
    text("state"),  # pending, delivered or dead
    count("attempts"),
    moment("next_at"),
    text("lease", null=True),
    moment("leased_until", null=True),
    moment("created_at"),
    moment("attempted_at", null=True),
    moment("finished_at", null=True),
    count("status", null=True),
    text("error", null=True),
    text("excerpt", null=True),
    count("duration_ms", null=True),
    UniqueConstraint("webhook_id", "leaf_index"),
    Index("ix_webhook_deliveries_due", "webhook_id", "state", "next_at"),
    Index("ix_webhook_deliveries_finished", "state", "finished_at"),
)
"""A leaf is delivered to a webhook once, however often it is looked at. A test has no leaf."""

record_followers = Table(
    "record_followers",
    metadata,
    text("name", primary_key=True),
    count("next_index"),
)

notifications = Table(
    "notifications",
    metadata,
    text("id", primary_key=True),
    text("user_id", ForeignKey("users.id", ondelete="CASCADE")),
    text("family"),
    text("fact"),
    text("realm", null=True),
    structure("data"),
    moment("created_at"),
    moment("read_at", null=True),
    text("mail"),  # none, immediate, digest, sent or failed
    count("mail_attempts"),
    moment("mail_at", null=True),
    UniqueConstraint("user_id", "fact"),
    Index("ix_notifications_user_id", "user_id", "id"),
    Index("ix_notifications_mail", "mail", "mail_at"),
)
"""One of each fact for each person. `mail_at` is when it is next due to be mailed, or was."""

notification_preferences = Table(
    "notification_preferences",
    metadata,
    text("user_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    structure("choices"),
    moment("updated_at"),
)
"""What a person has chosen, by family; what is not named is the default."""
