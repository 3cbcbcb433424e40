"""`writ api-keys`: keys for programs. A key cannot make one: `writ login` first."""

from __future__ import annotations

from typing import Any

import click

from controlplane.cli.client import segment
from controlplane.cli.output import Column
from controlplane.cli.session import Session

COLUMNS: list[Column] = [
    ("NAME", "name"),
    ("KIND", "kind"),
    ("OF", "user"),
    ("KEY", "prefix"),
    ("ROLES", "roles"),
    ("SCOPES", "scopes"),
    ("REALM", "realm"),
    ("LAST USED", "lastUsedAt"),
    ("EXPIRES", "expiresAt"),
    ("REVOKED", "revokedAt"),
    ("ID", "id"),
]


@click.group()
def api_keys() -> None:
    """Make and revoke API keys."""


@api_keys.command("create")
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, help="Narrow it to this; may be repeated.")
@click.option("--role", "roles", multiple=True, help="A machine's key, of this role.")
@click.option("--service", "user", help="The key of this service account.")
@click.option("--realm", help="It works in this realm only.")
@click.option("--expires", "expires_in_seconds", type=click.IntRange(1), help="Seconds.")
@click.pass_obj
def create(
    session: Session,
    /,
    name: str,
    scopes: tuple[str, ...],
    roles: tuple[str, ...],
    **fields: Any,
) -> None:
    """Make a key of your own, or a machine's; it is shown once."""
    names = {"expires_in_seconds": "expiresInSeconds"}
    chosen = {names.get(key, key): one for key, one in fields.items() if one is not None}
    body = {"name": name, "scopes": list(scopes), "roles": list(roles), **chosen}
    made = session.client.post("/api-keys", body)
    session.printer.record(made, [("key", "key"), ("id", "id"), ("expires", "expiresAt")])


@api_keys.command("list")
@click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 10_000))
@click.pass_obj
def list_keys(session: Session, limit: int) -> None:
    """List your keys and those you made."""
    page = session.client.pages("/api-keys", limit=limit)
    session.printer.listing(page, COLUMNS, empty="no keys")


@api_keys.command("revoke")
@click.argument("key")
@click.pass_obj
def revoke(session: Session, key: str) -> None:
    """Make a key worthless, by its id."""
    session.client.delete(f"/api-keys/{segment(key)}")
    session.printer.say("revoked")
