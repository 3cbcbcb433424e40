"""Addresses of webhooks, sealed: what lies in the open is only what may be shown."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("webhooks", sa.Column("sealed_url", sa.LargeBinary(), nullable=True))


def downgrade() -> None:
    # The whole addresses go: nothing here could open them.
    with op.batch_alter_table("webhooks") as batch:
        batch.drop_column("sealed_url")
