"""Policies of the fleet and of realms, and a way to find an agent's policy of long ago."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_POLICIES = sa.text("type = 'policy_update'")


def upgrade() -> None:
    op.create_table(
        "policy_layers",
        sa.Column("layer", sa.Text(), nullable=False),
        sa.Column("policy_id", sa.Text(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("layer", name=op.f("pk_policy_layers")),
    )
    op.create_index(
        "ix_documents_policies",
        "documents",
        ["audience", "id"],
        unique=False,
        sqlite_where=_POLICIES,
        postgresql_where=_POLICIES,
    )


def downgrade() -> None:
    op.drop_index(
        "ix_documents_policies",
        table_name="documents",
        sqlite_where=_POLICIES,
        postgresql_where=_POLICIES,
    )
    op.drop_table("policy_layers")
