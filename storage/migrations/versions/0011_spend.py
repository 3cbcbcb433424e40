"""What orders have used, and how near an agent is to a limit: for whoever looks over a fleet."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("intents", sa.Column("tokens", sa.BigInteger(), nullable=True))
    op.add_column("intents", sa.Column("millicents", sa.BigInteger(), nullable=True))
    op.add_column("agents", sa.Column("limit_permille", sa.BigInteger(), nullable=True))


def downgrade() -> None:
    op.drop_column("agents", "limit_permille")
    op.drop_column("intents", "millicents")
    op.drop_column("intents", "tokens")
