"""The record: whose readers may read a leaf, personal values beside leaves, witnesses."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "audit_leaf_realms",
        sa.Column("realm", sa.Text(), nullable=False),
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("realm", "index", name="pk_audit_leaf_realms"),
        sqlite_with_rowid=False,
    )
    if op.get_bind().dialect.name == "sqlite":
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_leaf_realms_refuse_{verb.lower()} "
                f"BEFORE {verb} ON audit_leaf_realms "
                "BEGIN SELECT RAISE(ABORT, 'audit leaves are append-only'); END"
            )
    else:
        op.execute(
            "CREATE TRIGGER audit_leaf_realms_refuse "
            "BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_leaf_realms "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_leaves_refuse()"
        )
    op.create_table(
        "audit_personal",
        sa.Column("index", sa.BigInteger(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("index", "field", name="pk_audit_personal"),
    )
    op.create_index("ix_audit_personal_person", "audit_personal", ["person"])
    op.create_index("ix_audit_personal_at", "audit_personal", ["at"])
    op.create_table(
        "audit_witnesses",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("checkpoint", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_audit_witnesses"),
    )


def downgrade() -> None:
    op.drop_table("audit_witnesses")
    op.drop_table("audit_personal")
    op.drop_table("audit_leaf_realms")
