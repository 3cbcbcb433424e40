"""Data keys of the hub and of each realm, wrapped by a key outside the database."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "wrapping_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_wrapping_keys")),
    )
    op.create_table(
        "data_keys",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("realm", sa.Text(), nullable=True),
        sa.Column("wrapping_key", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_keys")),
        sa.ForeignKeyConstraint(
            ["realm"], ["realms.id"], name=op.f("fk_data_keys_realm"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["wrapping_key"], ["wrapping_keys.id"], name=op.f("fk_data_keys_wrapping_key")
        ),
    )
    op.create_index("ix_data_keys_realm", "data_keys", ["realm"])
    op.create_index("ix_data_keys_wrapping_key", "data_keys", ["wrapping_key"])


def downgrade() -> None:
    op.drop_table("data_keys")
    op.drop_table("wrapping_keys")
