"""Webhooks with their deliveries, notifications, and how far the record has been followed."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _text(name: str, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null)


def _count(name: str, null: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def _blob(name: str, null: bool = False) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary(), nullable=null)


def _belongs(table: str, column: str, to: str) -> sa.ForeignKeyConstraint:
    name = f"fk_{table}_{column}"
    return sa.ForeignKeyConstraint([column], [f"{to}.id"], name=name, ondelete="CASCADE")


def upgrade() -> None:
    op.create_table(
        "webhooks",
        _text("id"),
        _text("realm", null=True),
        *(_text(one) for one in ("url", "description", "events", "state")),
        _text("disabled_reason", null=True),
        _blob("sealed_secret"),
        _blob("sealed_previous", null=True),
        _count("previous_until", null=True),
        _count("next_index"),
        _count("failing_since", null=True),
        _count("paused_until", null=True),
        _text("created_by"),
        *(_count(one) for one in ("created_at", "updated_at", "revision")),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
        _belongs("webhooks", "realm", "realms"),
    )
    op.create_index("ix_webhooks_realm", "webhooks", ["realm", "id"])
    op.create_table(
        "webhook_deliveries",
        *(_text(one) for one in ("id", "webhook_id")),
        _count("leaf_index", null=True),
        *(_text(one) for one in ("type", "body", "state")),
        *(_count(one) for one in ("attempts", "next_at")),
        _text("lease", null=True),
        _count("leased_until", null=True),
        _count("created_at"),
        *(_count(one, null=True) for one in ("attempted_at", "finished_at", "status")),
        *(_text(one, null=True) for one in ("error", "excerpt")),
        _count("duration_ms", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_webhook_deliveries"),
        _belongs("webhook_deliveries", "webhook_id", "webhooks"),
        sa.UniqueConstraint(
            "webhook_id", "leaf_index", name="uq_webhook_deliveries_webhook_id_leaf_index"
        ),
    )
    for name, columns in (
        ("due", ["webhook_id", "state", "next_at"]),
        ("finished", ["state", "finished_at"]),
    ):
        op.create_index(f"ix_webhook_deliveries_{name}", "webhook_deliveries", columns)
    op.create_table(
        "record_followers",
        _text("name"),
        _count("next_index"),
        sa.PrimaryKeyConstraint("name", name="pk_record_followers"),
    )
    op.create_table(
        "notifications",
        *(_text(one) for one in ("id", "user_id", "family", "fact")),
        _text("realm", null=True),
        _text("data"),
        _count("created_at"),
        _count("read_at", null=True),
        _text("mail"),
        _count("mail_attempts"),
        _count("mail_at", null=True),
        sa.PrimaryKeyConstraint("id", name="pk_notifications"),
        _belongs("notifications", "user_id", "users"),
        sa.UniqueConstraint("user_id", "fact", name="uq_notifications_user_id_fact"),
    )
    op.create_index("ix_notifications_user_id", "notifications", ["user_id", "id"])
    op.create_index("ix_notifications_mail", "notifications", ["mail", "mail_at"])
    op.create_table(
        "notification_preferences",
        *(_text(one) for one in ("user_id", "choices")),
        _count("updated_at"),
        sa.PrimaryKeyConstraint("user_id", name="pk_notification_preferences"),
        _belongs("notification_preferences", "user_id", "users"),
    )


def downgrade() -> None:
    for name in (
        "notification_preferences",
        "notifications",
        "record_followers",
        "webhook_deliveries",
        "webhooks",
    ):
        op.drop_table(name)
