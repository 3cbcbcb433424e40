"""`writ users`, `realms`, `members`, `invitations`: people, and where they belong."""

from __future__ import annotations

from typing import Any

import click

from controlplane.cli.client import segment
from controlplane.cli.output import Column
from controlplane.cli.session import Session

USER_COLUMNS: list[Column] = [
    ("NAME", "name"),
    ("KIND", "kind"),
    ("STATE", "state"),
    ("ROLES", "roles"),
    ("E-MAIL", "email"),
    ("ID", "id"),
]
_USER_FIELDS: list[Column] = [
    ("name", "name"),
    ("id", "id"),
    ("kind", "kind"),
    ("state", "state"),
    ("roles", "roles"),
    ("in realms", "realmRoles"),
    ("e-mail", "email"),
]
MEMBER_COLUMNS: list[Column] = [
    ("NAME", "name"),
    ("ROLE", "role"),
    ("KIND", "kind"),
    ("STATE", "state"),
    ("SINCE", "since"),
]
_LIMIT = click.option("--limit", default=200, show_default=True, type=click.IntRange(1, 10_000))


@click.group()
def users() -> None:
    """See, add and change people."""


@users.command("list")
@_LIMIT
@click.pass_obj
def list_users(session: Session, limit: int) -> None:
    """List the people of your realms."""
    page = session.client.pages("/users", limit=limit)
    session.printer.listing(page, USER_COLUMNS, empty="nobody you may see")


@users.command("show")
@click.argument("user")
@click.pass_obj
def show_user(session: Session, user: str) -> None:
    """Show one person, by name or id."""
    session.printer.record(session.client.get(f"/users/{segment(user)}"), _USER_FIELDS)


@users.command("add")
@click.argument("name")
@click.option("--email")
@click.option("--role", "roles", multiple=True, help="A role held everywhere; may be repeated.")
@click.option("--service", is_flag=True, help="A service account: it has API keys only.")
@click.pass_obj
def add_user(
    session: Session, name: str, email: str | None, roles: tuple[str, ...], service: bool
) -> None:
    """Add somebody. People come in more easily by `writ invitations create`."""
    body: dict[str, Any] = {"name": name, "roles": list(roles)}
    body["kind"] = "service" if service else "person"
    if email:
        body["email"] = email
    session.printer.record(session.client.post("/users", body), _USER_FIELDS)


@users.command("set")
@click.argument("user")
@click.option("--name", "name")
@click.option("--email")
@click.option("--role", "roles", multiple=True, help="The roles held everywhere, all of them.")
@click.option("--no-roles", is_flag=True, help="Take every role held everywhere.")
@click.option("--disable/--enable", "disable", default=None, help="Sign them out for good, or not.")
@click.pass_obj
def change_user(
    session: Session,
    /,
    user: str,
    roles: tuple[str, ...],
    no_roles: bool,
    disable: bool | None,
    **fields: str | None,
) -> None:
    """Change a person: what is not named stays."""
    body: dict[str, Any] = {name: text for name, text in fields.items() if text is not None}
    if roles or no_roles:
        body["roles"] = list(roles)
    if disable is not None:
        body["state"] = "disabled" if disable else "active"
    if not body:
        raise click.UsageError("say what to change")
    session.printer.record(session.client.patch(f"/users/{segment(user)}", body), _USER_FIELDS)


@users.command("remove")
@click.argument("user")
@click.pass_obj
def remove_user(session: Session, user: str) -> None:
    """Remove somebody for good."""
    found = session.client.get(f"/users/{segment(user)}")
    session.client.delete(f"/users/{segment(found['id'])}")
    session.printer.say(f"removed {found['name']}")


@users.command("password")
@click.option("--current", envvar="WRIT_PASSWORD", help="Where you have one; asked for.")
@click.option("--new", envvar="WRIT_NEW_PASSWORD", help="Asked for when left out.")
@click.pass_obj
def set_password(session: Session, current: str | None, new: str | None) -> None:
    """Set your own password; the first owner does so with their first API key."""
    if new is None:
        new = click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    body = {"password": new, **({"current": current} if current else {})}
    session.client.put("/me/password", body)
    session.printer.say("set; your other sessions have ended")


@click.group()
def realms() -> None:
    """See and make realms."""


@realms.command("list")
@_LIMIT
@click.pass_obj
def list_realms(session: Session, limit: int) -> None:
    """List the realms you may see."""
    columns: list[Column] = [("ID", "id"), ("DESCRIPTION", "description"), ("CREATED", "createdAt")]
    session.printer.listing(
        session.client.pages("/realms", limit=limit), columns, empty="no realm you may see"
    )


@realms.command("create")
@click.argument("realm")
@click.option("--description", default="")
@click.option("--owner", help="Name or id of who is to own it.")
@click.pass_obj
def create_realm(session: Session, realm: str, description: str, owner: str | None) -> None:
    """Make a realm."""
    body = {"id": realm, "description": description, **({"owner": owner} if owner else {})}
    made = session.client.post("/realms", body)
    session.printer.record(made, [("id", "id"), ("description", "description")])


@realms.command("describe")
@click.argument("realm")
@click.argument("description")
@click.pass_obj
def describe_realm(session: Session, realm: str, description: str) -> None:
    """Say what a realm is for."""
    made = session.client.patch(f"/realms/{segment(realm)}", {"description": description})
    session.printer.record(made, [("id", "id"), ("description", "description")])


@realms.command("audiences")
@click.argument("realm")
@click.argument("audiences", nargs=-1)
@click.pass_obj
def set_audiences(session: Session, realm: str, audiences: tuple[str, ...]) -> None:
    """Say for which services tokens are made in a realm: all of them, or none."""
    body = {"audiences": list(audiences)}
    made = session.client.patch(f"/realms/{segment(realm)}", body)
    session.printer.record(made, [("id", "id"), ("audiences", "audiences")])


@realms.command("remove")
@click.argument("realm")
@click.pass_obj
def remove_realm(session: Session, realm: str) -> None:
    """Remove a realm without agents."""
    session.client.delete(f"/realms/{segment(realm)}")
    session.printer.say(f"removed {realm}")


@click.group()
def members() -> None:
    """Say who belongs to a realm, and as what."""


@members.command("list")
@click.argument("realm")
@click.pass_obj
def list_members(session: Session, realm: str) -> None:
    """List who belongs to a realm."""
    page = session.client.get(f"/realms/{segment(realm)}/members")
    session.printer.listing(page, MEMBER_COLUMNS, empty="nobody")


@members.command("set")
@click.argument("realm")
@click.argument("user")
@click.argument("role")
@click.pass_obj
def set_member(session: Session, realm: str, user: str, role: str) -> None:
    """Give somebody (name or id) a role in a realm, instead of the one they had."""
    path = f"/realms/{segment(realm)}/members/{segment(user)}"
    fields: list[Column] = [("realm", "realm"), ("name", "name"), ("role", "role")]
    session.printer.record(session.client.put(path, {"role": role}), fields)


@members.command("remove")
@click.argument("realm")
@click.argument("user")
@click.pass_obj
def remove_member(session: Session, realm: str, user: str) -> None:
    """End a membership; your own too."""
    session.client.delete(f"/realms/{segment(realm)}/members/{segment(user)}")
    session.printer.say(f"{user} no longer belongs to {realm}")


@click.group()
def invitations() -> None:
    """Invite people by a link."""


@invitations.command("create")
@click.argument("role")
@click.option("--realm", help="Where; everywhere without it.")
@click.option("--email", help="Send it there; needs a mail server in the hub's settings.")
@click.option("--expires", "expires_in_seconds", type=click.IntRange(60), help="Seconds.")
@click.pass_obj
def create_invitation(session: Session, /, role: str, **fields: Any) -> None:
    """Make an invitation; its link is shown once and works once."""
    names = {"expires_in_seconds": "expiresInSeconds"}
    chosen = {names.get(name, name): one for name, one in fields.items() if one is not None}
    made = session.client.post("/invitations", {"role": role, **chosen})
    columns: list[Column] = [("link", "link"), ("id", "id"), ("expires", "expiresAt")]
    session.printer.record(made, [*columns, ("e-mailed", "emailed")])


@invitations.command("list")
@_LIMIT
@click.pass_obj
def list_invitations(session: Session, limit: int) -> None:
    """List invitations, newest first."""
    columns: list[Column] = [
        ("ID", "id"),
        ("REALM", "realm"),
        ("ROLE", "role"),
        ("E-MAIL", "email"),
        ("EXPIRES", "expiresAt"),
        ("USED", "usedAt"),
        ("REVOKED", "revokedAt"),
    ]
    page = session.client.pages("/invitations", limit=limit)
    session.printer.listing(page, columns, empty="no invitations")


@invitations.command("revoke")
@click.argument("invitation")
@click.pass_obj
def revoke_invitation(session: Session, invitation: str) -> None:
    """Make an invitation worthless."""
    session.client.delete(f"/invitations/{segment(invitation)}")
    session.printer.say("revoked")
