"""Several processes of one hub on one database: who lives, who leads, which code may come along."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None
contracts = True  # code before this one never asks whether it may work with a newer schema


def upgrade() -> None:
    op.create_table(
        "hub_processes",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_hub_processes"),
    )
    op.create_index("ix_hub_processes_seen_at", "hub_processes", ["seen_at"])
    op.create_table(
        "leases",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.create_table(
        "schema_floor",
        sa.Column("revision", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("revision", name="pk_schema_floor"),
    )
    op.create_index("ix_agents_hub", "agents", ["hub"])


def downgrade() -> None:
    op.drop_index("ix_agents_hub", "agents")
    op.drop_table("schema_floor")
    op.drop_table("leases")
    op.drop_table("hub_processes")
