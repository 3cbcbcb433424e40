"""Roles as a ladder; sessions, invitations, device logins, passkeys, identities, attempts."""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_RENAMED = {"viewer": "member", "realm-admin": "admin"}


def _table(
    name: str, *columns: sa.Column[Any], unique: Any = (), user: bool = False, **more: Any
) -> None:
    primary = more["primary"]
    constraints: list[Any] = [sa.PrimaryKeyConstraint(*primary, name=f"pk_{name}")]
    constraints += [sa.UniqueConstraint(one, name=f"uq_{name}_{one}") for one in unique]
    if user:
        constraints.append(
            sa.ForeignKeyConstraint(
                ["user_id"], ["users.id"], name=f"fk_{name}_user_id", ondelete="CASCADE"
            )
        )
    if more.get("realm"):
        constraints.append(
            sa.ForeignKeyConstraint(
                ["realm"], ["realms.id"], name=f"fk_{name}_realm", ondelete="CASCADE"
            )
        )
    op.create_table(name, *columns, *constraints)
    for index in more.get("indexes", ()):
        op.create_index(f"ix_{name}_{index[0]}", name, list(index))


def _text(name: str, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text(), nullable=null)


def _count(name: str, null: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=null)


def upgrade() -> None:
    op.add_column("users", sa.Column("kind", sa.Text(), nullable=False, server_default="person"))
    op.add_column("users", _text("created_by", null=True))
    op.add_column("api_keys", _text("issuer_id", null=True))
    op.execute(
        "UPDATE api_keys SET issuer_id = substr(created_by, 6) WHERE created_by LIKE 'user:%'"
    )
    op.execute("UPDATE api_keys SET issuer_id = user_id WHERE user_id IS NOT NULL")
    _rename_roles()
    _table(
        "sessions",
        *(_text(one) for one in ("id", "hash", "user_id", "method")),
        *(_count(one) for one in ("created_at", "authenticated_at", "last_seen_at", "expires_at")),
        *(_text(one) for one in ("address", "client")),
        _count("revoked_at", null=True),
        primary=["id"],
        unique=("hash",),
        user=True,
        indexes=[("user_id", "id"), ("expires_at",)],
    )
    _table(
        "invitations",
        *(_text(one) for one in ("id", "hash")),
        *(_text(one, null=True) for one in ("email", "realm")),
        *(_text(one) for one in ("role", "created_by", "issuer_id")),
        *(_count(one) for one in ("created_at", "expires_at")),
        _count("used_at", null=True),
        _text("used_by", null=True),
        _count("revoked_at", null=True),
        primary=["id"],
        unique=("hash",),
        realm=True,
        indexes=[("realm", "id")],
    )
    _table(
        "device_logins",
        *(_text(one) for one in ("id", "device_hash", "user_hash", "client", "address", "state")),
        _text("user_id", null=True),
        *(_count(one) for one in ("created_at", "expires_at")),
        _count("polled_at", null=True),
        primary=["id"],
        unique=("device_hash", "user_hash"),
        user=True,
        indexes=[("expires_at",)],
    )
    _table(
        "passkeys",
        *(_text(one) for one in ("id", "credential_id", "user_id", "name")),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        _count("sign_count"),
        sa.Column("backed_up", sa.Boolean(), nullable=False),
        _text("transports"),
        _count("created_at"),
        _count("last_used_at", null=True),
        primary=["id"],
        unique=("credential_id",),
        user=True,
        indexes=[("user_id", "id")],
    )
    _table(
        "identities",
        *(_text(one) for one in ("issuer", "subject", "user_id")),
        _count("created_at"),
        primary=["issuer", "subject"],
        user=True,
        indexes=[("user_id",)],
    )
    _table(
        "ceremonies",
        *(_text(one) for one in ("hash", "kind", "data")),
        *(_count(one) for one in ("created_at", "expires_at")),
        primary=["hash"],
        indexes=[("expires_at",)],
    )
    _table(
        "rate_windows",
        _text("key"),
        *(_count(one) for one in ("starts_at", "hits")),
        primary=["key", "starts_at"],
        indexes=[("starts_at",)],
    )


def _rename_roles() -> None:
    """Move what was given under other names to the ladder; the first admin becomes an owner."""
    bind = op.get_bind()
    for old, new in _RENAMED.items():
        bind.execute(
            sa.text("UPDATE realm_members SET role = :new WHERE role = :old"),
            {"new": new, "old": old},
        )
    for table in ("users", "api_keys"):
        for id, roles in bind.execute(sa.text(f"SELECT id, roles FROM {table}")).all():  # noqa: S608
            held = [_RENAMED.get(one, one) for one in json.loads(roles)]
            if held != json.loads(roles):
                bind.execute(
                    sa.text(f"UPDATE {table} SET roles = :roles WHERE id = :id"),  # noqa: S608
                    {"roles": json.dumps(held), "id": id},
                )
    bind.execute(
        sa.text("UPDATE users SET roles = :owner WHERE name = 'admin' AND roles = :admin"),
        {"owner": '["owner"]', "admin": '["admin"]'},
    )


def downgrade() -> None:
    for name in (
        "rate_windows",
        "ceremonies",
        "identities",
        "passkeys",
        "device_logins",
        "invitations",
        "sessions",
    ):
        op.drop_table(name)
    with op.batch_alter_table("api_keys") as batch:
        batch.drop_column("issuer_id")
    with op.batch_alter_table("users") as batch:
        batch.drop_column("created_by")
        batch.drop_column("kind")
